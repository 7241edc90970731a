"""The main job on a real desktop: an oracle episode, its replay, and nothing left behind when it is killed."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from deskbench.agent.batch import Batch
from deskbench.agent.replay.replay import replay
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeReader
from deskbench.envs import wait
from deskbench.tasks.schema import new_task

from .cli.test_cli import PAPER, deskbench, started
from .paper import prepared, write_task

pytestmark = pytest.mark.desktop

NOTE = {
    "config": [{"type": "launch", "parameters": {"command": ["mousepad", "/home/user/note.txt"]}}],
    "evaluator": {
        "func": "exact_match",
        "result": {"type": "vm_command_line", "command": ["cat", "/home/user/note.txt"]},
        "expected": {"type": "rule", "rules": {"expected": "Grüße, 世界"}},
    },
    "oracle": [
        {"type": "type", "text": "Grüße, 世界"},
        {"type": "click", "target": {"role": "menu", "name": "File"}},
        {"type": "click", "target": {"role": "menu-item", "name_re": "^Save *$"}},
    ],
    "requires": {"apps": ["mousepad"]},
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    write_task(tmp_path / "suite", "note", **NOTE)
    return tmp_path / "suite"


def test_the_oracle_solves_a_task_through_the_gui_and_its_replay_agrees(suite: Path, tmp_path: Path) -> None:
    Batch(prepared(suite, provider="local"), tmp_path / "run").run()
    episode = tmp_path / "run/episodes/suite/note/1"
    record = EpisodeReader(episode).episode
    assert record.score.value == 1.0, record.error or record.score.reason
    assert len({seen.frame for seen in EpisodeReader(episode).frames()}) >= 3
    found = replay(episode, tmp_path / "replay")
    assert found.agrees, found


def test_the_task_that_authors_begin_with_works(tmp_path: Path) -> None:
    new_task(tmp_path / "mine/first.json")
    for agent, score in (("oracle", 1.0), ("null", 0.0)):
        assert (
            Batch(prepared(tmp_path / "mine", provider="local", agent=agent), tmp_path / agent).run().all.mean == score
        )


def test_the_null_agent_gets_nothing(suite: Path, tmp_path: Path) -> None:
    assert Batch(prepared(suite, provider="local", agent="null"), tmp_path / "run").run().all.mean == 0.0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_is_left_when_a_run_is_killed(suite: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    words = ("run", suite, "--agent", f"{PAPER}:Stubborn", "--max-steps", 10_000, "--out", folder)
    with started(*words, folder=tmp_path) as process:
        assert wait.until(lambda: steps(folder) >= 3, timeout=60)
        children = psutil.Process(process.pid).children(recursive=True)
        assert {"bwrap", "Xvfb", "mousepad"} <= {child.name() for child in children}
        os.kill(process.pid, number)
        process.communicate(timeout=60)
        assert wait.until(lambda: not any(alive(child) for child in children), timeout=20)
    if number == signal.SIGTERM:
        assert [record.ending for record in RunFolder(folder).records()] == ["interrupted"]


def test_an_agent_does_not_leave_the_mean_by_ending_its_desktop(tmp_path: Path) -> None:
    """Where programs can end the server the desktop dies, twice; where they cannot, the end state is wrong."""
    terminal = [{"type": "launch", "parameters": {"command": ["xterm"]}}]
    write_task(tmp_path / "suite", "note", **{**NOTE, "config": terminal, "requires": {}})
    words = ("run", tmp_path / "suite", "--agent", f"{PAPER}:SessionKiller", "--retries", 2, "--json", "--out", "run")
    ran = deskbench(*words, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)["summary"]
    assert (summary["planned"], summary["scored"], summary["all"]["mean"]) == (1, 1, 0.0)
    records = RunFolder(tmp_path / "run").records()
    last = max(records, key=lambda record: record.attempt)
    if last.tampered:
        assert [record.deaths for record in records] == [1, 2]
        assert summary["tampered"] == ["suite/note"]
        assert last.score.reason.startswith("the desktop died twice while the agent acted")
    else:
        assert (last.ending, last.attempt, summary["tampered"]) == ("done", 1, [])


def steps(folder: Path) -> int:
    return sum(path.read_text().count('"kind":"step"') for path in folder.rglob("steps.jsonl"))


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_desktop_by_itself_answers_while_it_is_kept(tmp_path: Path) -> None:
    with started("desktop", folder=tmp_path) as process:
        assert process.stdout and process.stderr
        said = [process.stdout.readline() for _ in range(4)]
        assert any(line.startswith("control_token: ") for line in said)
        path = next(line.split()[1] for line in said if line.startswith("socket: "))
        assert Path(path).exists()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not Path(path).exists()


def test_doctor_is_content_with_this_machine(tmp_path: Path) -> None:
    ran = deskbench("doctor", folder=tmp_path)
    assert ran.returncode == 0, ran.stdout
