"""A bare X server with a window manager, and real programs as targets, separate for each test module."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs import wait
from deskbench.envs.server import x11

WIDTH, HEIGHT = 1280, 800
PROBE = Path(__file__).with_name("gtk_probe.py")
OPENBOX = Path(x11.__file__).with_name("config") / "openbox.xml"
PATIENCE = 20.0
"""Seconds after which a program that should have reacted counts as broken; the machine may be busy."""


class Program:
    """A running program and, for the GTK probe, its log."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.log = folder / "log"
        self.file = folder / "text"

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The events logged since `forget`, of these kinds (all by default)."""
        whole, _, _half_written = self.log.read_text().rpartition("\n")
        lines = whole.splitlines()[self._seen :]
        every = [json.loads(line) for line in lines]
        return [event for event in every if not kinds or event["event"] in kinds]

    _seen = 0

    def forget(self) -> None:
        self._seen = self.log.read_text().count("\n")

    def wait_events(self, count: int, *kinds: str) -> list[dict[str, Any]]:
        """Wait for `count` events of these kinds; returns those that exist when patience ends."""
        wait.until(lambda: len(self.events(*kinds)) >= count, timeout=PATIENCE)
        return self.events(*kinds)

    def text(self) -> str:
        return self.file.read_bytes().decode()

    def wait_text(self, expected: str) -> str:
        """Wait until the text in the view is `expected`; returns the text when patience ends."""
        wait.until(lambda: self.text() == expected, timeout=PATIENCE, max_interval=0.02)
        return self.text()

    def empty(self) -> None:
        """Empty the text view."""
        self.forget()
        self.process.send_signal(signal.SIGUSR1)
        assert self.wait_events(1, "emptied")


@dataclass
class Xvfb:
    """A private display such as `:7`, and the programs started on it."""

    display: str
    folder: Path
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR")}
        return keep | {
            "DISPLAY": self.display, "HOME": str(self.folder), "XAUTHORITY": os.devnull, "LC_ALL": "C.UTF-8",
            "GDK_BACKEND": "x11", "GTK_IM_MODULE": "gtk-im-context-simple", "NO_AT_BRIDGE": "1",
            "GSETTINGS_BACKEND": "memory", "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }  # fmt: skip

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program on the display; it ends with the display."""
        log = (self.folder / "programs.log").open("ab")
        process = subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.programs.append(process)
        return process

    def probe(self, mode: str) -> Program:
        """Start the GTK probe in `text`, `events` or `dnd` mode and wait until it has the focus."""
        folder = self.folder / f"{mode}{len(self.programs)}"
        folder.mkdir()
        command = ["/usr/bin/python3", str(PROBE), mode, str(folder / "log"), str(folder / "text")]
        (folder / "log").touch()
        program = Program(self.start(command), folder)
        assert program.wait_events(1, "ready"), (self.folder / "programs.log").read_text()
        return program

    def wait_focus(self, name: str) -> None:
        """Wait for the window whose class or instance is `name`, and give it the keyboard."""
        from Xlib import display

        connection = display.Display(self.display)

        def focused() -> bool:
            # Openbox gives a new window no focus while the user types in another.
            subprocess.run(["wmctrl", "-x", "-a", name], env=self.environment(), stderr=subprocess.DEVNULL, check=False)
            return name in focused_class(connection)

        try:
            assert wait.until(focused, timeout=PATIENCE), f"{name} got no focus"
        finally:
            connection.close()

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        while self.programs:
            self.stop(self.programs.pop())


@pytest.fixture(scope="module")
def xvfb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Xvfb]:
    """A bare Xvfb (1280x800) with openbox for one module; everything started on it ends with the module."""
    read, write = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-noreset", "-nolisten", "tcp"],
        pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    desk = Xvfb(f":{number}", tmp_path_factory.mktemp("xvfb"))
    try:
        assert number, "Xvfb did not start"
        desk.start(["openbox", "--config-file", str(OPENBOX)])
        wait_for_manager(desk)
        yield desk
    finally:
        desk.close()
        desk.stop(process)


@pytest.fixture
def layout(xvfb: Xvfb) -> Iterator[Callable[..., None]]:
    """A function that sets the X server's keyboard layout by setxkbmap's arguments; afterwards it is `us` again."""

    def choose(*arguments: str) -> None:
        subprocess.run(["setxkbmap", *arguments], env=xvfb.environment(), check=True)

    yield choose
    choose("-layout", "us", "-variant", "")


def focused_class(connection: Any) -> tuple[str, ...]:
    """Instance and class of the window with the keyboard, in lower case."""
    from Xlib import error

    window = connection.get_input_focus().focus
    try:
        while hasattr(window, "id") and window.id != connection.screen().root.id:
            if found := window.get_wm_class():
                return tuple(name.lower() for name in found)
            window = window.query_tree().parent
    except (error.BadWindow, error.BadDrawable):
        pass  # it closed between the two requests
    return ()


def wait_for_manager(desk: Xvfb) -> None:
    """Wait until the window manager controls the root window."""
    from Xlib import Xatom, display

    connection = display.Display(desk.display)
    atom = connection.intern_atom("_NET_SUPPORTING_WM_CHECK")
    root = connection.screen().root
    found = wait.until(lambda: root.get_full_property(atom, Xatom.WINDOW), timeout=PATIENCE)
    connection.close()
    assert found, "openbox did not start"
