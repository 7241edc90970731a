"""Runs compared: pairs, differences, flips, effort, and what must be the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.compare.runs import Comparison, compare_runs, plan_from
from deskbench.agent.compare.words import protocols, told, unpaired, verdict
from deskbench.agent.statistics.paired import holm, mcnemar
from deskbench.envs.errors import UsageError

from ..staged_runs import run
from .comparable import played, put, took


def compared(tmp_path: Path, *lines: str) -> Comparison:
    """Runs with one attempt a task."""
    return compare_runs([played(tmp_path / name, line) for name, line in zip("abcd", lines, strict=False)])


def test_tasks_are_paired_and_the_better_run_is_named(tmp_path: Path) -> None:
    found = compared(tmp_path, "-" * 10 + "+" * 10, "+" * 20)
    [versus] = found.against
    assert (versus.all.tasks, versus.all.only_first, versus.all.only_second) == (20, 0, 10)
    assert (versus.all.difference, versus.all.test) == (0.5, "mcnemar-midp")
    assert verdict(versus) == "B scores higher than A"
    assert [run.score.mean for run in found.runs] == [0.5, 1.0]
    back = compare_runs([tmp_path / "b", tmp_path / "a"]).against[0]
    assert (verdict(back), back.all.difference) == ("B scores lower than A", -0.5)


def test_runs_that_are_alike_are_not_called_equal(tmp_path: Path) -> None:
    found = compared(tmp_path, "+-" * 12, "+-" * 12)
    lines = list(told(found.against[0]))
    assert lines[0] == "A and B are not distinguishable: B - A = +0.000 [-0.076, +0.076], p = 1.000"
    assert lines[-1] == "the least true difference that 24 tasks show with 80 % power is 0.264"
    assert not any("equal" in line for line in lines)
    assert found.against[0].flips == ()


def test_what_has_no_score_in_a_run_is_left_out_and_named(tmp_path: Path) -> None:
    found = compared(tmp_path, "+?-+ ", "+++?-")
    [versus] = found.against
    assert (versus.all.tasks, versus.all.pairs) == (2, 2)
    assert sorted(versus.unpaired) == [("s/t04", "B"), ("t/t01", "B"), ("t/t03", "A")]
    assert "t/t03 (only A)" in unpaired(versus)
    assert [run.unscored for run in found.runs] == [("t/t01",), ("t/t03",)]
    assert "A has 1 episode without a score: t/t01" in found.notes
    assert "A has 4 of its 5 planned episodes" in found.notes


def test_repeats_are_paired_with_repeats_and_resampled_by_task(tmp_path: Path) -> None:
    first = played(tmp_path / "a", "--++--++", "+-++--+-")
    second = played(tmp_path / "b", "+-+++-++", "++++-++-", "????????")
    [versus] = compare_runs([first, second]).against
    assert (versus.all.tasks, versus.all.pairs, versus.all.test) == (8, 16, "sign-flip")
    assert versus.all.method == "t" and versus.chance is not None
    task = next(flip for flip in versus.flips if flip.task == "s/t00")
    assert (task.first, task.second, [repeat for repeat, _, _ in task.pairs]) == (0.5, 1.0, [0])


def test_tasks_of_one_template_count_as_one(tmp_path: Path) -> None:
    folders = [played(tmp_path / name, "+-+") for name in "ab"]
    for folder in folders:
        for seed in range(4):
            put(folder, f"s/many@{seed}", float(folder.name == "b"))
    [versus] = compare_runs(folders).against
    assert (versus.all.tasks, versus.all.pairs, versus.all.difference) == (4, 7, 0.25)


def test_partial_scores_flip_too(tmp_path: Path) -> None:
    [versus] = compared(tmp_path, "h+-h", "++-h").against
    assert [(flip.task, flip.first, flip.second) for flip in versus.flips] == [("s/t00", 0.5, 1.0)]
    assert versus.all.test == "sign-flip"


def test_flips_lead_to_both_episodes(tmp_path: Path) -> None:
    [versus] = compared(tmp_path, "-+", "++").against
    [(repeat, one, other)] = versus.flips[0].pairs
    assert (repeat, one.score, other.score, one.ending, one.reason) == (0, 0.0, 1.0, "done", "because")
    assert Path(one.folder) == tmp_path / "a/episodes/s/t00/1"
    assert one.address.startswith("/run/") and one.address != other.address


def test_suites_are_compared_apart_and_their_p_values_adjusted(tmp_path: Path) -> None:
    [versus] = compared(tmp_path, "-+" * 8, "+-+++-" + "++" * 5).against
    groups = {group.name: group.difference for group in versus.groups if group.kind == "suite"}
    assert (groups["s"].only_second, groups["t"].only_first) == (8, 2)
    raw = [mcnemar(0, 8), mcnemar(2, 0)]
    assert [groups[name].adjusted for name in "st"] == pytest.approx(holm(raw))


def test_several_runs_are_compared_with_the_first_and_p_is_adjusted(tmp_path: Path) -> None:
    found = compared(tmp_path, "-" * 12, "+" * 6 + "-" * 6, "+" * 5 + "-" * 7)
    assert [versus.second for versus in found.against] == ["B", "C"]
    raw = [mcnemar(0, 6), mcnemar(0, 5)]
    assert [versus.all.p for versus in found.against] == pytest.approx(raw)
    assert [versus.all.adjusted for versus in found.against] == pytest.approx(holm(raw))
    assert [line.partition(":")[0] for line in protocols(found)] == ["A, B and C"]
    assert ", p = 0.016 (adjusted 0.031)" in next(told(found.against[0]))


def test_steps_time_and_cost_are_side_by_side(tmp_path: Path) -> None:
    first, second = played(tmp_path / "a", "+-"), played(tmp_path / "b", "++")
    for folder, steps, cost in ((first, 4, 0.5), (second, 8, None)):
        put(folder, "s/t00", 1.0, totals=took(steps, steps * 2.0, cost))
    [versus] = compare_runs([first, second]).against
    found = {(one.what, one.over): (one.pairs, one.first, one.second) for one in versus.efforts}
    assert found["steps", "passed by both"] == (1, 4, 8)
    assert found["seconds", "passed by both"] == (1, 8.0, 16.0)
    assert found["US dollars", "passed by both"] == (0, None, None)
    assert found["steps", "all pairs"] == (2, 3, 5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_steps": 50}, "B: step limit 15 against 50 (3 tasks: s/t00, s/t02, t/t01)"),
        ({"max_seconds": None}, "time limit in seconds 600 against unknown"),
        ({"policy": "immediate"}, "observation policy settled against immediate"),
        ({"width": 1920}, "screen 640x400 against 1920x400"),
        ({"provider": "docker"}, "provider local against docker"),
        ({"osworld_strict": "1.0.2"}, "harness deskbench against osworld-strict 1.0.2"),
        ({"task_json": {"instruction": "Other."}}, "task version 0 against "),
    ],
)
def test_runs_that_differ_in_what_changes_scores_are_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folders = [played(tmp_path / "a", "+-+"), played(tmp_path / "b", "+++", **changes)]
    with pytest.raises(UsageError) as refused:
        compare_runs(folders)
    assert said in str(refused.value) and "--anyway" in str(refused.value)
    [versus] = compare_runs(folders, anyway=True).against
    assert said in f"B: {versus.conflicts[0]}" and versus.all.tasks == 3


def test_the_image_and_what_the_agent_sees_must_be_the_same(tmp_path: Path) -> None:
    folders = [played(tmp_path / name, "+") for name in "ab"]
    for folder, image, seen in zip(folders, ("11", "22"), ("screenshot", "som"), strict=True):
        manifest = json.loads((folder / "run.json").read_text())
        more = {"desktop": {"image": "full", "digest": f"sha256:{image * 32}"}, "observation": seen}
        (folder / "run.json").write_text(json.dumps({**manifest, **more}))
    [versus] = compare_runs(folders, anyway=True).against
    assert [(one.what, one.first, one.second) for one in versus.conflicts] == [
        ("observation", "screenshot", "som"),
        ("image", "full sha256:111111111111", "full sha256:222222222222"),
    ]


def test_a_task_is_the_same_with_another_oracle_and_its_keys_in_another_order(tmp_path: Path) -> None:
    one = {"instruction": "A", "evaluator": {"a": 1, "b": 2}, "oracle": [1]}
    other = {"evaluator": {"b": 2, "a": 1}, "instruction": "A", "oracle": [2], "tags": ["x"]}
    folders = [played(tmp_path / "a", "+-", task_json=one), played(tmp_path / "b", "+-", task_json=other)]
    assert compare_runs(folders).against[0].conflicts == ()


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    first = played(tmp_path / "a", "+-")
    with pytest.raises(UsageError, match="name from two"):
        compare_runs([first])
    with pytest.raises(UsageError, match="is not a run folder"):
        compare_runs([first, tmp_path])
    with pytest.raises(UsageError, match="no episode of the same task"):
        compare_runs([first, run(tmp_path / "empty", 3)])
    with pytest.raises(UsageError, match="no task that has a score in both"):
        compare_runs([first, played(tmp_path / "unscored", "??")])


def test_a_run_in_progress_and_records_that_cannot_be_read_are_compared_as_far_as_they_go(tmp_path: Path) -> None:
    first, second = played(tmp_path / "a", "+-+"), played(tmp_path / "b", "++-")
    (second / "episodes/s/t02/1/episode.json").write_text('{"task": ')
    manifest = json.loads((second / "run.json").read_text())
    (second / "run.json").write_text(json.dumps({**manifest, "state": "running", "planned": 9}))
    found = compare_runs([first, second])
    assert found.against[0].all.tasks == 2
    assert found.notes == (
        "B has 2 of its 9 planned episodes; it may still be running",
        "B has 1 record that cannot be read: s/t02",
    )


def test_a_plan_learns_from_two_runs(tmp_path: Path) -> None:
    found = compared(tmp_path, "+-" * 10, "+-" * 8 + "-+-+")
    made = plan_from(0.1, found)
    assert (made.discordant, made.measured) == (0.2, True)
    assert plan_from(0.1, None).measured is False


def test_the_whole_is_json(tmp_path: Path) -> None:
    found = compared(tmp_path, "+-+", "++-").to_json()
    back = json.loads(json.dumps(found))
    assert back["against"][0]["all"]["tasks"] == 3
    assert back["runs"][0]["protocol"]["steps"] == "15"
    assert {flip["task"] for flip in back["against"][0]["flips"]} == {"t/t01", "s/t02"}
