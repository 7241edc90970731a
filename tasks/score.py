"""From an end state to a score, with a reason for every 0. None means not scored."""

from __future__ import annotations

import statistics
import time
from pathlib import Path, PurePosixPath
from typing import Any

from deskbench.envs.errors import CheckError, EnvError
from deskbench.tasks import registry, worker
from deskbench.tasks.metrics.applied import apply, files_in
from deskbench.tasks.metrics.fidelity import osworld_strict
from deskbench.tasks.metrics.told import Told
from deskbench.tasks.probes import PROBES
from deskbench.tasks.setup import run_before_check
from deskbench.tasks.types import Call, Check, CheckOutcome, Score, Task
from deskbench.tasks.world import Context, World

SHOWN = 2000
"""Characters of a value that an outcome shows."""
NOT_OF_THE_DESKTOP = ("cloud_file", "task_file", "rule", "rule_relativeTime", "time_diff_range")
"""Getters whose files and values the agent has no hand in: where one cannot be read, the fault is the check's."""
PROBED = ".probed"
"""Ends the name under which a probe's finding is recorded; before it stands the check's place in the task file."""


def score(task: Task, world: World, context: Context, *, said_fail: bool, strict: bool = False) -> Score:
    """Score the end state.

    An infeasible task is passed by `fail` alone; `fail` on a feasible one scores 0, whatever the end state. `strict`
    repeats OSWorld's mistakes (`--osworld-strict`).

    Raises:
        CheckError: a getter or metric failed; the episode is not scored.
        EnvError: the desktop broke off.
    """
    began = time.monotonic()
    if task.evaluator.infeasible or said_fail:
        return _by_word(task, said_fail)
    missed = run_before_check(task.evaluator.postconfig, context)
    values = [read(check, world) for check in task.evaluator.checks]
    found = judge(task, values, time.monotonic() - began, strict=strict)
    return found.model_copy(update={"reason": "; ".join([found.reason, *missed])}) if missed else found


def read(check: Check, world: World) -> tuple[Check, Any, Any]:
    """What a check judges, read from the desktop; where a probe does it, what that finds."""
    result, expected = value_of(check.result, world), value_of(check.expected, world)
    probe = PROBES.get(check.metric)
    if probe is not None and result is not None:
        result = world.state[check.where + PROBED] = probe(world, result, expected, check.options)
    return check, result, expected


def _by_word(task: Task, said_fail: bool) -> Score:
    if task.evaluator.infeasible:
        reason = "infeasible, and the agent said so" if said_fail else "infeasible, and the agent did not say so"
        return Score(value=1.0 if said_fail else 0.0, reason=reason)
    return Score(value=0.0, reason="the agent said that it cannot be done; it can")


def judge(task: Task, values: list[tuple[Check, Any, Any]], seconds: float = 0.0, *, strict: bool = False) -> Score:
    """Apply the metrics to values that have been read: the part of scoring that needs no machine.

    `and` is 0 at the first check that is 0, else the mean; `or` is 1 at the first that is 1, else the best (OSWorld's
    arithmetic).
    """
    outcomes: list[CheckOutcome] = []
    with osworld_strict(strict):
        for check, result, expected in values:
            outcomes.append(_outcome(check, result, expected))
            if outcomes[-1].value == (0.0 if task.evaluator.conj == "and" else 1.0):
                break
    found = [o.value for o in outcomes]
    if not found:
        raise CheckError(f"{task.key}: the evaluator has no check")
    mean = 0.0 if 0.0 in found else statistics.fmean(found)
    value = mean if task.evaluator.conj == "and" else max(found)
    failed = [o for o in outcomes if o.value < 1.0]
    reason = "every check passed" if not failed else "; ".join(f"{o.metric}: {o.note or o.value}" for o in failed)
    return Score(value=value, reason=reason if value < 1 else "passed", checks=tuple(outcomes), seconds=seconds)


def value_of(call: Call | None, world: World) -> Any:
    """What a getter reads, kept for the record; None where there is none to ask.

    Raises:
        CheckError: it failed, or is not called as it is made.
        EnvError: the desktop broke off.
    """
    if call is None:
        return None
    entry = registry.find("getter", call.type)
    try:
        value = entry.function(world, **registry.check_parameters(entry, call.parameters))
    except (EnvError, CheckError):
        raise
    except Exception as error:  # the boundary to the getters, users' own among them
        raise CheckError(f"{call.where}: getter {call.type}: {type(error).__name__}: {error}") from error
    world.state[call.where] = _recordable(value, world.cache)
    return value


def _recordable(value: Any, cache: Path) -> Any:
    """A value as JSON; files by their path in the cache."""
    if isinstance(value, Path):
        return {"file": value.relative_to(cache).as_posix() if value.is_relative_to(cache) else value.name}
    if isinstance(value, (list, tuple)):
        return [_recordable(v, cache) for v in value]
    if isinstance(value, dict):
        return {str(k): _recordable(v, cache) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def restore(value: Any, files: Path) -> Any:
    """The reverse of what `World.state` records."""
    if isinstance(value, dict):
        if set(value) == {"file"}:
            parts = [part for part in PurePosixPath(value["file"]).parts if part not in ("/", "..")]
            return files.joinpath(*parts)
        return {k: restore(v, files) for k, v in value.items()}
    return [restore(v, files) for v in value] if isinstance(value, list) else value


def rescore(task: Task, state: dict[str, Any], files: Path, *, said_fail: bool, strict: bool = False) -> Score:
    """Score again from what was recorded, with no machine.

    Raises:
        CheckError: a metric failed, or the record lacks a value that the task's checks want now.
    """
    if task.evaluator.infeasible or said_fail:
        return _by_word(task, said_fail)
    values = []
    for check in task.evaluator.checks:
        pair = []
        for call in (check.result, check.expected):
            if call is not None and call.where not in state:
                raise CheckError(f"{task.key}: the record has no value of {call.where}")
            pair.append(None if call is None else restore(state[call.where], files))
        if check.metric in PROBES and pair[0] is not None:
            pair[0] = _probed(task, check, state)
        values.append((check, pair[0], pair[1]))
    return judge(task, values, strict=strict)


def _probed(task: Task, check: Check, state: dict[str, Any]) -> Any:
    if check.where + PROBED not in state:
        raise CheckError(f"{task.key}: the record does not say what {check.metric} found in the desktop")
    return state[check.where + PROBED]


def _outcome(check: Check, result: Any, expected: Any) -> CheckOutcome:
    shown = {"metric": check.metric, "result": _shown(result), "expected": _shown(expected)}
    for call, value in ((check.result, result), (check.expected, expected)):
        if call is not None and value is None and call.type not in NOT_OF_THE_DESKTOP:
            return CheckOutcome(value=0.0, note="there is nothing to check: no such file or value", **shown)
    try:
        told = _apply(check, result, expected)
    except CheckError as error:
        raise CheckError(f"{check.where}: {error}") from error
    return CheckOutcome(value=told, note="" if told == 1.0 else told.note or "does not match", **shown)


def _apply(check: Check, result: Any, expected: Any) -> Told:
    """In a process of its own where files are read; plain values are judged here, without that cost."""
    entry = registry.find("metric", check.metric)
    trusted = [
        file
        for call, value in ((check.result, result), (check.expected, expected))
        if call is not None and call.type in NOT_OF_THE_DESKTOP
        for file in files_in(value)
    ]
    if next(files_in([result, expected]), None) is None:
        return apply(entry, result, expected, check.options, trusted)
    return worker.evaluate(check.metric, result, expected, check.options, trusted)


def _shown(value: Any) -> str:
    if isinstance(value, Path):
        try:
            text = value.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return f"file {value.name}" if value.exists() else "no such file"
        return text[:SHOWN]
    return "" if value is None else str(value)[:SHOWN]
