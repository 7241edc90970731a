"""The numbers of a run: means with 95 % intervals, endings, time and cost over its episodes.

Unscored episodes (value None) are counted and listed. They never become 0 and are never part of a mean; a separate
number (`Summary.all_planned`) says what the mean would be if they were 0.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deskbench.agent.runs.record import EpisodeRecord

Z95 = 1.959963984540054
RESAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval.

    Attributes:
        n: number of values.
        mean, low, high: None if n is 0.
        method: `wilson` (every task's mean is 0 or 1) or `bootstrap` (percentiles; whole tasks are resampled).
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    method: str


def mean_interval(by_task: Mapping[str, Sequence[float]]) -> Mean:
    """Mean over tasks of the mean over a task's repeats, with a 95 % interval.

    Repeats of one task are not independent, so the bootstrap resamples tasks (2,000 times, with a fixed seed). If every
    task's mean is 0 or 1, the interval is Wilson's score interval over tasks (E. B. Wilson 1927), which is also right
    at 0 and 1, where the bootstrap has no width.
    """
    means = [statistics.fmean(values) for values in by_task.values() if values]
    count = sum(len(values) for values in by_task.values())
    if not means:
        return Mean(0, None, None, None, "none")
    mean = statistics.fmean(means)
    if all(value in (0.0, 1.0) for value in means):
        return Mean(count, mean, *_wilson(mean, len(means)), "wilson")
    draw = random.Random(0)
    found = sorted(statistics.fmean(draw.choices(means, k=len(means))) for _ in range(RESAMPLES))
    return Mean(count, mean, found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES) - 1], "bootstrap")


def _wilson(share: float, n: int) -> tuple[float, float]:
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return max(0.0, round(centre - half, 12)), min(1.0, round(centre + half, 12))


@dataclass(frozen=True)
class Summary:
    """The numbers of a run.

    Attributes:
        planned: number of planned episodes, without those of skipped tasks; the denominator for completeness.
        scored, unscored: finished episodes with and without a score; planned - scored - unscored are missing.
        all, feasible, infeasible: mean scores.
        all_planned: the mean over every planned episode, with 0 for unscored and missing ones, so that an episode
            without a score gains nothing.
        deaths: attempts whose desktop died while the agent acted.
        tampered: tasks of the episodes where this happened twice; the run's `on_tamper` sets their score.
        passed: episodes with score 1.
        endings: number of episodes by ending.
        model_ms, act_ms, settle_ms, other_ms: sums over the scored and unscored episodes, in milliseconds; `other` is
            the rest of the wall time (reset, set-up, scoring, wire).
        steps: number of all decisions.
        input_tokens, output_tokens, cost_usd: totals of all requests; the cost is None if no price is known.
        reused: episodes that were taken over from another run (`run --reuse`).
    """

    planned: int
    scored: int
    unscored: int
    passed: int
    all: Mean
    feasible: Mean
    infeasible: Mean
    all_planned: Mean
    deaths: int
    tampered: tuple[str, ...]
    endings: dict[str, int]
    model_ms: float
    act_ms: float
    settle_ms: float
    other_ms: float
    steps: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    reused: int = 0


def summarize(episodes: Sequence[EpisodeRecord], planned: int | None = None) -> Summary:
    """Sum up the final attempts of a run (`RunFolder.final`)."""
    values = [(e, e.score.value) for e in episodes if e.score.value is not None]
    totals = [e.totals for e in episodes]
    model, act, settle = (sum(getattr(t, name) for t in totals) for name in ("model_ms", "act_ms", "settle_ms"))
    costs = [t.usage.cost_usd for t in totals if t.usage.cost_usd is not None]
    return Summary(
        planned=len(episodes) if planned is None else planned,
        scored=len(values),
        unscored=len(episodes) - len(values),
        passed=sum(value == 1.0 for _, value in values),
        all=mean_interval(_by_task(values)),
        feasible=mean_interval(_by_task([(e, v) for e, v in values if e.feasible])),
        infeasible=mean_interval(_by_task([(e, v) for e, v in values if not e.feasible])),
        all_planned=mean_interval(_with_zeros(episodes, planned or 0)),
        deaths=sum(e.deaths for e in episodes),
        tampered=tuple(sorted(e.task for e in episodes if e.tampered)),
        endings=dict(Counter(e.ending.value for e in episodes)),
        model_ms=model,
        act_ms=act,
        settle_ms=settle,
        other_ms=max(0.0, sum(t.wall_ms for t in totals) - model - act - settle),
        steps=sum(t.steps for t in totals),
        input_tokens=sum(t.usage.input_tokens for t in totals),
        output_tokens=sum(t.usage.output_tokens for t in totals),
        cost_usd=sum(costs) if costs else None,
        reused=sum(e.origin is not None for e in episodes),
    )


def _by_task(values: Sequence[tuple[EpisodeRecord, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for episode, value in values:
        found.setdefault(episode.task, []).append(value)
    return found


def _with_zeros(episodes: Sequence[EpisodeRecord], planned: int) -> dict[str, list[float]]:
    """The scores by task, with 0 for every planned episode without a score; tasks without a record get a name."""
    found = _by_task([(e, e.score.value or 0.0) for e in episodes])
    repeats = max((len(values) for values in found.values()), default=1)
    missing = planned - len(episodes)
    for values in found.values():
        zeros = min(missing, repeats - len(values))
        values.extend([0.0] * zeros)
        missing -= zeros
    for number in range(0, missing, repeats):
        found[f"missing {number}"] = [0.0] * min(repeats, missing - number)
    return found
