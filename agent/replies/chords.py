"""A chord written as one text, taken apart: `ctrl+s`, `ctrl s`, `ctrl-s`, `ctrl, s`, `Page Down`, `ctrl++`.

The signs that stand between keys are keys themselves, so the text is not simply split at them.
"""

from __future__ import annotations

import re

from deskbench.envs import keys as key_names
from deskbench.envs.keys import MODIFIERS

_FIRST = frozenset({*MODIFIERS, "control", "cmd", "command", "win", "meta", "option"})
"""First words of a chord whose keys a blank or a dash may stand between: `alt left` is not the key `altleft`."""
_LONGEST = 100


def split_chord(text: str) -> list[str]:
    """The keys of a chord, spelt as they were; a text that is one key is that key.

    A sign at the end, and one that stands twice, is a key: `ctrl++` and `ctrl+` are Ctrl with plus, `ctrl+-` and
    `ctrl--` Ctrl with minus. An empty text has no keys, and a very long one is no key.
    """
    text = text.strip() or text[:1]
    if len(text) > _LONGEST or _is_key(text):
        return [text[:_LONGEST]]
    parts = [key for part in _at_plus(text) for key in _apart(part)]
    return [part for part in parts if part]


def _at_plus(text: str) -> list[str]:
    parts = re.split(r"\s*\+\s*", text)
    ends = len(parts) > 1 and not parts[-1]
    return [part for part in parts if part] + (["+"] if ends else [])


def _apart(part: str) -> list[str]:
    """A part between two plus signs, which may hold keys with blanks, commas or dashes between."""
    if _is_key(part):
        return [part]
    for sign in (r"\s*,\s*", r"\s+", "-"):
        pieces = re.split(sign, part, maxsplit=1)
        if len(pieces) == 2 and pieces[0] and (sign != "-" or pieces[0].lower() in _FIRST):
            return [pieces[0], *_apart(pieces[1])] if pieces[1] else [pieces[0]]
    return [part]


def _is_key(text: str) -> bool:
    """Whether a text names one key; words with a blank between do where the first is no modifier."""
    if len(text) > 1 and re.split(r"[\s_-]", text, maxsplit=1)[0].lower() in _FIRST and re.search(r"[\s-]", text):
        return False
    try:
        key_names.normalize(text)
    except ValueError:
        return False
    return True
