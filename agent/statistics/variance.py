"""How much scores vary between tasks and between repeats of one task: whether more tasks or more repeats help."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Variance:
    """The parts of the variance of a single score (one-way analysis of variance).

    Attributes:
        tasks: number of tasks.
        repeats: number of scores per task; an average for tasks with different numbers.
        within: variance between repeats of one task.
        between: variance between the tasks' true means.
        correlation: between two repeats of one task, from 0 to 1: between / (between + within).
        design_effect: 1 + (repeats - 1) x correlation: this many repeats are worth one independent task.
        twice_repeats: the width of the interval with twice the repeats, as a part of its width now.
        advice: one sentence.
    """

    tasks: int
    repeats: float
    within: float
    between: float
    correlation: float
    design_effect: float
    twice_repeats: float
    advice: str


TWICE_TASKS = math.sqrt(0.5)
"""The width of the interval with twice the tasks, as a part of its width now."""


def variance_of(by_task: Mapping[str, Sequence[float]]) -> Variance | None:
    """Split the variance of scores; None unless there are two tasks, and one of them has two scores."""
    groups = [values for values in by_task.values() if values]
    total = sum(len(values) for values in groups)
    if len(groups) < 2 or total == len(groups):
        return None
    mean = math.fsum(value for values in groups for value in values) / total
    centres = [statistics.fmean(values) for values in groups]
    inside = math.fsum((v - centre) ** 2 for values, centre in zip(groups, centres, strict=True) for v in values)
    outside = math.fsum(len(values) * (c - mean) ** 2 for values, c in zip(groups, centres, strict=True))
    within = inside / (total - len(groups))
    repeats = (total - sum(len(values) ** 2 for values in groups) / total) / (len(groups) - 1)
    between = max(0.0, (outside / (len(groups) - 1) - within) / repeats)
    correlation = between / (between + within) if between + within else 0.0
    now = between + within / repeats
    twice = math.sqrt((between + within / repeats / 2) / now) if now else 1.0
    return Variance(
        tasks=len(groups), repeats=repeats, within=within, between=between, correlation=correlation,
        design_effect=1 + (repeats - 1) * correlation, twice_repeats=twice, advice=_advice(between + within, twice),
    )  # fmt: skip


def _advice(total: float, twice: float) -> str:
    if not total:
        return "all scores are equal: nothing to say about repeats"
    widths = f"twice the tasks narrow the interval to {TWICE_TASKS:.0%} of its width, twice the repeats to {twice:.0%}"
    return f"{widths}: {'use more tasks' if twice > (1 + TWICE_TASKS) / 2 else 'repeats help almost as much'}"
