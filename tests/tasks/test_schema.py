"""New tasks: each template passes the check, and only the oracle solves those for the local desktop."""

import json
from pathlib import Path

import pytest

from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.runs.record import EpisodeWriter
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import UsageError
from deskbench.tasks.load import check_all, load
from deskbench.tasks.schema import LIKE, TEMPLATES, new_task
from deskbench.tasks.scoring.score import score
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call, Task
from deskbench.tasks.world import Context, World

FULL = {"browser": "google-chrome", "office": "soffice"}
"""Templates for the full image, with the program that the local desktop lacks."""
LOCAL = sorted(set(LIKE) - set(FULL))


def made(like: str, folder: Path) -> Task:
    new_task(folder / "suite/mine.json", like)
    (task,) = load(folder / "suite")
    return task


@pytest.mark.parametrize("like", LIKE)
def test_a_template_passes_the_check(like: str, tmp_path: Path) -> None:
    task = made(like, tmp_path)
    assert check_all(tmp_path / "suite").problems == ()
    assert task.id == "mine" and task.oracle and task.limits.steps and task.limits.seconds
    assert len(task.oracle) < task.limits.steps
    assert bool(task.mutants) == task.feasible == (like != "infeasible")


def test_there_is_a_file_for_each_and_no_other() -> None:
    assert {path.stem for path in TEMPLATES.iterdir()} == set(LIKE)


def test_those_for_the_full_image_say_what_they_need(tmp_path: Path) -> None:
    for like, program in FULL.items():
        assert program in made(like, tmp_path / like).requires.apps


def test_no_file_is_written_over(tmp_path: Path) -> None:
    new_task(tmp_path / "a.json", "form")
    new_task(tmp_path / "b.json", "form")
    with pytest.raises(UsageError, match="already"):
        new_task(tmp_path / "a.json", "editor")
    assert json.loads((tmp_path / "a.json").read_text())["id"] == "a"
    (tmp_path / "assets/form.py").write_text("mine")
    with pytest.raises(UsageError, match="not the file that the task needs"):
        new_task(tmp_path / "c.json", "form")
    assert not (tmp_path / "c.json").exists() and (tmp_path / "assets/form.py").read_text() == "mine"


def test_an_unknown_template_says_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no template 'file'; did you mean 'files'"):
        new_task(tmp_path / "a.json", "file")


@pytest.mark.parametrize("name", ["Note.json", "my_note.json", "my.note", ".json", "a--b"])
def test_a_new_task_gets_no_name_that_the_rules_reject(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use lower case, digits and single hyphens"):
        new_task(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.parametrize("like", LOCAL)
class TestOnADesktop:
    def test_the_oracle_solves_it(self, like: str, desktop: Desktop, tmp_path: Path) -> None:
        task = made(like, tmp_path)
        plan = Plan(task, "oracle", "local", tmp_path / "assets", task_json=json.loads(task.path.read_text()))
        record = run_episode(plan, OracleAgent(task.oracle), desktop, EpisodeWriter(tmp_path / "episode"))
        assert record.score.value == 1.0, record.error or record.score.reason

    def test_neither_nothing_nor_a_wrong_end_state_passes(self, like: str, desktop: Desktop, tmp_path: Path) -> None:
        task = made(like, tmp_path)
        context = Context(desktop, task, tmp_path, tmp_path, desktop.health().screen)
        run_steps(task.config, context)
        assert scored(task, context, ()) == 0.0
        if task.mutants:
            assert scored(task, context, task.mutants[0].steps) == 0.0


def scored(task: Task, context: Context, steps: tuple[Call, ...]) -> float | None:
    run_steps(steps, context)
    return score(task, World(context.desktop, task, context.cache, context.assets), context, said_fail=False).value
