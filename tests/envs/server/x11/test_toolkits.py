"""Programs of several toolkits tell when they will draw: at once, at a timer, behind another timer, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalDesktop, LocalProvider
from deskbench.envs.types import Key
from deskbench.envs.wire import Observe

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(300)]
TK = """
import tkinter
root, times = tkinter.Tk(), iter(range(100))
label = tkinter.Label(root, text="ready", font=("Sans", 40))
label.pack(expand=True, fill="both")
def show():
    label.config(text=f"shown {next(times)}")
root.bind("a", lambda event: show())
root.bind("b", lambda event: root.after(200, show))
root.bind("c", lambda event: (root.after(50, int), root.after(200, show)))
root.geometry("500x300")
root.focus_force()
root.mainloop()
"""
QT = """
from PyQt6 import QtCore, QtWidgets
class Label(QtWidgets.QLabel):
    times = iter(range(100))
    def show_more(self):
        self.setText(f"shown {next(self.times)}")
    def keyPressEvent(self, event):
        if event.text() == "a": self.show_more()
        if event.text() == "c": QtCore.QTimer.singleShot(50, lambda: None)
        if event.text() in ("b", "c"): QtCore.QTimer.singleShot(200, self.show_more)
application, label = QtWidgets.QApplication([]), Label("ready")
label.resize(500, 300)
label.show()
application.exec()
"""
GTK = """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk
window, label, times = Gtk.Window(), Gtk.Label(label="ready"), iter(range(100))
def show():
    label.set_text(f"shown {next(times)}")
def pressed(window, event):
    if event.string == "a": show()
    if event.string == "c": GLib.timeout_add(50, bool)
    if event.string in ("b", "c"): GLib.timeout_add(200, show)
window.add(label)
window.set_default_size(500, 300)
window.connect("key-press-event", pressed)
window.show_all()
Gtk.main()
"""
SWING = """
import java.awt.event.*;
import javax.swing.*;
public class Program {
    static int times = 0;
    static JLabel label = new JLabel("ready");
    static void show() { label.setText("shown " + times++); }
    static void later(int milliseconds, Runnable done) {
        Timer timer = new Timer(milliseconds, event -> done.run());
        timer.setRepeats(false);
        timer.start();
    }
    public static void main(String[] arguments) {
        SwingUtilities.invokeLater(() -> {
            JFrame frame = new JFrame("Program");
            frame.add(label);
            frame.setSize(500, 300);
            frame.addKeyListener(new KeyAdapter() {
                public void keyTyped(KeyEvent event) {
                    if (event.getKeyChar() == 'a') show();
                    if (event.getKeyChar() == 'c') later(50, () -> {});
                    if ("bc".indexOf(event.getKeyChar()) >= 0) later(200, Program::show);
                }
            });
            frame.setVisible(true);
        });
    }
}
"""
PROGRAMS = {
    "Tk": ("program.py", TK, "python3"), "Qt 6": ("program.py", QT, "python3"), "GTK 3": ("program.py", GTK, "python3"),
    "Swing": ("Program.java", SWING, "java"),
}  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    provider = LocalProvider()
    yield provider
    provider.close()


@pytest.mark.parametrize("toolkit", PROGRAMS)
def test_a_program_is_answered_when_it_has_drawn_and_not_before(provider: LocalProvider, toolkit: str) -> None:
    file, source, runner = PROGRAMS[toolkit]
    desktop = provider.start(DesktopSpec(width=640, height=480))
    try:
        desktop.write_file(f"~/{file}", source.encode())
        desktop.launch(f"cd ~ && exec {runner} {file}", shell=True)
        assert wait.until(lambda: drawn(desktop, "a") == "soon", timeout=30)
        assert [drawn(desktop, key) for key in "aaabbbccczzz"] == ["soon"] * 9 + ["never"] * 3
        by = [desktop.act([Key((key,))]).settled_by for key in "abcz" * 3]
        assert by.count("rest") > len(by) / 2, by
    finally:
        provider.stop(desktop)


def drawn(desktop: LocalDesktop, key: str) -> str:
    """Press a key; whether the screen is drawn before the answer, in the second after it, or not at all."""
    before = shown(desktop)
    seen = desktop.act([Key((key,))]).screenshot
    assert seen is not None
    later = shown(desktop, "fixed:1")
    return "late" if later != seen.sha256 else "soon" if seen.sha256 != before else "never"


def shown(desktop: LocalDesktop, policy: str = "immediate") -> str:
    screenshot = desktop.observe(Observe(policy=policy)).screenshot
    assert screenshot is not None
    return screenshot.sha256
