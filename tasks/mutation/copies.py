"""Makes the changed copies of a piece of evidence, in the process for hostile bytes, because it must parse them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

from deskbench.tasks.mutation.evidence import Evidence, evidence, kinds_of, too_large
from deskbench.tasks.mutation.operators import Kind, Operator, Raw, Unlike, find_kind, operators, seed_of

AS_IS = "as-is"
"""Name of the copy that was only read and written again: if it loses the score, no other copy counts."""
MOST_COPIES = 24
"""The most copies that one operator makes of one piece of evidence."""
MOST_WRITTEN = 128 * 2**20
"""The most bytes of all copies of one piece of evidence."""
SHOWN_LINES = 40


def matches(name: str, pattern: str) -> bool:
    """Whether a mutant's name matches a pattern: `*` matches any text; brackets are literal."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


@dataclass
class _Made:
    """The copies made so far."""

    into: Path
    only: Sequence[str]
    copies: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    equivalent: int = 0
    written: int = 0
    left_out: list[str] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)


def copies(
    getter: str, parameters: dict[str, Any], value: Any, named: str, instruction: str, only: list[str], into: Path
) -> dict[str, Any]:
    """Every changed copy of a piece of evidence.

    Args:
        getter, parameters, value, named, instruction: as for `evidence`.
        only: patterns of the wanted names; empty for all. With patterns, each copy includes its difference.
        into: file copies go into the folder of this path.

    Returns:
        `copies`: {id, must (`fail`, `stay`, or `same` for the copy that was only read and written), words, value,
            difference}; `equivalent`: the number of copies without a change; `notes`: what could not be tried.
    """
    one = evidence(getter, parameters, value, named=named, instruction=instruction)
    made = _Made(into.parent, only)
    for name in kinds_of(one):
        _of_kind(one, find_kind(name), made)
    if made.left_out:
        many = f"{made.left_out[0]} and {len(made.left_out) - 1} more"
        made.notes.append(f"{many} are left out: the copies of {one.label} have more than {MOST_WRITTEN} bytes")
    return {"copies": made.copies, "equivalent": made.equivalent, "notes": made.notes, "label": one.label}


def _of_kind(one: Evidence, kind: Kind, made: _Made) -> None:
    if too_large(kind.name, one.raw):
        made.notes.append(f"{one.label} was not changed as {kind.name}: it is too large")
        return
    try:
        model = kind.read(one.raw)
    except Unlike as error:
        made.notes.append(f"{one.label} was not changed as {kind.name}: {error}")
        return
    again = kind.write(model, one.raw)
    if again != one.raw:
        _keep(one, made, f"{kind.name}/{AS_IS}", "same", "it is read and written again", again, [])
    for operator in operators(kind.name):
        if _may_be_wanted(operator, made.only):
            _by_operator(one, kind, model, operator, made)


def _by_operator(one: Evidence, kind: Kind, model: Any, operator: Operator, made: _Made) -> None:
    try:
        found = islice(operator.change(model, one.about), MOST_COPIES)
        for number, (changed, words) in enumerate(found, 1):
            raw = kind.write(changed, one.raw)
            if _changes_nothing(kind, operator, model, changed, raw, one.raw):
                made.equivalent += 1
            elif (operator.must, _digest(raw)) not in made.seen:
                made.seen.add((operator.must, _digest(raw)))
                name = f"{operator.name}[{number}]"
                if _wanted(name, one.label, made.only):
                    difference = list(_difference(kind, (model, one.raw), (changed, raw))) if made.only else []
                    _keep(one, made, name, operator.must, words, raw, difference)
    except Unlike:
        return  # the evidence lacks what the operator changes
    except Exception as error:  # noqa: BLE001  (the boundary to libraries that are given an agent's files)
        made.notes.append(f"{operator.name} could not be tried on {one.label}: {type(error).__name__}: {error}"[:300])


def _may_be_wanted(operator: Operator, only: Sequence[str]) -> bool:
    """Whether a pattern may match one of an operator's copies; if not, they need not be made."""
    patterns = [pattern.rpartition(":")[2].partition("[")[0] for pattern in only]
    return not only or any("*" in pattern or matches(operator.name, pattern) for pattern in patterns)


def _wanted(name: str, label: str, only: Sequence[str]) -> bool:
    return not only or any(matches(text, pattern) for text in (name, f"{label}:{name}") for pattern in only)


def _digest(raw: Raw) -> str:
    return seed_of(raw)


def _changes_nothing(kind: Kind, operator: Operator, model: Any, changed: Any, raw: Raw, old: Raw) -> bool:
    """Whether a copy equals the original: for a neutral copy in its bytes, for any other in what the kind compares."""
    same = raw == old and type(raw) is type(old)
    return same or (operator.must == "fail" and _canonical(kind, changed) == _canonical(kind, model))


def _canonical(kind: Kind, model: Any) -> str:
    """The key of a model as text, in which 1 and true differ, and so do 1 and 1.0."""
    return json.dumps(kind.key(model), sort_keys=True, default=str)


def _keep(one: Evidence, made: _Made, name: str, must: str, words: str, raw: Raw, difference: list[str]) -> None:
    value: Any = raw
    if isinstance(raw, bytes):
        made.written += len(raw)
        if made.written > MOST_WRITTEN:
            made.left_out.append(name)
            return
        value = _beside_its_like(one.value, made.into / f"copy-{len(made.copies)}", raw)
    made.copies.append({"id": name, "must": must, "words": words, "value": value, "difference": difference})


def _beside_its_like(file: Path, folder: Path, data: bytes) -> Path:
    """Write a copy under the file's own name, next to the files read with it, which some metrics need."""
    folder.mkdir()
    for other in file.parent.iterdir():
        if other.is_file() and other.name != file.name and file.parent.name != "files":
            (folder / other.name).symlink_to(other)
    copy = folder / file.name
    copy.write_bytes(data)
    return copy


def _difference(kind: Kind, before: tuple[Any, Raw], after: tuple[Any, Raw]) -> Iterator[str]:
    """The difference in what the kind compares; if there is none, the difference in the written form."""
    old, new = (_lines(kind.key(model)) for model, _ in (before, after))
    if old == new:
        old, new = (_written(raw) for _, raw in (before, after))
    lines = [line.rstrip("\n") for line in difflib.unified_diff(old, new, "recorded", "changed", n=2)]
    yield from lines[:SHOWN_LINES]
    if len(lines) > SHOWN_LINES:
        yield f"({len(lines) - SHOWN_LINES} more lines)"


def _written(raw: Raw) -> list[str]:
    if isinstance(raw, bytes):
        return [repr(line)[2:-1] for line in raw.splitlines(keepends=True)] if b"\0" not in raw else []
    return [repr(line) for line in raw.splitlines(keepends=True)] if isinstance(raw, str) else _lines(raw)


def _lines(key: Any) -> list[str]:
    if isinstance(key, str):
        return key.splitlines()
    if isinstance(key, list) and all(isinstance(item, str) for item in key):
        return list(key)
    return json.dumps(key, indent=1, sort_keys=True, default=str, ensure_ascii=False).splitlines()
