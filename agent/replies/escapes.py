"""Escapes in texts that are no JSON and no Python: resolved once, and never within a path of Windows."""

from __future__ import annotations

import re

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_PATH = re.compile(r"(?:\b[A-Za-z]:|%\w+%)\\(?!\\)(?=\w)")
_END = re.compile(r"(?<!:)(?:\\n)+\Z")


def is_raw_path(text: str) -> bool:
    r"""Whether a text holds a path of Windows whose backslashes are not escaped: `C:\new` has no line end in it.

    Nobody means a line end between a drive and a folder.
    """
    return _PATH.search(text) is not None


def entered(text: str) -> str:
    r"""A text that ends with \n, as two characters, with a line end there: it presses Enter, however it was escaped."""
    return _END.sub(lambda ends: "\n" * (len(ends[0]) // 2), text)


def unescaped_once(text: str) -> str:
    r"""A text with \n, \t, \\ and escaped quotes resolved, from left to right; other backslashes stay.

    Beside a path of Windows that is not escaped, only line ends at the text's end are: they press Enter.
    """
    if is_raw_path(text):
        return entered(text)
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text, flags=re.DOTALL)
