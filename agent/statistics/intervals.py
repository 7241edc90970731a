"""A mean score and its 95 % interval.

Tasks are the sample: the interval says how far the score would move with other tasks of the same kind. Repeats of one
task are not independent, so they count as one value, their mean.

- **wilson**: every task's mean is 0 or 1, as with one attempt a task. Wilson's score interval (E. B. Wilson 1927) over
  tasks. Its coverage is close to nominal even near 0 and 1, and its width is never zero.
- **wilson-effective**: Wilson's interval with the effective number of tasks, p(1-p) / variance of the mean, and
  Student's t (E. L. Korn and B. I. Graubard 1998). It holds for a few tasks and for rare failures or passes, where a
  bootstrap is too narrow. A quarter of a task with the largest possible variance is added to the sample, so that equal
  scores of all tasks do not give certainty.
- **bca**: bias-corrected and accelerated bootstrap over tasks (B. Efron 1987), from SMALL tasks on.

`docs/results.md` has the coverage of each, which a test computes again.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
RESAMPLES = 9999
SEED = 0
CELLS = 1_000_000
"""Most numbers to hold at once while resampling: 8 MB."""
SMALL = 30
"""With fewer tasks the bootstrap's intervals are too narrow: at 24 tasks they hold the truth in 89 % to 96 %."""
RARE = 5.0
"""With less than this much passed, or failed, of all tasks together, the bootstrap has too little to resample."""
ADDED = 0.25
"""Tasks of the largest possible variance that `wilson-effective` adds to the sample."""
TINY = 1e-12
DIGITS = 12
"""Digits of a score: what is smaller is an error of rounding, such as that of 0.1 + 0.2."""
FEWEST = 2
TOO_FEW = "too few tasks for an interval"
EQUAL = "all tasks have the same score: the interval rests on an assumed spread"


@dataclass(frozen=True)
class Estimate:
    """A mean over tasks with its 95 % interval.

    Attributes:
        tasks: number of tasks with a value.
        episodes: number of their values (scored episodes).
        mean: the mean over tasks of each task's mean; None if there are no tasks.
        low, high: ends of the interval; None if there are too few tasks for one.
        method: `wilson`, `wilson-effective`, `bca`, or `none`.
        note: what a reader must know about the interval; None if there is nothing.
        resamples, seed: of the bootstrap; None if nothing was resampled.
    """

    tasks: int
    episodes: int
    mean: float | None
    low: float | None
    high: float | None
    method: str
    note: str | None = None
    resamples: int | None = None
    seed: int | None = None


def estimate(by_task: Mapping[str, Sequence[float]], *, resamples: int = RESAMPLES) -> Estimate:
    """The mean over tasks of the mean over a task's values, which are from 0 to 1, with its interval.

    Args:
        by_task: the values of each task; tasks without values are left out.
        resamples: of the bootstrap; 0 uses `wilson-effective` instead, for a number that is often computed again.
    """
    means = [round(statistics.fmean(values), DIGITS) for values in by_task.values() if values]
    episodes = sum(len(values) for values in by_task.values())
    if not means:
        return Estimate(0, 0, None, None, None, "none")
    mean = statistics.fmean(means)
    if len(means) < FEWEST:
        return Estimate(len(means), episodes, mean, None, None, "none", TOO_FEW)
    if all(value in (0.0, 1.0) for value in means):
        return Estimate(len(means), episodes, mean, *wilson(round(sum(means)), len(means)), "wilson")
    rare = min(mean, 1 - mean) * len(means) < RARE
    if resamples and len(means) >= SMALL and not rare and max(means) > min(means):
        low, high = bca(tuple(means), resamples)
        ends = max(0.0, min(low, mean)), min(1.0, max(high, mean))
        return Estimate(len(means), episodes, mean, *ends, "bca", None, resamples, SEED)
    note = EQUAL if max(means) == min(means) else None
    return Estimate(len(means), episodes, mean, *_of_few(means, mean), "wilson-effective", note)


def families(by_task: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The same values by template: the tasks `name@0`, `name@1`, ... of one template are alike, and count as one."""
    found: dict[str, list[float]] = {}
    for task, values in by_task.items():
        found.setdefault(family_of(task), []).extend(values)
    return found


def score_of(by_task: Mapping[str, Sequence[float]]) -> float | None:
    """The mean of `estimate(families(by_task))`, for where nobody asks for an interval; None if there are no values."""
    means = [statistics.fmean(values) for values in families(by_task).values() if values]
    return statistics.fmean(means) if means else None


def family_of(task: str) -> str:
    """A task's key without the number of its seed."""
    return re.sub(r"@\d+$", "", task)


def share(passed: int, n: int) -> Estimate:
    """The share of `passed` among `n` independent trials, with Wilson's interval."""
    if not n:
        return Estimate(0, 0, None, None, None, "none")
    return Estimate(n, n, passed / n, *wilson(passed, n), "wilson")


@lru_cache(maxsize=4096)
def wilson(passed: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for `passed` of `n` trials; `n` is at least 1."""
    from scipy.stats import binomtest

    found = binomtest(passed, n).proportion_ci(LEVEL, method="wilson")
    return (float(found.low) if passed else 0.0), (float(found.high) if passed < n else 1.0)


def wilson_effective(share: float, trials: float, freedom: int) -> tuple[float, float]:
    """Wilson's interval for a share of a number of trials that need not be whole, with Student's t.

    Args:
        share: strictly between 0 and 1.
        trials: the number of independent trials that would have the share's variance.
        freedom: degrees of freedom of the variance.
    """
    square = t_quantile(freedom) ** 2 / trials
    centre = (share + square / 2) / (1 + square)
    half = math.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


@lru_cache(maxsize=256)
def t_quantile(freedom: int) -> float:
    """The number that |t| exceeds with a probability of 5 %, for Student's t with `freedom` degrees of freedom."""
    from scipy.stats import t

    return float(t.ppf(1 - TAIL, freedom))


@lru_cache(maxsize=256)
def bca(values: tuple[float, ...], resamples: int = RESAMPLES) -> tuple[float, float]:
    """The BCa bootstrap interval of the mean of values that are not all equal."""
    low, high = bca_of_each([values], resamples)
    return float(low[0]), float(high[0])


def bca_of_each(samples: Any, resamples: int, *, seed: int = SEED) -> tuple[Any, Any]:
    """The ends of the BCa bootstrap intervals of the means of several samples of the same size, one in each row."""
    import numpy
    from scipy.stats import bootstrap

    rows = numpy.asarray(samples, dtype=float)
    found = bootstrap(
        (rows,), numpy.mean, axis=-1, n_resamples=resamples, confidence_level=LEVEL, method="BCa",
        batch=max(1, CELLS // rows.size), rng=numpy.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return found.low, found.high


def _of_few(means: Sequence[float], mean: float) -> tuple[float, float]:
    """Wilson's interval with the effective number of tasks; the mean is neither 0 nor 1."""
    largest, n = max(mean * (1 - mean), TINY), len(means)
    squares = math.fsum((value - mean) ** 2 for value in means)
    variance = (squares + ADDED * largest) / (n - 1 + ADDED) / n
    return wilson_effective(mean, largest / variance, n - 1)
