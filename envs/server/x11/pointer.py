"""The pointer: moves, clicks that stay single or double as intended, drags with motion in between, wheels."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence

from Xlib import X

from deskbench.envs import wait
from deskbench.envs.server.x11.connection import Connection
from deskbench.envs.server.x11.keysyms import InputError

BUTTONS = {"left": 1, "middle": 2, "right": 3, "back": 8, "forward": 9}
_WHEEL_UP, _WHEEL_DOWN, _WHEEL_LEFT, _WHEEL_RIGHT = 4, 5, 6, 7

_SINGLE_GAP = 0.55
"""Seconds after which no toolkit merges two clicks: GTK and Qt use 400 ms; Tk, Chromium and Java 500."""
_MULTI_GAP = 0.85
"""Seconds after a double click: GTK counts a third press within 800 ms of the first as a triple click."""
_NEAR = 12
"""Pixels within which toolkits merge clicks (GTK and Tk 5, Qt 10)."""
_STEP_PIXELS, _STEP_SECONDS, _MAX_STEPS = 12.0, 0.006, 60
_DRAG_HOLD = 0.05
"""Seconds that a drag rests after the press and before the release: three frames, so that the target can react."""


class Pointer:
    """Moves the pointer and presses its buttons; keeps track of those that it holds down."""

    def __init__(self, connection: Connection) -> None:
        self._x = connection
        self._held: dict[str, int] = {}
        self._last: tuple[int, int, int, float] | None = None  # button, x, y, and when toolkits no longer merge clicks

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the buttons held down by `mouse_down`, in order."""
        return tuple(self._held)

    def check(self, points: Sequence[tuple[int, int]]) -> None:
        """Check that all points are on the screen.

        Raises:
            InputError: a point is off the screen; the message names the first one and the screen's size.
        """
        width, height = self._x.size()
        for x, y in points:
            if not (0 <= x < width and 0 <= y < height):
                raise InputError(f"the point ({x}, {y}) is off the screen, which is {width}x{height}")

    def move(self, x: int | None, y: int | None) -> None:
        """Move to a point of the screen, in steps while a button is down. Without a point, stay in place."""
        if x is None or y is None:
            return
        self.check([(x, y)])
        if self._held:
            here = self._x.pointer()
            self._glide((here[0], here[1]), (x, y))
            self._x.wait_consumed()
            wait.sleep(_DRAG_HOLD)
        self._x.motion(x, y)

    def click(self, button: str, count: int, x: int | None, y: int | None) -> None:
        """Click `count` times. The program does not merge these with earlier clicks in the same place."""
        self.move(x, y)
        number = BUTTONS[button]
        self._part_from_last(number)
        try:
            for _ in range(count):
                self._x.fake(X.ButtonPress, number)
                self._x.fake(X.ButtonRelease, number)
        finally:
            self._x.sync()
            self._note(number, count)

    def down(self, button: str, x: int | None, y: int | None) -> None:
        """Press a button and keep it down."""
        self.move(x, y)
        self._held[button] = BUTTONS[button]
        self._x.fake(X.ButtonPress, BUTTONS[button])
        self._x.sync()
        self._note(BUTTONS[button], 1)

    def up(self, button: str, x: int | None, y: int | None) -> None:
        """Release a button."""
        self.move(x, y)
        self._held.pop(button, None)
        self._x.fake(X.ButtonRelease, BUTTONS[button])
        self._x.sync()

    def drag(self, path: Sequence[tuple[int, int]], button: str) -> None:
        """Press at the first point, move through the others in steps that programs can follow, release at the last."""
        self.check(path)
        number = BUTTONS[button]
        self._x.motion(*path[0])
        self._part_from_last(number)
        self._x.fake(X.ButtonPress, number)
        try:
            self._x.wait_consumed()
            wait.sleep(_DRAG_HOLD)
            for start, end in itertools.pairwise(path):
                self._glide(start, end)
            self._x.wait_consumed()
            wait.sleep(_DRAG_HOLD)
        finally:
            self._x.fake(X.ButtonRelease, number)
            self._x.sync()
            self._note(number, 1)

    def scroll(self, dx: int, dy: int) -> None:
        """Turn the wheels by notches: positive dy is up, positive dx is right."""
        for count, back, forth in ((dy, _WHEEL_DOWN, _WHEEL_UP), (dx, _WHEEL_LEFT, _WHEEL_RIGHT)):
            number = forth if count > 0 else back
            for _ in range(abs(count)):
                self._x.fake(X.ButtonPress, number)
                self._x.fake(X.ButtonRelease, number)
        self._x.sync()

    def release_all(self) -> None:
        """Release every button that is down, whoever pressed it."""
        mask = self._x.pointer()[2]
        down = {number for number in (1, 2, 3) if mask & (X.Button1Mask << (number - 1))}
        for number in down | set(self._held.values()):
            self._x.fake(X.ButtonRelease, number)
        self._held.clear()
        self._x.sync()

    def _glide(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = min(_MAX_STEPS, max(2, math.ceil(math.dist(start, end) / _STEP_PIXELS)))
        for step in range(1, steps + 1):
            part = step / steps
            x, y = (round(a + (b - a) * part) for a, b in zip(start, end))  # noqa: B905
            self._x.motion(x, y)
            self._x.sync()
            wait.sleep(_STEP_SECONDS)

    def _part_from_last(self, number: int) -> None:
        """Wait until this press cannot be merged with the last click into a double click."""
        if self._last is None:
            return
        button, x, y, until = self._last
        here = self._x.pointer()
        if button == number and max(abs(here[0] - x), abs(here[1] - y)) <= _NEAR:
            wait.sleep(until - time.monotonic())

    def _note(self, number: int, count: int) -> None:
        x, y, _ = self._x.pointer()
        self._last = (number, x, y, time.monotonic() + (_SINGLE_GAP if count == 1 else _MULTI_GAP))
