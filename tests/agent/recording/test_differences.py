"""What a person changed becomes checks, in words; what changes by itself does not."""

import json
import re
from typing import Any

import pytest

from deskbench.agent.recording.differences import proposals
from deskbench.agent.recording.snapshot import Snapshot, is_noise


def words(before: Snapshot, after: Snapshot) -> list[str]:
    return [one.words for one in proposals(before, after)]


def at(files: dict[str, str | bytes], folders: tuple[str, ...] = ("Documents",), clipboard: str = "") -> Snapshot:
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return Snapshot(data, frozenset(folders), clipboard)


def test_nothing_is_asked_of_what_is_the_same() -> None:
    same = at({"Documents/a.txt": "a", ".config/x.conf": "a=1"}, clipboard="c")
    assert proposals(same, same) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"Documents/a.txt": "Hello\nyou"}, ['~/Documents/a.txt holds "Hello you"']),
        ({"a.txt": "x"}, {"a.txt": "y"}, ['~/a.txt holds "y"']),
        ({"Documents/a.txt": "x", "Documents/b.txt": "y"}, {"Documents/b.txt": "y"},
         ["the folder ~/Documents holds b.txt and nothing else"]),
        ({"Documents/a.txt": "x"}, {"Documents/b.txt": "x"},
         ['~/Documents/b.txt holds "x"', "the folder ~/Documents holds b.txt and nothing else"]),
        ({"Documents/a.txt": "x"}, {}, ["the folder ~/Documents holds nothing"]),
        ({}, {"Documents/a.bin": b"\xff\xfe\0"}, ["the folder ~/Documents holds a.bin"]),
        ({}, {"Documents/a.docx": b"PK"},
         ["~/Documents/a.docx is as it was when the recording ended (compare_docx_files)"]),
        ({".config/v.conf": "[view]\nhidden=0\nwin_width=9\n"}, {".config/v.conf": "[view]\nhidden=1\nwin_width=640\n"},
         ['in ~/.config/v.conf, [view] hidden is "1"']),
        ({".gtkrc-2.0": 'gtk-theme="A"\n'}, {".gtkrc-2.0": 'gtk-theme="B"\n'}, ['in ~/.gtkrc-2.0, gtk-theme is "B"']),
        ({".config/s.json": '{"a": {"b": 1}, "window": 2}'}, {".config/s.json": '{"a": {"b": 3}, "window": 4}'},
         ["in ~/.config/s.json, a.b is 3"]),
        ({".config/m.xml": "<m>\n<k>1</k>\n</m>"}, {".config/m.xml": "<m>\n<k>2</k>\n</m>"},
         ['~/.config/m.xml has "<k>2</k>"']),
        ({}, {"Documents/o.json": '{"n": 1}'}, ['~/Documents/o.json holds "{"n": 1}"']),
    ],
)  # fmt: skip
def test_a_change_is_told_in_words(before: dict[str, Any], after: dict[str, Any], said: list[str]) -> None:
    assert words(at(before), at(after)) == said


def test_a_new_folder_is_told_with_what_is_in_it() -> None:
    after = at({"Documents/old/a.bin": b"\xff\0"}, ("Documents", "Documents/old", "Documents/old/empty"))
    (found,) = proposals(at({}), after)
    assert found.words == "the folder ~/Documents holds old"
    assert found.expected == {"type": "rule", "rules": {"expected": {"old": {"a.bin": None, "empty": {}}}}}
    assert found.options == {"exact": False}


def test_the_clipboard_counts_where_it_has_changed() -> None:
    assert words(at({}, clipboard="a"), at({}, clipboard="69104")) == ['the clipboard holds "69104"']
    assert words(at({}, clipboard="a"), at({}, clipboard="")) == []


def test_json_is_compared_as_json_and_a_document_with_its_copy() -> None:
    (order,) = proposals(at({}), at({"Documents/o.json": json.dumps({"n": [1]})}))
    assert (order.metric, order.expected["rules"]) == ("json_equals", {"expected": {"n": [1]}})
    (letter,) = proposals(at({}), at({"Documents/l.odt": b"PK"}))
    ((name, data),) = letter.assets.items()
    assert (letter.expected, data) == ({"type": "task_file", "path": name}, b"PK")
    assert re.fullmatch(r"assets/l-[0-9a-f]{8}\.odt", name)


def test_two_documents_of_one_name_have_a_copy_each() -> None:
    found = proposals(at({}), at({"Documents/a.odt": b"PK1", "Desktop/a.odt": b"PK2"}))
    assert len({one.expected["path"] for one in found if one.assets}) == 2


@pytest.mark.parametrize(
    ("path", "text", "metrics"),
    [
        (".bashrc", "if true\nthen\n    echo hi\nfi\n", ["file_contains"]),
        ("Documents/deep.json", "[" * 9000 + "]" * 9000, []),
        (".config/deep.json", '{"a":' * 3000 + "1" + "}" * 3000, []),
    ],
)
def test_any_text_that_a_program_leaves_can_be_read(path: str, text: str, metrics: list[str]) -> None:
    assert [one.metric for one in proposals(at({path: ""}), at({path: text}))] == metrics


@pytest.mark.parametrize(
    ("path", "noise"),
    [
        (".cache/thumbnails/a.png", True), (".local/share/recently-used.xbel", True), ("Documents/.~lock.a.odt#", True),
        (".config/app/app.log", True), (".local/share/Trash/files/a.txt", True), (".config/dconf/user", True),
        ("Documents/a.txt", False), (".config/pcmanfm/default/pcmanfm.conf", False), (".gtkrc-2.0", False),
    ],
)  # fmt: skip
def test_what_changes_by_itself_is_left_out(path: str, noise: bool) -> None:
    assert is_noise(path) == noise
