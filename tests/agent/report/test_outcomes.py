"""What became of every episode, read from a run's folder: finished, cut off, damaged, skipped, never begun."""

import json
from pathlib import Path

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.report.outcomes import Outcome, TaskOutcome, by_domain, by_task, outcomes
from deskbench.agent.runs.folder import RunFolder

from ..staged_runs import episode, run


@pytest.fixture
def staged(tmp_path: Path) -> RunFolder:
    folder = run(tmp_path / "run", planned=6)
    manifest = json.loads((folder / "run.json").read_text())
    tasks = ["s/good", "s/bad", "s/cut", "s/never", "s/broken", "s/again"]
    (folder / "run.json").write_text(json.dumps({**manifest, "tasks": tasks, "config": {"repeats": 1}}))
    episode(folder, "s/good", 1.0)
    episode(folder, "s/bad", 0.0, ending=Ending.STEP_LIMIT)
    episode(folder, "s/cut", None, finished=False)
    episode(folder, "s/broken", 1.0)
    (folder / "episodes/s/broken/1/episode.json").write_text("{")
    episode(folder, "s/again", None, ending=Ending.ENV_ERROR)
    episode(folder, "s/again", 1.0, attempt=2)
    return RunFolder(folder)


def test_every_planned_episode_has_an_outcome(staged: RunFolder) -> None:
    found = {one.task: one for one in outcomes(staged).episodes}
    assert {task: (one.score, one.ending, one.attempt) for task, one in found.items()} == {
        "s/good": (1.0, "done", 1), "s/bad": (0.0, "step_limit", 1), "s/cut": (None, "cut off", 0),
        "s/never": (None, "not run", 0), "s/broken": (None, "unreadable", 0), "s/again": (1.0, "done", 2),
        "s/net": (None, "skipped", 0),
    }  # fmt: skip
    assert found["s/net"].reason == "needs the network"
    assert found["s/broken"].reason.startswith("the record cannot be read")
    assert (found["s/bad"].reason, found["s/bad"].steps, found["s/bad"].seconds) == ("because", 2, 2.0)
    assert found["s/bad"].cost_usd == 0.002
    assert Path(str(found["s/again"].folder)).name == "2"


def test_while_the_run_goes_on_what_has_no_record_is_running_or_to_come(staged: RunFolder) -> None:
    found = {one.task: one.ending for one in outcomes(staged, live=True).episodes}
    assert (found["s/cut"], found["s/never"]) == ("running", "not run")


def test_repeats_are_one_task_and_the_worst_come_first() -> None:
    def scored(task: str, *scores: float | None, reason: str = "no") -> list[Outcome]:
        return [Outcome(task, n, score, "done", "" if score == 1 else reason) for n, score in enumerate(scores)]

    episodes = [*scored("s/a", 1, 1), *scored("s/b", 1, 0, None), *scored("s/c", 0, 0), *scored("s/d", None)]
    found = by_task([*episodes, Outcome("s/e", 0, None, "skipped", "why")])
    assert [one.task for one in found] == ["s/d", "s/c", "s/b", "s/a"]
    assert [(one.score, one.missing, one.solved) for one in found] == [
        (None, 1, False), (0.0, 0, False), (0.5, 1, False), (1.0, 0, True)
    ]  # fmt: skip
    assert [one.reason for one in found] == ["no", "2 times: no", "2 times: no", ""]


def test_several_reasons_are_counted() -> None:
    ones = tuple(Outcome("s/a", n, 0.0, "done", reason) for n, reason in enumerate("aab"))
    assert TaskOutcome("s/a", ones).reason == "2 times: a (and 1 other reason)"


@pytest.mark.parametrize(
    ("tasks", "domains"),
    [
        (["basics/files-a", "basics/files-b", "basics/editor-a"], ["editor", "files"]),
        (["chrome/1a-2", "gimp/1a-3", "chrome/9"], ["chrome", "gimp"]),
        ([f"osworld/{n}-x" for n in range(60)], ["osworld"]),
    ],
)
def test_a_domain_is_the_suite_or_the_first_word_of_the_id(tasks: list[str], domains: list[str]) -> None:
    found = by_domain([TaskOutcome(task, (Outcome(task, 0, 1.0, "done", ""),)) for task in tasks])
    assert sorted(found) == domains
    assert sum(map(len, found.values())) == len(tasks)


def test_a_domain_is_the_program_where_tasks_name_one_even_if_the_first_repeat_has_no_record() -> None:
    lost = Outcome("s/a-1", 0, None, "not run", "")
    ones = [(lost, Outcome("s/a-1", 1, 1.0, "done", "", domain="gimp")), (Outcome("s/a-2", 0, 1.0, "done", ""),)]
    found = by_domain([TaskOutcome(episodes[0].task, episodes) for episodes in ones])
    assert {name: [one.task for one in tasks] for name, tasks in found.items()} == {"gimp": ["s/a-1"], "s": ["s/a-2"]}
