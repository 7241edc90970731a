"""Structured files: JSON, YAML, CSV, INI, XML, SQLite, directory trees."""

from __future__ import annotations

import configparser
import csv
import io
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from lxml import etree
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError
from deskbench.tasks.metrics.data.databases import opened_database
from deskbench.tasks.metrics.data.text import Expected, text_of
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.matching import KeyMatch, has_record, likeness, matches
from deskbench.tasks.metrics.support.packages import needs, parse_xml
from deskbench.tasks.metrics.support.told import Told
from deskbench.tasks.registry import closed, metric

FAILED = "__EVALUATION_FAILED__"
"""The value that OSWorld's getters return if they cannot read the expected value."""


def _json_of(value: Any) -> Any:
    """A value, or the value in a JSON file; None if the file is not JSON."""
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


@closed
class ValueAt(TypedDict):
    """A value inside a structure, by its path of keys."""

    path: list[str | int]
    equals: Any


@closed
class ValuesAt(TypedDict):
    """The values that a structure must contain."""

    expect: list[ValueAt]


@metric("json_value")
def json_value(result: Any, rules: ValuesAt) -> float:
    """1 when the JSON contains each of `expect`: a list of {"path": [keys], "equals": value}."""
    value = _json_of(result)
    return float(value is not None and all(_at(value, e["path"]) == e["equals"] for e in rules["expect"]))


@metric("json_equals")
def json_equals(result: Any, rules: Expected) -> float:
    """1 when the JSON equals `expected`, keys in any order."""
    return float(_json_of(result) == rules["expected"])


@closed
class KeyMatches(TypedDict):
    """Conditions on a structure: those that must be true, and those that must not."""

    expect: NotRequired[list[KeyMatch]]
    unexpect: NotRequired[list[KeyMatch]]


_ABSENT = object()


@metric("check_json")
def check_json(result: Path, rules: KeyMatches, *, is_yaml: bool = False) -> float:
    """1 when each of `expect` is true and none of `unexpect`: {"key": [path], "method": eq|ne|lt|..., "ref": value}."""
    value = _yaml_of(result) if is_yaml else _json_of(result)
    if value is None:
        return 0.0

    def holds(one: KeyMatch) -> bool:
        found = _found(value, one["key"])
        return found is not _ABSENT and matches(found, one)

    return float(all(map(holds, rules.get("expect", []))) and not any(map(holds, rules.get("unexpect", []))))


def _found(value: Any, path: list[str | int]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _yaml_of(file: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        return yaml.safe_load(text_of(file))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


@closed
class JsonObject(TypedDict):
    """Keys and values that a JSON object must have.

    `expect_in_result`: a text must contain the expected text; a text or list must contain one item of an expected
    list. OSWorld's files have other keys (`relativeTime`, `timezone`, `result_not_list`): its getters use them, or
    they change nothing.
    """

    expected: dict[str, Any]
    expect_in_result: NotRequired[bool]
    ignore_list_order: NotRequired[bool]
    result_not_list: NotRequired[bool]
    relativeTime: NotRequired[dict[str, str]]
    timezone: NotRequired[str]


@metric("check_direct_json_object")
def check_direct_json_object(result: Any, rules: JsonObject) -> float:
    """1 when the JSON object has each key of `expected` with its value (`expect_in_result`: contains it)."""
    expected = rules["expected"]
    if FAILED in expected.values():
        if as_upstream("failed-expected"):
            return 0.0
        raise CheckError(f"the expected value could not be read: {expected.get('error_message', '')}".rstrip(": "))
    value = _lenient_json(result)
    if not isinstance(value, Mapping):
        return 0.0
    if rules.get("expect_in_result"):
        return float(all(_holds(value.get(key), wanted) for key, wanted in expected.items()))
    any_order = bool(
        expected.get("ignore_list_order") or (rules.get("ignore_list_order") and not as_upstream("list-order"))
    )
    return float(all(_same(value.get(key), wanted, any_order) for key, wanted in expected.items()))


def _lenient_json(value: Any) -> Any:
    """Parse JSON or a printed Python dictionary, which OSWorld's scripts use as JSON."""
    if not isinstance(value, (Path, str)):
        return value
    text = text_of(value).strip()
    for form in ((text,) if not as_upstream("apostrophes") else ()) + (text.replace("'", '"'),):
        try:
            return json.loads(form)
        except ValueError:
            continue
    return None


def _same(found: Any, wanted: Any, any_order: bool) -> bool:
    if any_order and isinstance(found, list) and isinstance(wanted, list):
        return sorted(map(str, found)) == sorted(map(str, wanted))
    return bool(found == wanted)


def _holds(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(
            found == one if isinstance(found, str) else isinstance(found, list) and one in found for one in wanted
        )
    return isinstance(wanted, str) and isinstance(found, (str, list)) and wanted in found


@metric("is_included_all_json_objects")
def is_included_all_json_objects(result: Path, other: Path) -> float:
    """1 when the second JSON object has every key and value of the first."""
    small, large = _json_of(result), _json_of(other)
    both = isinstance(small, Mapping) and isinstance(large, Mapping)
    return float(both and has_record(small, large))


_ENCODINGS = ("utf-8-sig", "utf-8", "latin-1")


def _lines(file: Path) -> list[str]:
    """A file's lines; a file that is not UTF-8 is read as Latin-1."""
    data = file.read_bytes()
    for encoding in _ENCODINGS[as_upstream("csv-bom") :]:
        try:
            return io.TextIOWrapper(io.BytesIO(data), encoding=encoding).read().splitlines()
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 reads every byte")


@metric("compare_csv")
def compare_csv(result: Path, expected: Path | list[Path], *, strict: bool = True, ignore_case: bool = False) -> float:
    """1 when a CSV file has the same lines as an expected file; without `strict`, each line is stripped first."""

    def plain(file: Path) -> list[str]:
        lines = _lines(file)
        lines = lines if strict else [line.strip() for line in lines]
        return [line.lower() for line in lines] if ignore_case else lines

    found = plain(result)
    return float(any(found == plain(one) for one in (expected if isinstance(expected, list) else [expected])))


@closed
class Records(TypedDict):
    """Records (fields and values) that must exist, and records that must not."""

    expect: NotRequired[list[dict[str, Any]]]
    unexpect: NotRequired[list[dict[str, Any]]]


@metric("check_csv")
def check_csv(result: Path, rules: Records) -> float:
    """1 when each of `expect` (values by column) matches some row, and none of `unexpect` matches any."""
    return records_meet(list(csv.DictReader(io.StringIO(text_of(result)))), rules)


def records_meet(records: list[dict[str, Any]], rules: Records) -> float:
    """1 when each of `expect` is among the records, and none of `unexpect` is."""
    wanted = all(any(has_record(w, r) for r in records) for w in rules.get("expect", []))
    unwanted = any(has_record(u, r) for r in records for u in rules.get("unexpect", []))
    return float(wanted and not unwanted)


@closed
class Sql(TypedDict):
    """A query whose first value is the score."""

    sql: str


@metric("run_sqlite3")
def run_sqlite3(result: Path, rules: Sql) -> float:
    """The first value that a query returns from an SQLite file, NULL as 0; it must be from 0 to 1."""
    try:
        with opened_database(result) as connection:
            row = connection.execute(rules["sql"]).fetchone()
    except sqlite3.DatabaseError:
        return 0.0
    value = (row[0] or 0) if row else 0
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return Told(0.0, f"the query gives {str(value)[:100]}, which is not a score")
    return float(value)


def _path(text: str) -> str:
    try:
        etree.XPath(text)
    except etree.XPathError as error:
        raise ValueError(f"not an XPath: {error}") from None
    return text


XPath = Annotated[str, AfterValidator(_path)]


@closed
class Element(TypedDict):
    """Elements that the accessibility tree must have, by XPath or CSS selectors, and their text."""

    selectors: NotRequired[Annotated[list[str], Field(min_length=1)]]
    xpath: NotRequired[XPath]
    text: NotRequired[str]
    exact: NotRequired[bool]


def _names_something(rule: Element) -> Element:
    if not rule.keys() & {"xpath", "selectors"}:
        raise ValueError("xpath or selectors must be there")
    return rule


_PARTS = {"st": "state", "attr": "attributes", "cp": "component", "doc": "document", "txt": "text", "val": "value",
          "act": "action", "docattr": "document/attributes", "class": "class", "role": "role"}  # fmt: skip
"""Prefixes in OSWorld's accessibility trees and their namespaces in `https://accessibility.<os>.example.org/ns/`."""


@metric("check_accessibility_tree")
def check_accessibility_tree(
    result: str,
    rules: list[Annotated[Element, AfterValidator(_names_something)]],
    *,
    osname: Literal["ubuntu", "windows", "macos"] = "ubuntu",
) -> float:
    """The product of the rules' scores; 0 when a rule finds no element."""
    names = {prefix: f"https://accessibility.{osname}.example.org/ns/{part}" for prefix, part in _PARTS.items()}
    root = parse_xml(result)
    score = 1.0
    for rule in rules:
        found = _elements(root, rule, names)
        if not found:
            return 0.0
        score *= _best_text([element.text or "" for element in found], rule)
    return score


def _elements(root: Any, rule: Element, names: dict[str, str]) -> list[Any]:
    if "xpath" in rule:
        found = root.xpath(rule["xpath"], namespaces=names)
        return found if isinstance(found, list) else []
    try:
        from lxml.cssselect import CSSSelector
    except ImportError as error:
        raise needs("evaluators", error) from None
    matched: Any = CSSSelector(", ".join(rule["selectors"]), namespaces=names)(root)
    return list(matched)


def _best_text(texts: list[str], rule: Element) -> float:
    if "text" not in rule:
        return 1.0
    wanted = rule["text"]
    return max(float(text == wanted) if rule.get("exact", True) else likeness(text, wanted) for text in texts)


@closed
class Setting(TypedDict):
    """A key of an INI file and its value."""

    key: str
    equals: str | int | float | bool
    section: NotRequired[str | None]


@closed
class IniSettings(TypedDict):
    """What an INI file must say."""

    expect: list[Setting]


@metric("ini_value")
def ini_value(result: Any, rules: IniSettings) -> float:
    """1 when an INI file has each of `expect`: {"section": name or null, "key": key, "equals": text}.

    A file of `key=value` lines without sections is fine, too.
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


@closed
class Tree(TypedDict):
    """What a folder must contain: names, each with a folder's contents or None for a file."""

    expected: dict[str, Any]


@metric("directory_tree")
def directory_tree(result: Mapping[str, Any], rules: Tree, *, exact: bool = True) -> float:
    """1 when a folder contains what `expected` lists: {"name": null for a file, {...} for a folder}.

    With `exact` it must contain nothing else; hidden files count only if `expected` names them.
    """

    def same(node: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        children = {c.get("name"): c for c in node.get("children") or []}
        extra = {name for name in children if name not in wanted and not str(name).startswith(".")}
        if node.get("type") != "directory" or (exact and extra) or any(name not in children for name in wanted):
            return False
        return all(
            same(children[name], one) if isinstance(one, Mapping) else children[name].get("type") == "file"
            for name, one in wanted.items()
        )

    return float(same(result, rules["expected"]))
