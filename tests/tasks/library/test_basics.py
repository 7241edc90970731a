"""The suite `basics`: its files keep their promises, its oracles solve it, and nothing else passes.

The desktop tests take about ten minutes on two cores: every trial of `deskbench tasks verify`, and a replay of every
oracle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.replay.replay import replay
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter
from deskbench.envs.desktop import Desktop
from deskbench.tasks.load import load
from deskbench.tasks.scoring.score import score
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call, Score, Task
from deskbench.tasks.world import Context, World

from .proving import faults, solution, tried

TASKS = load("basics")
FEASIBLE = [task for task in TASKS if task.feasible]
DIFFICULTIES = {"easy", "medium", "hard"}
FORM = "~/Documents/registration.json"
"""The form program writes it, under a fixed name."""

on_a_desktop = [pytest.mark.desktop, pytest.mark.slow]


def named(task: Task) -> str:
    return task.id


@pytest.fixture(params=TASKS, ids=named)
def task(request: pytest.FixtureRequest) -> Task:
    found: Task = request.param
    return found


# -- files


def test_the_suite_is_as_broad_as_it_says() -> None:
    programs = {app for task in TASKS for app in task.requires.apps}
    assert len(TASKS) >= 24
    assert sum(not task.feasible for task in TASKS) >= 4
    assert programs >= {"mousepad", "pcmanfm", "lxterminal", "galculator", "gpicview", "lxappearance", "obconf"}
    assert sum(len(task.requires.apps) > 1 for task in TASKS) >= 3
    assert len({task.instruction for task in TASKS}) == len(TASKS)
    assert {tag for task in FEASIBLE for tag in task.tags} >= DIFFICULTIES


def test_a_task_says_what_it_needs(task: Task) -> None:
    assert task.path.stem == task.id
    assert task.source == "deskbench"
    assert task.requires.os == ("linux",)
    assert task.requires.apps and set(task.related_apps) >= set(task.requires.apps) - {"python3"}
    assert task.requires.network == "off" and not task.requires.code
    assert len(DIFFICULTIES.intersection(task.tags)) == task.feasible
    assert ("infeasible" in task.tags) != task.feasible


def test_an_oracle_fits_the_limits(task: Task) -> None:
    assert task.oracle
    assert task.limits.steps is not None and task.limits.seconds is not None
    assert len(task.oracle) < task.limits.steps
    assert (task.oracle[-1].action["type"] == "fail") != task.feasible


def test_a_task_has_wrong_end_states_to_tell_from_the_right_one(task: Task) -> None:
    """Except where only the agent's answer is checked: no end state can be wrong there."""
    only_answer = all(check.result and check.result.type == "agent_answer" for check in task.evaluator.checks)
    assert bool(task.mutants) == (task.feasible and not only_answer)
    assert len({mutant.name for mutant in task.mutants}) == len(task.mutants) <= 3


def test_what_is_checked_is_named(task: Task) -> None:
    """A file or folder that the check reads is in the instruction, open before the agent, or a program's own."""
    shown = json.dumps([call.parameters for call in task.config])
    for path in checked_paths(task):
        own = path.startswith("~/.") or path == FORM
        assert own or Path(path).name in task.instruction or path in shown, path


def checked_paths(task: Task) -> Iterator[str]:
    for check in task.evaluator.checks:
        if check.result is not None and check.result.type in ("vm_file", "list_directory"):
            yield check.result.parameters["path"]


def test_a_task_knows_no_home(task: Task) -> None:
    """The user's home differs where desktops are not isolated."""
    assert "/home/" not in task.path.read_text(encoding="utf-8")


# -- end states


def context_of(task: Task, desktop: Desktop, folder: Path) -> Context:
    return Context(desktop, task, folder, folder, desktop.health().screen)


def scored(task: Task, desktop: Desktop, folder: Path, steps: tuple[Call, ...] = (), said_fail: bool = False) -> Score:
    """The score of a set-up desktop after more set-up steps."""
    context = context_of(task, desktop, folder)
    run_steps([*task.config, *steps], context)
    return score(task, World(desktop, task, folder, folder), context, said_fail=said_fail)


class TestOnADesktop:
    pytestmark = on_a_desktop

    def test_it_stands_every_trial_and_a_replay_of_its_oracle_agrees(self, task: Task, tmp_path: Path) -> None:
        cells = tried(task, "local", tmp_path)
        assert faults(cells) == []
        found = replay(tmp_path / solution(task, cells).folder, tmp_path / "replay")
        assert found.agrees, found

    @pytest.mark.parametrize("said_fail", [True, False])
    def test_only_a_refusal_passes_an_infeasible_task(self, desktop: Desktop, tmp_path: Path, said_fail: bool) -> None:
        task = next(task for task in TASKS if not task.feasible)
        assert scored(task, desktop, tmp_path, said_fail=said_fail).value == float(said_fail)


def run_oracle(task: Task, desktop: Desktop, folder: Path, assets: Path, provider: str = "local") -> EpisodeRecord:
    content: dict[str, Any] = json.loads(task.path.read_text(encoding="utf-8"))
    plan = Plan(task, "oracle", provider, assets, task_json=content)
    return run_episode(plan, OracleAgent(task.oracle), desktop, EpisodeWriter(folder))
