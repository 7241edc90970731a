"""The numbers of a run; what is not scored stays out of the means."""

from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.statistics.summary import summarize
from deskbench.agent.statistics.words import more_lines, protocol_line, said

from ..staged_runs import episode


def test_unscored_is_counted_and_kept_out_of_the_mean(tmp_path: Path) -> None:
    found = [
        episode(tmp_path, "s/a", 1.0),
        episode(tmp_path, "s/b", None, ending=Ending.ENV_ERROR),
        episode(tmp_path, "s/c", 0.0, feasible=False),
    ]
    summary = summarize(found, planned=5)
    assert (summary.planned, summary.scored, summary.unscored, summary.passed) == (5, 2, 1, 1)
    assert (summary.all.mean, summary.feasible.mean, summary.infeasible.mean) == (0.5, 1.0, 0.0)
    assert summary.endings == {"done": 2, "env_error": 1}
    assert (summary.all_planned.episodes, summary.all_planned.mean) == (5, 0.2)
    assert summary.cost_usd == pytest.approx(0.006)


def test_what_is_missing_of_several_repeats_counts_as_0_beside_the_mean(tmp_path: Path) -> None:
    found = [episode(tmp_path, "s/a", 1.0), episode(tmp_path, "s/a", 1.0, attempt=2, repeat=1),
             episode(tmp_path, "s/b", 0.5)]  # fmt: skip
    summary = summarize(found, planned=7)
    assert (summary.all.mean, summary.all_planned.episodes) == (0.75, 7)
    assert summary.all_planned.mean == pytest.approx(1.25 / 4)  # of the tasks: 1, 0.25, and two that are not there


def test_a_full_run_has_the_same_mean_twice(tmp_path: Path) -> None:
    summary = summarize([episode(tmp_path, "s/a", 1.0), episode(tmp_path, "s/b", 0.0)], planned=2)
    assert summary.all == summary.all_planned


def test_desktops_that_died_are_counted_and_the_tasks_where_one_did_twice_listed(tmp_path: Path) -> None:
    once = episode(tmp_path, "s/a", 1.0).model_copy(update={"deaths": 1})
    twice = episode(tmp_path, "s/b", 0.0).model_copy(update={"deaths": 2, "tampered": True})
    summary = summarize([once, twice, episode(tmp_path, "s/c", 1.0)])
    assert (summary.deaths, summary.tampered) == (3, ("s/b",))


def test_several_attempts_have_pass_at_k_and_their_variance(tmp_path: Path) -> None:
    found = [episode(tmp_path, "s/a", float(n == 0), attempt=n + 1, repeat=n) for n in range(2)]
    found += [episode(tmp_path, "s/b", 1.0, attempt=n + 1, repeat=n) for n in range(2)]
    summary = summarize(found)
    assert [one.k for one in summary.attempts] == [1, 2]
    assert (summary.attempts[1].any.mean, summary.attempts[1].all.mean) == (1.0, 0.5)
    assert summary.variance is not None and summary.variance.within == pytest.approx(0.25)
    lines = list(more_lines(summary))
    assert lines[1].startswith("pass@2 1.000 [0.34, 1.00] (2 tasks, 4 episodes), pass^2 0.500 [0.09, 0.91]")
    assert lines[-2].startswith("twice the tasks narrow the interval to 71% of its width")
    once = summarize(found[:1])
    assert (once.attempts, once.variance, len(list(more_lines(once)))) == ((), None, 1)


def test_tasks_of_one_template_count_as_one(tmp_path: Path) -> None:
    found = [episode(tmp_path, f"s/many@{n}", float(n % 2)) for n in range(10)] + [episode(tmp_path, "s/one", 1.0)]
    summary = summarize(found, 11)
    assert said(summary.all) == said(summary.all_planned)
    assert (summary.all.tasks, summary.all.episodes, summary.all.mean) == (2, 11, 0.75)


def test_what_did_not_run_counts_as_the_tasks_that_were_planned(tmp_path: Path) -> None:
    found = [episode(tmp_path, "s/one", 1.0), episode(tmp_path, "s/many@0", 1.0)]
    planned = ["s/one", *(f"s/many@{n}" for n in range(10))]
    with_zeros = summarize(found, 11, {"tasks": planned}).all_planned
    assert (with_zeros.tasks, with_zeros.episodes) == (2, 11)
    assert with_zeros.mean == pytest.approx(0.55)
    twice = summarize(found, 22, {"tasks": planned}).all_planned
    assert (twice.tasks, twice.episodes) == (2, 22)
    assert twice.mean == pytest.approx(0.275)


def test_pass_at_k_counts_the_tasks_of_one_template_as_one(tmp_path: Path) -> None:
    found = [
        episode(tmp_path, task, score, attempt=repeat + 1, repeat=repeat)
        for repeat in range(2)
        for task, score in {"s/a": 0.0, "s/b": 0.0, **{f"s/many@{n}": 1.0 for n in range(10)}}.items()
    ]
    summary = summarize(found)
    once = summary.attempts[0]
    assert (once.any, once.all) == (summary.all, summary.all)
    assert once.any.tasks == 3
    assert once.any.mean == pytest.approx(1 / 3)


def test_groups_are_suites_programs_and_tags(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"related_apps": ["galculator"], "tags": ["number", "click"]}
    one = episode(tmp_path, "s/a", 1.0).model_copy(update={"task_json": facts})
    two = episode(tmp_path, "t/b", 0.0).model_copy(update={"task_json": {"related_apps": ["a", "b"]}})
    groups = summarize([one, two, episode(tmp_path, "t/c", None)]).groups
    assert {name: found.mean for name, found in groups["suite"].items()} == {"s": 1.0, "t": 0.0}
    domains = {name: found.mean for name, found in groups["domain"].items()}
    assert domains == {
        "galculator": 1.0,
        "several programs": 0.0,
    }
    assert list(groups["tag"]) == ["click", "number"]


MANIFEST = {
    "observation": "som", "versions": {"deskbench": "0.1.0", "git": "1a2b3c4"},
    "desktop": {"image": "full", "digest": "sha256:" + "ab" * 32},
}  # fmt: skip


def test_the_protocol_says_how_scores_came_about(tmp_path: Path) -> None:
    limits = {"max_steps": 15, "max_seconds": 600.0}
    found = [episode(tmp_path, f"s/{n}", 1.0).model_copy(update=limits) for n in "ab"]
    assert protocol_line(summarize(found, 2, MANIFEST).protocol) == (
        "limits 15 steps, 600 s; observation som, settled, 640x400; deskbench 0.1.0 (1a2b3c4); "
        "provider local, image full sha256:abababababab"
    )
    strict = found[0].model_copy(update={"max_steps": 50, "policy": "immediate", "osworld_strict": "de0dd9f"})
    mixed = summarize([strict, found[1]]).protocol
    assert (mixed.steps, mixed.policy) == ("mixed (15 to 50)", "mixed (immediate, settled)")
    assert mixed.harness.startswith("mixed (deskbench, osworld-strict de0dd9f")
    assert (mixed.observation, mixed.version, mixed.image) == ("unknown", "unknown", "")


def test_an_empty_run_has_no_score_and_an_unknown_protocol() -> None:
    summary = summarize([], 3)
    assert (said(summary.all), summary.protocol.steps, summary.protocol.harness) == ("no score", "unknown", "unknown")


def test_a_score_is_said_with_its_interval_and_sample(tmp_path: Path) -> None:
    found = [episode(tmp_path, f"s/{n}", float(n < 15)) for n in range(24)]
    assert said(summarize(found).all) == "0.625 [0.43, 0.79] (24 tasks, 24 episodes)"
    assert said(summarize(found[:1]).all) == "1.000 (1 task, 1 episode; too few tasks for an interval)"
