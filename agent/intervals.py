"""A mean with its 95 % interval where values come in clusters, such as the steps of an episode.

Values of one cluster hang together, so clusters are what is counted: the mean is a ratio of two sums over clusters, its
variance is that of the clusters' residuals, and the interval is Student's t with one degree of freedom less than there
are clusters (W. G. Cochran, Sampling Techniques, 3rd edition, sections 6.3 and 9A.1). Resampling a handful of clusters
gives intervals that are far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

LEVEL = 0.95


def cluster_interval(
    clusters: Sequence[tuple[float, float]], *, lowest: float = -math.inf, highest: float = math.inf
) -> tuple[float, float | None, float | None]:
    """The weighted mean over all clusters, and the ends of its 95 % interval.

    Args:
        clusters: of each, the sum of weight x value, and the sum of the weights, which is positive.
        lowest, highest: that a value can have; ends do not go beyond them.

    Returns:
        The mean, and the ends; None for both where there is one cluster, which says nothing about others.
    """
    weight = math.fsum(w for _, w in clusters)
    mean = math.fsum(total for total, _ in clusters) / weight
    count = len(clusters)
    if count < 2:
        return mean, None, None
    if (lowest, highest) == (0.0, 1.0) and mean in (0.0, 1.0):
        return mean, *_all_alike(mean, count)
    squares = math.fsum((total - mean * w) ** 2 for total, w in clusters)
    half = t_quantile(count - 1) * math.sqrt(count / (count - 1) * squares) / weight
    return mean, max(lowest, mean - half), min(highest, mean + half)


def _all_alike(mean: float, count: int) -> tuple[float, float]:
    """The exact interval of a share of 0 or 1 (Clopper and Pearson 1934), each cluster taken as one trial."""
    least = ((1 - LEVEL) / 2) ** (1 / count)
    return (least, 1.0) if mean == 1.0 else (0.0, 1.0 - least)


@cache
def t_quantile(freedom: int) -> float:
    """The number that Student's t with so many degrees of freedom exceeds in size with a probability of 5 %."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _central(middle, freedom) < LEVEL else (low, middle)
    return math.sqrt(freedom) * math.tan(high)


def _central(angle: float, freedom: int) -> float:
    """P(|t| < sqrt(freedom) * tan(angle)): Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3-4."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(1 + odd, freedom - 2, 2):
        term *= k / (k + 1) * math.cos(angle) ** 2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
