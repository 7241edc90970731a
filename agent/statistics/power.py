"""How many tasks a comparison needs, and the least difference that a number of tasks can show.

Two runs with one attempt a task are told apart by the tasks that only one of them passes (McNemar's test, mid-p). Their
share of all tasks, the discordant share, decides how much a number of tasks can show; two agents of similar strength
have 0.1 to 0.3. The power is exact: the sum over all numbers of discordant tasks, with a table of which of them reject.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ALPHA = 0.05
POWER = 0.8
DISCORDANT = 0.2
CHANCE = 0.5
"""Part of the discordance between two runs that repeats average out: chance, and not what a task is about."""
MOST_TASKS = 100_000
REPEATS = (1, 2, 3, 5, 8)
TASKS = (24, 40, 120, 369)


def power(n: int, discordant: float, difference: float, alpha: float = ALPHA) -> float:
    """The probability that McNemar's mid-p test shows a true difference.

    Args:
        n: number of tasks with one attempt in each run.
        discordant: share of tasks that only one run passes, at least `difference`.
        difference: of the two runs' true scores.
        alpha: the test's level.
    """
    import numpy
    from scipy.special import bdtr, bdtrc
    from scipy.stats import binom

    spread = 8 * math.sqrt(n * discordant * (1 - discordant)) + 8
    low, high = max(1, int(n * discordant - spread)), min(n, int(n * discordant + spread))
    differ = numpy.arange(low, high + 1)
    most = _rejecting(alpha, 1 << high.bit_length())[low : high + 1]
    side = min(1.0, (discordant + difference) / (2 * discordant)) if discordant else 0.5
    rejects = numpy.where(most < 0, 0.0, bdtr(most, differ, side) + bdtrc(differ - most - 1, differ, side))
    return float(numpy.sum(binom.pmf(differ, n, discordant) * rejects))


@lru_cache(maxsize=32)
def _rejecting(alpha: float, size: int) -> Any:
    """For 0 to `size` - 1 discordant tasks, the most on the smaller side with a mid-p of at most alpha; -1 if none."""
    import numpy
    from scipy.special import bdtr
    from scipy.stats import binom

    differ = numpy.arange(size)
    most = numpy.full(size, -1)
    start = binom.ppf(alpha / 2, differ, 0.5)
    for candidate in (start - 1, start, start + 1):
        there = (candidate >= 0) & (candidate * 2 < differ)
        fewer = numpy.where(there, candidate, 0)
        mid = 2 * bdtr(fewer, differ, 0.5) - binom.pmf(fewer, differ, 0.5)
        most = numpy.where(there & (mid <= alpha), candidate, most)
    return most.astype(int)


def least_difference(n: int, discordant: float, *, wanted: float = POWER, alpha: float = ALPHA) -> float | None:
    """The least true difference that n tasks show with the power `wanted`; None if they cannot show any.

    A difference above the discordant share has that share: then all discordant tasks are passed by one run alone.
    """

    from scipy.optimize import brentq

    def lacking(difference: float) -> float:
        return power(n, max(discordant, difference), difference, alpha) - wanted

    return None if lacking(1.0) < 0 else float(brentq(lacking, 0.0, 1.0, xtol=1e-4))


def least_mean_difference(n: int, variance: float, *, wanted: float = POWER, alpha: float = ALPHA) -> float:
    """The same for the means of repeats or partial scores, from the variance of the tasks' differences."""
    from scipy.stats import t

    return float((t.ppf(1 - alpha / 2, n - 1) + t.ppf(wanted, n - 1)) * math.sqrt(variance / n))


@dataclass(frozen=True)
class Needed:
    """What a number of repeats needs.

    Attributes:
        repeats: attempts of each task in each run.
        tasks: number of tasks; None if more than MOST_TASKS.
        episodes: of both runs together; None if the tasks are.
    """

    repeats: int
    tasks: int | None
    episodes: int | None


@dataclass(frozen=True)
class Shown:
    """The least difference that a number of tasks and repeats can show; None if they cannot show any."""

    tasks: int
    repeats: int
    difference: float | None


@dataclass(frozen=True)
class Plan:
    """How large two runs must be.

    Attributes:
        difference: the difference of their true scores that they are to show.
        power, alpha: how likely they are to show it, and the level of the test.
        discordant: share of tasks that only one run passes, with one attempt each.
        chance: part of that share that repeats average out.
        needed: tasks and episodes for each number of repeats.
        shown: what given numbers of tasks and repeats can show.
        enough_repeats: the repeats that the given number of tasks needs; None if no number of repeats is enough, or no
            number of tasks was given.
        measured: whether `discordant` (and `chance`, with repeats) are those of two runs.
    """

    difference: float
    power: float
    alpha: float
    discordant: float
    chance: float
    needed: tuple[Needed, ...]
    shown: tuple[Shown, ...]
    tasks: int | None
    repeats: int | None
    enough_repeats: int | None
    measured: bool


def plan(
    difference: float,
    *,
    tasks: int | None = None,
    repeats: int | None = None,
    discordant: float | None = None,
    chance: float | None = None,
    wanted: float = POWER,
    alpha: float = ALPHA,
) -> Plan:
    """Plan two runs that are to show a difference.

    Args:
        difference: of the true scores, from 0 (excluded) to 1.
        tasks, repeats: what there is; None for a table.
        discordant, chance: as measured from two runs; None for DISCORDANT and CHANCE.
        wanted, alpha: power and level.
    """
    share = max(difference, DISCORDANT if discordant is None else discordant)
    part = CHANCE if chance is None else chance
    single = _tasks_for(difference, share, wanted, alpha)
    counts = (repeats,) if repeats else REPEATS
    return Plan(
        difference, wanted, alpha, share, part,
        needed=tuple(_needed(single, count, part) for count in counts),
        shown=tuple(
            Shown(n, count, least_difference(int(n / worth(count, part)), share, wanted=wanted, alpha=alpha))
            for n in ((tasks,) if tasks else TASKS)
            for count in ((repeats,) if repeats else (1,))
        ),
        tasks=tasks, repeats=repeats, enough_repeats=_repeats_for(single, tasks, part), measured=discordant is not None,
    )  # fmt: skip


def worth(repeats: int, chance: float) -> float:
    """The variance of a task's difference with this many repeats, as a part of that with one."""
    return 1 - chance + chance / repeats


def _needed(single: int | None, repeats: int, chance: float) -> Needed:
    tasks = None if single is None else math.ceil(single * worth(repeats, chance))
    return Needed(repeats, tasks, None if tasks is None else 2 * tasks * repeats)


def _repeats_for(single: int | None, tasks: int | None, chance: float) -> int | None:
    """The least repeats with which `tasks` are as good as `single` tasks with one attempt."""
    if single is None or tasks is None:
        return None
    if tasks >= single:
        return 1
    left = tasks / single - (1 - chance)
    return math.ceil(chance / left) if left > 0 else None


def _tasks_for(difference: float, discordant: float, wanted: float, alpha: float) -> int | None:
    """The least number of tasks that shows a difference with one attempt each."""
    low, high = 1, 8
    while power(high, discordant, difference, alpha) < wanted:
        low, high = high, high * 2
        if high > 2 * MOST_TASKS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, discordant, difference, alpha) >= wanted else (middle, high)
    return high if high <= MOST_TASKS else None
