"""Fixes: the finding is gone, every other character stays, and the task still loads."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deskbench.tasks.lint import examples, lint
from deskbench.tasks.lint.findings import Edit
from deskbench.tasks.lint.fix import edited, fix
from deskbench.tasks.lint.rules import named, rules

FIXABLE = [rule.id for rule in rules().values() if rule.fixable]
URL = "https://files.example/list.txt"


def known(address: str) -> str | None:
    return hashlib.sha256(address.encode()).hexdigest()


def unknown(address: str) -> str | None:
    return None


def changed(folder: Path, patch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task before and after its fixes."""
    [file] = examples.write(folder, patch)
    before = json.loads(file.read_text())
    fix(lint(file), known)
    return before, json.loads(file.read_text())


def differences(before: Any, after: Any, where: str = "$") -> dict[str, tuple[Any, Any]]:
    """All differences by path; the order of keys counts."""
    if isinstance(before, dict) and isinstance(after, dict) and list(before) == list(after):
        pairs = [(f"{where}.{key}", before[key], after[key]) for key in before]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(f"{where}[{n}]", a, b) for n, (a, b) in enumerate(zip(before, after, strict=True))]
    else:
        return {} if before == after else {where: (before, after)}
    found: dict[str, tuple[Any, Any]] = {}
    for pair in pairs:
        found.update(differences(pair[1], pair[2], pair[0]))
    return found


CHANGES: dict[str, tuple[dict[str, Any], dict[str, tuple[Any, Any]]]] = {
    "a misspelt key": (
        {"requires": {"ap": ["mousepad"], "apps": None, "os": None}},
        {"$.requires": ({"ap": ["mousepad"]}, {"apps": ["mousepad"]})},
    ),
    "a misspelt parameter": (
        {"config": [{"type": "launch", "parameters": {"comand": ["mousepad"]}}]},
        {"$.config[0].parameters": ({"comand": ["mousepad"]}, {"command": ["mousepad"]})},
    ),
    "an id that is not the file's": ({"id": "another"}, {"$.id": ("another", "replace-word")}),
    "a hash": (
        {"config": [{"type": "download", "parameters": {"files": [{"url": URL, "path": "~/a"}]}}]},
        {"$.config[0].parameters.files[0]": (
            {"url": URL, "path": "~/a"}, {"url": URL, "path": "~/a", "sha256": known(URL)})},
    ),
    "hashes of a list": (
        {"evaluator": {"func": "compare_pdfs", "result": {"path": ["~/Documents/letter.txt"] * 2, "dest": ["a", "b"], "multi": True},
                       "expected": {"type": "cloud_file", "path": [URL, URL], "dest": ["a", "b"], "multi": True, "rules": None}}},
        {"$.evaluator.expected": (
            {"type": "cloud_file", "path": [URL, URL], "dest": ["a", "b"], "multi": True},
            {"type": "cloud_file", "path": [URL, URL], "dest": ["a", "b"], "multi": True, "sha256": [known(URL)] * 2})},
    ),
    "a sleep before a wait": (
        {"config": [{"type": "sleep", "parameters": {"seconds": 3}},
                    {"type": "activate_window", "parameters": {"window_name": "M"}}]},
        {"$.config": (
            [{"type": "sleep", "parameters": {"seconds": 3}}, {"type": "activate_window", "parameters": {"window_name": "M"}}],
            [{"type": "activate_window", "parameters": {"window_name": "M"}}])},
    ),
    "a program in a list": (
        {"requires": {"apps": ["galculator"]}},
        {"$.requires.apps": (["galculator"], ["galculator", "mousepad"])},
    ),
    "a program in no list": (
        {"requires": {"apps": None}},
        {"$.requires": ({"os": ["linux"]}, {"os": ["linux"], "apps": ["mousepad"]})},
    ),
    "two programs in no list": (
        {"requires": {"apps": None}, "config": [{"type": "launch", "parameters": {"command": name}} for name in ("a b", ["c"])]},
        {"$.requires": ({"os": ["linux"]}, {"os": ["linux"], "apps": ["a", "c"]})},
    ),
    "a right": (
        {"requires": {"network": "full"}},
        {"$.requires": ({"os": ["linux"], "apps": ["mousepad"], "network": "full"}, {"os": ["linux"], "apps": ["mousepad"]})},
    ),
    "an allowance": ({"noqa": {"DB022": "a reason"}}, {"$.noqa": ({"DB022": "a reason"}, {})}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_fix_changes_what_it_must_and_nothing_else(tmp_path: Path, name: str) -> None:
    patch, wanted = CHANGES[name]
    before, after = changed(tmp_path, patch)
    assert differences(before, after) == wanted
    left = {finding.rule for finding in lint(tmp_path).findings}
    assert not left & set(FIXABLE)
    assert lint(tmp_path).tasks == 1


@pytest.mark.parametrize("id", FIXABLE)
def test_a_rule_that_says_so_fixes_its_example(tmp_path: Path, id: str) -> None:
    bad: Any = {"requires": {"ap": ["mousepad"], "apps": None}} if id == "DB001" else named(id).bad
    examples.write(tmp_path, {**bad, "id": "another"} if id == "DB002" else bad)
    done = fix(lint(tmp_path), known)
    assert id in {finding.rule for finding in done.findings}
    assert id not in {finding.rule for finding in lint(tmp_path).findings}


def test_an_example_without_a_fix_is_left_as_it_is(tmp_path: Path) -> None:
    for id, rule in rules().items():
        if not rule.fixable:
            folder = tmp_path / id
            folder.mkdir()
            files = examples.write(folder, rule.bad)
            before = [file.read_bytes() for file in files]
            assert not [f for f in lint(folder).findings if f.rule == id and f.edits]
            assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("style", ["\t", "    ", None])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_indentation_and_line_ends_stay(tmp_path: Path, style: str | None, newline: str) -> None:
    [file] = examples.write(tmp_path, {"requires": {"apps": ["galculator"]}, "noqa": {"DB022": "a", "DB024": "b"}})
    text = json.dumps(json.loads(file.read_text()), indent=style).replace("\n", newline)
    file.write_bytes(text.encode())
    fix(lint(file), known)
    wanted = {**json.loads(text), "noqa": {}}
    wanted["requires"]["apps"].append("mousepad")
    got = file.read_bytes().decode()
    assert got.split(newline)[:-3] == json.dumps(wanted, indent=style).replace("\n", newline).split(newline)[:-3]
    assert json.loads(got) == wanted


def test_a_hash_that_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    [file] = examples.write(tmp_path, named("DB004").bad)
    before = file.read_bytes()
    assert fix(lint(file), unknown).findings == ()
    assert file.read_bytes() == before


def test_a_file_that_would_not_load_is_left_as_it_was(tmp_path: Path) -> None:
    [file] = examples.write(tmp_path, {"config": [{"type": "launch", "parameters": {"comand": 7}}]})
    before = file.read_bytes()
    done = fix(lint(file), known)
    assert [file for file, _ in done.left] == [file]
    assert "would no longer load" in done.left[0][1]
    assert file.read_bytes() == before


def test_a_key_that_is_there_twice_is_not_renamed(tmp_path: Path) -> None:
    [file] = examples.write(tmp_path, {"evaluater": {}})
    before = file.read_bytes()
    assert fix(lint(file), known).findings == ()
    assert file.read_bytes() == before


def test_a_file_in_another_encoding_is_left_as_it_was(tmp_path: Path) -> None:
    [file] = examples.write(tmp_path, {"noqa": {"DB022": "a"}})
    file.write_bytes(file.read_text().encode("utf-16"))
    [(left, reason)] = fix(lint(file), known).left
    assert (left, reason) == (file, "is not UTF-8")


def test_edits_of_one_list_do_not_disturb_each_other() -> None:
    text = '{"a": [1, 2, 3, 4], "b": {}}'
    edits = [Edit("remove", "$.a[0]"), Edit("remove", "$.a[3]"), Edit("replace", "$.a[1]", value="x")]
    assert edited(text, edits) == '{"a": ["x", 3], "b": {}}'
    assert edited(text, [Edit("insert", "$.b", "c", [1])]) == '{"a": [1, 2, 3, 4], "b": {"c": [1]}}'
    assert edited(text, [Edit("rename", "$.b", "a")]) == text
    assert edited(text, [Edit("remove", "$.none")]) == text
