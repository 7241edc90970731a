"""Locates each value of a JSON document in its text by path: for line numbers and for edits in place."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field
from functools import cached_property
from json import JSONDecoder

from deskbench.envs.wire import MAX_DEPTH
from deskbench.tasks.lint.facts import below

_DECODER = JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r"[^\s,\]}]+")


@dataclass(frozen=True)
class Place:
    """A value, `text[start:end]`, and its key with the quotes, if it has one."""

    start: int
    end: int
    key: tuple[int, int] | None = None

    @property
    def first(self) -> int:
        """The start of the key, or of the value if it has no key."""
        return self.key[0] if self.key else self.start


@dataclass
class Places:
    """All values of a document.

    Attributes:
        text: the document.
        by_path: the place of each value; the root is `$`.
        inner: the paths of the values in an object or a list, in order.
    """

    text: str
    by_path: dict[str, Place] = field(default_factory=dict)
    inner: dict[str, list[str]] = field(default_factory=dict)

    def line(self, where: str) -> int | None:
        """The line of a path, from 1; for an unknown path, the line of the nearest enclosing value."""
        while where and where not in self.by_path:
            where = _outer(where)
        return bisect.bisect_right(self._starts, self.by_path[where].first) if where else None

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]


def places(text: str) -> Places:
    """Find every value. In invalid JSON, only the values before the error are found."""
    found = Places(text)
    try:
        _value(found, _skip(text, 0), "$", None, MAX_DEPTH)
    except (ValueError, IndexError):
        return found
    return found


def _outer(where: str) -> str:
    """The path without its last part."""
    return re.sub(r"(\.[^.\[\]]*|\[('[^']*'|\"[^\"]*\"|[^\]]*)\]|[^.\[]+)$", "", where) if where != "$" else ""


def _skip(text: str, at: int) -> int:
    if text[at : at + 1] > " ":  # the usual case
        return at
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _value(found: Places, at: int, where: str, key: tuple[int, int] | None, levels: int) -> int:
    """Note the value at a position and everything in it; returns where it ends."""
    start = found.text[at]
    if levels == 0:
        raise ValueError("too deep")
    if start in "{[":
        end = _inner(found, at, where, levels, named=start == "{")
    elif start == '"':
        end = _DECODER.raw_decode(found.text, at)[1]
    else:
        plain = _PLAIN.match(found.text, at)
        end = plain.end() if plain else at + 1
    found.by_path[where] = Place(at, end, key)
    return end


def _inner(found: Places, at: int, where: str, levels: int, *, named: bool) -> int:
    text, paths = found.text, found.inner.setdefault(where, [])
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        key = None
        path = f"{where}[{len(paths)}]"
        if named:
            name, end = _DECODER.raw_decode(text, at)
            if not isinstance(name, str):
                raise ValueError("a key is a string")
            key = (at, end)
            at = _skip(text, _skip(text, end) + 1)  # skip the colon
            path = below(where, name)
        paths.append(path)
        at = _skip(text, _value(found, at, path, key, levels - 1))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1
