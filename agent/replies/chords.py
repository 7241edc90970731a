"""Split a chord that is written as one text: `ctrl+s`, `ctrl s`, `ctrl-s`, `ctrl, s`, `Page Down`, `ctrl++`.

The signs between keys are keys themselves, so splitting at every sign would be wrong.
"""

from __future__ import annotations

import re
from typing import Any

from deskbench.agent.replies.loose import decode
from deskbench.envs import keys as key_names
from deskbench.envs.keys import MODIFIERS

_FIRST = frozenset({*MODIFIERS, "control", "cmd", "command", "win", "meta", "option"})
"""First words of a chord that may have blanks or dashes between its keys: `alt left` is not the key `altleft`."""
_LONGEST = 100


def split_chord(text: str) -> list[str]:
    """The keys of a chord in their original spelling; a text that names one key is that key.

    A sign at the end or a doubled sign is a key: `ctrl++` and `ctrl+` are Ctrl with plus, `ctrl+-` and `ctrl--` Ctrl
    with minus. An empty text has no keys, and a very long text is not a key.
    """
    text = text.strip() or text[:1]
    if len(text) > _LONGEST or _is_key(text):
        return [text[:_LONGEST]]
    parts = [key for part in _at_plus(text) for key in _apart(part)]
    return [part for part in parts if part]


def as_list(text: str) -> Any:
    """A list written as text: JSON, Python, or names in brackets; any other text stays a text."""
    if text.strip()[:1] not in ("[", "("):
        return text
    try:
        return decode(text)
    except (ValueError, RecursionError):
        inside = text.strip()
    if len(inside) > 2 and (inside[0], inside[-1]) in (("[", "]"), ("(", ")")):
        return [part.strip().strip("'\"") for part in inside[1:-1].split(",") if part.strip()]
    return text


def _at_plus(text: str) -> list[str]:
    parts = re.split(r"\s*\+\s*", text)
    ends = len(parts) > 1 and not parts[-1]
    return [part for part in parts if part] + (["+"] if ends else [])


def _apart(part: str) -> list[str]:
    """Split a part between two plus signs, which may have keys separated by blanks, commas or dashes."""
    if _is_key(part):
        return [part]
    for sign in (r"\s*,\s*", r"\s+", "-"):
        pieces = re.split(sign, part, maxsplit=1)
        if len(pieces) == 2 and pieces[0] and (sign != "-" or pieces[0].lower() in _FIRST):
            return [pieces[0], *_apart(pieces[1])] if pieces[1] else [pieces[0]]
    return [part]


def _is_key(text: str) -> bool:
    """Whether a text names one key; words separated by a blank do if the first is not a modifier."""
    if len(text) > 1 and re.split(r"[\s_-]", text, maxsplit=1)[0].lower() in _FIRST and re.search(r"[\s-]", text):
        return False
    try:
        key_names.normalize(text)
    except ValueError:
        return False
    return True
