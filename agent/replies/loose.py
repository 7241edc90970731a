"""JSON as models write it: also with Python's quotes, constants and stray commas."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

warnings.filterwarnings("ignore", category=SyntaxWarning, module="<value>")
_LONGEST = 100_000
_DECODER = json.JSONDecoder(strict=False)


def decode_first(text: str) -> tuple[Any, int]:
    """The value at the beginning of a text, and where it ends.

    Raises:
        ValueError: there is neither JSON nor a literal of Python; json.JSONDecodeError with the place of the mistake.
        RecursionError: it is nested too deeply.
    """
    try:
        return _DECODER.raw_decode(text)
    except ValueError:
        end = _closing(text)
        if end is None:
            raise
        try:
            return _literal(text[:end]), end
        except ValueError:
            pass
        raise


def decode(text: str) -> Any:
    """The value that a whole text is.

    Raises:
        ValueError: it is none, or something stands after it.
        RecursionError: it is nested too deeply.
    """
    text = text.strip()
    value, end = decode_first(text)
    if text[end:].strip():
        raise ValueError(f"something stands after the value: {text[end:].strip()[:40]!r}")
    return value


def _literal(text: str) -> Any:
    """A literal of Python of which every part could be JSON."""
    try:
        value = ast.literal_eval(compile(text, "<value>", "eval", ast.PyCF_ONLY_AST))
        return json.loads(json.dumps(value))
    except (SyntaxError, TypeError, MemoryError) as error:
        raise ValueError(str(error)) from None


def _closing(text: str) -> int | None:
    """Where the bracket at the beginning of a text closes, brackets inside of quotes aside."""
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
