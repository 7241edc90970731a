"""Metrics: each with an input that passes and one that is almost right."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deskbench.tasks import registry
from deskbench.tasks.metrics.support.applied import apply


def run(name: str, result: Any, expected: Any, **options: Any) -> float:
    entry = registry.find("metric", name)
    return float(apply(entry, result, expected, options))


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def make(content: str | bytes, name: str = "f.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG", rotate: int = 0) -> bytes:
    image = Image.linear_gradient("L").resize(size).convert("RGB").rotate(-rotate, expand=True)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "passes", "fails", "rules"),
    [
        ("exact_match", 3, 4, {"expected": 3}),
        ("text_equals", " a\r\nb\n", "a b", {"expected": "a\nb"}),
        ("text_equals", "\ufeffa \nb", "a\n b", {"expected": "a\nb"}),
        ("check_include_exclude", "yes sir", "yes no", {"include": ["yes"], "exclude": ["no"]}),
        ("is_in_list", ["a", "b"], ["a"], {"expected": "b"}),
        ("match_in_list", "a", "c", {"expected": ["a", "b"]}),
        ("text_matches", "v1.25", "v1.25x", {"pattern": r"v\d+\.\d+"}),
        ("number_equals", "69,104", "69014", {"expected": 69104}),
        ("number_equals", "\ufeff5\n", "\ufeff5 5", {"expected": 5}),
        ("number_equals", "3.1415", "three", {"expected": 3.14, "tolerance": 0.01}),
        ("literal_match", "x", "X", {"expected": "x"}),
        ("json_equals", '{"a": 1, "b": 2}', '{"a": 1}', {"expected": {"b": 2, "a": 1}}),
        ("json_value", '{"a": [1, {"b": 2}]}', '{"a": []}', {"expect": [{"path": ["a", 1, "b"], "equals": 2}]}),
        ("json_value", '{"a": 1}', "not json", {"expect": [{"path": ["a"], "equals": 1}]}),
        ("check_direct_json_object", {"a": "x"}, {"a": "y"}, {"expected": {"a": "x"}}),
        ("is_utc_0", "Time zone: UTC (UTC, +0000)", "Time zone: CET (CET, +0100)", {}),
    ],
)
def test_values(name: str, passes: Any, fails: Any, rules: dict[str, Any]) -> None:
    if name == "is_utc_0":
        entry = registry.find("metric", name)
        assert (entry.function(passes), entry.function(fails)) == (1.0, 0.0)
        return
    assert run(name, passes, rules) == 1.0
    assert run(name, fails, rules) == 0.0


@pytest.mark.parametrize(
    ("name", "passes", "fails", "rules"),
    [
        ("file_contains", "abc def", "abc", {"expected": ["abc", "def"]}),
        ("check_line_number", "09:15:00 a\n\n23:59:60 b\n", "09:15:00 a\nb\n", {"expected": "2"}),
        ("check_list", "x=1\ny=2\n", "x=1\nz=3\n", {"expect": ["^x"], "unexpect": ["^z"]}),
        ("check_csv", "n,c\nx,1\n", "n,c\ny,1\n", {"expect": [{"n": "x"}], "unexpect": [{"n": "y"}]}),
        (
            "check_json",
            '{"a": {"b": 3}}',
            '{"a": {"b": 9}}',
            {"expect": [{"key": ["a", "b"], "method": "lt", "ref": 5}]},
        ),
        ("ini_value", "[s]\nk = 1\n", "[s]\nk = 2\n", {"expect": [{"section": "s", "key": "k", "equals": "1"}]}),
        ("ini_value", 'k="1"\ninclude "x"\n', "[s]\nk=1\n", {"expect": [{"section": None, "key": "k", "equals": "1"}]}),
        ("check_image_size", picture((40, 30)), picture((30, 40)), {"width": 40, "height": 30}),
        ("image_format", picture(kind="JPEG"), picture(kind="PNG"), {"expected": "JPEG"}),
        ("image_format", picture(kind="PNG"), b"no picture", {"expected": "PNG"}),
    ],
)
def test_files(file: Any, name: str, passes: Any, fails: Any, rules: dict[str, Any]) -> None:
    assert run(name, file(passes, "a.txt"), rules) == 1.0
    assert run(name, file(fails, "b.txt"), rules) == 0.0


def test_two_files(file: Any) -> None:
    a, b, c = file("x\ny\n", "a"), file("x\ny\n", "b"), file("x\nz\n", "c")
    assert (run("compare_text_file", a, b), run("compare_text_file", a, c)) == (1.0, 0.0)
    assert (run("diff_text_file", a, b), run("diff_text_file", a, c)) == (1.0, 0.5)
    assert (run("compare_csv", a, b), run("compare_csv", a, c)) == (1.0, 0.0)
    assert run("compare_csv", file(" X\n", "d"), file("x\n", "e"), strict=False, ignore_case=True) == 1.0


def test_pictures(file: Any) -> None:
    one, turned = file(picture(), "a.png"), file(picture(rotate=90), "b.png")
    assert run("images_equal", one, one) == 1.0
    assert run("images_equal", turned, one) == 0.0
    assert run("images_equal", turned, one, rotate=90) == 1.0
    assert run("images_equal", turned, one, rotate=-90) == 0.0
    jpeg = file(picture(kind="JPEG"), "c.jpg")
    assert run("images_equal", jpeg, one, tolerance=3) == 1.0
    assert run("images_equal", file(b"broken", "d"), one) == 0.0


def test_a_picture_that_is_a_bomb_is_not_decoded(file: Any) -> None:
    buffer = io.BytesIO()
    Image.new("1", (60_000, 60_000)).save(buffer, "PNG")
    assert run("check_image_size", file(buffer.getvalue(), "bomb.png"), {"width": 60_000}) == 0.0


def test_trees() -> None:
    tree = {
        "type": "directory",
        "name": "d",
        "children": [
            {"type": "file", "name": "a"},
            {"type": "file", "name": ".hidden"},
            {"type": "directory", "name": "s", "children": [{"type": "file", "name": "b"}]},
        ],
    }
    assert run("directory_tree", tree, {"expected": {"a": None, "s": {"b": None}}}) == 1.0
    assert run("directory_tree", tree, {"expected": {"a": None, "s": {}}}) == 0.0
    assert run("directory_tree", tree, {"expected": {"a": None}}) == 0.0
    assert run("directory_tree", tree, {"expected": {"a": None}}, exact=False) == 1.0
    assert run("directory_tree", tree, {"expected": {"a": {}, "s": {"b": None}}}) == 0.0
    assert run("check_moved_jpgs", tree, {"expected": [".hidden", "s", "a"]}) == 1.0


def test_archives(file: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "A")
        archive.writestr("b/c.txt", "C")
    path = file(buffer.getvalue(), "x.zip")
    assert run("archive_contains", path, {"expected": {"a.txt": "A", "b/c.txt": None}}) == 1.0
    assert run("archive_contains", path, {"expected": {"a.txt": "B", "b/c.txt": None}}) == 0.0
    assert run("archive_contains", path, {"expected": {"a.txt": None}}) == 0.0
    assert run("archive_contains", path, {"expected": {"a.txt": None}, "others": True}) == 1.0
    assert run("archive_contains", file(b"no zip", "y.zip"), {"expected": {}}) == 0.0
