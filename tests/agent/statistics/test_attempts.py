"""pass@k and pass^k: reference values, and that they are unbiased."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.statistics.attempts import at_k, every_k, pass_all, pass_at


def test_the_values_of_one_task() -> None:
    assert (pass_at(5, 2, 1), pass_all(5, 2, 1)) == pytest.approx((0.4, 0.4))
    assert (pass_at(5, 2, 2), pass_all(5, 2, 2)) == pytest.approx((0.7, 0.1))
    assert (pass_at(5, 2, 4), pass_all(5, 2, 4)) == (1.0, 0.0)


def test_too_few_attempts_have_neither() -> None:
    assert (pass_at(2, 2, 3), pass_all(2, 2, 3)) == (None, None)


@given(st.integers(1, 7), st.data())
def test_they_are_the_mean_over_all_choices_of_k_attempts(n: int, data: st.DataObject) -> None:
    passed, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    choices = list(itertools.combinations([True] * passed + [False] * (n - passed), k))
    assert pass_at(n, passed, k) == pytest.approx(sum(map(any, choices)) / len(choices))
    assert pass_all(n, passed, k) == pytest.approx(sum(map(all, choices)) / len(choices))


def test_over_tasks_those_with_fewer_attempts_are_left_out_and_named() -> None:
    found = at_k({"a": [True, False], "b": [True, True], "c": [True]}, 2)
    assert (found.any.mean, found.all.mean, found.left_out) == (1.0, 0.5, ("c",))
    assert (found.any.tasks, found.any.episodes) == (2, 4)
    assert found.all.low is not None and found.all.low < 0.5


def test_which_k_are_shown() -> None:
    assert every_k({"a": [True], "b": [False]}) == ()
    assert [found.k for found in every_k({"a": [True] * 6})] == [1, 2, 4, 6]


def test_chances_of_tasks_are_no_attempts() -> None:
    """Three tasks, each passed in one of two attempts: the interval is over three tasks."""
    found = at_k({name: [True, False] for name in "abc"}, 1)
    assert (found.any.mean, found.any.tasks) == (0.5, 3)
    assert found.any.low is not None and found.any.high is not None and found.any.high - found.any.low > 0.2
