"""Intervals: reference values, properties, and how often the truth is inside."""

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbench.agent.statistics.intervals import EQUAL, RESAMPLES, SEED, TOO_FEW, estimate, share, wilson

scores = st.floats(0, 1)


def test_no_values_have_no_mean_rather_than_zero() -> None:
    assert estimate({}).mean is None
    assert (estimate({"t": []}).tasks, estimate({"t": []}).episodes) == (0, 0)


def test_all_passed_is_not_certainty() -> None:
    found = estimate({str(i): [1.0] for i in range(10)})
    assert (found.mean, found.high, found.method) == (1.0, 1.0, "wilson")
    assert found.low == pytest.approx(0.7225, abs=1e-4)  # the textbook value for 10 of 10


def test_half_passed_has_wilsons_interval() -> None:
    found = estimate({str(i): [float(i % 2)] for i in range(20)})
    assert (found.low, found.high) == pytest.approx((0.2993, 0.7007), abs=1e-4)


@pytest.mark.parametrize(
    ("n", "half"), [(24, 0.156), (40, 0.121), (50, 0.109), (100, 0.078), (120, 0.071), (369, 0.041)]
)
def test_wilsons_half_widths_at_four_fifths(n: int, half: float) -> None:
    low, high = wilson(round(0.8 * n), n)
    assert (high - low) / 2 == pytest.approx(half, abs=0.004)


def test_repeats_of_one_task_do_not_count_as_many_tasks() -> None:
    few = estimate({"a": [1.0] * 50, "b": [0.0] * 50})
    assert (few.tasks, few.episodes, few.mean) == (2, 100, 0.5)
    assert few.low is not None and few.high is not None and few.low < 0.1 and few.high > 0.9


def test_repeats_that_all_pass_leave_the_doubt_of_few_tasks() -> None:
    found = estimate({"a": [1.0] * 5, "b": [1.0] * 5})
    assert (found.episodes, found.mean, found.high, found.method) == (10, 1.0, 1.0, "wilson")
    assert found.low is not None and 0.3 < found.low < 0.4


def test_one_task_has_no_interval() -> None:
    found = estimate({"a": [1.0, 0.0]})
    assert (found.mean, found.low, found.high, found.note) == (0.5, None, None, TOO_FEW)


def test_equal_partial_scores_give_no_certainty_and_it_is_said() -> None:
    found = estimate({str(i): [0.5] for i in range(5)})
    assert found.low is not None and found.high is not None and found.low < 0.4 and found.high > 0.6
    assert (found.method, found.note) == ("wilson-effective", EQUAL)


def test_errors_of_rounding_are_no_spread() -> None:
    found = estimate({str(n): [0.3 if n % 2 else 0.1 + 0.2] for n in range(40)})
    assert found == estimate({str(n): [0.3] for n in range(40)})


def test_the_bootstrap_says_how_it_was_drawn_and_draws_the_same_again() -> None:
    values = {str(i): [i / 59, 0.5] for i in range(60)}
    found = estimate(values)
    assert (found.method, found.resamples, found.seed) == ("bca", RESAMPLES, SEED)
    assert estimate(values) == found
    quick = estimate(values, resamples=0)
    assert (quick.method, quick.resamples) == ("wilson-effective", None)
    assert (quick.low, quick.high) == pytest.approx((found.low, found.high), abs=0.01)


def test_a_share_of_independent_trials() -> None:
    assert (share(0, 0).mean, share(1, 1).mean, share(3, 4).mean) == (None, 1.0, 0.75)
    assert share(0, 60).high == pytest.approx(0.0602, abs=1e-4)


by_task = st.dictionaries(st.text(max_size=3), st.lists(scores, min_size=1, max_size=4), min_size=1, max_size=12)


@given(by_task)
def test_the_interval_holds_the_mean_has_a_width_and_stays_within_0_and_1(values: dict[str, list[float]]) -> None:
    found = estimate(values)
    assert found.mean == pytest.approx(statistics.fmean(statistics.fmean(v) for v in values.values()))
    if len(values) == 1:
        assert found.note == TOO_FEW
        return
    assert found.low is not None and found.mean is not None and found.high is not None
    assert 0 <= found.low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.high <= 1
    assert found.high - found.low > 1e-3


@settings(max_examples=15, deadline=None)
@given(st.lists(scores, min_size=30, max_size=40))
def test_so_it_is_for_the_bootstrap(values: list[float]) -> None:
    found = estimate({str(i): [value] for i, value in enumerate(values)}, resamples=200)
    assert found.low is not None and found.mean is not None and found.high is not None
    assert 0 <= found.low <= found.mean <= found.high <= 1 and found.high > found.low


@given(st.integers(1, 400), st.data())
def test_wilson_rises_with_what_passed(n: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, n - 1))
    (low, high), (more_low, more_high) = wilson(passed, n), wilson(passed + 1, n)
    assert (low < more_low and high < more_high) or more_high == high == 1.0


@given(st.lists(scores, min_size=2, max_size=20), st.integers(2, 4))
def test_more_tasks_of_the_same_kind_narrow_the_interval(values: list[float], times: int) -> None:
    few = estimate({str(i): [value] for i, value in enumerate(values)}, resamples=0)
    many = estimate({str(i): [value] for i, value in enumerate(values * times)}, resamples=0)
    assert few.low is not None and few.high is not None and many.low is not None and many.high is not None
    assert many.high - many.low < few.high - few.low
