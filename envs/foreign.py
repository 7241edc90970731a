r"""Reads text, JSON, scores and Python from elsewhere in one way, in whatever encoding an editor or program wrote them.

A byte order mark is honoured. UTF-16 and UTF-32 without one are recognised by their zero bytes (RFC 4627, section 3).
Only `\n` ends a line: JSON strings may contain U+2028 and U+0085 unescaped.
"""

from __future__ import annotations

import ast
import json
import math
import re
import threading
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.wire import MAX_DEPTH, MAX_DIGITS

_HALF = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"[^\W\d]\w*", re.ASCII)
_parsing = threading.Lock()


class Unread(ValueError):
    """Foreign data cannot be read; the message is one line."""


@dataclass(frozen=True)
class Fault:
    """What is wrong at one place of a JSON document, named by its path (`$.config[0].type`)."""

    where: str
    message: str


def decoded(data: bytes) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        Unread: it is not text in the encoding that its first bytes indicate.
    """
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise Unread(f"is not {name}: {error.reason} at byte {error.start}") from None


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        Unread: it is not text.
        OSError: it cannot be read.
    """
    return decoded(path.read_bytes())


def python_tree(source: str | bytes, name: str, mode: str = "exec") -> Any:
    """The syntax tree of Python source, for several threads at once.

    Two threads that make a tree at the same time can disturb each other's count of levels: `ast.parse` then raises
    SystemError (CPython up to 3.12, github.com/python/cpython/issues/106905).

    Args:
        source: Python.
        name: the file name of error messages.
        mode: as in `ast.parse`; decides the type of the tree.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: as `ast.parse`.
    """
    with _parsing:
        return ast.parse(source, name, mode)


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """A user's TOML file. Errors call it `name`.

    Raises:
        UsageError: it cannot be read, or is not TOML; one line.
    """
    try:
        return tomllib.loads(read_text(path.expanduser()))
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, Unread) as error:
        raise UsageError(f"{name} is not TOML: {error}") from None


def first_fault(error: ValidationError, known: Iterable[str]) -> str:
    """The first thing that is wrong with the settings, on one line.

    Args:
        error: pydantic's error.
        known: names of settings, to suggest the nearest one for an unknown name.
    """
    first = error.errors()[0]
    name, kind = ".".join(str(part) for part in first["loc"]), first["type"]
    if kind == "extra_forbidden":
        return f"unknown setting {name!r}{nearest(name, known) if len(first['loc']) == 1 else ''}"
    if kind == "missing":
        return f"{name} is missing"
    given = f"{name} is {repr(first['input'])[:200]}"
    if kind == "literal_error":
        return given + nearest(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    wanted = _WANTED.get(kind)
    why = wanted.format_map(first.get("ctx", {})) if wanted else first["msg"].removeprefix("Value error, ")
    return f"{given}: {why}" if name else why


_WANTED = {
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a number",
    "bool_parsing": "it must be true or false",
    "dict_type": "it must be a JSON object",
    "greater_than_equal": "it must be at least {ge}",
    "less_than_equal": "it must be at most {le}",
}
"""Our words for kinds of pydantic errors; other kinds keep pydantic's own."""


def lines(data: bytes) -> list[str]:
    """The lines of a file that a program writes line by line; invalid bytes become U+FFFD."""
    return data.decode(json.detect_encoding(data), "replace").split("\n")


def number(text: str) -> float:
    """A score.

    Raises:
        Unread: it is not a number from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        raise Unread(f"is {text.strip()[:80]!r}, not a number") from None
    if not 0.0 <= value <= 1.0:  # also catches NaN
        raise Unread(f"is {value:g}; a score is a number from 0 to 1")
    return value


def document(data: bytes) -> tuple[Any, list[Fault]]:
    """A JSON document, and its faults: things that JSON allows but nobody means. The value leaves them out.

    These are duplicate keys of an object, numbers that are not finite or have more than 64 bits, half of a surrogate
    pair, and more than 64 levels of nesting.

    Raises:
        Unread: it is not JSON.
    """
    text = decoded(data)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_finite, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise Unread(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unread(f"is nested too deeply: at most {MAX_DEPTH} levels are read") from None
    faults: list[Fault] = []
    return _plain(value, "$", faults, MAX_DEPTH), faults


@dataclass(frozen=True)
class _Wrong:
    """Stands in for a value that is wrong."""

    message: str


@dataclass(frozen=True)
class _Object:
    """An object as it was written; keys may repeat."""

    pairs: list[tuple[str, Any]]


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    return _Object(pairs)


def _integer(text: str) -> int | _Wrong:
    return int(text) if len(text) <= MAX_DIGITS else _Wrong(f"is an integer of {len(text)} digits")


def _finite(text: str) -> float | _Wrong:
    value = float(text)
    return value if math.isfinite(value) else _Wrong(f"is {text[:40]}, which is too large")


def _constant(text: str) -> _Wrong:
    return _Wrong(f"is {text}, which JSON does not allow")


def _plain(value: Any, where: str, faults: list[Fault], levels: int) -> Any:
    """The value as dictionaries and lists, with None in place of anything wrong."""
    if isinstance(value, _Wrong):
        faults.append(Fault(where, value.message))
        return None
    if isinstance(value, str):
        return _whole(value, where, faults)
    if not isinstance(value, (_Object, list)):
        return value
    if levels == 0:
        faults.append(Fault(where, f"is nested too deeply: at most {MAX_DEPTH} levels are read"))
        return None
    if isinstance(value, list):
        return [_plain(inner, f"{where}[{index}]", faults, levels - 1) for index, inner in enumerate(value)]
    made: dict[str, Any] = {}
    for raw, inner in value.pairs:
        key = _whole(raw, where, faults)
        if key in made:
            faults.append(Fault(_below(where, key), "occurs twice"))
        made[key] = _plain(inner, _below(where, key), faults, levels - 1)
    return made


def _whole(text: str, where: str, faults: list[Fault]) -> str:
    if _HALF.search(text) is None:
        return text
    faults.append(Fault(where, "contains half of a surrogate pair, which is not a character"))
    return _HALF.sub("\ufffd", text)


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if _PLAIN.fullmatch(key) else f"{where}[{key[:80]!r}]"


def listing(data: bytes) -> dict[str, list[str]]:
    """One of OSWorld's splits: task ids by domain.

    Raises:
        Unread: it has another form.
    """
    value, faults = document(data)
    if faults:
        raise Unread(f"{faults[0].where} {faults[0].message}")
    if not isinstance(value, dict) or not all(_texts(names) for names in value.values()):
        raise Unread("must be an object of lists of ids, by domain")
    return value


def _texts(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, dict)) and all(isinstance(v, str) for v in value)
