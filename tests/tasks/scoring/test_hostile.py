"""Files that an agent may leave to break readers: a 0 with a reason, and no harm to this machine."""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs import wait
from deskbench.envs.errors import Unfit
from deskbench.tasks import registry
from deskbench.tasks.metrics.support.applied import worked_out
from deskbench.tasks.metrics.support.packages import Unreadable
from deskbench.tasks.scoring.sandbox import Limits, run
from deskbench.tasks.scoring.work import is_bug
from deskbench.tasks.scoring.worker import evaluate, read

from ..hostile import ENDLESS, FILES, XML_BOMB, database, good

KEY = {"expect": [{"key": ["a"], "method": "eq", "ref": 2}]}
SHEETS = {"rules": [{"type": "sheet_data", "sheet_idx0": 0, "sheet_idx1": "EI0"}]}
LOOKS = {"rules": [{"type": "style", "sheet_idx0": 0, "sheet_idx1": "EI0", "props": ["font_name", "merge"]}]}
TAG = {"title": {"method": "eq", "ref": "x"}}
ROWS = {"sql": "SELECT count(*) > 0 FROM urls"}
CASES: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("check_json", "deep.json", KEY, {}), ("check_json", "object.json", KEY, {}),
    ("check_json", "number.json", KEY, {}), ("check_json", "nan.json", KEY, {}),
    ("check_json", "deep.yaml", KEY, {"is_yaml": True}),
    ("check_json", "bomb.yaml", KEY, {"is_yaml": True}),
    ("check_direct_json_object", "deep.json", {"expected": {"a": 1}}, {}),
    ("check_json_settings", "deep.json", {"expected": {"a": 1}}, {}),
    ("is_included_all_json_objects", "deep.json", "good.json", {}),
    ("check_csv", "field.csv", {"expect": [{"n": "x"}]}, {}), ("check_csv", "null.csv", {"expect": [{"n": "x"}]}, {}),
    ("check_image_size", "large.png", {"width": 30_000}, {}), ("check_image_size", "tall.png", {"width": 1}, {}),
    ("images_equal", "frames.gif", "good.png", {}), ("compare_images", "cut.png", "good.png", {}),
    ("check_structure_sim", "broad.png", "good.png", {}), ("image_format", "font.ttf", {"expected": "PNG"}, {}),
    ("compare_htmls", "nested.html", "good.html", {}),
    ("find_default_font", "bomb.xml", {"font_name": "x"}, {}),
    ("find_default_font", "deep.xml", {"font_name": "x"}, {}),
    ("is_vlc_playing", "outside.xml", {"type": "url", "url": "x"}, {}),
    ("compare_docx_files", "bomb.docx", "good.docx", {}), ("compare_docx_files", "deep.docx", "good.docx", {}),
    ("compare_docx_files", "types.docx", "good.docx", {}), ("compare_docx_files", "none.docx", "good.docx", {}),
    ("compare_pptx_files", "none.pptx", "good.pptx", {}), ("compare_pptx_files", "bomb.pptx", "good.pptx", {}),
    ("compare_pptx_files", "slide.pptx", "good.pptx", {}),
    ("compare_table", "wide.xlsx", "good.xlsx", SHEETS), ("compare_table", "far.xlsx", "good.xlsx", LOOKS),
    ("compare_table", "bomb.xlsx", "good.xlsx", SHEETS), ("compare_table", "none.xlsx", "good.xlsx", SHEETS),
    ("compare_archive", "members.zip", "good.zip", {}), ("compare_archive", "outside.zip", "good.zip", {}),
    ("compare_archive", "devices.tar", "good.zip", {}), ("compare_zip_files", "members.zip", "good.zip", {}),
    ("check_pdf_pages", "loop.pdf", {"relation": "gt", "ref_value": 7}, {}),
    ("compare_pdfs", "cut.pdf", "good.json", {}),
    ("check_mp3_meta", "head.mp4", TAG, {}), ("check_mp3_meta", "zeros", TAG, {}),
    ("compare_audios", "long.wav", "good.wav", {}), ("compare_audios", "playlist.mp4", "good.wav", {}),
    ("compare_videos", "head.mp4", "good.png", {}), ("compare_videos", "playlist.mp4", "good.png", {}),
    ("run_sqlite3", "view.sqlite", ROWS, {}), ("run_sqlite3", "zeros", ROWS, {}),
]  # fmt: skip
"""A metric, the agent's file, the expected value (a name means a valid file), options."""
EXPECTED: dict[str, bytes] = {"good.json": b'{"a": 1}', "good.html": b"<p>text</p>"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every hostile file, each made once."""
    return tmp_path_factory.mktemp("hostile")


def made(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        path.write_bytes(FILES[name]() if name != "view.sqlite" else database(folder, f"CREATE VIEW urls AS {ENDLESS}"))
    return path


def expected(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".zip":
        path.write_bytes(b"PK\x05\x06" + bytes(18))
    elif path.suffix == ".wav":
        from ..hostile import wave

        path.write_bytes(wave(1, random.Random(1).randbytes(176_400)))
    else:
        path.write_bytes(EXPECTED.get(name) or good(path.suffix[1:]))
    return path


@pytest.fixture
def unharmed() -> Iterator[None]:
    """The controller needs hardly more memory, and nothing is left in the temporary folder."""
    before, kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, set(os.listdir(tempfile.gettempdir()))
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024  # KiB
    assert not [name for name in set(os.listdir(tempfile.gettempdir())) - kept if "escaped" in name]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("metric", "name", "other", "options"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_a_hostile_file_is_no_success_and_no_failure_of_ours(
    folder: Path, metric: str, name: str, other: Any, options: dict[str, Any]
) -> None:
    wanted = expected(folder, other) if isinstance(other, str) else other
    found = evaluate(
        metric, made(folder, name), wanted, options, (True, False), seconds=60 if "audio" in metric else 15
    )
    assert found < 0.5, found.note


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("definition", [f"CREATE VIEW urls AS {ENDLESS}", "CREATE VIRTUAL TABLE urls USING fts5(url)"])
def test_a_history_that_is_no_plain_table_is_not_read(tmp_path: Path, definition: str) -> None:
    file = tmp_path / "History"
    file.write_bytes(database(tmp_path, definition))
    with pytest.raises(Unfit, match="urls is not a plain table"):
        read("table", file=file, name="urls", columns=["url"])


def test_a_plain_table_is_read_and_no_more_of_it_than_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "History"
    file.write_bytes(database(tmp_path, f"CREATE TABLE urls AS {ENDLESS} LIMIT 100100; CREATE TABLE t(a); "
                                        "INSERT INTO t VALUES (x'01');"))  # fmt: skip
    assert read("table", file=file, name="t", columns=[]) == [["01"]]
    assert len(read("table", file=file, name="urls", columns=["x"])) == 100_000
    assert read("table", file=file, name="none", columns=[]) is None


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("name", ["deep.json", "object.json"])
def test_preferences_that_are_nested_too_deep_cannot_be_read(folder: Path, name: str) -> None:
    with pytest.raises(Unfit, match="nested too deep"):
        read("json_at", file=made(folder, name), paths=[["a"]])


def test_a_value_that_is_too_large_or_too_deep_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "large").write_text(json.dumps({"a": ["x" * 1000] * 20_000}))
    (tmp_path / "deep").write_text('{"a": ' + "[" * 300 + "]" * 300 + "}")
    for name, why in (("large", "more than"), ("deep", "nested deeper")):
        with pytest.raises(Unfit, match=why):
            read("json_at", file=tmp_path / name, paths=[["a"]])
    assert read("json_at", file=tmp_path / "large", paths=[["b"]]) == [None]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ["wide.xlsx", "far.xlsx", "bomb.xlsx", "none.xlsx", "zeros"])
def test_a_workbook_of_millions_of_cells_ends(folder: Path, name: str) -> None:
    try:
        row = read("last_row", Limits(seconds=10, memory=2**30), file=made(folder, name))
    except Unfit as error:
        assert "cannot be read" in str(error)
    else:
        assert row is None or len(row) > 1000


def test_a_tree_that_is_a_bomb_has_no_address() -> None:
    assert read("address", tree=XML_BOMB.decode(), prefix="https://") is None


class TestTheProcess:
    """What the process can do, whatever it is made to do; tested with metrics that are not ours."""

    @pytest.fixture(autouse=True)
    def _found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make these metrics importable from the tests."""
        monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))

    def answer(self, function: str, argument: Any = None) -> Any:
        request = {"do": "metric", "metric": f"tests.tasks.misdeeds:{function}", "result": argument, "expected": None,
                   "options": {}, "theirs": [True, False], "strict": False, "harmless": False}  # fmt: skip
        return run(request, Limits(seconds=5))

    def test_it_writes_nowhere_but_in_its_folder(self, tmp_path: Path) -> None:
        ended = self.answer("writes", [str(tmp_path / "a"), "/tmp/deskbench-escaped", str(Path.home() / "escaped")])
        assert ended.answer == {"value": 0.0, "note": ""}
        assert not Path("/tmp/deskbench-escaped").exists() and not (tmp_path / "a").exists()

    def test_what_it_started_ends_with_it(self, tmp_path: Path) -> None:
        ended = self.answer("leaves_a_child")
        pid = int(ended.answer["note"] if ended.answer else 0)
        stat = Path(f"/proc/{pid}/stat")
        assert pid
        assert wait.until(
            lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z", timeout=20
        )

    def test_what_it_prints_is_not_its_answer_and_a_crash_is_said(self) -> None:
        assert self.answer("prints").answer == {"value": 0.5, "note": ""}
        assert "signal 11" in self.answer("crashes").spent
        assert "status 3" in self.answer("exits").spent

    def test_it_finds_no_network(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert self.answer("connects", server.getsockname()[1]).answer == {"value": 0.0, "note": ""}


SHAPES: dict[str, list[Any]] = {
    "is_expected_bookmarks": [
        {"type": "bookmark_bar_folders_names", "names": ["a"]}, {"type": "bookmark_bar_websites_urls", "urls": ["a"]},
        {"type": "liked_authors_websites_urls", "urls": ["a", ["b"]]},
    ],
    "is_expected_active_tab": [{"type": "url", "url": "http://a.b/c"}],
    "is_expected_tabs": [{"type": "url", "urls": ["http://a.b"]}],
    "is_expected_installed_extensions": [{"expected": ["a"]}],
    "is_cookie_deleted": [{"type": "domains", "domains": ["a.com"]}],
    "check_history_deleted": [{"type": "keywords", "keywords": ["a"]}],
    "is_shortcut_on_desktop": [{"type": "name", "name": "a"}],
    "check_enabled_experiments": [{"type": "names", "names": ["a"]}],
    "check_font_size": [{"type": "value", "value": 3}, {"type": "range", "min": 1, "max": 3}],
    "is_in_list": [{"expected": "a"}], "match_in_list": [{"expected": ["a"]}], "literal_match": [{"expected": ["a"]}],
    "check_direct_json_object": [{"expected": {"a": "x"}}, {"expected": {"a": ["x"]}, "expect_in_result": True}],
    "json_value": [{"expect": [{"path": ["a", 0, "b"], "equals": 1}]}], "number_equals": [{"expected": 1}],
}  # fmt: skip
_KEYS = ("a", "url", "name", "type", "children", "bookmark_bar", "default_font_size", "content")
_TEXTS = ("", "a", "http://a.b/c", "folder", "url", "Liked Authors", "//[::1", "1e999", "[", "\x00")


def anything(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value, as in a program's settings."""
    kind = chance.randrange(8 if depth < 5 else 5)
    if kind < 2:
        return chance.choice([None, True, 0, -5, 10**400, 2.5])
    if kind < 5:
        return chance.choice(_TEXTS)
    if kind == 5:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(_KEYS): anything(chance, depth + 1) for _ in range(chance.randrange(5))}


@pytest.mark.parametrize("metric", SHAPES)
def test_a_value_of_another_shape_is_no_fault_of_a_metric(metric: str) -> None:
    entry, chance = registry.find("metric", metric), random.Random(metric)
    for _ in range(1500):
        value = anything(chance)
        for rules in SHAPES[metric] if value is not None else ():
            try:
                assert 0.0 <= worked_out(entry, value, rules, {}) <= 1.0
            except Unreadable:
                continue
            except ValueError as error:  # a library could not read the value
                assert not is_bug(error)
