"""A task as the loop sees it: parts in order, each with an instruction, a set-up and a judge.

A task file has one part. A task class (`tasks.classes`) has one part, or one for each phase.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.envs.errors import CheckError, SetupError
from deskbench.tasks.classes.process import ClassFailed, PhaseFacts, TaskProcess
from deskbench.tasks.classes.serve import Answers
from deskbench.tasks.metrics.support.differences import Revision
from deskbench.tasks.scoring.score import score
from deskbench.tasks.scoring.tools import look
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import PartScore, Score
from deskbench.tasks.world import Context, World


@dataclass(frozen=True)
class Part:
    """One part of a task.

    Attributes:
        name: for the record; empty if the task has one part.
        instruction: the text that the agent gets.
        weight: its share of the task's score.
        gate: the score it needs for the next part to begin, or None.
        begin: prepares the desktop. Raises SetupError, EnvError.
        judge: scores the part; gets whether the agent said `fail`. Raises CheckError, EnvError.
        changes: whether judging may change the desktop, so that it has to be the last thing.
    """

    name: str
    instruction: str
    weight: float
    gate: float | None
    begin: Callable[[], None]
    judge: Callable[[bool], Score]
    changes: bool = True


def prepare(context: Context, world: World, *, strict: Revision | None = None) -> list[Part]:
    """Prepare the desktop for a task and return its parts; the first has not begun.

    Raises:
        SetupError: a step had no effect, the task's own code failed, or a program of its checks is missing.
        EnvError: the desktop failed.
    """
    task = context.task
    if task.is_class:
        return _class_parts(context, world, strict)
    run_steps(task.config, context)
    world.programs = look(task, context.desktop)
    return [
        Part("", task.instruction, 1.0, None, lambda: None,
             lambda said_fail: score(task, world, context, said_fail=said_fail, strict=strict),
             changes=bool(task.evaluator.postconfig))
    ]  # fmt: skip


def _class_parts(context: Context, world: World, strict: Revision | None) -> list[Part]:
    process = TaskProcess()
    context.closing.callback(process.close)
    try:
        process.describe(context.task.path)
    except (ClassFailed, CheckError) as error:
        raise SetupError(f"{context.task.path}: {error}") from error
    process.setup(Answers(context))
    phases = process.phases()
    if not phases:
        whole = PhaseFacts("", context.task.instruction, 1.0, None)
        return [_class_part(context, world, process, whole, None, strict)]
    return [_class_part(context, world, process, phase, number, strict) for number, phase in enumerate(phases)]


def _class_part(
    context: Context, world: World, process: TaskProcess, facts: PhaseFacts, number: int | None, strict: Revision | None
) -> Part:
    def begin() -> None:
        if number is not None:
            process.setup(Answers(context), number)

    def judge(said_fail: bool) -> Score:
        began = time.monotonic()
        try:
            value = process.evaluate(Answers(context, world, said_fail=said_fail), number, strict=strict)
        except ClassFailed as error:
            if strict is not None:  # OSWorld counts it as the agent's failure
                return Score(value=0.0, reason=f"evaluate() raised: {error}", seconds=time.monotonic() - began)
            raise CheckError(f"evaluate() raised: {error}") from error
        return read_score(value, seconds=time.monotonic() - began)

    return Part(facts.name, facts.instruction, facts.weight, facts.gate_min_score, begin, judge)


def read_score(value: Any, seconds: float = 0.0) -> Score:
    """The score from the value that a class's `evaluate` returned.

    A dictionary's `score` is used as it is; without one the score is the weighted mean of its `partial_scores`.

    Raises:
        CheckError: the value is neither a number from 0 to 1 nor such a dictionary.
    """
    parts: list[PartScore] = []
    if isinstance(value, Mapping):
        found = value.get("partial_scores") or {}
        if not isinstance(found, Mapping):
            raise CheckError(f"evaluate() returned partial_scores that are not a dictionary: {found!r}"[:300])
        parts = [_part_score(str(name), one) for name, one in found.items()]
        weight = sum(part.weight for part in parts)
        mean = sum(part.score * part.weight for part in parts) / weight if weight > 0 else None
        value = value.get("score", mean)
    if isinstance(value, bool):
        value = float(value)
    if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:  # excludes NaN as well
        raise CheckError(
            f"evaluate() returned {value!r}; it must be a number from 0 to 1, or a dictionary with one"[:300]
        )
    lost = "; ".join(f"{p.name}: {p.score:g}" + (f", {p.description}" if p.description else "")
                     for p in parts if p.score < min(1.0, p.weight))  # fmt: skip
    reason = "passed" if value == 1.0 else lost or f"evaluate() gave {value:g}"
    return Score(value=float(value), reason=reason, parts=tuple(parts), seconds=seconds)


def _part_score(name: str, value: Any) -> PartScore:
    try:
        if isinstance(value, (int, float)):
            return PartScore(name=name, score=_amount(value))
        return PartScore(
            name=name, score=_amount(value["score"]), weight=_amount(value.get("weight", 1.0)),
            description=str(value.get("description", "")),
        )  # fmt: skip
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise CheckError(f"evaluate() returned a partial score {name!r} that is {value!r}"[:300]) from None


def _amount(value: Any) -> float:
    amount = float(value)
    if not (math.isfinite(amount) and amount >= 0):
        raise ValueError(f"{value} is not an amount")
    return amount


def together(parts: Sequence[Part], scores: Sequence[Score]) -> Score:
    """The task's score from the judged parts; parts that were not reached earn nothing.

    A part earns at most its weight: in OSWorld-V2 a phase returns its share of the whole, and gates use the same units.
    """
    unscored = next((found for found in scores if found.value is None), None)
    if unscored is not None or len(parts) == 1:
        return unscored or scores[0]
    earned = []
    for part, found in zip(parts, [*scores, *[None] * (len(parts) - len(scores))], strict=True):
        value = min(found.value or 0.0, part.weight) if found is not None else 0.0
        why = "not reached" if found is None else found.reason
        earned.append(PartScore(name=part.name, score=value, weight=part.weight, description=why))
    total = min(1.0, round(sum(one.score for one in earned), 9))
    lost = "; ".join(f"{one.name}: {one.score:g} of {one.weight:g}, {one.description}" for one in earned
                     if one.score < one.weight)  # fmt: skip
    return Score(
        value=total, reason="passed" if total == 1.0 else lost or f"the phases gave {total:g}", parts=tuple(earned),
        seconds=sum(found.seconds for found in scores),
    )  # fmt: skip


def opens(part: Part, found: Score) -> bool:
    """Whether the next part begins after this score; false if there is no score."""
    return found.value is not None and (part.gate is None or found.value >= part.gate)
