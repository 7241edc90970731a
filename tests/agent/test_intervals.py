"""Intervals of means over clusters: the quantile, the formula, and how often the truth is inside."""

import random
import statistics

import pytest
from scipy import stats

from deskbench.agent.intervals import cluster_interval, t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 9, 30, 101, 1000])
def test_the_quantile_of_students_t(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_single_values_have_the_interval_of_the_textbook() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    mean, low, high = cluster_interval([(value, 1) for value in values])
    assert mean == 3.5
    assert low is not None and high is not None
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, 3.5, statistics.stdev(values) / 2))


def test_one_cluster_says_nothing_about_others() -> None:
    assert cluster_interval([(3.0, 4)]) == (0.75, None, None)


def test_shares_that_are_all_alike_still_have_a_width() -> None:
    exact = stats.binomtest(3, 3).proportion_ci(0.95, "exact")
    assert cluster_interval([(5, 5), (2, 2), (9, 9)], lowest=0.0, highest=1.0) == pytest.approx((1, exact.low, 1))
    assert cluster_interval([(0, 5), (0, 2), (0, 9)], lowest=0.0, highest=1.0) == pytest.approx((0, 0, 1 - exact.low))


def test_ends_stay_where_values_can_be() -> None:
    mean, low, high = cluster_interval([(10, 10), (1, 10)], lowest=0.0, highest=1.0)
    assert (mean, low, high) == (0.55, 0.0, 1.0)
    assert cluster_interval([(0.1, 1), (3, 1)], lowest=0.0)[1] == 0.0


@pytest.mark.parametrize(("episodes", "least"), [(2, 0.93), (3, 0.93), (5, 0.93), (10, 0.935), (40, 0.94)])
@pytest.mark.parametrize("uneven", [False, True])
def test_the_truth_is_inside_as_often_as_promised(episodes: int, least: float, uneven: bool) -> None:
    """Steps of an episode share most of their luck; 4,000 seeded comparisons, so that chance is 0.3 % to a side."""
    draw = random.Random(1)
    rounds, inside = 4000, 0
    for _ in range(rounds):
        clusters = []
        for _ in range(episodes):
            luck = draw.gauss(5, 1)
            steps = draw.randint(4, 16) if uneven else 10
            clusters.append((sum(luck + draw.gauss(0, 0.7) for _ in range(steps)), steps))
        _, low, high = cluster_interval(clusters)
        assert low is not None and high is not None
        inside += low <= 5 <= high
    assert least <= inside / rounds <= 0.97
