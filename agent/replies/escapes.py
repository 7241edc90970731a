"""Resolve escapes once in texts that are neither JSON nor Python, but never inside a Windows path."""

from __future__ import annotations

import re

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_PATH = re.compile(r"(?:\b[A-Za-z]:|%\w+%)\\(?!\\)(?=\w)")
_END = re.compile(r"(?<!:)(?:\\n)+\Z")


def is_raw_path(text: str) -> bool:
    r"""Whether a text contains a Windows path with unescaped backslashes: `C:\new` contains no line end.

    Nobody means a line end between a drive and a folder.
    """
    return _PATH.search(text) is not None


def entered(text: str) -> str:
    r"""Replace \n (two characters) at the end of a text with a line end: it presses Enter, however it was escaped."""
    return _END.sub(lambda ends: "\n" * (len(ends[0]) // 2), text)


def unescaped_once(text: str) -> str:
    r"""Resolve \n, \t, \\ and escaped quotes in a text, from left to right; other backslashes stay.

    In a text with an unescaped Windows path, only line ends at the end of the text are resolved: they press Enter.
    """
    if is_raw_path(text):
        return entered(text)
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text, flags=re.DOTALL)
