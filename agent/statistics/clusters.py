"""The mean and its 95 % interval for clustered values, such as the steps of an episode.

Values in one cluster are correlated, so clusters are the unit of analysis: the mean is a ratio of two sums over
clusters, its variance is that of the clusters' residuals, and the interval uses Student's t with one degree of freedom
less than the number of clusters (W. G. Cochran, Sampling Techniques, 3rd edition, sections 6.3 and 9A.1). Resampling a
handful of clusters gives intervals that are far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from deskbench.agent.statistics.intervals import TAIL, t_quantile, wilson_effective

Clusters = Sequence[tuple[float, float]]
"""For each cluster, the sum of weight x value and the sum of the weights, which is positive."""
Ends = tuple[float, float] | None


def cluster_interval(clusters: Clusters, *, lowest: float = -math.inf) -> tuple[float, Ends]:
    """The weighted mean over all clusters, and the ends of its 95 % interval.

    Args:
        clusters: at least one.
        lowest: the lowest possible value; the lower end does not go below it.

    Returns:
        The mean and the ends; the ends are None for a single cluster, which says nothing about others.
    """
    mean, variance = _mean(clusters)
    if len(clusters) < 2:
        return mean, None
    half = t_quantile(len(clusters) - 1) * math.sqrt(variance)
    return mean, (max(lowest, mean - half), mean + half)


def share_interval(clusters: Clusters) -> tuple[float, Ends]:
    """The same for a share, whose values are 0 and 1.

    This is Wilson's score interval (1927) with Student's t. Its number of trials is the number of independent trials
    that would have the variance between clusters. Its coverage also holds near 0 and 1, where values are far from
    normal. If all values are equal, it is the exact interval (Clopper and Pearson 1934) with each cluster as one trial.
    """
    mean, variance = _mean(clusters)
    count = len(clusters)
    if count < 2:
        return mean, None
    if mean in (0.0, 1.0):
        least = TAIL ** (1 / count)
        return mean, (least, 1.0) if mean else (0.0, 1.0 - least)
    steps = math.fsum(weight for _, weight in clusters)
    trials = min(steps, mean * (1 - mean) / variance) if variance else steps
    return mean, wilson_effective(mean, trials, count - 1)


def _mean(clusters: Clusters) -> tuple[float, float]:
    """The ratio of the two sums, and its variance."""
    weight = math.fsum(w for _, w in clusters)
    mean = math.fsum(total for total, _ in clusters) / weight
    squares = math.fsum((total - mean * w) ** 2 for total, w in clusters)
    count = len(clusters)
    return mean, count / max(1, count - 1) * squares / weight**2
