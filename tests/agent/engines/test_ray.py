"""Runs on several machines: nodes of Ray on this machine, some of which are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deskbench.agent.batch import Batch, Progress
from deskbench.agent.engines.cluster import demand_of, last_line, told
from deskbench.agent.engines.ray import Ray
from deskbench.agent.engines.store import Store
from deskbench.agent.report.outcomes import outcomes
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Ledger, State
from deskbench.envs import wait
from deskbench.envs.errors import EnvError, StorageError, UsageError

from .. import paper
from ..paper import prepared, write_suite, write_task
from .clusters import Machines, machines, marked

HERE = paper.__name__

pytestmark = pytest.mark.alone


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "suite")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Machines]:
    """Three nodes with a desktop each; the tests kill them one by one."""
    with machines(nodes=3, desktops=1) as found:
        yield found


def scores(folder: Path) -> dict[tuple[str, int], float | None]:
    return {(one.episode.task, one.episode.repeat): one.episode.score.value for one in RunFolder(folder).final()}


def files(folder: Path) -> dict[tuple[str, int], set[str]]:
    """The files and folders of each episode that counts."""
    return {
        (one.episode.task, one.episode.repeat): {
            str(path.relative_to(one.folder.path)) for path in one.folder.path.rglob("*")
        }
        for one in RunFolder(folder).final()
    }


def test_a_demand_that_no_node_meets_is_said_at_once(cluster: Machines, suite: Path, tmp_path: Path) -> None:
    ready = prepared(suite, engine="ray", ray_address=cluster.address, desktop_mb=9_000_000)
    with pytest.raises(UsageError, match=r"no node has 1 desktop and 9000000 MB: 127\.0\.0\.1:\d+ has .* and \d+ MB"):
        Batch(ready, tmp_path / "run").run()
    assert not (tmp_path / "run").exists()


def test_what_hangs_on_a_node_is_ended_and_tried_again(cluster: Machines, tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "one")
    ready = prepared(
        tmp_path / "suite", engine="ray", ray_address=cluster.address, agent=f"{HERE}:Asleep", retries=1,
        step_seconds=0.5,
    )  # fmt: skip
    batch = Batch(ready, tmp_path / "run")
    assert (batch.run().scored, batch.unclosed, batch.progress.retried) == (0, None, 1)
    (found,) = outcomes(RunFolder(tmp_path / "run")).episodes
    assert (found.ending, found.score, "hung" in found.reason) == ("lost", None, True)


def test_a_node_that_is_killed_in_mid_run_costs_no_episode(cluster: Machines, suite: Path, tmp_path: Path) -> None:
    shown: list[Progress] = []
    changes = {"agent": f"{HERE}:SlowWriter", "repeats": 3, "max_steps": 10}
    Batch(prepared(suite, parallel=3, **changes), tmp_path / "threads").run()
    url = f"file://{tmp_path}/store"
    ready = prepared(suite, engine="ray", ray_address=cluster.address, parallel=4, results_url=url, **changes)
    batch = Batch(ready, tmp_path / "ray", shown.append)
    run = threading.Thread(target=batch.run)
    run.start()
    assert wait.until(lambda: shown and len(shown[-1].running) == 3 and shown[-1].finished, timeout=60)
    cluster.kill(1)
    run.join(60)
    assert not run.is_alive()
    assert batch.notice == "the cluster has room for 3 of 4 desktops (1 desktop each); the others wait"
    assert scores(tmp_path / "ray") == scores(tmp_path / "threads")
    assert (batch.state, batch.unclosed, batch.progress.finished, len(batch.progress.scores)) == ("done", None, 12, 12)
    assert [*(tmp_path / "store").iterdir()] == []
    assert files(tmp_path / "ray") == files(tmp_path / "threads")
    ledger = Ledger(tmp_path / "ray/ledger.sqlite")
    attempts = ledger.attempts()
    ledger.close()
    assert sum(one.state is State.FINISHED for one in attempts) == 12
    (lost,) = [one for one in attempts if one.cause]
    assert (lost.state, " is lost: " in str(lost.cause)) == (State.SUPERSEDED, True)


def test_a_run_that_loses_every_node_says_so_and_is_resumed_elsewhere(
    cluster: Machines, suite: Path, tmp_path: Path
) -> None:
    shown: list[Progress] = []
    changes = {"agent": f"{HERE}:SlowWriter", "repeats": 3, "max_steps": 10, "parallel": 2}
    ready = prepared(suite, engine="ray", ray_address=cluster.address, **changes)
    batch = Batch(ready, tmp_path / "run", shown.append, make_engine=partial(Ray, patience=1.0))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            batch.run()
        except EnvError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert wait.until(lambda: shown and len(shown[-1].running) == 2 and shown[-1].finished, timeout=60)
    cluster.kill(0)
    cluster.kill(0)
    thread.join(60)
    assert not thread.is_alive()
    assert str(failed[0]).startswith("no node has 1 desktop: 127.0.0.1:") and batch.state == "broken"
    summary = Batch(prepared(suite, **changes), tmp_path / "run").run(resume=True)
    assert (summary.scored, summary.planned, summary.all.mean) == (12, 12, 0.75)


def test_a_run_that_loses_the_head_says_so_and_is_resumed_without_it(suite: Path, tmp_path: Path) -> None:
    """In a process of its own, since Ray ends one that has lost its head."""
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "deskbench.agent", "run", str(suite), "--agent", f"{HERE}:SlowWriter",
        "--provider", "fake", "--repeats", "50", "--engine", "ray",
    ]  # fmt: skip
    with machines(nodes=1, desktops=1) as found:
        more = ["--address", found.address, "--out", str(out)]
        with subprocess.Popen(
            [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert wait.until(lambda: process.poll() is not None or len(RunFolder(out).records()) > 1, timeout=60)
            found.kill_head()
            said = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "error: the head of the Ray cluster is lost: resume" in said, said
    resume = [sys.executable, "-m", "deskbench.agent", "run", "--resume", str(out), "--engine", "threads", "-n", "8"]
    done = subprocess.run(resume, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert Counter(scores(out).values()) == {0.0: 50, 1.0: 150}


@pytest.mark.desktop
def test_a_run_needs_no_cluster_and_leaves_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "deskbench.agent", "run", "basics", "--task", "files-rename", "--task", "files-copy",
        "--agent", "oracle", "--engine", "ray", "-n", "2", "--out", str(tmp_path / "run"), "--json",
    ]  # fmt: skip
    with marked():
        done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["all"]["mean"] == 1.0


def test_no_desktop_starts_for_which_there_is_no_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seat has its next desktop ready, but not when another one may take its next episode."""
    monkeypatch.setenv(paper.STARTS, str(tmp_path / "starts"))
    (tmp_path / "starts").mkdir()
    write_task(tmp_path / "suite", "one")
    wanted = prepared(tmp_path / "suite", repeats=7, parallel=2, provider=f"{HERE}:Counted", engine="ray")
    with marked():
        assert Batch(wanted, tmp_path / "run").run().scored == 7
    assert 7 <= len([*(tmp_path / "starts").iterdir()]) <= 8


# What needs no cluster.


def test_results_come_over_a_place_that_nodes_and_this_machine_reach(tmp_path: Path) -> None:
    store, there, here = Store(f"file://{tmp_path}/there"), tmp_path / "node", tmp_path / "run"
    (there / "frames").mkdir(parents=True)
    (there / "frames/1.png").write_bytes(b"png")
    (there / "steps.jsonl").write_text("one\n")
    (there / ".record").write_text("{}")
    store.put(there, "run/7")
    Store(f"file://{tmp_path}/there").fetch("run/7", here)
    (here / ".record").rename(here / "record")
    (there / "steps.jsonl").write_text("one\ntwo\n")
    store.put(there, "run/7")
    store.fetch("run/7", here, hidden=False)
    found = {str(path.relative_to(here)): path.read_text() for path in here.rglob("*") if path.is_file()}
    assert found == {"frames/1.png": "png", "steps.jsonl": "one\ntwo\n", "record": "{}"}
    store.remove("run")
    store.remove("run")
    assert [*(tmp_path / "there").iterdir()] == []


@pytest.mark.parametrize(
    ("url", "said"), [("nowhere://x", "nowhere"), ("http+unknown://u:secret@h/x", r"results_url http\+unknown://h/x: ")]
)
def test_a_place_that_nobody_knows_is_named(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Store(url)


def test_a_place_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "node").mkdir()
    (tmp_path / "node/steps.jsonl").write_text("")
    with pytest.raises(StorageError, match=r"results_url file://.*/file: "):
        Store(f"file://{tmp_path}/file").put(tmp_path / "node", "run/1")


def test_a_missing_package_is_named_with_its_extra(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"ray is not installed: pip install 'deskbench\[ray\]'"):
        Batch(prepared(suite, engine="ray"), tmp_path / "run").run()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"take_over": True}, "a person can only use desktops of this machine"),
        ({"ray_address": "ray://host:10001"}, "write HOST:PORT"),
        ({"ray_address": "host"}, "write HOST:PORT"),
        ({"ray_address": "127.0.0.1:1"}, "--address 127.0.0.1:1: no Ray cluster answers there: .*refused"),
        ({"ray_address": "nowhere.invalid:6379"}, "no Ray cluster answers there"),
    ],
)
def test_settings_that_do_not_fit_are_said_before_the_run(
    suite: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        Batch(prepared(suite, **{"engine": "ray", **changes}), tmp_path / "run").run()
    assert not (tmp_path / "run").exists()


def test_amounts_are_told_in_words() -> None:
    assert told(demand_of(1500), demand_of(1500)) == "1 desktop and 1500 MB"
    assert told({"CPU": 1.0}, demand_of(None)) == "0 desktops"


def test_the_cause_is_the_last_line_of_what_ray_says() -> None:
    assert last_line(RuntimeError("\x1b[36mThe actor died\x1b[39m\n  File x\nValueError: no X server\n")) == (
        "ValueError: no X server"
    )
