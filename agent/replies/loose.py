"""Read JSON as models write it: with Python's quotes, constants and stray commas, unescaped quotes or backslashes."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from deskbench.agent.replies.escapes import is_raw_path
from deskbench.agent.replies.valid import valid
from deskbench.envs.foreign import python_tree

warnings.filterwarnings("ignore", category=SyntaxWarning, module="<value>")
_LONGEST = 100_000
_DECODER = json.JSONDecoder(strict=False)


def decode_first(text: str) -> tuple[Any, int]:
    """The value at the beginning of a text, and where it ends; its texts are valid (`valid.py`).

    Raises:
        ValueError: there is neither JSON nor a Python literal; json.JSONDecodeError has the place of the mistake.
        RecursionError: the value is nested too deeply.
    """
    try:
        value, end = _DECODER.raw_decode(text)
        return valid(value), end
    except ValueError:
        for read in (_as_escaped, _as_python, _as_quoted):
            found = read(text)
            if found is not None:
                return found
        raise


def _as_python(text: str) -> tuple[Any, int] | None:
    end = _closing(text)
    try:
        return None if end is None else (_literal(text[:end]), end)
    except ValueError:
        return None


_CLOSES = re.compile(r'"\s*(?:[}\]:]|\Z|,\s*(?:["{\[]|-?\d|true\b|false\b|null\b))')


def _as_quoted(text: str) -> tuple[Any, int] | None:
    """JSON with unescaped quotes in its texts: a quote that no JSON syntax follows is part of the text."""
    if text[:1] not in ("{", "["):
        return None
    out: list[str] = []
    origin: list[int] = []  # where each character of the repaired text was
    inside, at = False, 0
    while at < min(len(text), _LONGEST):
        char = text[at]
        step = 2 if inside and char == "\\" else 1
        if char == '"' and inside and not _CLOSES.match(text, at):
            out.append("\\")
            origin.append(at)
        elif char == '"':
            inside = not inside
        out += text[at : at + step]
        origin += range(at, min(at + step, len(text)))
        at += step
    try:
        value, end = _DECODER.raw_decode("".join(out))
    except ValueError:
        return None
    return valid(value), origin[end - 1] + 1


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(r"""\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}|(?P<lone>))""")
_PATHS = re.compile(r"""\\(?:["\\]|n(?="\Z)|(?P<lone>))""")
"""Escapes in a text with a Windows path: a quote, a backslash, and a line end that presses Enter."""


def _as_escaped(text: str) -> tuple[Any, int] | None:
    r"""JSON in whose texts a backslash lacks its own, as in `C:\Users`: the backslash is part of the text."""
    if text[:1] not in ("{", "["):
        return None
    changed: list[tuple[int, int]] = []  # where the repaired text has a character more or less
    out, at = "", 0
    for string in _STRING.finditer(text[:_LONGEST]):
        if all(found["lone"] is None for found in _ESCAPE.finditer(string[0])):
            continue
        known = _PATHS if is_raw_path(string[0]) else _ESCAPE
        for found in known.finditer(text, string.start(), string.end()):
            if found["lone"] is not None:
                quote = text[found.end()] == "'"  # as in Python
                out += text[at : found.start()] + ("" if quote else "\\\\")
                changed.append((len(out) - 1, -1 if quote else 1))
                at = found.end()
    try:
        value, end = _DECODER.raw_decode(out + text[at:])
    except ValueError:
        return None
    return valid(value), end - sum(more for place, more in changed if place < end)


def decode(text: str) -> Any:
    """The value of a whole text.

    Raises:
        ValueError: the text is not a value, or more text follows it.
        RecursionError: the value is nested too deeply.
    """
    text = text.strip()
    value, end = decode_first(text)
    if text[end:].strip():
        raise ValueError(f"something stands after the value: {text[end:].strip()[:40]!r}")
    return value


def _literal(text: str) -> Any:
    """A Python literal whose parts could all be JSON."""
    try:
        value = ast.literal_eval(python_tree(text, "<value>", "eval"))
        return valid(json.loads(json.dumps(value)))
    except (SyntaxError, TypeError, MemoryError) as error:
        raise ValueError(str(error)) from None


def _closing(text: str) -> int | None:
    """Where the bracket at the beginning of a text closes, ignoring brackets inside quotes."""
    if text[:1] not in ("{", "["):
        return None
    depth, quote, at = 0, "", 0
    while at < min(len(text), _LONGEST):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return None
