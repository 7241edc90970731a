"""Virtual key codes of macOS (HIToolbox/Events.h) by the names of `envs.keys`, with positions of the US keyboard."""

from __future__ import annotations

KEYS = {
    "enter": 0x24, "tab": 0x30, "space": 0x31, "backspace": 0x33, "esc": 0x35, "super": 0x37, "superleft": 0x37,
    "superright": 0x36, "shift": 0x38, "shiftleft": 0x38, "shiftright": 0x3C, "capslock": 0x39, "alt": 0x3A,
    "altleft": 0x3A, "altright": 0x3D, "altgr": 0x3D, "ctrl": 0x3B, "ctrlleft": 0x3B, "ctrlright": 0x3E,
    "delete": 0x75, "insert": 0x72, "help": 0x72, "home": 0x73, "end": 0x77, "pageup": 0x74, "pagedown": 0x79,
    "left": 0x7B, "right": 0x7C, "down": 0x7D, "up": 0x7E, "menu": 0x6E, "numlock": 0x47, "clear": 0x47,
    "volumeup": 0x48, "volumedown": 0x49, "volumemute": 0x4A, "numenter": 0x4C, "add": 0x45, "subtract": 0x4E,
    "multiply": 0x43, "divide": 0x4B, "decimal": 0x41,
    "num0": 0x52, "num1": 0x53, "num2": 0x54, "num3": 0x55, "num4": 0x56, "num5": 0x57, "num6": 0x58, "num7": 0x59,
    "num8": 0x5B, "num9": 0x5C,
    "f1": 0x7A, "f2": 0x78, "f3": 0x63, "f4": 0x76, "f5": 0x60, "f6": 0x61, "f7": 0x62, "f8": 0x64, "f9": 0x65,
    "f10": 0x6D, "f11": 0x67, "f12": 0x6F, "f13": 0x69, "f14": 0x6B, "f15": 0x71, "f16": 0x6A, "f17": 0x40,
    "f18": 0x4F, "f19": 0x50, "f20": 0x5A,
}  # fmt: skip
PRINTED = {
    "a": 0x00, "s": 0x01, "d": 0x02, "f": 0x03, "h": 0x04, "g": 0x05, "z": 0x06, "x": 0x07, "c": 0x08, "v": 0x09,
    "b": 0x0B, "q": 0x0C, "w": 0x0D, "e": 0x0E, "r": 0x0F, "y": 0x10, "t": 0x11, "1": 0x12, "2": 0x13, "3": 0x14,
    "4": 0x15, "6": 0x16, "5": 0x17, "=": 0x18, "9": 0x19, "7": 0x1A, "-": 0x1B, "8": 0x1C, "0": 0x1D, "]": 0x1E,
    "o": 0x1F, "u": 0x20, "[": 0x21, "i": 0x22, "p": 0x23, "l": 0x25, "j": 0x26, "'": 0x27, "k": 0x28, ";": 0x29,
    "\\": 0x2A, ",": 0x2B, "/": 0x2C, "n": 0x2D, "m": 0x2E, ".": 0x2F, "`": 0x32,
}  # fmt: skip
SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
"""The characters that Shift produces, by the key that makes them."""
FLAGS = {
    "shift": 0x20000, "shiftleft": 0x20000, "shiftright": 0x20000, "ctrl": 0x40000, "ctrlleft": 0x40000,
    "ctrlright": 0x40000, "alt": 0x80000, "altleft": 0x80000, "altright": 0x80000, "altgr": 0x80000,
    "super": 0x100000, "superleft": 0x100000, "superright": 0x100000,
}  # fmt: skip
"""CGEventFlags of the modifiers. An event carries those that are held."""


def stroke(key: str) -> tuple[int, bool] | None:
    """A key's code, and whether it needs Shift; None if the keyboard does not have it."""
    if key in KEYS:
        return KEYS[key], False
    if key in PRINTED:
        return PRINTED[key], False
    if key in SHIFTED:
        return PRINTED[SHIFTED[key]], True
    return (PRINTED[key.lower()], True) if key.lower() in PRINTED else None
