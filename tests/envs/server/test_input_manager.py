"""Chords that the window manager takes for itself are over when they are let go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from Xlib import display

from deskbench.envs import wait
from deskbench.envs.actions import Key
from deskbench.envs.server.input import Input

from .conftest import PATIENCE, focused_class

if TYPE_CHECKING:
    from .conftest import Xvfb

pytestmark = pytest.mark.desktop


@pytest.fixture
def hands(xvfb: Xvfb) -> Iterator[Input]:
    hands = Input(xvfb.display)
    yield hands
    hands.close()


def test_alt_tab_changes_the_window_with_no_further_key(xvfb: Xvfb, hands: Input) -> None:
    connection = display.Display(xvfb.display)
    try:
        for name in ("first", "second"):
            xvfb.start(["xterm", "-name", name])
            xvfb.wait_focus(name)
        for name in ("first", "second") * 5:
            hands.perform(Key(("alt", "tab")))
            assert wait.until(lambda name=name: name in focused_class(connection), timeout=PATIENCE), name
    finally:
        connection.close()
