"""The list of runs: what state each is in, from its manifest and its ledger alone, and what may be deleted."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from deskbench.agent.batch import Batch
from deskbench.agent.replay.suite import Replays
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.index import is_live, listed, look, remove, resync
from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result
from deskbench.agent.statistics.summary import summarize
from deskbench.envs.errors import UsageError

from ..paper import prepared, write_suite
from ..staged_runs import episode, run


def ended(ledger: Ledger, task: str, score: float | None) -> None:
    lease = ledger.lease_of(Planned(task, 0, 0), "worker", FOREVER)
    assert ledger.accept(lease.token, Result("done", score)).counts


def made(path: Path, state: str = "done", **changes: object) -> Path:
    """A run of two tasks, the first of them solved."""
    run(path, planned=2)
    manifest = json.loads((path / "run.json").read_text())
    manifest |= {"state": state, "created": 1.0, "config": {"source": "basics"}, "bytes": 5000, **changes}
    (path / "run.json").write_text(json.dumps(manifest))
    ledger = Ledger(path / "ledger.sqlite")
    ledger.plan([Planned("s/a", 0, 0), Planned("s/b", 0, 0)])
    for task, score in (("s/a", 1.0), ("s/b", None)):
        ended(ledger, task, score)
    ledger.close()
    return path


def test_a_run_is_listed_with_its_score_state_and_size(tmp_path: Path) -> None:
    made(tmp_path / "one")
    (tmp_path / "one/report.html").write_bytes(b"x" * 700)
    (found,) = listed(tmp_path)
    assert (found.name, found.agent, found.source, found.state) == ("one", "vlm", "basics", "complete")
    assert (found.planned, found.scored, found.score, found.bytes) == (2, 1, 1.0, 5700)


def test_a_folder_of_replays_is_named_as_that(tmp_path: Path) -> None:
    out = tmp_path / "again"
    Replays(made_and_recorded(tmp_path / "first"), out, provider="fake").go()
    found = look(out, tmp_path)
    assert (found.state, found.problem) == ("replays", "of first: 2 of 2 episodes; see replay.html")
    (out / "replay.json").write_text('{"episodes": 3}')
    assert look(out, tmp_path).problem == "of a run; replay.json is damaged"
    assert remove(look(out, tmp_path), tmp_path) == "it is no run"


def made_and_recorded(folder: Path) -> Path:
    Batch(prepared(write_suite(folder.parent / "suite", count=1)), folder).run()
    return folder


def test_the_score_is_that_of_the_runs_end_where_tasks_are_made_from_templates(tmp_path: Path) -> None:
    path = run(tmp_path / "one", planned=3)
    ledger = Ledger(path / "ledger.sqlite")
    scores = {"s/a@0": 1.0, "s/a@1": 1.0, "s/b": 0.0}
    for task, score in scores.items():
        ended(ledger, task, score)
        episode(path, task, score)
    ledger.close()
    found = look(path, tmp_path).score
    assert found == summarize(RunFolder(path).records()).all.mean == 0.5


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("done", "complete"), ("finished", "complete"), ("interrupted", "interrupted"), ("running", "interrupted"),
        ("budget", "budget spent"), ("broken", "broken"),
    ],
)  # fmt: skip
def test_a_run_that_no_process_works_on_is_not_running(tmp_path: Path, said: str, state: str) -> None:
    assert look(made(tmp_path / "one", said), tmp_path).state == state


def test_a_run_in_progress_is_known_by_the_lock_on_its_ledger(tmp_path: Path) -> None:
    path = made(tmp_path / "one", "running")
    ledger = Ledger(path / "ledger.sqlite")
    ledger.lease_of(Planned("s/b", 0, 0), "worker", FOREVER)
    assert is_live(path)
    assert look(path, tmp_path).scored is None
    assert remove(look(path, tmp_path), tmp_path) == "a process is working on it"
    ledger.close()
    assert not is_live(path)
    assert remove(look(path, tmp_path), tmp_path) is None
    assert not path.exists()


def test_a_run_that_was_killed_still_has_its_score(tmp_path: Path) -> None:
    """Its ledger's log was never merged into the file."""
    path = made(tmp_path / "one", "running")
    ledger = Ledger(path / "ledger.sqlite")
    ended(ledger, "s/b", 0.5)
    copy = tmp_path / "killed"
    shutil.copytree(path, copy)
    ledger.close()
    assert (copy / "ledger.sqlite-wal").stat().st_size > 0
    found = look(copy, tmp_path)
    assert (found.state, found.scored, found.score) == ("interrupted", 2, 0.75)


def test_what_is_no_run_or_half_of_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "latest").symlink_to("empty")
    made(tmp_path / "demo/null")
    (tmp_path / "half").mkdir()
    Ledger(tmp_path / "half/ledger.sqlite").close()
    made(tmp_path / "torn")
    (tmp_path / "torn/run.json").write_text('{"state": ')
    made(tmp_path / "other", "17", agent=None, config=[], planned="x", created="yesterday")
    states = {one.name: one.state for one in listed(tmp_path)}
    assert states == {
        "demo/null": "complete", "empty": "no run", "half": "half-written", "torn": "damaged", "other": "complete",
    }  # fmt: skip
    with pytest.raises(UsageError, match="cannot read"):
        list(listed(tmp_path / "file.txt"))


def test_nothing_outside_the_folder_of_runs_is_deleted(tmp_path: Path) -> None:
    outside = made(tmp_path / "outside")
    root = tmp_path / "runs"
    root.mkdir()
    (root / "link").symlink_to(outside)
    made(root / "inside")
    (root / "inside/away").symlink_to(outside)
    (root / "mine").mkdir()
    for path in (outside, root / "link", root / "mine"):
        assert remove(look(path, path.parent), root) is not None
        assert path.exists()
    assert remove(look(root / "inside", root), root) is None
    assert (outside / "run.json").exists() and not (root / "inside").exists()


def test_thousands_of_runs_are_listed_fast(tmp_path: Path) -> None:
    """About 0.3 ms a run on an idle machine; the bound only shows that no run's episodes are read."""
    first = made(tmp_path / "0")
    ledger, manifest = (first / "ledger.sqlite").read_bytes(), (first / "run.json").read_bytes()
    for number in range(1, 1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "ledger.sqlite").write_bytes(ledger)
        (folder / "run.json").write_bytes(manifest)
    began = time.process_time()
    found = list(listed(tmp_path))
    assert time.process_time() - began < 10
    assert len(found) == 1000
    assert all(one.score == 1.0 for one in found)
    assert not any(name.endswith(("-shm", "-wal")) for name in os.listdir(tmp_path / "7"))


def test_scores_that_were_computed_again_reach_the_ledger(tmp_path: Path) -> None:
    path = made(tmp_path / "one")
    episode(path, "s/a", 0.25)
    resync(path / "episodes/s/a/1")
    assert look(path, tmp_path).score == 0.25
    resync(tmp_path)
