"""Means with intervals; what is not scored stays out of them."""

import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.base import Ending
from deskbench.agent.report.stats import mean_interval, summarize

from ..staged_runs import episode

scores = st.floats(0, 1)


def test_no_values_have_no_mean_rather_than_zero() -> None:
    assert mean_interval({}).mean is None
    assert mean_interval({"t": []}).n == 0


def test_all_passed_is_not_certainty() -> None:
    found = mean_interval({str(i): [1.0] for i in range(10)})
    assert (found.mean, found.method) == (1.0, "wilson")
    assert found.high == pytest.approx(1.0)
    assert found.low == pytest.approx(0.7225, abs=1e-4)  # the textbook value for 10 of 10


def test_half_passed_has_wilsons_interval() -> None:
    found = mean_interval({str(i): [float(i % 2)] for i in range(20)})
    assert found.low == pytest.approx(0.2993, abs=1e-4)
    assert found.high == pytest.approx(0.7007, abs=1e-4)


def test_repeats_of_one_task_do_not_count_as_many_tasks() -> None:
    few = mean_interval({"a": [1.0] * 50, "b": [0.0] * 50})
    assert few.mean == 0.5
    assert few.low is not None and few.high is not None
    assert few.low < 0.1 and few.high > 0.9


def test_repeats_that_all_pass_leave_the_doubt_of_few_tasks() -> None:
    found = mean_interval({"a": [1.0] * 5, "b": [1.0] * 5})
    assert (found.n, found.mean, found.high, found.method) == (10, 1.0, 1.0, "wilson")
    assert found.low is not None and 0.3 < found.low < 0.4


@given(st.dictionaries(st.text(max_size=3), st.lists(scores, min_size=1, max_size=4), min_size=1, max_size=12))
def test_interval_holds_the_mean(values: dict[str, list[float]]) -> None:
    found = mean_interval(values)
    assert found.mean == pytest.approx(statistics.fmean(statistics.fmean(v) for v in values.values()))
    assert found.low is not None and found.mean is not None and found.high is not None
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


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
    assert (summary.all_planned.n, summary.all_planned.mean) == (5, 0.2)
    assert summary.cost_usd == pytest.approx(0.006)


def test_what_is_missing_of_several_repeats_counts_as_0_beside_the_mean(tmp_path: Path) -> None:
    found = [episode(tmp_path, "s/a", 1.0), episode(tmp_path, "s/a", 1.0, attempt=2, repeat=1),
             episode(tmp_path, "s/b", 0.5)]  # fmt: skip
    summary = summarize(found, planned=7)
    assert (summary.all.mean, summary.all_planned.n) == (0.75, 7)
    assert summary.all_planned.mean == pytest.approx(1.25 / 4)  # of the tasks: 1, 0.25, and two that are not there


def test_a_full_run_has_the_same_mean_twice(tmp_path: Path) -> None:
    summary = summarize([episode(tmp_path, "s/a", 1.0), episode(tmp_path, "s/b", 0.0)], planned=2)
    assert summary.all == summary.all_planned


def test_desktops_that_died_are_counted_and_the_tasks_where_one_did_twice_listed(tmp_path: Path) -> None:
    once = episode(tmp_path, "s/a", 1.0).model_copy(update={"deaths": 1})
    twice = episode(tmp_path, "s/b", 0.0).model_copy(update={"deaths": 2, "tampered": True})
    summary = summarize([once, twice, episode(tmp_path, "s/c", 1.0)])
    assert (summary.deaths, summary.tampered) == (3, ("s/b",))
