"""Converts getters' values to JSON and back, for the record and for the processes that judge values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.envs.errors import Unfit

MAX_DEPTH = 150
"""Nesting of lists and objects; the record's writer (pydantic) allows 255."""
FILE, UNFIT, MAP = "file", "unfit", "map"
"""Keys of single-key objects that stand for a file, an unfit value, and an object that itself has one such key."""
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class NotFit:
    """The value was not what the getter asked for (`Unfit`); its check scores 0 with this reason."""

    reason: str


def plain(value: Any, depth: int = 0) -> Any:
    """A value in a form that JSON can hold, except files: no tuples, NaN, infinity or lone surrogates.

    Raises:
        Unfit: it is nested deeper than MAX_DEPTH.
    """
    if depth > MAX_DEPTH:
        raise Unfit(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {str(plain(str(key))): plain(item, depth + 1) for key, item in value.items()}
    return value if isinstance(value, (int, bool, type(None), Path, NotFit)) else plain(str(value))


def packed(value: Any, name_of: Callable[[Path], str]) -> Any:
    """A plain value as JSON; `name_of` names each file."""
    if isinstance(value, Path):
        return {FILE: name_of(value)}
    if isinstance(value, NotFit):
        return {UNFIT: value.reason}
    if isinstance(value, list):
        return [packed(item, name_of) for item in value]
    if isinstance(value, dict):
        inner = {key: packed(item, name_of) for key, item in value.items()}
        return {MAP: inner} if _marked(value) else inner
    return value


def unpacked(value: Any, path_of: Callable[[str], Path]) -> Any:
    """The reverse of `packed`. An object that the agent made to look like a file is never taken for one."""
    if isinstance(value, list):
        return [unpacked(item, path_of) for item in value]
    if not isinstance(value, dict):
        return value
    if _marked(value):
        [(kind, inner)] = value.items()
        if kind == FILE:
            return path_of(str(inner))
        if kind == UNFIT:
            return NotFit(str(inner))
        value = inner if isinstance(inner, dict) else value
    return {key: unpacked(item, path_of) for key, item in value.items()}


def _marked(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in (FILE, UNFIT, MAP)
