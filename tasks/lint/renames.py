"""Turns the loader's suggestion for an unknown key into an edit."""

from __future__ import annotations

import re

from deskbench.tasks.lint.facts import below
from deskbench.tasks.lint.findings import Edit

_UNKNOWN = re.compile(r"unknown (?:key|parameter|rule key)(?: '(?P<key>[\w.-]+)')?.*did you mean '(?P<meant>\w+)'")
_EXTRA = re.compile(r"Extra inputs are not permitted.*did you mean '(?P<meant>\w+)'")


def rename(where: str, message: str) -> tuple[Edit, ...]:
    """The edit that a problem's message suggests; none without a suggestion, or if the key's place is unclear."""
    found = _UNKNOWN.search(message)
    if found is None:
        extra = _EXTRA.search(message)
        return (Edit("rename", where, extra["meant"]),) if extra else ()
    if found["key"] is None:
        return (Edit("rename", where, found["meant"]),)
    if "." in found["key"]:
        return ()
    return tuple(Edit("rename", below(outer, found["key"]), found["meant"]) for outer in _outer(where, message))


def _outer(where: str, message: str) -> tuple[str, ...]:
    """The paths where the object with the key may be: the problem's place, or inside it."""
    if "unknown parameter" not in message:
        return (where,)
    if where.startswith("$.evaluator.func"):
        return (where.replace(".func", ".options", 1),)
    return (f"{where}.parameters", where)
