"""Windows: listed in stacking order, activated with proof, asked to close."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from Xlib import X, Xutil, display
from Xlib.protocol import event

from deskbench.envs import wait
from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.x11.windows import Windows

pytestmark = pytest.mark.desktop
PATIENCE = 20.0
NAMES = ("First note", "Second note", "Ünï – 日本")


def shown(windows: Windows, *titles: str) -> bool:
    return set(titles) <= {window["title"] for window in windows.listing()}


@pytest.fixture
def windows(xvfb: Any) -> Iterator[Windows]:
    """Three terminals, the last one started on top."""
    found = Windows(xvfb.display)
    for number, name in enumerate(NAMES):
        # Programs set the title this way; xterm's own option supports Latin-1 only.
        script = f"printf '\\033]2;{name}\\007'; cat"
        place = f"40x10+{100 * number + 20}+{50 * number + 40}"
        xvfb.start(["xterm", "-geometry", place, "-e", "sh", "-c", script])
        assert wait.until(partial(shown, found, name), timeout=PATIENCE)
    yield found
    for process in xvfb.programs[1:]:  # the first one is the window manager
        xvfb.stop(process)
    del xvfb.programs[1:]
    assert wait.until(lambda: not found.listing(), timeout=PATIENCE)


def active(windows: Windows) -> list[str]:
    return [window["title"] for window in windows.listing() if window["active"]]


def test_windows_are_listed_with_title_class_and_place(windows: Windows) -> None:
    listed = {window["title"]: window for window in windows.listing()}
    assert set(listed) == set(NAMES)
    for window in listed.values():
        assert window["wm_class"] == "xterm.XTerm"
        assert window["width"] > 100 and window["height"] > 50
        assert int(window["id"], 16) > 0
    assert listed["First note"]["x"] < listed["Second note"]["x"]


def test_what_programs_write_on_windows_is_bounded(windows: Windows, xvfb: Any) -> None:
    """A title of megabytes, numbers instead of text, and unexpected Latin-1."""
    connection = display.Display(xvfb.display)
    root, screen = connection.screen().root, connection.screen()
    made = []
    for name, kind, form, value in [
        ("WM_NAME", "STRING", 8, "Gr\xfc\xdfe".encode("latin-1")), ("_NET_WM_NAME", "UTF8_STRING", 8, b"x" * 3_000_000),
        ("_NET_WM_NAME", "CARDINAL", 32, [1, 2, 3]),
    ]:  # fmt: skip
        window = root.create_window(0, 0, 50, 50, 0, screen.root_depth)
        for _ in range(15 if len(value) > 1000 else 1):
            part = value[:200_000]
            window.change_property(
                connection.intern_atom(name), connection.intern_atom(kind), form, part, mode=X.PropModeAppend
            )
        window.map()
        made.append(window)
    connection.sync()
    try:
        assert wait.until(lambda: len(windows.listing()) == 6, timeout=PATIENCE)
        titles = sorted((window["title"] for window in windows.listing()), key=len)
        assert titles[0] == "" and "Gr\xfc\xdfe" in titles
        assert set(titles[-1]) == {"x"} and len(titles[-1]) < 20_000
    finally:
        connection.close()


def test_the_list_goes_from_bottom_to_top(windows: Windows) -> None:
    for name in NAMES:
        windows.activate(name, strict=True, by_class=False)
        assert active(windows) == [name]
        assert windows.listing()[-1]["title"] == name


def test_part_of_a_title_will_do_in_any_case(windows: Windows) -> None:
    windows.activate("fIRST", strict=False, by_class=False)
    assert active(windows) == ["First note"]


def test_of_several_matches_the_topmost_is_meant(windows: Windows) -> None:
    for name in ("First note", "Second note", NAMES[2]):
        windows.activate(name, strict=True, by_class=False)
    windows.activate("note", strict=False, by_class=False)
    assert active(windows) == ["Second note"]


@pytest.mark.parametrize("name", ["XTerm", "xterm", "xterm.XTerm"])
def test_a_class_is_matched_whole_when_strict(windows: Windows, name: str) -> None:
    windows.activate(name, strict=True, by_class=True)
    assert len(active(windows)) == 1


@pytest.mark.parametrize(
    ("name", "strict", "by_class"), [("first note", True, False), ("XTer", True, True), ("no such", False, False)]
)
def test_no_match_is_404_and_says_what_there_is(windows: Windows, name: str, strict: bool, by_class: bool) -> None:
    with pytest.raises(HttpError, match=r"no window '.*'; there are: '") as caught:
        windows.activate(name, strict=strict, by_class=by_class)
    assert caught.value.status == 404


def test_an_iconified_window_comes_back(windows: Windows, xvfb: Any) -> None:
    [number] = [window["id"] for window in windows.listing() if window["title"] == "First note"]
    iconify(xvfb.display, int(number, 16))
    assert active(windows) != ["First note"]
    windows.activate("First note", strict=False, by_class=False)
    assert active(windows) == ["First note"]


def iconify(display_name: str, number: int) -> None:
    """Minimise as the button does; returns when the window is off the screen."""
    connection = display.Display(display_name)
    window = connection.create_resource_object("window", number)
    kind = connection.intern_atom("WM_CHANGE_STATE")
    asked = event.ClientMessage(window=window, client_type=kind, data=(32, [Xutil.IconicState, 0, 0, 0, 0]))
    connection.screen().root.send_event(asked, event_mask=X.SubstructureRedirectMask)
    assert wait.until(lambda: window.get_attributes().map_state != X.IsViewable, timeout=PATIENCE)
    connection.close()


def test_a_window_is_asked_to_close(windows: Windows) -> None:
    windows.close("Second", strict=False, by_class=False)
    assert wait.until(lambda: not shown(windows, "Second note"), timeout=PATIENCE)
    assert shown(windows, "First note", NAMES[2])


# What a window does when asked to close: its program works for seconds, as on a busy machine, before anything is
# visible.
SLOW = """
import sys, time
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
window = Gtk.Window(title="Slow")
def work():
    until = time.monotonic() + 4
    while time.monotonic() < until:
        pass
def closed(*_):
    if sys.argv[1] != "asks":
        window.hide()
        while Gtk.events_pending():
            Gtk.main_iteration()
        window.get_display().sync()
    if sys.argv[1] == "stays":
        return True
    work()
    if sys.argv[1] == "ends":
        sys.exit()
    Gtk.Window(title="Really?").show()
    return True
window.connect("delete-event", closed)
window.show()
Gtk.main()
"""


@pytest.fixture
def slow(xvfb: Any, request: pytest.FixtureRequest) -> Iterator[tuple[Windows, subprocess.Popen[bytes]]]:
    windows, process = Windows(xvfb.display), xvfb.start(["/usr/bin/python3", "-c", SLOW, request.param])
    assert wait.until(lambda: shown(windows, "Slow"), timeout=PATIENCE)
    yield windows, process
    xvfb.stop(process)


@pytest.mark.parametrize("slow", ["ends"], indirect=True)
def test_a_closed_program_has_ended_however_long_it_works_on_that(slow: Any) -> None:
    windows, process = slow
    windows.close("Slow", strict=True, by_class=False)
    assert process.poll() == 0


@pytest.mark.parametrize("slow", ["asks"], indirect=True)
def test_a_question_is_there_with_the_answer_however_long_it_takes(slow: Any) -> None:
    windows, process = slow
    windows.close("Slow", strict=True, by_class=False)
    assert shown(windows, "Slow", "Really?")
    assert process.poll() is None


@pytest.mark.parametrize("slow", ["stays"], indirect=True)
def test_a_program_that_stays_without_a_window_is_left_alone(slow: Any) -> None:
    windows, process = slow
    windows.close("Slow", strict=True, by_class=False)
    assert not shown(windows, "Slow")
    assert process.poll() is None
