"""Structured files: JSON, CSV, INI, archives, directory trees."""

from __future__ import annotations

import configparser
import csv
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deskbench.tasks.metrics.text import text_of
from deskbench.tasks.registry import metric

MAX_UNPACKED = 64 * 2**20
"""Bytes of one member of an archive from the desktop that are read; more is a bomb."""


def _json_of(value: Any) -> Any:
    """A value, or a JSON file's value; None when the file is not JSON."""
    if not isinstance(value, (Path, str)):
        return value
    try:
        return json.loads(text_of(value))
    except ValueError:
        return None


def _at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


@metric("json_value")
def json_value(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when the JSON holds each of `expect`: a list of {"path": [keys], "equals": value}."""
    value = _json_of(result)
    return float(value is not None and all(_at(value, e["path"]) == e["equals"] for e in rules["expect"]))


@metric("json_equals")
def json_equals(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when the JSON is `expected`, keys in any order."""
    return float(_json_of(result) == rules["expected"])


_METHODS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "in": lambda a, b: b in a,
}  # fmt: skip


@metric("check_json")
def check_json(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when each of `expect` holds and none of `unexpect`: {"key": [path], "method": eq|ne|lt|..., "ref": value}."""
    value = _json_of(result)

    def holds(one: Mapping[str, Any]) -> bool:
        found = _at(value, one["key"])
        return found is not None and bool(_METHODS[one["method"]](found, one["ref"]))

    wanted = all(holds(one) for one in rules.get("expect", []))
    return float(value is not None and wanted and not any(holds(one) for one in rules.get("unexpect", [])))


@metric("check_direct_json_object")
def check_direct_json_object(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when every key of `expected` has its value in the JSON object (or holds it, with `expect_in_result`)."""
    value = _json_of(result)
    if not isinstance(value, Mapping):
        return 0.0
    within = bool(rules.get("expect_in_result"))
    any_order = bool(rules.get("ignore_list_order"))

    def same(found: Any, wanted: Any) -> bool:
        if within:
            return found is not None and wanted in found
        if any_order and isinstance(found, list) and isinstance(wanted, list):
            return sorted(map(str, found)) == sorted(map(str, wanted))
        return bool(found == wanted)

    return float(all(same(value.get(key), wanted) for key, wanted in rules["expected"].items()))


def _rows(file: Any) -> list[list[str]]:
    return [row for row in csv.reader(text_of(file).splitlines()) if row]


@metric("compare_csv")
def compare_csv(result: Path, expected: Path, *, strict: bool = True, ignore_case: bool = False) -> float:
    """1 when two CSV files have the same rows; without `strict` outer blanks do not count."""

    def plain(cell: str) -> str:
        cell = cell if strict else cell.strip()
        return cell.lower() if ignore_case else cell

    found, wanted = ([[plain(c) for c in row] for row in _rows(file)] for file in (result, expected))
    return float(found == wanted)


@metric("check_csv")
def check_csv(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when some row has the values of each of `expect` (column to value) and no row those of `unexpect`."""
    rows = list(csv.DictReader(text_of(result).splitlines()))

    def there(wanted: Mapping[str, str]) -> bool:
        return any(all(row.get(key) == value for key, value in wanted.items()) for row in rows)

    return float(all(map(there, rules.get("expect", []))) and not any(map(there, rules.get("unexpect", []))))


@metric("ini_value")
def ini_value(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when an INI file has each of `expect`: {"section": name or null, "key": key, "equals": text}.

    A file of `key=value` lines with no section will do.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    try:
        parser.read_string("[\0]\n" + text_of(result))
    except configparser.Error:
        return 0.0
    return float(
        all(
            (parser.get(e.get("section") or "\0", e["key"], fallback="") or "").strip().strip('"') == str(e["equals"])
            for e in rules["expect"]
        )
    )


@metric("directory_tree")
def directory_tree(result: Mapping[str, Any], rules: Mapping[str, Any], *, exact: bool = True) -> float:
    """1 when a folder holds what `expected` says: {"name": null for a file, {...} for a folder}.

    With `exact` it holds nothing else; hidden files do not count unless they are named.
    """

    def same(node: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        children = {c["name"]: c for c in node.get("children", [])}
        extra = {name for name in children if name not in wanted and not name.startswith(".")}
        if node.get("type") != "directory" or (exact and extra) or any(name not in children for name in wanted):
            return False
        return all(
            same(children[n], w) if isinstance(w, Mapping) else children[n]["type"] == "file" for n, w in wanted.items()
        )

    return float(same(result, rules["expected"]))


@metric("check_moved_jpgs")
def check_moved_jpgs(result: Mapping[str, Any], rules: Mapping[str, Any]) -> float:
    """1 when a folder's names are exactly `expected`."""
    return float(sorted(c["name"] for c in result.get("children", [])) == sorted(rules["expected"]))


@metric("archive_contains")
def archive_contains(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when a ZIP file holds each name of `expected` with its text (null: any); other names only with `others`."""
    try:
        with zipfile.ZipFile(result) as archive:
            files = {i.filename: i for i in archive.infolist() if not i.is_dir()}
            wanted: Mapping[str, str | None] = rules["expected"]
            if set(wanted) - set(files) or (set(files) - set(wanted) and not rules.get("others")):
                return 0.0
            return float(all(text is None or _member(archive, files[n]) == text for n, text in wanted.items()))
    except zipfile.BadZipFile:
        return 0.0


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with archive.open(info) as file:
        return file.read(MAX_UNPACKED).decode("utf-8", "replace")
