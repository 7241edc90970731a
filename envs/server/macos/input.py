"""Exact input by Quartz events: text as Unicode, keys by their codes with the modifiers that are held, the wheel."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from deskbench.envs import actions as act
from deskbench.envs import wait
from deskbench.envs.server.input_keys import InputError
from deskbench.envs.server.macos.keys import FLAGS, stroke

HID = 0
"""kCGHIDEventTap: where a real mouse's events come in."""
MOVED = 5
BUTTONS = {"left": (1, 2, 6, 0), "right": (3, 4, 7, 1), "middle": (25, 26, 27, 2), "back": (25, 26, 27, 3),
           "forward": (25, 26, 27, 4)}  # fmt: skip
"""CGEventType of down, up and dragged, and the button's number."""
CLICK_STATE = 1
"""kCGMouseEventClickState: the how-manieth click in one place this is."""
LINES = 1
"""kCGScrollEventUnitLine."""
CHUNK = 20
"""UTF-16 units of text an event carries; programs are known to lose what is beyond."""
STEP, STEP_SECONDS, KEY_SECONDS = 8.0, 0.004, 0.01


class Input:
    """Carries actions out. Safe to use from several threads: one action at a time.

    Args:
        quartz: PyObjC's module of that name.
        width, height: of the screen in points, which are the pixels of its pictures here.
    """

    def __init__(self, quartz: Any, width: int, height: int) -> None:
        self._quartz = quartz
        self._size = (width, height)
        self._lock = threading.RLock()
        self._keys: list[str] = []
        self._buttons: list[str] = []
        self._at = (0, 0)

    def perform(self, action: act.Action) -> str | None:
        """Carry one action out.

        Returns:
            None: no action of mouse or keyboard has a text for the agent.

        Raises:
            InputError: it cannot be done. What it pressed is let go.
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
            else:
                self._point(action)
        return None

    def release_all(self) -> None:
        """Let every key and button go that is down."""
        with self._lock:
            for key in reversed(self._keys[:]):
                self._up(key)
            for button in self._buttons[:]:
                self._button_up(button)

    def close(self) -> None:
        """Let everything go."""
        self.release_all()

    # -- mouse ----------------------------------------------------------------------------------------------------

    def _point(self, action: act.Action) -> None:
        if isinstance(action, act.Move):
            self._move(action.x, action.y)
        elif isinstance(action, act.Click):
            self._move(action.x, action.y)
            with self._holding(action.modifiers):
                for count in range(1, action.count + 1):
                    self._button_down(action.button, count)
                    self._button_up(action.button, count)
        elif isinstance(action, act.Drag):
            self._drag(action)
        elif isinstance(action, act.Scroll):
            self._move(action.x, action.y)
            with self._holding(action.modifiers):
                self._wheel(action.dy, action.dx)
        elif isinstance(action, act.MouseDown):
            self._move(action.x, action.y)
            self._button_down(action.button)
        elif isinstance(action, act.MouseUp):
            self._move(action.x, action.y)
            self._button_up(action.button)
        elif not isinstance(action, act.CursorPosition):
            raise InputError(f"{action.type!r} is not an action of mouse or keyboard")

    def _check(self, path: Sequence[tuple[int, int]]) -> None:
        width, height = self._size
        for x, y in path:
            if not (0 <= x < width and 0 <= y < height):
                raise InputError(f"the point {x}, {y} is off the screen, which has {width}x{height} pixels")

    def _move(self, x: int | None, y: int | None) -> None:
        if x is None or y is None:
            place = self._quartz.CGEventGetLocation(self._quartz.CGEventCreate(None))
            self._at = (round(place.x), round(place.y))
            return
        self._check([(x, y)])
        self._at = (x, y)
        held = self._buttons[-1] if self._buttons else None
        self._mouse(BUTTONS[held][2] if held else MOVED, held or "left")

    def _drag(self, action: act.Drag) -> None:
        self._check(action.path)
        self._move(*action.path[0])
        with self._holding(action.modifiers):
            self._button_down(action.button)
            try:
                for one, other in itertools.pairwise(action.path):
                    for x, y in _between(one, other):
                        self._move(x, y)
                        wait.sleep(STEP_SECONDS)
            finally:
                self._button_up(action.button)

    def _button_down(self, button: str, count: int = 1) -> None:
        self._buttons.append(button)
        self._mouse(BUTTONS[button][0], button, count)

    def _button_up(self, button: str, count: int = 1) -> None:
        self._mouse(BUTTONS[button][1], button, count)
        if button in self._buttons:
            self._buttons.remove(button)

    def _mouse(self, kind: int, button: str, count: int = 0) -> None:
        event = self._quartz.CGEventCreateMouseEvent(None, kind, self._at, BUTTONS[button][3])
        if count:
            self._quartz.CGEventSetIntegerValueField(event, CLICK_STATE, count)
        self._post(event)

    def _wheel(self, down: int, across: int) -> None:
        """One notch an event; a positive number is up, and on macOS left, where the action's is right."""
        for _ in range(max(abs(down), abs(across))):
            notches = [(n > 0) - (n < 0) for n in (down, -across)]
            self._post(self._quartz.CGEventCreateScrollWheelEvent(None, LINES, 2, *notches))
            down, across = _nearer(down), _nearer(across)

    # -- keyboard -------------------------------------------------------------------------------------------------

    def _type(self, text: str) -> None:
        for line in text.replace("\r\n", "\n").replace("\r", "\n").splitlines(keepends=True):
            for part in _parts(line.rstrip("\n")):
                if part == "\t":
                    self._stroke("tab")
                else:
                    self._type_unicode(part)
            if line.endswith("\n"):
                self._stroke("enter")

    def _type_unicode(self, text: str) -> None:
        if any(ord(c) < 32 or ord(c) == 127 for c in text):
            raise InputError(f"a control character in {text!r} cannot be typed; press a key instead")
        for down in (True, False):
            event = self._quartz.CGEventCreateKeyboardEvent(None, 0, down)
            self._quartz.CGEventKeyboardSetUnicodeString(event, len(text.encode("utf-16-le")) // 2, text)
            self._post(event)

    def _stroke(self, key: str) -> None:
        self._down(key)
        self._up(key)

    @contextlib.contextmanager
    def _holding(self, keys: Sequence[str]) -> Iterator[None]:
        pressed: list[str] = []
        try:
            for key in keys:
                shifted = ["shift"] if self._found(key)[1] else []
                for needed in (*shifted, key):
                    if needed not in self._keys:
                        self._down(needed)
                        pressed.append(needed)
            yield
        finally:
            for key in reversed(pressed):
                self._up(key)

    def _found(self, key: str) -> tuple[int, bool]:
        found = stroke(key)
        if found is None:
            raise InputError(f"the keyboard has no key {key!r}")
        return found

    def _down(self, key: str) -> None:
        code, _ = self._found(key)
        self._keys.append(key)
        self._post(self._quartz.CGEventCreateKeyboardEvent(None, code, True))

    def _up(self, key: str) -> None:
        code, _ = self._found(key)
        if key in self._keys:
            self._keys.remove(key)
        self._post(self._quartz.CGEventCreateKeyboardEvent(None, code, False))

    def _post(self, event: Any) -> None:
        """An event says itself which modifiers are held; without that, the last real keyboard's state would count."""
        flags = 0
        for key in self._keys:
            flags |= FLAGS.get(key, 0)
        self._quartz.CGEventSetFlags(event, flags)
        self._quartz.CGEventPost(HID, event)


def _nearer(notches: int) -> int:
    return notches - (notches > 0) + (notches < 0)


def _parts(text: str) -> Iterator[str]:
    """Tabs, and what is between them in pieces that an event can carry."""
    for tab, rest in itertools.groupby(text, lambda c: c == "\t"):
        piece = ""
        for character in rest:
            if tab or len((piece + character).encode("utf-16-le")) > 2 * CHUNK:
                if piece:
                    yield piece
                piece = ""
            piece += character
        if piece:
            yield piece


def _between(one: tuple[int, int], other: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Points on the way, the end included."""
    steps = max(1, math.ceil(math.dist(one, other) / STEP))
    for step in range(1, steps + 1):
        part = step / steps
        yield round(one[0] + (other[0] - one[0]) * part), round(one[1] + (other[1] - one[1]) * part)
