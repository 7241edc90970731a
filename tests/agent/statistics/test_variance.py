"""How much scores vary between and within tasks."""

import numpy
import pytest

from deskbench.agent.statistics.variance import variance_of


def test_a_worked_example() -> None:
    """Tasks 1 1 0 0, 1 1 1 1, 0 0 0 0: mean squares 1 between and 1/9 within; (1 - 1/9) / 4 between tasks."""
    found = variance_of({"a": [1, 1, 0, 0], "b": [1] * 4, "c": [0] * 4})
    assert found is not None
    assert (found.within, found.between, found.repeats) == pytest.approx((1 / 9, 2 / 9, 4))
    assert (found.correlation, found.design_effect) == pytest.approx((2 / 3, 3))
    assert "use more tasks" in found.advice


def test_the_parts_of_drawn_scores_are_those_they_were_drawn_with() -> None:
    draw = numpy.random.default_rng(1)
    scores = draw.normal(0.5, 0.2, (3000, 1)) + draw.normal(0, 0.1, (3000, 3))
    found = variance_of({str(n): row for n, row in enumerate(scores.tolist())})
    assert found is not None and (found.between, found.within) == pytest.approx((0.04, 0.01), rel=0.06)


def test_repeats_help_where_tasks_are_alike() -> None:
    found = variance_of({name: [0.0, 1.0] for name in "abcd"})
    assert found is not None and found.between == 0.0 and found.twice_repeats == pytest.approx(0.5**0.5)
    assert "repeats help almost as much" in found.advice


def test_equal_scores_and_single_attempts() -> None:
    found = variance_of({"a": [1.0, 1.0], "b": [1.0]})
    assert found is not None and (found.within, found.between, found.correlation) == (0.0, 0.0, 0.0)
    assert "nothing to say" in found.advice
    assert variance_of({"a": [1.0], "b": [0.0]}) is None
    assert variance_of({"a": [1.0, 0.0]}) is None
