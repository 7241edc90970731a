"""Intervals of means over clusters: the quantile, the formula, and how often the truth is inside."""

import math
import random
import statistics

import pytest
from scipy import stats

from deskbench.agent.statistics.clusters import cluster_interval, share_interval


def test_single_values_have_the_interval_of_the_textbook() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    mean, ends = cluster_interval([(value, 1) for value in values])
    assert mean == 3.5
    assert ends == pytest.approx(stats.t.interval(0.95, 3, 3.5, statistics.stdev(values) / 2))


def test_clusters_weigh_by_what_is_in_them() -> None:
    """One of nine steps and one of one: the mean is of steps, and the residuals are those of sums."""
    mean, ends = cluster_interval([(9.0, 9), (3.0, 1)])
    assert mean == 1.2
    half = stats.t.ppf(0.975, 1) * math.sqrt(2 * (1.8**2 + 1.8**2)) / 10
    assert ends == pytest.approx((1.2 - half, 1.2 + half))


def test_one_cluster_says_nothing_about_others() -> None:
    assert cluster_interval([(3.0, 4)]) == (0.75, None)
    assert share_interval([(3.0, 4)]) == (0.75, None)


def test_shares_that_are_all_alike_still_have_a_width() -> None:
    exact = stats.binomtest(3, 3).proportion_ci(0.95, "exact")
    share, between = share_interval([(5, 5), (2, 2), (9, 9)])
    assert share == 1 and between == pytest.approx((exact.low, 1))
    share, between = share_interval([(0, 5), (0, 2), (0, 9)])
    assert share == 0 and between == pytest.approx((0, 1 - exact.low))


def test_many_independent_trials_have_wilsons_interval() -> None:
    wilson = stats.binomtest(300, 1000).proportion_ci(0.95, "wilson")
    mean, ends = share_interval([(1.0, 1)] * 300 + [(0.0, 1)] * 700)
    assert mean == 0.3
    assert ends == pytest.approx((wilson.low, wilson.high), abs=2e-4)


def test_ends_stay_where_values_can_be() -> None:
    mean, ends = share_interval([(10, 10), (0, 10)])
    assert mean == 0.5 and ends is not None and 0 <= ends[0] < 0.05 and 0.95 < ends[1] <= 1
    _, ends = cluster_interval([(0.1, 1), (3, 1)], lowest=0.0)
    assert ends is not None and ends[0] == 0.0


EPISODES = [(2, 0.93), (3, 0.93), (5, 0.925), (10, 0.93), (40, 0.94)]


@pytest.mark.parametrize(("episodes", "least"), EPISODES)
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
        _, ends = cluster_interval(clusters)
        inside += ends is not None and ends[0] <= 5 <= ends[1]
    assert least <= inside / rounds <= 0.965


@pytest.mark.parametrize("episodes", [3, 5, 10, 20])
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.95])
def test_so_it_is_for_shares(episodes: int, truth: float) -> None:
    """Agreement differs from episode to episode (a beta distribution) and is drawn anew at each of 4 to 16 steps."""
    draw = random.Random(2)
    rounds, inside = 2000, 0
    for _ in range(rounds):
        clusters = []
        for _ in range(episodes):
            own, steps = draw.betavariate(truth * 4, (1 - truth) * 4), draw.randint(4, 16)
            clusters.append((sum(draw.random() < own for _ in range(steps)), steps))
        _, ends = share_interval(clusters)
        inside += ends is not None and ends[0] <= truth <= ends[1]
    assert inside / rounds >= 0.89
