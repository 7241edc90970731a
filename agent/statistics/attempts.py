"""Scores of several attempts: pass@k and pass^k.

pass@k is the chance that at least one of k attempts passes: 1 - C(n-c, k) / C(n, k) for c of n attempts passed, which
is unbiased (M. Chen and others 2021, arXiv 2107.03374). pass^k is the chance that all k pass: C(c, k) / C(n, k) (S. Yao
and others 2024, arXiv 2406.12045). Both are undefined if n < k. Attempts without a score leave n.

pass@k is not a score to deploy by: somebody must know which attempt passed, and on a desktop that always starts alike a
recorded solution, played again without looking, reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from deskbench.agent.statistics.intervals import RESAMPLES, Estimate, estimate, families


@dataclass(frozen=True)
class AtK:
    """Both scores for one number of attempts.

    Attributes:
        k: number of attempts.
        any: pass@k, over the tasks with at least k scored attempts; those of one template count as one.
        all: pass^k, over the same tasks.
        left_out: tasks with fewer scored attempts.
    """

    k: int
    any: Estimate
    all: Estimate
    left_out: tuple[str, ...]


def pass_at(n: int, passed: int, k: int) -> float | None:
    """The chance that at least one of k attempts passes, from `passed` of `n`; None if n < k."""
    return None if n < k else 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def pass_all(n: int, passed: int, k: int) -> float | None:
    """The chance that all k attempts pass, from `passed` of `n`; None if n < k."""
    return None if n < k else math.comb(passed, k) / math.comb(n, k)


def at_k(by_task: Mapping[str, Sequence[bool]], k: int, *, resamples: int = RESAMPLES) -> AtK:
    """Both scores for k attempts.

    Args:
        by_task: for each task, whether each scored attempt passed.
        k: at least 1.
        resamples: of the bootstrap over tasks, as in `estimate`.
    """
    enough = {task: (len(found), sum(found)) for task, found in by_task.items() if len(found) >= k}
    episodes = sum(n for n, _ in enough.values())

    def over_tasks(chance: Callable[[int, int, int], float | None]) -> Estimate:
        shares = {task: [share] for task, (n, c) in enough.items() if (share := chance(n, c, k)) is not None}
        return replace(estimate(families(shares), resamples=resamples), episodes=episodes)

    return AtK(k, over_tasks(pass_at), over_tasks(pass_all), tuple(sorted(set(by_task) - set(enough))))


def every_k(by_task: Mapping[str, Sequence[bool]], *, resamples: int = RESAMPLES) -> tuple[AtK, ...]:
    """Both scores for k = 1, 2, 4, 8, ... and the most attempts of a task; empty if no task has two."""
    most = max((len(found) for found in by_task.values()), default=0)
    if most < 2:
        return ()
    wanted = sorted({2**power for power in range(most.bit_length())} | {most})
    return tuple(at_k(by_task, k, resamples=resamples) for k in wanted)
