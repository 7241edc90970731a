"""The suite `windows` on Wine: its oracles solve it, a replay agrees, and nothing else passes for that.

About four minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deskbench.agent.replay.replay import replay
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.pool import Pool
from deskbench.envs.providers.wine import WineProvider
from deskbench.tasks.load import load
from deskbench.tasks.types import Mutant, Task

from .test_basics import run_oracle, scored

TASKS = load("windows")
FEASIBLE = [task for task in TASKS if task.feasible]
MUTANTS = [(task, mutant) for task in FEASIBLE for mutant in task.mutants]
RESTLESS = {"taskmgr-end-program"}
"""Their screens show the processor's load and the memory's: no two runs look alike."""
on_wine = [pytest.mark.desktop, pytest.mark.slow]


def named(value: Task | Mutant) -> str:
    return value.id if isinstance(value, Task) else value.name.replace(" ", "-")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(WineProvider())
    yield made
    made.close()


@pytest.fixture
def windows(pool: Pool) -> Iterator[Desktop]:
    found = pool.start(DesktopSpec())
    yield found
    pool.stop(found)


def test_the_suite_is_as_broad_as_it_says() -> None:
    programs = {app for task in TASKS for app in task.requires.apps}
    assert len(TASKS) >= 16 and sum(not task.feasible for task in TASKS) >= 2
    assert programs >= {"notepad", "write", "regedit", "explorer", "control", "taskmgr", "winecfg"}
    assert len({task.instruction for task in TASKS}) == len(TASKS)


@pytest.mark.parametrize("task", TASKS, ids=named)
def test_a_task_says_what_it_needs_and_has_wrong_end_states(task: Task) -> None:
    assert task.path.stem == task.id and task.source == "deskbench"
    assert task.requires.os == ("windows",) and task.requires.apps
    assert bool(task.mutants) == task.feasible
    assert task.oracle and task.limits.steps is not None and len(task.oracle) < task.limits.steps
    assert (task.oracle[-1].action["type"] == "fail") != task.feasible
    assert ("infeasible" in task.tags) != task.feasible


class TestOnWine:
    pytestmark = on_wine

    @pytest.mark.parametrize("task", TASKS, ids=named)
    def test_the_oracle_solves_it_and_its_replay_agrees(self, task: Task, windows: Desktop, tmp_path: Path) -> None:
        record = run_oracle(task, windows, tmp_path / "episode", tmp_path / "assets", "wine")
        assert record.score.value == 1.0, record.error or record.score.reason
        found = replay(tmp_path / "episode", tmp_path / "replay")
        assert found.recorded == found.replayed == 1.0
        assert found.agrees or task.id in RESTLESS, found

    @pytest.mark.parametrize("task", FEASIBLE, ids=named)
    def test_doing_nothing_scores_0(self, task: Task, windows: Desktop, tmp_path: Path) -> None:
        assert scored(task, windows, tmp_path).value == 0.0

    @pytest.mark.parametrize(("task", "mutant"), MUTANTS, ids=named)
    def test_a_wrong_end_state_scores_0(self, task: Task, mutant: Mutant, windows: Desktop, tmp_path: Path) -> None:
        assert scored(task, windows, tmp_path, mutant.steps).value == 0.0
