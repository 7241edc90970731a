"""The keysyms of key names and of characters in X11 (pure data, no X library).

Numbers are from X.Org's `keysymdef.h` and `XF86keysym.h`. A character outside Latin-1 is keysym 0x01000000 plus its
code point; keyboard layouts may name it by an older number, which `character` understands.
"""

from __future__ import annotations

import unicodedata


class InputError(ValueError):
    """The input is impossible. Nothing was sent, and no key or button is left down."""


_UNICODE = 0x0100_0000

NAMED: dict[str, tuple[int, ...]] = {
    "enter": (0xFF0D,), "tab": (0xFF09,), "space": (0x20,), "backspace": (0xFF08,), "delete": (0xFFFF,),
    "insert": (0xFF63,), "esc": (0xFF1B,), "home": (0xFF50,), "end": (0xFF57,), "pageup": (0xFF55,),
    "pagedown": (0xFF56,), "up": (0xFF52,), "down": (0xFF54,), "left": (0xFF51,), "right": (0xFF53,),
    "shift": (0xFFE1,), "shiftleft": (0xFFE1,), "shiftright": (0xFFE2,), "ctrl": (0xFFE3,), "ctrlleft": (0xFFE3,),
    "ctrlright": (0xFFE4,), "alt": (0xFFE9,), "altleft": (0xFFE9,), "altright": (0xFFEA, 0xFE03),
    "super": (0xFFEB,), "superleft": (0xFFEB,), "superright": (0xFFEC,), "capslock": (0xFFE5,),
    "numlock": (0xFF7F,), "scrolllock": (0xFF14,), "printscreen": (0xFF61,), "pause": (0xFF13,), "menu": (0xFF67,),
    "multiply": (0xFFAA,), "add": (0xFFAB,), "separator": (0xFFAC,), "subtract": (0xFFAD,),
    "decimal": (0xFFAE, 0xFFAC), "divide": (0xFFAF,), "numenter": (0xFF8D,),
    "volumedown": (0x1008FF11,), "volumemute": (0x1008FF12,), "volumeup": (0x1008FF13,), "playpause": (0x1008FF14,),
    "stop": (0x1008FF15,), "prevtrack": (0x1008FF16,), "nexttrack": (0x1008FF17,), "browserhome": (0x1008FF18,),
    "browsersearch": (0x1008FF1B,), "browserback": (0x1008FF26,), "browserforward": (0x1008FF27,),
    "browserstop": (0x1008FF28,), "browserrefresh": (0x1008FF29,), "browserfavorites": (0x1008FF30,),
    "altgr": (0xFE03, 0xFF7E, 0xFFEA), "help": (0xFF6A,), "select": (0xFF60,), "print": (0xFF61,),
    "execute": (0xFF62,), "clear": (0xFF0B,),
    **{f"f{n}": (0xFFBD + n,) for n in range(1, 25)},
    **{f"num{n}": (0xFFB0 + n,) for n in range(10)},
}  # fmt: skip
"""Canonical key names to keysyms, best first."""

KEYPAD_LEVEL2 = frozenset([*range(0xFFB0, 0xFFBA), 0xFFAE, 0xFFAC])
"""Keysyms that a keypad key produces only while Num Lock is on: the digits, decimal, separator."""

# Older keysyms number the upper half of an 8-bit set; the keysym's second byte says which set.
_LEGACY_SETS = {
    0x01: "iso8859_2", 0x02: "iso8859_3", 0x03: "iso8859_4", 0x05: "iso8859_6", 0x06: "koi8_u", 0x07: "iso8859_7",
    0x0C: "iso8859_8", 0x0D: "tis_620", 0x13: "iso8859_15",
}  # fmt: skip


# Greek keysyms differ from ISO 8859-7 here: accented capitals have other places (None), and the two sigmas are swapped.
_GREEK = {0x7B6: None, 0x7B8: None, 0x7B9: None, 0x7BA: None, 0x7F2: "σ", 0x7F3: "ς"}


def keysym(char: str) -> int:
    """The keysym that types one character.

    Raises:
        InputError: a control character (other than newline, return and tab) or half a surrogate pair.
    """
    code = ord(char)
    if char in "\n\r":
        return 0xFF0D
    if char == "\t":
        return 0xFF09
    if unicodedata.category(char) in ("Cc", "Cs"):
        raise InputError(f"the character {char!r} cannot be typed: it is a control character, not text")
    return code if code < 0x100 else _UNICODE + code


def character(sym: int) -> str | None:
    """The character that a layout's keysym types, or None (dead keys, function keys, unknown keysyms)."""
    if 0x20 <= sym <= 0x7E or 0xA0 <= sym <= 0xFF:
        return chr(sym)
    if _UNICODE + 0x100 <= sym <= _UNICODE + 0x10FFFF:
        return chr(sym - _UNICODE)
    if 0x20A0 <= sym <= 0x20AC:
        return chr(sym)
    if sym in _GREEK:
        return _GREEK[sym]
    name = _LEGACY_SETS.get(sym >> 8)
    if name is None or sym & 0xFF < 0xA1:
        return None
    found = bytes([sym & 0xFF]).decode(name, "ignore")
    return found if found.isalpha() else None
