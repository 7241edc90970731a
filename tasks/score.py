"""From an end state to a score, with a reason for every 0. None means not scored."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError, EnvError
from deskbench.tasks import registry
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call, Check, CheckOutcome, Score, Task
from deskbench.tasks.world import Context, World

SHOWN = 2000
"""Characters of a value that an outcome shows."""


def score(task: Task, world: World, context: Context, *, said_fail: bool) -> Score:
    """Score the end state.

    An infeasible task is passed by `fail` alone; `fail` on a feasible one scores 0, whatever the end state.

    Raises:
        CheckError: a getter or metric failed; the episode is not scored.
        EnvError: the desktop broke off.
    """
    began = time.monotonic()
    if task.evaluator.infeasible or said_fail:
        return _by_word(task, said_fail)
    run_steps(task.evaluator.postconfig, context)
    values = [(check, _get(check.result, world), _get(check.expected, world)) for check in task.evaluator.checks]
    return judge(task, values, time.monotonic() - began)


def _by_word(task: Task, said_fail: bool) -> Score:
    if task.evaluator.infeasible:
        reason = "infeasible, and the agent said so" if said_fail else "infeasible, and the agent did not say so"
        return Score(value=1.0 if said_fail else 0.0, reason=reason)
    return Score(value=0.0, reason="the agent said that it cannot be done; it can")


def judge(task: Task, values: list[tuple[Check, Any, Any]], seconds: float = 0.0) -> Score:
    """Apply the metrics to values that have been read: the part of scoring that needs no machine.

    `and` is 0 at the first check that is 0, else the mean; `or` is 1 at the first that is 1, else the best (OSWorld's
    arithmetic).
    """
    outcomes: list[CheckOutcome] = []
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


def _get(call: Call | None, world: World) -> Any:
    if call is None:
        return None
    entry = registry.find("getter", call.type)
    try:
        value = entry.function(world, **registry.check_parameters(entry, call.parameters))
    except (EnvError, CheckError):
        raise
    except Exception as error:  # the boundary to the getters, users' own among them
        raise CheckError(f"{call.where}: getter {call.type}: {type(error).__name__}: {error}") from error
    world.state[call.where] = _recordable(value)
    return value


def _recordable(value: Any) -> Any:
    """A value as JSON; files by their name in the cache, which is their hash."""
    if isinstance(value, Path):
        return {"file": value.name}
    if isinstance(value, (list, tuple)):
        return [_recordable(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _recordable(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def restore(value: Any, files: Path) -> Any:
    """The reverse of what `World.state` records."""
    if isinstance(value, dict):
        if set(value) == {"file"}:
            return files / Path(value["file"]).name
        return {k: restore(v, files) for k, v in value.items()}
    return [restore(v, files) for v in value] if isinstance(value, list) else value


def rescore(task: Task, state: dict[str, Any], files: Path, *, said_fail: bool) -> Score:
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
        values.append((check, pair[0], pair[1]))
    return judge(task, values)


def _outcome(check: Check, result: Any, expected: Any) -> CheckOutcome:
    entry = registry.find("metric", check.metric)
    options = registry.check_parameters(entry, check.options)
    arguments = (result, expected) if check.expected is not None or entry.positional > 1 else (result,)
    shown = {"metric": check.metric, "result": _shown(result), "expected": _shown(expected)}
    if result is None and check.result is not None:
        return CheckOutcome(value=0.0, note="there is nothing to check: no such file or value", **shown)
    try:
        value = float(entry.function(*arguments[: entry.positional or 2], **options))
    except CheckError:
        raise
    except Exception as error:  # the boundary to the metrics, users' own among them
        raise CheckError(f"{check.where}: metric {check.metric}: {type(error).__name__}: {error}") from error
    if not 0.0 <= value <= 1.0:
        raise CheckError(f"{check.where}: metric {check.metric} returned {value}; it must be 0 to 1")
    return CheckOutcome(value=value, note="" if value == 1.0 else "does not match", **shown)


def _shown(value: Any) -> str:
    if isinstance(value, Path):
        try:
            text = value.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return f"file {value.name}" if value.exists() else "no such file"
        return text[:SHOWN]
    return "" if value is None else str(value)[:SHOWN]
