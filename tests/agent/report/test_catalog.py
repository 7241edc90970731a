"""Which runs there are and what is read of them: only what changed, again and again, whatever state a folder is in."""

import json
import sqlite3
from pathlib import Path

import pytest

from deskbench.agent.report.catalog import Catalog, ShownRun
from deskbench.agent.report.index import Index
from deskbench.envs.errors import UsageError

from ..staged_runs import episode, going, run


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = run(tmp_path / "runs/one", planned=4)
    for task, score in {"s/a": 1.0, "s/b": 0.0, "s/c": 0.5}.items():
        episode(folder, task, score)
    return folder


def tasks(rows: list[dict[str, object]]) -> list[str]:
    return sorted(str(row["task"]) for row in rows)


def test_only_what_changed_is_said_again(made: Path) -> None:
    shown = ShownRun(made, Index(None))
    shown.refresh()
    first = shown.rows()
    assert first["whole"] and tasks(first["rows"]) == ["s/a", "s/b", "s/c"]
    shown.refresh()
    assert shown.rows(first["token"])["rows"] == []
    episode(made, "s/d", 1.0)
    episode(made, "s/b", 1.0, attempt=2)
    shown.refresh()
    again = shown.rows(first["token"])
    assert not again["whole"]
    changed = {(row["task"], row["attempt"], row["counts"]) for row in again["rows"]}
    assert changed == {("s/b", 1, False), ("s/b", 2, True), ("s/d", 1, True)}
    assert shown.head()["summary"]["scored"] == 4


def test_a_score_that_is_written_again_is_seen(made: Path) -> None:
    shown = ShownRun(made, Index(None))
    shown.refresh()
    token = shown.token()
    episode(made, "s/b", 1.0)
    shown.refresh()
    assert [(row["task"], row["score"]) for row in shown.rows(token)["rows"]] == [("s/b", 1.0)]


def test_a_running_episode_is_read_on_from_where_it_was(made: Path) -> None:
    episode(made, "s/going", None, finished=False)
    steps = made / "episodes/s/going/1/steps.jsonl"
    lines = steps.read_text().splitlines(keepends=True)
    steps.write_text(lines[0])
    shown = ShownRun(made, Index(None))
    shown.refresh()
    with going(made), steps.open("a") as file:
        file.write(lines[1][:50])
        file.flush()
        shown.refresh()
        (row,) = [row for row in shown.rows()["rows"] if row["task"] == "s/going"]
        assert (row["state"], row["step_count"], row["score"]) == ("running", 1, None)
        file.write(lines[1][50:])
        file.flush()
        shown.refresh()
    (row,) = [row for row in shown.rows()["rows"] if row["task"] == "s/going"]
    assert (row["step_count"], row["reason"]) == (2, 'step 2: type "hi"')


def test_a_run_whose_process_was_killed_is_not_running(made: Path) -> None:
    episode(made, "s/going", None, finished=False)
    shown = ShownRun(made, Index(None))
    with going(made):
        catalog = Catalog([made], Index(None))
        assert catalog.heads()[0][0]["state"] == shown.head()["state"] == "running"
        shown.refresh()
        token = shown.token()
        assert {row["task"]: row["ending"] for row in shown.rows()["rows"]}["s/going"] == "running"
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert catalog.heads()[0][0]["state"] == shown.head()["state"] == "interrupted"
    shown.refresh()
    (row,) = shown.rows(token)["rows"]
    assert (row["state"], row["ending"], row["counts"]) == ("cut off", "cut off", True)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_repeats_of_a_task_run_at_the_same_time(made: Path) -> None:
    facts = json.loads((made / "run.json").read_text())
    (made / "run.json").write_text(json.dumps({**facts, "config": {"repeats": 3}}))
    episode(made, "s/d", 1.0, attempt=3)
    for attempt in (1, 2, 4):
        episode(made, "s/d", None, attempt=attempt, finished=False)
    shown = ShownRun(made, Index(None))
    with going(made):
        shown.refresh()
    states = {row["attempt"]: (row["state"], row["counts"]) for row in shown.rows()["rows"] if row["task"] == "s/d"}
    assert states == {
        1: ("cut off", False), 2: ("running", True), 3: ("finished", True), 4: ("running", True),
    }  # fmt: skip


def test_an_episode_that_is_gone_is_gone(made: Path) -> None:
    shown = ShownRun(made, Index(None))
    shown.refresh()
    token = shown.token()
    for path in sorted((made / "episodes/s/a").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    shown.refresh()
    left = shown.rows(token)
    assert left["whole"] and tasks(left["rows"]) == ["s/b", "s/c"]


def test_the_index_spares_reading_and_is_never_the_truth(made: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache/index.sqlite"
    index = Index(place)
    first = ShownRun(made, index)
    first.refresh()
    before, head = first.rows()["rows"], first.head()
    index.close()
    index = Index(place)
    again = ShownRun(made, index)
    assert len(index.episodes(made.resolve())) == 3
    again.refresh()
    assert (again.rows()["rows"], again.head()) == (before, head)
    episode(made, "s/b", 1.0)
    again.refresh()
    assert {row["task"]: row["score"] for row in again.rows()["rows"]}["s/b"] == 1.0
    assert again.head()["summary"]["passed"] == 2
    index.close()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_an_index_that_is_damaged_is_replaced(content: bytes, made: Path, tmp_path: Path) -> None:
    place = tmp_path / "index.sqlite"
    place.write_bytes(content)
    index = Index(place)
    shown = ShownRun(made, index)
    shown.refresh()
    assert len(shown.rows()["rows"]) == 3
    assert len(index.episodes(made.resolve())) == 3
    index.close()


def test_an_index_of_other_code_is_dropped(made: Path, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    ShownRun(made, index).refresh()
    index.close()
    base = sqlite3.connect(tmp_path / "index.sqlite")
    base.execute("pragma user_version=1")
    base.close()
    index = Index(tmp_path / "index.sqlite")
    assert index.episodes(made.resolve()) == {}
    index.close()


def test_an_index_that_cannot_be_written_is_kept_in_memory(made: Path) -> None:
    shown = ShownRun(made, Index(Path("/dev/null/index.sqlite")))
    shown.refresh()
    assert len(shown.rows()["rows"]) == 3


def test_runs_are_found_below_a_folder_and_new_ones_appear(made: Path, tmp_path: Path) -> None:
    deeper = run(tmp_path / "runs/suite/two", planned=0, agent="null")
    catalog = Catalog([tmp_path / "runs"], Index(None))
    heads, pending = catalog.heads()
    assert {head["agent"] for head in heads} == {"vlm", "null"} and pending == 0
    run(tmp_path / "runs/three", planned=0, agent="oracle")
    assert {head["agent"] for head in catalog.heads()[0]} == {"vlm", "null", "oracle"}
    (deeper / "run.json").write_text("{")
    broken = {head["name"]: head.get("broken", "") for head in catalog.heads()[0]}
    assert "not a run folder" in broken["two"] and not broken["one"]


def test_reading_many_runs_takes_several_turns(made: Path) -> None:
    catalog = Catalog([made], Index(None))
    assert catalog.heads(seconds=0)[1] == 1
    assert catalog.heads()[1] == 0


def test_the_run_of_another_version_is_shown_as_far_as_it_can_be(made: Path) -> None:
    facts = json.loads((made / "run.json").read_text())
    (made / "run.json").write_text(json.dumps({**facts, "version": 7, "config": [], "desktop": 3, "validated": "all"}))
    record = made / "episodes/s/a/1/episode.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "version": 7}))
    shown = ShownRun(made, Index(None))
    shown.refresh()
    assert shown.head()["foreign"] == "7"
    rows = {row["task"]: row for row in shown.rows()["rows"]}
    assert rows["s/a"]["state"] == "unreadable" and "version" not in rows["s/b"]["reason"]
    assert rows["s/b"]["score"] == 0.0


@pytest.mark.parametrize("place", ["empty", "nowhere"])
def test_a_folder_without_runs_is_a_usage_error(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="not a run folder"):
        Catalog([tmp_path / place], Index(None))


def _damaged(record: Path, *changes: tuple[str, str]) -> None:
    text = record.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    record.write_text(text)


@pytest.mark.parametrize("value", ["7.0", "-1.0", "NaN", "1e999"])
def test_a_score_that_is_not_from_0_to_1_makes_its_record_unreadable(value: str, made: Path) -> None:
    _damaged(made / "episodes/s/c/1/episode.json", ('"value":0.5', f'"value":{value}'))
    shown = ShownRun(made, Index(None))
    shown.refresh()
    states = {row["task"]: (row["state"], row["score"]) for row in shown.rows()["rows"]}
    assert states == {"s/a": ("finished", 1.0), "s/b": ("finished", 0.0), "s/c": ("unreadable", None)}
    assert shown.head()["summary"]["all"]["mean"] == 0.5


def test_numbers_that_no_float_holds_end_no_page(made: Path) -> None:
    facts = json.loads((made / "run.json").read_text())
    (made / "run.json").write_text(json.dumps({**facts, "created": 10**400, "planned": 10**8}))
    _damaged(made / "episodes/s/c/1/episode.json", ('"wall_ms":2000.0', '"wall_ms":1e999'))
    episode(made, "s/going", None, finished=False)
    _damaged(made / "episodes/s/going/1/steps.jsonl", ('"act_ms":3.0', f'"act_ms":{10**400}'))
    shown = ShownRun(made, Index(None))
    shown.refresh()
    assert {row["task"]: row["state"] for row in shown.rows()["rows"]}["s/c"] == "unreadable"
    head = shown.head()
    assert (head["created"], head["planned"], head["summary"]["scored"]) == (None, None, 2)


def test_a_record_beside_the_suites_hides_no_episode(made: Path) -> None:
    (made / "episodes/episode.json").write_text("{}")
    shown = ShownRun(made, Index(None))
    shown.refresh()
    assert tasks(shown.rows()["rows"]) == ["s/a", "s/b", "s/c"]


def test_numbers_follow_the_manifest(made: Path, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    before = ShownRun(made, index)
    before.refresh()
    assert "observation unknown" in before.head()["lines"][-1]
    facts = json.loads((made / "run.json").read_text())
    (made / "run.json").write_text(json.dumps({**facts, "observation": "som"}))
    after = ShownRun(made, index)
    after.refresh()
    assert "observation som" in after.head()["lines"][-1]
    index.close()
