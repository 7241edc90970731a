"""The suite `windows` on Wine: its oracles solve it, a replay agrees, and nothing else passes.

About ten minutes on two cores.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deskbench.agent.replay.replay import replay
from deskbench.tasks.load import load
from deskbench.tasks.types import Task

from .proving import faults, solution, tried

TASKS = load("windows")
RESTLESS = {"taskmgr-end-program"}
"""Their screens show processor and memory load, so no two runs look alike."""
on_wine = [pytest.mark.desktop, pytest.mark.slow]


def named(task: Task) -> str:
    return task.id


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
    def test_it_stands_every_trial_and_a_replay_of_its_oracle_agrees(self, task: Task, tmp_path: Path) -> None:
        cells = tried(task, "wine", tmp_path)
        assert faults(cells) == []
        found = replay(tmp_path / solution(task, cells).folder, tmp_path / "replay")
        assert found.recorded == found.replayed == 1.0
        assert found.agrees or task.id in RESTLESS, found
