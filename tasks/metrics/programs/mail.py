"""Metrics for Thunderbird's preferences, filters and message folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from deskbench.tasks.metrics.data.structured import Records, records_meet
from deskbench.tasks.metrics.data.text import text_of
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.matching import Match, matches
from deskbench.tasks.registry import closed, metric

_PREFERENCE = re.compile(r'user_pref\("((?:[^"\\]|\\.)+)", (.+)\);')


@closed
class Preferences(TypedDict):
    """Preferences that must match, and those that must not."""

    expect: NotRequired[dict[str, Match]]
    unexpect: NotRequired[dict[str, Match]]


@metric("check_thunderbird_prefs")
def check_thunderbird_prefs(result: Path, rules: Preferences) -> float:
    """1 when each preference of `expect` is set and matches, and none of `unexpect` does."""
    found = dict(_preferences(text_of(result)))
    wanted = all(key in found and matches(found[key], rule) for key, rule in rules.get("expect", {}).items())
    unwanted = any(key in found and matches(found[key], rule) for key, rule in rules.get("unexpect", {}).items())
    return float(wanted and not unwanted)


def _preferences(text: str) -> Iterator[tuple[str, Any]]:
    for line in text.splitlines():
        found = _PREFERENCE.fullmatch(line.strip())
        try:
            value = json.loads(found[2]) if found else None
        except ValueError:
            continue
        if found:
            yield found[1], value


_CONDITION = re.compile(r"""\b(?:AND|OR) \([\w ]+,[\w ']+,(?:"[^"]+"|[^)]+)\)|\bALL\b""")
_GREEDY_CONDITION = re.compile(r"""\b(?:AND|OR) \([\w ]+,[\w ']+,(?:".+"|[^)]+)\)|\bALL\b""")
_FILTER_LINE = re.compile(r'(name|enabled|type|action|actionValue|condition)="(.*)"')


@metric("check_thunderbird_filter")
def check_thunderbird_filter(result: Path, rules: Records) -> float:
    """1 when each of `expect` matches some filter, and none of `unexpect` matches any.

    Fields are name, enabled, type, action, actionValue, and condition, which is a list.
    """
    return records_meet(list(_filters(text_of(result))), rules)


def _filters(text: str) -> Iterator[dict[str, Any]]:
    condition = _GREEDY_CONDITION if as_upstream("mail-conditions") else _CONDITION
    fields: dict[str, Any] = {}
    if as_upstream("mail-end") and not text.endswith("\n"):
        text = f'{text[:-2]}"'
    for line in text.splitlines():
        found = _FILTER_LINE.fullmatch(line)
        if not found:
            continue
        name, value = found[1], found[2].replace('\\"', '"').replace("\\\\", "\\")
        if name == "name":
            fields = {}
        fields[name] = condition.findall(value) if name == "condition" else value
        if name == "condition":
            yield fields


def _blank_pieces(text: str) -> list[str]:
    """What OSWorld compares: the empty pieces between separators, which it misspells, and no messages."""
    return sorted({piece.strip() for piece in text.strip().split("FROM - ") if not piece.strip()})


_SEPARATOR = re.compile(r"^From - .*$\n?", re.MULTILINE | re.IGNORECASE)
_STATUS = re.compile(r"^X-Mozilla-Status2?:.*$\n?", re.MULTILINE)
_KEYS = re.compile(r"^X-Mozilla-Keys:.*$\n?", re.MULTILINE)
_DELETED = re.compile(r"^X-Mozilla-Status: 000[89]", re.MULTILINE)


@metric("check_thunderbird_folder")
def check_thunderbird_folder(
    result: Path | list[Path | None] | None,
    expected: Path | list[Path],
    *,
    ignore_status: bool = True,
    ignore_keys: bool = True,
    remove_deleted: bool = True,
    remove_duplicate: bool = True,
) -> float:
    """1 when folders (mbox files) hold the same messages, in any order.

    Args:
        result, expected: files, or lists of files.
        ignore_status: ignore Thunderbird's own marks (read, replied, ...), which reading a message sets.
        ignore_keys: ignore its labels.
        remove_deleted: leave out messages that are marked as deleted.
        remove_duplicate: count each message once.
    """
    golds = expected if isinstance(expected, list) else [expected]
    found = result if isinstance(result, list) else [result]
    if None in found:
        return 0.0

    def messages(file: Path) -> list[str]:
        if as_upstream("mail-folder"):
            return _blank_pieces(text_of(file))
        mails = [mail for mail in _SEPARATOR.split(text_of(file)) if mail.strip()]
        mails = [mail for mail in mails if not (remove_deleted and _DELETED.search(mail))]
        mails = [_KEYS.sub("", mail) if ignore_keys else mail for mail in mails]
        mails = [(_STATUS.sub("", mail) if ignore_status else mail).strip() for mail in mails]
        return sorted(set(mails) if remove_duplicate else mails)

    return float(
        len(found) == len(golds) and all(messages(f) == messages(g) for f, g in zip(found, golds, strict=True) if f)
    )
