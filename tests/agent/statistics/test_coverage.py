"""How often the 95 % intervals hold the truth: nominal within two points, at the sizes of real suites."""

from typing import Any

import numpy
import pytest
from scipy.stats import binom

from deskbench.agent.statistics.intervals import RARE, SMALL, bca_of_each, estimate, wilson
from deskbench.agent.statistics.paired import newcombe

SIZES = (24, 40, 120, 369)
RUNS, RESAMPLES = 1200, 300
"""Fewer than production's resamples: the test asks about the method, and chance is 0.6 points."""


@pytest.mark.parametrize("n", SIZES)
def test_wilson_for_one_attempt_a_task(n: int) -> None:
    """Exact, over every outcome, for true scores from 0.05 to 0.95; for a single one a binomial has steps."""
    passed = numpy.arange(n + 1)
    low, high = numpy.array([wilson(int(k), n) for k in passed]).T
    truths = numpy.linspace(0.05, 0.95, 91)
    found = [binom.pmf(passed, n, p)[(low <= p) & (p <= high)].sum() for p in truths]
    assert 0.93 <= numpy.mean(found) <= 0.97
    assert min(found) > 0.91


def repeats(draw: Any, n: int) -> tuple[Any, float]:
    """Four attempts a task; tasks differ in how often they pass."""
    return draw.binomial(4, draw.beta(1.5, 1.0, (RUNS, n))) / 4, 0.6


def partial(draw: Any, n: int) -> tuple[Any, float]:
    """One attempt a task with five possible scores."""
    return draw.choice([0, 0.25, 0.5, 0.75, 1], (RUNS, n), p=[0.3, 0.1, 0.1, 0.1, 0.4]), 0.55


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", [repeats, partial])
def test_repeats_and_partial_scores(kind: Any, n: int) -> None:
    samples, truth = kind(numpy.random.default_rng(7), n)
    if n < SMALL:
        found = [estimate({str(i): [score] for i, score in enumerate(row)}) for row in samples.tolist()]
        assert {one.method for one in found} <= {"wilson-effective", "wilson"}
        low, high = numpy.array([(one.low, one.high) for one in found], dtype=float).T
    else:
        sums = samples.sum(axis=1)
        assert (numpy.minimum(sums, n - sums) >= RARE).all()  # so that `estimate` would take the bootstrap
        low, high = bca_of_each(samples, RESAMPLES)
    assert 0.93 <= numpy.mean((low <= truth) & (truth <= high)) <= 0.97


@pytest.mark.parametrize("n", SIZES)
def test_newcombe_for_pairs(n: int) -> None:
    """A fifth to a third of the tasks differ; the second run is better by 10 points."""
    draw, found = numpy.random.default_rng(8), []
    for differ in (0.2, 0.25, 0.33):
        shares = [0.4, (differ - 0.1) / 2, (differ + 0.1) / 2, 0.6 - differ]
        counts, times = numpy.unique(draw.multinomial(n, shares, size=600), axis=0, return_counts=True)
        ends = [newcombe(*(int(count) for count in row)) for row in counts]
        found.append(sum(t for (low, high), t in zip(ends, times, strict=True) if low <= 0.1 <= high) / 600)
    assert 0.93 <= numpy.mean(found) <= 0.98
