"""Edits task files in place: the order of keys, the indentation and every other character stay as they are."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.tasks.lint import Report, lint
from deskbench.tasks.lint.findings import Edit, Finding, Pin
from deskbench.tasks.lint.places import Place, Places, places

Known = Callable[[str], str | None]
"""Returns the SHA-256 of the file at an address, or None if it was never downloaded."""


@dataclass(frozen=True)
class Fixed:
    """The result of `fix`: the findings that it fixed, and the files that it left alone, each with the reason."""

    findings: tuple[Finding, ...]
    left: tuple[tuple[Path, str], ...] = ()


def fix(report: Report, known: Known) -> Fixed:
    """Apply the edits of a report's findings to their files.

    A file stays as it was if its task would no longer load.
    """
    by_file: defaultdict[Path, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        if _edits(finding, known):
            by_file[finding.file].append(finding)
    fixed: list[Finding] = []
    left: list[tuple[Path, str]] = []
    for file, findings in by_file.items():
        try:
            after = _fix_file(file, [edit for finding in findings for edit in _edits(finding, known)])
        except _Left as error:
            left.append((file, str(error)))
        else:
            fixed += [finding for finding in findings if _key(finding) not in after]
    return Fixed(tuple(fixed), tuple(left))


class _Left(Exception):
    """A file was left unchanged, with the reason."""


def _fix_file(file: Path, edits: Sequence[Edit]) -> Collection[tuple[str, str, str]]:
    """Write the changed file; returns the findings that remain in it.

    Raises:
        _Left: the file was left unchanged.
    """
    data = file.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _Left("is not UTF-8") from None
    before = {_key(finding) for finding in lint(file).findings if finding.blocking}
    file.write_bytes(edited(text, edits).encode())
    after = lint(file).findings
    new = [finding for finding in after if finding.blocking and _key(finding) not in before]
    if new:
        file.write_bytes(data)
        raise _Left(f"would no longer load: {new[0].message}")
    return {_key(finding) for finding in after}


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, finding.where, finding.message


def _edits(finding: Finding, known: Known) -> tuple[Edit, ...]:
    """The edits of a finding with the hashes filled in; empty if a hash is unknown."""
    found = []
    for edit in finding.edits:
        if isinstance(edit.value, Pin):
            hashes = [known(address) for address in edit.value.addresses]
            if None in hashes:
                return ()
            found.append(Edit(edit.kind, edit.where, edit.key, hashes if edit.value.many else hashes[0]))
        else:
            found.append(edit)
    return tuple(found)


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Apply edits to a document from its end, so the paths of the others stay valid."""
    first = places(text)

    def position(edit: Edit) -> int:
        place = first.by_path.get(edit.where)
        return -1 if place is None else place.first

    for edit in sorted(edits, key=position, reverse=True):
        found = places(text)
        place = found.by_path.get(edit.where)
        if place is not None:
            text = _APPLY[edit.kind](found, place, edit)
    return text


def _rename(found: Places, place: Place, edit: Edit) -> str:
    """Rename a key, unless the new key already exists."""
    outer = next((path for path, inner in found.inner.items() if edit.where in inner), "")
    if place.key is None or f"{outer}.{edit.key}" in found.by_path:
        return found.text
    start, end = place.key
    return f"{found.text[:start]}{json.dumps(edit.key)}{found.text[end:]}"


def _replace(found: Places, place: Place, edit: Edit) -> str:
    return f"{found.text[: place.start]}{_dumped(edit.value)}{found.text[place.end :]}"


def _remove(found: Places, place: Place, edit: Edit) -> str:
    """Remove a value, its key, and one of the commas next to it."""
    outer, inner = next((path, inner) for path, inner in found.inner.items() if edit.where in inner)
    index = inner.index(edit.where)
    start, end = place.first, place.end
    if index + 1 < len(inner):
        end = found.by_path[inner[index + 1]].first
    elif index:
        start = found.by_path[inner[index - 1]].end
    else:
        start, end = found.by_path[outer].start + 1, found.by_path[outer].end - 1
    return found.text[:start] + found.text[end:]


def _insert(found: Places, place: Place, edit: Edit) -> str:
    """Add a value at the end of an object or a list, in the style of the others."""
    inner = found.inner.get(edit.where, [])
    key = f"{json.dumps(edit.key)}: " if edit.key else ""
    if edit.key and any(found.text[slice(*k)] == json.dumps(edit.key) for p in inner if (k := found.by_path[p].key)):
        return found.text
    if not inner:
        return f"{found.text[: place.start + 1]}{key}{_dumped(edit.value)}{found.text[place.end - 1 :]}"
    last = found.by_path[inner[-1]]
    blank = re.search(r"(\r?\n[ \t]*)$", found.text[: last.first])
    if blank is None:
        return f"{found.text[: last.end]}, {key}{_dumped(edit.value)}{found.text[last.end :]}"
    value = _dumped(edit.value, indent=_indent(found.text)).replace("\n", blank[1])
    return f"{found.text[: last.end]},{blank[1]}{key}{value}{found.text[last.end :]}"


def _indent(text: str) -> str:
    """The indentation of one level."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _dumped(value: Any, indent: str | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


_APPLY: dict[str, Callable[[Places, Place, Edit], str]] = {
    "rename": _rename, "replace": _replace, "remove": _remove, "insert": _insert,
}  # fmt: skip
