"""Copies of a piece of evidence: their kinds, names and locations, and those without a change."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deskbench.tasks.mutation.copies import MOST_COPIES, copies, matches
from deskbench.tasks.mutation.evidence import evidence, kinds_of
from tests.tasks.mutation.samples import SAMPLES, database, document, film, open_document, picture, visits

PATH = {"path": "~/Documents/note.txt"}


def made(
    value: Any, folder: Path, getter: str = "vm_file", only: list[str] | None = None, **more: Any
) -> dict[str, Any]:
    told = {"parameters": PATH, "named": "", "instruction": "", **more}
    (folder / "room").mkdir(exist_ok=True)
    return copies(
        getter, told["parameters"], value, told["named"], told["instruction"], only or [], folder / "room" / "c"
    )


def a_file(folder: Path, name: str, data: bytes) -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    ("name", "data", "kinds"),
    [
        ("a.txt", b"words\n", ["files", "text"]),
        ("a.json", b"{}", ["files", "json"]),
        ("a.PNG", picture(), ["files", "png"]),
        ("no-suffix", picture(), ["files", "png"]),
        ("places", database(), ["files", "sqlite"]),
        ("a.docx", document(), ["files", "docx"]),
        ("a.ods", open_document(), ["files", "odf", "odf-table"]),
        ("Bookmarks", b"{}", ["files", "bookmarks"]),
        ("History", visits(), ["files", "history"]),
        ("a.mp4", film(), ["files", "film"]),
        ("a.png", b"<?xml version='1.0'?><a/>", ["files", "png"]),
        ("config", b"<?xml version='1.0'?><a/>", ["files", "xml"]),
        ("blob", b"\0\1\2", ["files"]),
    ],
)
def test_a_files_kind_is_by_what_is_in_it_or_its_name(name: str, data: bytes, kinds: list[str], tmp_path: Path) -> None:
    one = evidence("vm_file", PATH, a_file(tmp_path, name, data), named="", instruction="")
    assert list(kinds_of(one)) == kinds


@pytest.mark.parametrize(
    ("getter", "value", "kind"),
    [
        ("list_directory", SAMPLES["tree"](), "tree"),
        ("agent_answer", "5", "answer"),
        ("vm_clipboard", "5", "clipboard"),
        ("vm_window_titles", ["a"], "windows"),
        ("bookmarks", {}, "bookmarks"),
        ("history", [], "visited"),
        ("cookie_data", [], "cookies"),
        ("vm_command_line", "true\n", "output"),
        ("vm_command_line", "a\nb\n", "text"),
        ("vm_command_line", SAMPLES["registry"](), "registry"),
        ("vm_file_text", "one line", "text"),
        ("vm_screen_size", {"width": 5}, "object"),
        ("enable_do_not_track", True, "number"),
        ("accessibility_tree", "<desktop/>", "xml"),
    ],
)
def test_a_values_kind_is_by_its_getter_or_type(getter: str, value: Any, kind: str) -> None:
    assert list(kinds_of(evidence(getter, {}, value, named="", instruction=""))) == [kind]


def test_lines_of_settings_are_settings_whatever_the_name(tmp_path: Path) -> None:
    file = a_file(tmp_path, ".gtkrc-2.0", b"gtk-menu-images=0\n")
    own = evidence("vm_file", {"path": "~/.gtkrc-2.0"}, file, named="gtk-menu-images", instruction="")
    assert list(kinds_of(own)) == ["files", "ini"] and own.about.settings


def test_they_are_the_same_each_time(tmp_path: Path) -> None:
    file = a_file(tmp_path, "note.txt", b"Meet Anna at 17:45.\nBring the plan.\n")
    runs = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        found = made(file, tmp_path / str(number))
        runs.append([{**copy, "value": copy["value"] and copy["value"].read_bytes()} for copy in found["copies"]])
    assert runs[0] == runs[1] and len(runs[0]) > 20


def test_each_has_a_name_of_its_own_and_a_sentence(tmp_path: Path) -> None:
    found = made(a_file(tmp_path, "note.txt", b"one\ntwo\nthree\n"), tmp_path)["copies"]
    assert len({copy["id"] for copy in found}) == len(found)
    assert {"id": "text/drop-line[2]", "must": "fail", "words": "line 2 is missing"}.items() <= {
        copy["id"]: copy for copy in found
    }["text/drop-line[2]"].items()
    contents = [copy["value"] and copy["value"].read_bytes() for copy in found if copy["must"] == "fail"]
    assert len(set(contents)) == len(contents)


def test_a_file_keeps_its_name_and_stands_beside_those_that_were_read_with_it(tmp_path: Path) -> None:
    (tmp_path / "files" / "abc").mkdir(parents=True)
    a_file(tmp_path / "files" / "abc", "other.txt", b"other")
    found = made(a_file(tmp_path / "files" / "abc", "note.txt", b"one\n"), tmp_path)
    copy = next(copy["value"] for copy in found["copies"] if copy["value"])
    assert copy.name == "note.txt" and copy.with_name("other.txt").read_bytes() == b"other"


def test_what_changes_nothing_is_counted_and_left_out(tmp_path: Path) -> None:
    found = made(a_file(tmp_path, "note.txt", b"plain\n"), tmp_path)
    assert found["equivalent"] >= 1
    assert "text/plain-letters[1]" not in [copy["id"] for copy in found["copies"]]


def test_single_copies_are_told_with_their_difference(tmp_path: Path) -> None:
    file = a_file(tmp_path, "note.txt", b"one\ntwo\n")
    [copy] = made(file, tmp_path, only=["text/drop-line[2]"])["copies"]
    assert copy["difference"] == ["--- recorded", "+++ changed", "@@ -1,2 +1 @@", " one", "-two"]
    (tmp_path / "again").mkdir()
    [copy] = made(file, tmp_path / "again", only=["note.txt:text/crlf[1]"])["copies"]
    assert "-'one\\n'" not in copy["difference"] and "+one\\r\\n" in copy["difference"]


def test_a_copy_that_only_went_through_a_reader_comes_first(tmp_path: Path) -> None:
    found = made(a_file(tmp_path, "a.docx", document()), tmp_path)["copies"]
    mine = [copy for copy in found if copy["id"].startswith("docx/")]
    assert (mine[0]["id"], mine[0]["must"]) == ("docx/as-is", "same")


def test_what_is_not_what_its_name_says_is_told(tmp_path: Path) -> None:
    found = made(a_file(tmp_path, "a.json", b"no json"), tmp_path)
    assert found["notes"] == ["a.json was not changed as json: not JSON: Expecting value: line 1 column 1 (char 0)"]
    assert {copy["id"].partition("/")[0] for copy in found["copies"]} == {"files"}


def test_a_large_value_has_bounded_copies(tmp_path: Path) -> None:
    value = {f"key {n}": {"inner": [n, str(n)]} for n in range(500)}
    found = made(value, tmp_path, getter="some_value")["copies"]
    for name in {copy["id"].partition("[")[0] for copy in found}:
        assert sum(copy["id"].startswith(f"{name}[") for copy in found) <= MOST_COPIES
    json.dumps(found)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("text/drop-line[1]", True), ("text/*line*", True), ("text/drop-line", False), ("text/drop-line[*]", True),
     ("text/drop-line[12]", False), ("json/*", False)],
)  # fmt: skip
def test_brackets_of_a_pattern_stand_for_themselves(pattern: str, fits: bool) -> None:
    assert matches("text/drop-line[1]", pattern) is fits


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.ini", "a.xml"])
def test_of_a_text_that_is_too_large_only_what_any_file_may_suffer_is_tried(name: str, tmp_path: Path) -> None:
    found = made(a_file(tmp_path, name, b"a=1\n" * 2**19), tmp_path)
    assert {copy["id"].partition("/")[0] for copy in found["copies"]} == {"files"}
    assert found["notes"] == [f"{name} was not changed as {name[2:].replace('txt', 'text')}: it is too large"]


def test_an_archive_that_unpacks_to_more_is_not_unpacked(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("word/document.xml", bytes(80 * 2**20))
    found = made(a_file(tmp_path, "a.docx", out.getvalue()), tmp_path)
    assert found["notes"] == ["a.docx was not changed as docx: not an archive: its parts are too large"]


FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS url, x AS title FROM n"


def a_database(*statements: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("; ".join(statements))
        return connection.serialize()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("History", a_database(f"CREATE VIEW urls AS {FOR_EVER}", "CREATE TABLE visits (url, visit_time)")),
        ("a.db", a_database("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", "CREATE TRIGGER g BEFORE DELETE ON t "
                            f"BEGIN SELECT count(*) FROM ({FOR_EVER}); END")),
        ("Bookmarks", b'{"roots": []}'),
        ("Bookmarks", b'{"roots": {"other": {"children": 5}}}'),
    ],
)  # fmt: skip
def test_a_file_made_to_break_the_operators_costs_only_its_own_copies(name: str, data: bytes, tmp_path: Path) -> None:
    found = made(a_file(tmp_path, name, data), tmp_path)
    assert {copy["id"] for copy in found["copies"]} >= {"files/missing[1]", "files/empty[1]", "files/half[1]"}
    assert not any("Error" in note for note in found["notes"])
