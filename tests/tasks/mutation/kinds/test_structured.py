"""Changes of JSON, YAML, TOML, INI, XML, CSV and the registry, read back by their own readers."""

from __future__ import annotations

import configparser
import csv
import io
import json
import tomllib
from typing import Any

import pytest
import yaml
from lxml import etree

from deskbench.tasks.mutation.operators import About, find_kind
from tests.tasks.mutation.samples import CSV, INI, JSON, REGISTRY, SAMPLES, XML, changes

OLD = json.loads(JSON)


def values(operator: str) -> dict[str, Any]:
    return {words: json.loads(raw) for raw, words in changes("json", operator)}


def test_a_value_of_json_is_another_of_its_type() -> None:
    small = {"seats": 3, "express": True, "name": "Ana"}
    found = {words: json.loads(raw) for raw, words in changes("json", "change-value", json.dumps(small).encode())}
    assert found["seats is 4, not 3"] == {**small, "seats": 4}
    assert found["seats is -3, not 3"] == {**small, "seats": -3}
    assert found["express is false, not true"] == {**small, "express": False}
    assert found['name is "aNA", not "Ana"'] == {**small, "name": "aNA"}
    assert all(new != small for new in found.values())


@pytest.mark.parametrize(
    ("operator", "words", "changed"),
    [
        ("other-type", 'seats is "3", a text', {**OLD, "seats": "3"}),
        ("null", "name is null", {**OLD, "name": None}),
        ("drop-key", "city is missing", {key: value for key, value in OLD.items() if key != "city"}),
        ("move-value", "name and city are swapped", {**OLD, "name": "Oslo", "city": "Ana"}),
        ("add-key", "the whole has a key 'another' as well", {**OLD, "another": "value"}),
        ("drop-item", "tags[1] is missing", {**OLD, "tags": ["b"]}),
        ("repeat-item", "tags[2] occurs twice", {**OLD, "tags": ["a", "b", "b"]}),
        ("swap-items", "tags[1] and the next item are swapped", {**OLD, "tags": ["b", "a"]}),
    ],
)
def test_a_structure_of_json(operator: str, words: str, changed: Any) -> None:
    assert values(operator)[words] == changed


@pytest.mark.parametrize("operator", ["key-order", "indent", "escapes", "float"])
def test_neutral_json_says_the_same(operator: str) -> None:
    found = changes("json", operator)
    assert any(raw != JSON.encode() for raw, _ in found)
    assert all(json.loads(raw) == OLD for raw, _ in found)


def test_json_keeps_its_indent_and_the_end_of_its_last_line() -> None:
    kind = find_kind("json")
    for raw in (b'{"a": 1}', b'{\n    "a": 1\n}\n', b'{\n\t"a": 1\n}'):
        assert kind.write(kind.read(raw), raw) == raw


def test_of_a_browsers_preferences_only_the_named_key_is_changed() -> None:
    raw = b'{"webkit": {"size": 16}, "safe": {"enabled": true}, "list": [1]}'
    about = About("s", named='["safe", "enabled"]', settings=True)
    moved = [json.loads(new) for new, _ in changes("json", "elsewhere", raw, about)]
    assert moved == [{"webkit": {"size": 16}, "safe": {}, "list": [1], "another": {"enabled": True}}]
    [(new, words)] = changes("json", "unrelated", raw, about)
    assert (json.loads(new)["webkit"], words) == ({"size": 17}, "webkit.size is 17, not 16")
    assert changes("json", "elsewhere", raw) == changes("json", "unrelated", raw) == []


def test_yaml_and_toml_are_read_by_their_readers() -> None:
    for name, load in (("yaml", yaml.safe_load), ("toml", lambda raw: tomllib.loads(raw.decode()))):
        raw = SAMPLES[name]()
        old = load(raw)
        for new, words in changes(name, "drop-key"):
            key, _, inner = words.removesuffix(" is missing").partition(".")
            assert load(new).get(key) == ({k: v for k, v in old[key].items() if k != inner} if inner else None)
        kind = find_kind(name)
        assert load(kind.write(kind.read(raw), raw)) == old


def ini(raw: bytes) -> dict[tuple[str, str], str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(raw.decode())
    return {
        (section, key): parser.get(section, key) for section in parser.sections() for key in parser.options(section)
    }


@pytest.mark.parametrize(
    ("operator", "words", "mode"),
    [
        ("unset", "mode is not set", None),
        ("comment-out", "mode is commented out", None),
        ("neighbour", "mode is 0, not 1", "0"),
        ("other-section", "mode is in a different section", None),
        ("other-key", "mode is called mode2", None),
        ("overridden", "mode is set to 1 and then to 0", "0"),
    ],
)
def test_a_setting(operator: str, words: str, mode: str | None) -> None:
    found = {words: ini(raw) for raw, words in changes("ini", operator)}
    assert found[words].get(("general", "mode")) == mode
    assert found[words][("view", "show")] == "true"


@pytest.mark.parametrize("operator", ["comment", "section-order"])
def test_neutral_settings_say_the_same(operator: str) -> None:
    assert [ini(raw) for raw, _ in changes("ini", operator)] == [ini(INI.encode())]


def test_of_a_programs_settings_only_the_named_one_is_changed() -> None:
    about = About(named='{"section": "general", "key": "mode"}', settings=True)
    assert [words for _, words in changes("ini", "unset", about=about)] == ["mode is not set"]
    [neutral] = [ini(raw) for raw, words in changes("ini", "unrelated", about=about) if words.startswith("show")]
    assert neutral[("general", "mode")] == "1" and neutral[("view", "show")] == "false"


def paths(raw: bytes) -> list[str]:
    root = etree.fromstring(raw)
    return [f"{root.getroottree().getpath(e)}={(e.text or '').strip()}" for e in root.iter(etree.Element)]


@pytest.mark.parametrize(
    ("operator", "words", "gone", "there"),
    [
        (
            "drop-element",
            "the element number (number 2) is missing",
            "/conf/desktops/number=3",
            "/conf/desktops/first=1",
        ),
        ("change-text", "number (number 2) is 4, not 3", "/conf/desktops/number=3", "/conf/desktops/number=4"),
        ("comment-out", "the element number (number 2) is commented out", "/conf/desktops/number=3", "/conf/last="),
        (
            "move",
            "the element number (number 2) is at the end of conf",
            "/conf/desktops/number=3",
            "/conf/number=3",
        ),
        (
            "rename",
            "the element desktops (number 1) is called desktops2",
            "/conf/desktops=",
            "/conf/desktops2/number=3",
        ),
    ],
)
def test_an_element(operator: str, words: str, gone: str, there: str) -> None:
    found = {words: paths(raw) for raw, words in changes("xml", operator)}
    assert gone in paths(XML.encode())
    assert gone not in found[words] and there in found[words]


def test_of_a_programs_xml_settings_an_empty_element_is_not_changed() -> None:
    raw = b"<rc><theme><name>Dark</name></theme><font><name/></font></rc>"
    about = About("s", named="<name>Dark</name>", settings=True)
    assert [words for _, words in changes("xml", "drop-element", raw, about)] == [
        "the element name (number 2) is missing"
    ]
    assert len(changes("xml", "drop-element", raw)) == 4


@pytest.mark.parametrize("operator", ["comment", "attribute-order"])
def test_neutral_xml_says_the_same(operator: str) -> None:
    [(raw, _)] = changes("xml", operator)
    assert raw != XML.encode() and paths(raw) == paths(XML.encode())


def test_a_table() -> None:
    def rows(raw: bytes, delimiter: str = ",") -> list[list[str]]:
        return list(csv.reader(io.StringIO(raw.decode()), delimiter=delimiter))

    first = {
        name: rows(changes("csv", name)[0][0]) for name in ("drop-row", "swap-columns", "shift", "reverse", "quotes")
    }
    assert first["drop-row"] == [["rent", "900"], ["food", "300"]]
    assert first["swap-columns"] == [["cost", "item"], ["900", "rent"], ["300", "food"]]
    assert first["shift"] == [["item", ""], ["rent", "cost"], ["food", "900"]]
    assert first["reverse"] == [["item", "cost"], ["food", "300"], ["rent", "900"]]
    assert first["quotes"] == rows(CSV.encode())
    assert rows(changes("csv", "delimiter")[0][0], ";") == rows(CSV.encode())


@pytest.mark.parametrize(
    ("operator", "words", "old", "new"),
    [
        ("neighbour", "Copies is 0x3, not 0x2", "REG_DWORD    0x2", "REG_DWORD    0x3"),
        ("type", "Paper has the type REG_DWORD", "REG_SZ    A4", "REG_DWORD    A4"),
        ("name", "Paper is called MyPaper", "    Paper ", "    MyPaper "),
        ("empty", "Paper has no data", "REG_SZ    A4", "REG_SZ    "),
        ("key-renamed", "the key Old is called Old (2)", "\\Old\r\n", "\\Old (2)\r\n"),
        ("key-gone", "the key Old is missing", "HKEY_CURRENT_USER\\Software\\Shop\\Old\r\n", ""),
    ],
)
def test_the_registry(operator: str, words: str, old: str, new: str) -> None:
    found = {words: raw for raw, words in changes("registry", operator)}
    assert found[words] == REGISTRY.replace(old, new)
