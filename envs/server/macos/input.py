"""Exact input by Quartz events: text as Unicode, keys by code with the held modifiers, the wheel."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from deskbench.envs.server.injector import Injector
from deskbench.envs.server.macos.keys import FLAGS, stroke
from deskbench.envs.server.x11.keysyms import InputError

HID = 0
"""kCGHIDEventTap: the place where a real mouse's events enter."""
MOVED = 5
BUTTONS = {"left": (1, 2, 6, 0), "right": (3, 4, 7, 1), "middle": (25, 26, 27, 2), "back": (25, 26, 27, 3),
           "forward": (25, 26, 27, 4)}  # fmt: skip
"""CGEventType of down, up and dragged, and the button's number."""
CLICK_STATE = 1
"""kCGMouseEventClickState: the number of this click in a series at one place."""
LINES = 1
"""kCGScrollEventUnitLine."""
CHUNK = 20
"""The most UTF-16 units of text in an event; programs lose the rest."""


class Input(Injector):
    """Carries actions out with Quartz events.

    Args:
        quartz: PyObjC's module of that name.
        width, height: of the screen in points, which equal the pixels of its pictures here.
    """

    def __init__(self, quartz: Any, width: int, height: int) -> None:
        super().__init__(width, height)
        self._quartz = quartz
        self._at = (0, 0)

    # -- mouse ----------------------------------------------------------------------------------------------------

    def _move(self, x: int | None, y: int | None) -> None:
        if x is None or y is None:
            place = self._quartz.CGEventGetLocation(self._quartz.CGEventCreate(None))
            self._at = (round(place.x), round(place.y))
            return
        self._check([(x, y)])
        self._at = (x, y)
        held = self._buttons[-1] if self._buttons else None
        self._mouse(BUTTONS[held][2] if held else MOVED, held or "left")

    def _glide(self, x: int, y: int) -> None:
        self._move(x, y)

    def _arrive(self, x: int, y: int) -> None:
        """Do nothing: the pointer stays where an event put it."""

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
        """Send one event for each notch. Positive is up; across, macOS counts left as positive, unlike actions."""
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

    def _shifts(self, key: str) -> list[str]:
        return ["shift"] if self._found(key)[1] else []

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
        """Post an event with the modifiers that are held; without them, the real keyboard's state would count."""
        flags = 0
        for key in self._keys:
            flags |= FLAGS.get(key, 0)
        self._quartz.CGEventSetFlags(event, flags)
        self._quartz.CGEventPost(HID, event)


def _nearer(notches: int) -> int:
    return notches - (notches > 0) + (notches < 0)


def _parts(text: str) -> Iterator[str]:
    """Split text into tabs and the pieces between them, each short enough for an event."""
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
