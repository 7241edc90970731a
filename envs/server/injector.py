"""Input as single events, for Windows and macOS: the part that both share."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from deskbench.envs import actions as act
from deskbench.envs import wait
from deskbench.envs.server.x11.keysyms import InputError

STEP, STEP_SECONDS = 8.0, 0.004
"""Pixels and seconds between two points of a drag."""
KEY_SECONDS = 0.01
"""Seconds that a pressed key stays down."""


class Injector(ABC):
    """Carries out actions, one at a time. Safe to use from several threads.

    Args:
        width, height: of the screen in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._lock = threading.RLock()
        self._keys: list[str] = []
        self._buttons: list[str] = []

    def perform(self, action: act.Action) -> str | None:
        """Carry out one action.

        Returns:
            None: mouse and keyboard have no output for the agent.

        Raises:
            InputError: it cannot be done. Everything that it pressed is released.
        """
        with self._lock:
            if isinstance(action, act.Type):
                self._type(action.text)
            elif isinstance(action, act.Key):
                with self._holding(action.keys):
                    wait.sleep(KEY_SECONDS)
            elif isinstance(action, act.KeyDown):
                self._down(action.key)
            elif isinstance(action, act.KeyUp):
                self._up(action.key)
            elif not isinstance(action, act.CursorPosition):
                self._point(action)
        return None

    def release_all(self) -> None:
        """Release every key and button that is down."""
        with self._lock:
            for key in reversed(self._keys[:]):
                self._up(key)
            for button in self._buttons[:]:
                self._button_up(button)

    def close(self) -> None:
        """Release everything."""
        self.release_all()

    def _point(self, action: act.Action) -> None:
        if isinstance(action, act.Drag):
            self._drag(action)
            return
        if not isinstance(action, (act.Move, act.Click, act.Scroll, act.MouseDown, act.MouseUp)):
            raise InputError(f"{action.type!r} is not an action of mouse or keyboard")
        self._move(action.x, action.y)
        if isinstance(action, act.Click):
            with self._holding(action.modifiers):
                for count in range(1, action.count + 1):
                    self._button_down(action.button, count)
                    self._button_up(action.button, count)
        elif isinstance(action, act.Scroll):
            with self._holding(action.modifiers):
                self._wheel(action.dy, action.dx)
        elif isinstance(action, act.MouseDown):
            self._button_down(action.button)
        elif isinstance(action, act.MouseUp):
            self._button_up(action.button)

    def _drag(self, action: act.Drag) -> None:
        self._check(action.path)
        self._move(*action.path[0])
        with self._holding(action.modifiers):
            self._button_down(action.button)
            try:
                for one, other in itertools.pairwise(action.path):
                    for x, y in _between(one, other):
                        self._glide(x, y)
                        wait.sleep(STEP_SECONDS)
                    self._arrive(*other)
            finally:
                self._button_up(action.button)

    def _check(self, path: Sequence[tuple[int, int]]) -> None:
        width, height = self._size
        for x, y in path:
            if not (0 <= x < width and 0 <= y < height):
                raise InputError(f"the point {x}, {y} is off the screen, which has {width}x{height} pixels")

    def _stroke(self, key: str) -> None:
        self._down(key)
        self._up(key)

    @contextlib.contextmanager
    def _holding(self, keys: Sequence[str]) -> Iterator[None]:
        """Hold keys, and the modifiers that they need, while the block runs. Keys that were already down stay down."""
        pressed: list[str] = []
        try:
            for key in keys:
                for needed in (*self._shifts(key), key):
                    if needed not in self._keys:
                        self._down(needed)
                        pressed.append(needed)
            yield
        finally:
            for key in reversed(pressed):
                self._up(key)

    @abstractmethod
    def _arrive(self, x: int, y: int) -> None:
        """Make sure that the pointer stays where it was sent."""

    @abstractmethod
    def _move(self, x: int | None, y: int | None) -> None:
        """Move the pointer; without a point, find out where it is."""

    @abstractmethod
    def _glide(self, x: int, y: int) -> None:
        """Move the pointer, as one of many moves."""

    @abstractmethod
    def _button_down(self, button: str, count: int = 1) -> None:
        """Press a button. `count` is the number of this click in a series at one place."""

    @abstractmethod
    def _button_up(self, button: str, count: int = 1) -> None:
        """Release a button."""

    @abstractmethod
    def _wheel(self, down: int, across: int) -> None:
        """Turn the wheel by notches; positive numbers are up and right."""

    @abstractmethod
    def _type(self, text: str) -> None:
        """Type a text."""

    @abstractmethod
    def _shifts(self, key: str) -> list[str]:
        """The modifiers that a printed character's key needs."""

    @abstractmethod
    def _down(self, key: str) -> None:
        """Press a key."""

    @abstractmethod
    def _up(self, key: str) -> None:
        """Release a key."""


def _between(one: tuple[int, int], other: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Points on the way from one point to the other, the last one included."""
    steps = max(1, math.ceil(math.dist(one, other) / STEP))
    for step in range(1, steps + 1):
        part = step / steps
        yield round(one[0] + (other[0] - one[0]) * part), round(one[1] + (other[1] - one[1]) * part)
