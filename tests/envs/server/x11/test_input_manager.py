"""Input for the window manager: chords that end on release, and drags with Super."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest
from Xlib import display

from deskbench.envs import wait
from deskbench.envs.actions import Drag, Key
from deskbench.envs.server.x11.input import Input
from deskbench.envs.server.x11.windows import Windows

from ..conftest import PATIENCE, focused_class

if TYPE_CHECKING:
    from ..conftest import Xvfb

pytestmark = pytest.mark.desktop


@pytest.fixture
def hands(xvfb: Xvfb) -> Iterator[Input]:
    hands = Input(xvfb.display)
    yield hands
    hands.close()


def test_alt_tab_changes_the_window_with_no_further_key(xvfb: Xvfb, hands: Input) -> None:
    connection = display.Display(xvfb.display)

    def focused(name: str) -> bool:
        return name in focused_class(connection)

    try:
        for name in ("first", "second"):
            xvfb.start(["xterm", "-name", name])
            xvfb.wait_focus(name)
        for name in ("first", "second") * 5:
            hands.perform(Key(("alt", "tab")))
            assert wait.until(partial(focused, name), timeout=PATIENCE), name
    finally:
        connection.close()


@pytest.mark.parametrize(("held", "moved"), [(("super",), (60, 40)), (("alt",), (0, 0)), ((), (0, 0))])
def test_windows_are_moved_with_super(xvfb: Xvfb, hands: Input, held: tuple[str, ...], moved: tuple[int, int]) -> None:
    process, windows = xvfb.start(["xterm", "-name", "mover", "-geometry", "40x10+200+200"]), Windows(xvfb.display)

    def place() -> tuple[int, int]:
        [found] = [window for window in windows.listing() if window["wm_class"].startswith("mover.")]
        return found["x"], found["y"]

    try:
        xvfb.wait_focus("mover")
        x, y = before = place()
        expected = (x + moved[0], y + moved[1])
        hands.perform(Drag(((x + 100, y + 50), (x + 160, y + 90)), modifiers=held))
        hands.perform(Key(("shift",)))  # waits for the window manager
        assert wait.until(lambda: place() == expected, timeout=PATIENCE), (before, place())
    finally:
        xvfb.stop(process)
