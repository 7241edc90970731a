"""Exact input by SendInput: text as Unicode, keys by virtual key and scan code, the wheel in notches."""

from __future__ import annotations

import ctypes
import time
from ctypes import wintypes
from typing import Any

from deskbench.envs import wait
from deskbench.envs.server.injector import Injector
from deskbench.envs.server.win32 import api
from deskbench.envs.server.x11.keysyms import InputError

MOUSE, KEYBOARD = 0, 1
KEY_EXTENDED, KEY_UP, KEY_UNICODE = 1, 2, 4
MOVE, ABSOLUTE, WHEEL, HORIZONTAL_WHEEL = 0x0001, 0x8000, 0x0800, 0x1000
BUTTONS = {
    "left": (0x0002, 0x0004, 0), "right": (0x0008, 0x0010, 0), "middle": (0x0020, 0x0040, 0),
    "back": (0x0080, 0x0100, 1), "forward": (0x0080, 0x0100, 2),
}  # fmt: skip
"""MOUSEEVENTF flags for down and up, and the data of the X buttons."""
NOTCH = 120
KEYS = {
    "enter": 0x0D, "tab": 0x09, "space": 0x20, "backspace": 0x08, "delete": 0x2E, "insert": 0x2D, "esc": 0x1B,
    "home": 0x24, "end": 0x23, "pageup": 0x21, "pagedown": 0x22, "up": 0x26, "down": 0x28, "left": 0x25,
    "right": 0x27, "shift": 0xA0, "shiftleft": 0xA0, "shiftright": 0xA1, "ctrl": 0xA2, "ctrlleft": 0xA2,
    "ctrlright": 0xA3, "alt": 0xA4, "altleft": 0xA4, "altright": 0xA5, "altgr": 0xA5, "super": 0x5B,
    "superleft": 0x5B, "superright": 0x5C, "menu": 0x5D, "capslock": 0x14, "numlock": 0x90, "scrolllock": 0x91,
    "printscreen": 0x2C, "pause": 0x13, "add": 0x6B, "subtract": 0x6D, "multiply": 0x6A, "divide": 0x6F,
    "decimal": 0x6E, "separator": 0x6C, "numenter": 0x0D, "volumeup": 0xAF, "volumedown": 0xAE, "volumemute": 0xAD,
    "playpause": 0xB3, "nexttrack": 0xB0, "prevtrack": 0xB1, "stop": 0xB2, "browserback": 0xA6,
    "browserforward": 0xA7, "browserrefresh": 0xA8, "browserstop": 0xA9, "browsersearch": 0xAA,
    "browserfavorites": 0xAB, "browserhome": 0xAC, "help": 0x2F, "select": 0x29, "print": 0x2A, "execute": 0x2B,
    "clear": 0x0C, **{f"f{n}": 0x6F + n for n in range(1, 25)}, **{f"num{n}": 0x60 + n for n in range(10)},
}  # fmt: skip
"""Virtual-key codes (winuser.h)."""
EXTENDED = frozenset(
    """
    delete insert home end pageup pagedown up down left right ctrlright altright altgr super superleft superright menu
    printscreen divide numenter numlock volumeup volumedown volumemute playpause nexttrack prevtrack stop browserback
    browserforward browserrefresh browserstop browsersearch browserfavorites browserhome
    """.split()
)
ARRIVED, LOOK, PATIENCE = 5, 0.006, 0.5
"""Under Wine: how often in a row the pointer must be in place, seconds between looks, and seconds before giving up."""
SMTO_ABORTIFHUNG, DESKTOP_MS = 2, 200
SHIFTS = (("shift", 1), ("ctrl", 2), ("alt", 4))
"""Bits in VkKeyScan's answer."""


class Input(Injector):
    """Carries actions out with SendInput."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._user = api.user32()
        self._wine = api.is_wine()

    # -- mouse ----------------------------------------------------------------------------------------------------

    def _move(self, x: int | None, y: int | None) -> None:
        if x is None or y is None:
            return
        self._glide(x, y)
        self._arrive(x, y)

    def _arrive(self, x: int, y: int) -> None:
        """Make sure that the pointer stays where it was sent.

        On Windows it does. Wine grabs X's pointer to move it, and the grab tells the desktop's window the old position.
        A moment later, the window reports that as a move back. A button would be released there, and the click lost.
        """
        if not self._wine:
            return
        deadline, seen = time.monotonic() + PATIENCE, 0
        while seen < ARRIVED and time.monotonic() < deadline:
            wait.sleep(LOOK)
            desktop = self._user.GetDesktopWindow()  # an answer means that it has read its events
            self._user.SendMessageTimeoutW(desktop, 0, 0, None, SMTO_ABORTIFHUNG, DESKTOP_MS, None)
            at = wintypes.POINT()
            self._user.GetCursorPos(ctypes.byref(at))
            if (at.x, at.y) == (x, y):
                seen += 1
            else:
                self._user.SetCursorPos(x, y)
                seen = 0

    def _glide(self, x: int, y: int) -> None:
        self._check([(x, y)])
        # The screen is 65536 units wide (SendInput's documentation). Round so that the unit falls on the pixel.
        across, down = ((v * 65536 + side - 1) // side for v, side in zip((x, y), self._size, strict=True))
        self._mouse(MOVE | ABSOLUTE, dx=across, dy=down)
        self._user.SetCursorPos(x, y)

    def _button_down(self, button: str, count: int = 1) -> None:
        down, _, data = BUTTONS[button]
        self._mouse(down, data=data)
        self._buttons.append(button)

    def _button_up(self, button: str, count: int = 1) -> None:
        _, up, data = BUTTONS[button]
        self._mouse(up, data=data)
        if button in self._buttons:
            self._buttons.remove(button)

    def _wheel(self, down: int, across: int) -> None:
        self._turn(WHEEL, down)
        self._turn(HORIZONTAL_WHEEL, across)

    def _turn(self, flag: int, notches: int) -> None:
        for _ in range(abs(notches)):
            self._mouse(flag, data=(NOTCH if notches > 0 else -NOTCH) & 0xFFFFFFFF)

    def _mouse(self, flags: int, *, dx: int = 0, dy: int = 0, data: int = 0) -> None:
        one = api.Input(type=MOUSE)
        one.of.mouse = api.MouseInput(dx, dy, data, flags, 0, None)
        self._send(one)

    # -- keyboard -------------------------------------------------------------------------------------------------

    def _type(self, text: str) -> None:
        for character in text.replace("\r\n", "\n"):
            if character in "\n\r":
                self._stroke("enter")
            elif character == "\t":
                self._stroke("tab")
            elif ord(character) < 32 or ord(character) == 127:
                raise InputError(f"the control character {character!r} cannot be typed; press a key instead")
            else:
                self._type_unicode(character)

    def _type_unicode(self, character: str) -> None:
        units = character.encode("utf-16-le")
        for low, high in zip(units[::2], units[1::2], strict=True):
            self._keyboard(0, low | high << 8, KEY_UNICODE)
            self._keyboard(0, low | high << 8, KEY_UNICODE | KEY_UP)

    def _shifts(self, key: str) -> list[str]:
        """The modifiers that a printed character's key needs."""
        if key in KEYS:
            return []
        code = self._scan(key)
        return [name for name, bit in SHIFTS if code >> 8 & bit]

    def _scan(self, character: str) -> int:
        code = int(self._user.VkKeyScanW(ctypes.c_wchar(character))) if len(character) == 1 else -1
        if code in (-1, 0xFFFF):
            raise InputError(f"the keyboard has no key {character!r}")
        return code

    def _code(self, key: str) -> int:
        return KEYS[key] if key in KEYS else self._scan(key) & 0xFF

    def _down(self, key: str) -> None:
        self._press(key, 0)
        self._keys.append(key)

    def _up(self, key: str) -> None:
        self._press(key, KEY_UP)
        if key in self._keys:
            self._keys.remove(key)

    def _press(self, key: str, flags: int) -> None:
        code = self._code(key)
        scan = int(self._user.MapVirtualKeyW(code, 0))
        self._keyboard(code, scan, flags | (KEY_EXTENDED if key in EXTENDED else 0))

    def _keyboard(self, code: int, scan: int, flags: int) -> None:
        one = api.Input(type=KEYBOARD)
        one.of.keyboard = api.KeyboardInput(code, scan, flags, 0, None)
        self._send(one)

    def _send(self, one: Any) -> None:
        if self._user.SendInput(1, ctypes.byref(one), ctypes.sizeof(one)) != 1:
            raise InputError(
                "Windows rejected the input: a program with more rights is in front, or the screen is locked"
            )
