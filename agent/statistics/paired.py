"""Two runs over the same tasks: the difference of their scores, with an interval and a test.

- One attempt a task, each 0 or 1: McNemar's test with the mid-p value (M. W. Fagerland, S. Lydersen, P. Laake 2013: the
  exact test is too conservative), and Newcombe's interval for paired shares (R. G. Newcombe 1998, method 10). A
  bootstrap is too narrow here: only the few tasks that differ are resampled.
- Repeats or partial scores: the difference of each task's means, a permutation test that flips its sign, and a BCa
  bootstrap over tasks; with few tasks, or few that differ, Student's t. No interval has width zero.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deskbench.agent.statistics.intervals import (
    ADDED,
    DIGITS,
    FEWEST,
    RESAMPLES,
    SEED,
    SMALL,
    TOO_FEW,
    bca,
    t_quantile,
    wilson,
)
from deskbench.agent.statistics.power import least_difference, least_mean_difference

FEW_DIFFER = 10
"""With fewer tasks that differ, the bootstrap has too little to resample."""
FEWEST_PAIRS = 5
"""With fewer tasks McNemar's test shows nothing, even if one run passes all and the other none."""
FEWEST_FLIPS = 6
"""The same for the permutation test: of the 32 flips of five tasks, two are the most extreme (p 0.0625)."""
KINDS = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
ALPHA = 0.05
Pairs = Sequence[tuple[float, float]]
"""The scores of the same task and repeat in the first and the second run."""


@dataclass(frozen=True)
class Difference:
    """How much better the second run is than the first, over the tasks that both have scores for.

    Attributes:
        tasks, pairs: number of tasks, and of pairs of episodes.
        first, second: means over these tasks; None if there are none.
        difference: second - first.
        low, high: its 95 % interval; None if there are too few tasks.
        method: `bca`, `newcombe`, `t` or `none`.
        only_first, only_second: pairs where only that run has the higher score.
        test: `mcnemar-midp`, `sign-flip` or `none`.
        p: of the hypothesis that both runs do equally well.
        adjusted: p after Holm's correction for several comparisons; None before `adjust`.
        least: the least true difference that this many tasks show with a probability of 80 %; None if there is none.
        note: what a reader must know about the interval.
        resamples, seed: of bootstrap and permutations; None if nothing was resampled.
    """

    tasks: int
    pairs: int
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    method: str
    only_first: int
    only_second: int
    test: str
    p: float | None
    adjusted: float | None = None
    least: float | None = None
    note: str | None = None
    resamples: int | None = None
    seed: int | None = None

    @property
    def shown(self) -> bool:
        """Whether the runs can be told apart: p, adjusted where several were compared, is at most ALPHA."""
        p = self.p if self.adjusted is None else self.adjusted
        return p is not None and p <= ALPHA


def paired(by_task: Mapping[str, Pairs], *, resamples: int = RESAMPLES) -> Difference:
    """Compare two runs.

    Args:
        by_task: for each task, its pairs of scores from 0 to 1; tasks without pairs are left out.
        resamples: of bootstrap and permutations.
    """
    groups = [pairs for pairs in by_task.values() if pairs]
    scores = [(round(a, DIGITS), round(b, DIGITS)) for pairs in groups for a, b in pairs]
    if not groups:
        return Difference(0, 0, None, None, None, None, None, "none", 0, 0, "none", None)
    means = [tuple(round(statistics.fmean(side), DIGITS) for side in zip(*pairs, strict=True)) for pairs in groups]
    differences = [round(b - a, DIGITS) for a, b in means]
    first, second = (statistics.fmean(side) for side in zip(*means, strict=True))
    single = len(scores) == len(groups) and all(value in (0.0, 1.0) for pair in scores for value in pair)
    only = sum(a > b for a, b in scores), sum(b > a for a, b in scores)
    low, high, method, note = _interval(means, differences, (first, second), resamples)
    p = mcnemar(*only) if single else sign_flip(differences, resamples)
    drawn = method == "bca" or not single
    return Difference(
        len(groups), len(scores), first, second, second - first, low, high, method, *only,
        test="mcnemar-midp" if single else "sign-flip", p=p, note=note,
        least=_least(means, differences, single),
        resamples=resamples if drawn else None, seed=SEED if drawn else None,
    )  # fmt: skip


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided mid-p value of McNemar's test, from the numbers of tasks that only one run passed."""
    from scipy.stats import binom

    n, fewer = only_first + only_second, min(only_first, only_second)
    return min(1.0, float(2 * binom.cdf(fewer, n, 0.5) - binom.pmf(fewer, n, 0.5)))


def sign_flip(differences: Sequence[float], resamples: int = RESAMPLES) -> float:
    """The two-sided p value of a permutation test that flips the sign of each difference.

    It is exact if there are fewer flips than resamples, else an estimate from seeded ones.
    """
    import numpy
    from scipy.stats import permutation_test

    there = numpy.array([value for value in differences if value])
    if len(there) < FEWEST:
        return 1.0
    found = permutation_test(
        (there,), lambda sample, axis: numpy.mean(sample, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=resamples, batch=1000, rng=numpy.random.default_rng(SEED),
    )  # fmt: skip
    return float(found.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """P values adjusted for several comparisons (S. Holm 1979); each is at most 1, and their order is kept."""
    adjusted, least = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = least
    return adjusted


def newcombe(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """Newcombe's 95 % interval for the difference of two paired shares, second - first."""
    n = both + only_first + only_second + neither
    ones, twos = both + only_first, both + only_second
    (low1, high1), (low2, high2) = wilson(ones, n), wilson(twos, n)
    one, two = ones / n, twos / n
    margins = math.sqrt(ones * (n - ones) * twos * (n - twos))
    cross = both * neither - only_first * only_second
    phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / margins if margins else 0.0

    def reach(down: float, up: float) -> float:
        return math.sqrt(max(0.0, down**2 - 2 * phi * down * up + up**2))

    return max(-1.0, two - one - reach(two - low2, high1 - one)), min(1.0, two - one + reach(high2 - two, one - low1))


Ends = tuple[float | None, float | None, str, str | None]


def _interval(
    means: Sequence[tuple[float, ...]], differences: Sequence[float], centres: tuple[float, float], resamples: int
) -> Ends:
    """The ends of the interval, its method and its note."""
    n, differ = len(means), sum(value != 0 for value in differences)
    if n < FEWEST_PAIRS:
        return None, None, "none", TOO_FEW
    middle = centres[1] - centres[0]
    if _whole(means):
        both, first, second, neither = (sum(pair == kind for pair in means) for kind in KINDS)
        return *newcombe(both, first, second, neither), "newcombe", None
    if resamples and n >= SMALL and differ >= FEW_DIFFER and max(differences) > min(differences):
        low, high = bca(tuple(differences), resamples)
        return max(-1.0, min(low, middle)), min(1.0, max(high, middle)), "bca", None
    half = t_quantile(n - 1) * math.sqrt(variance_of_few(differences, statistics.fmean(centres)) / n)
    return max(-1.0, middle - half), min(1.0, middle + half), "t", None


def variance_of_few(differences: Sequence[float], mean: float) -> float:
    """The variance of differences; a quarter of a task is added, so that equal differences give no certainty."""
    middle = statistics.fmean(differences)
    squares = math.fsum((value - middle) ** 2 for value in differences)
    return (squares + ADDED * mean * (1 - mean)) / (len(differences) - 1 + ADDED)


def _least(means: Sequence[tuple[float, ...]], differences: Sequence[float], single: bool) -> float | None:
    n = len(means)
    if not single and n < FEWEST_FLIPS:
        return None
    if _whole(means):
        return least_difference(n, sum(value != 0 for value in differences) / n)
    centre = statistics.fmean(value for pair in means for value in pair)
    return least_mean_difference(n, variance_of_few(differences, centre))


def _whole(means: Sequence[tuple[float, ...]]) -> bool:
    """Whether each run passed, or failed, all attempts of each task."""
    return all(value in (0.0, 1.0) for pair in means for value in pair)
