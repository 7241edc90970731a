"""Turns an end state into a score, with a reason for every 0. None means not scored."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path, PurePosixPath
from typing import Any

from deskbench.envs import wait
from deskbench.envs.errors import CheckError, EnvError, Unfit
from deskbench.tasks import registry
from deskbench.tasks.guest import Lacking
from deskbench.tasks.metrics.support.applied import apply, files_in
from deskbench.tasks.metrics.support.differences import Revision
from deskbench.tasks.metrics.support.fidelity import osworld_strict
from deskbench.tasks.metrics.support.told import Told
from deskbench.tasks.scoring import worker
from deskbench.tasks.scoring.packing import NotFit, packed, plain, unpacked
from deskbench.tasks.scoring.probes import PROBES, Probe
from deskbench.tasks.scoring.tools import started
from deskbench.tasks.setup import run_before_check
from deskbench.tasks.types import Call, Check, CheckOutcome, Score, Task
from deskbench.tasks.world import Context, World

SHOWN = 2000
"""The most characters of a value that an outcome shows."""
SHORT = 2**16
"""Characters, as JSON, up to which a linear metric judges values from the desktop in the controller."""
NOT_OF_THE_DESKTOP = ("cloud_file", "task_file", "rule", "rule_relativeTime", "time_diff_range")
"""Getters whose values the agent cannot influence: if one fails, the check is at fault."""
PROBED = ".probed"
"""Suffix of the key that a probe's result is recorded under; the prefix is the check's JSON path."""


def score(task: Task, world: World, context: Context, *, said_fail: bool, strict: Revision | None = None) -> Score:
    """Score the end state.

    Only `fail` passes an infeasible task; `fail` on a feasible task scores 0, whatever the end state. `strict` repeats
    the bugs of a revision of OSWorld (`--osworld-strict`). Before anything is read, programs get the time that they
    need to write late changes: a browser writes a bookmark 2.5 seconds after it was made.

    Raises:
        CheckError: a getter or metric failed; the episode is not scored.
        EnvError: the desktop failed.
    """
    began = time.monotonic()
    if task.evaluator.infeasible or said_fail:
        return _by_word(task, said_fail)
    wait.sleep(_late(task))
    missed = run_before_check(task.evaluator.postconfig, context, lambda call: started(call) in world.programs)
    with osworld_strict(strict):
        values = [read(check, world) for check in task.evaluator.checks]
    found = judge(task, values, time.monotonic() - began, strict=strict)
    return found.model_copy(update={"reason": "; ".join([found.reason, *missed])}) if missed else found


def _late(task: Task) -> float:
    """Seconds after which programs have written all that the task's checks read, so that no right answer is lost."""
    calls = (call for check in task.evaluator.checks for call in (check.result, check.expected) if call is not None)
    return max((registry.find("getter", call.type).late for call in calls), default=0.0)


def read(check: Check, world: World) -> tuple[Check, Any, Any]:
    """The values that a check judges, read from the desktop; with a probe, the value that the probe finds."""
    result, expected = value_of(check.result, world), value_of(check.expected, world)
    probe = PROBES.get(check.metric)
    if probe is not None and result is not None and not any(isinstance(v, NotFit) for v in (result, expected)):
        result = _found(check, world, probe, result, expected)
    return check, result, expected


def _found(check: Check, world: World, probe: Probe, result: Any, expected: Any) -> Any:
    try:
        value = plain(probe(world, result, expected, check.options))
    except Unfit as error:
        value = NotFit(str(error))
    except Lacking as error:
        value = _removed(error, world)
    world.state[check.where + PROBED] = packed(value, str)
    return value


def _by_word(task: Task, said_fail: bool) -> Score:
    if task.evaluator.infeasible:
        reason = (
            "the task is infeasible, and the agent said so"
            if said_fail
            else "the task is infeasible, but the agent did not say so"
        )
        return Score(value=1.0 if said_fail else 0.0, reason=reason)
    return Score(value=0.0, reason="the agent said that the task is infeasible, but it is feasible")


def judge(
    task: Task, values: list[tuple[Check, Any, Any]], seconds: float = 0.0, *, strict: Revision | None = None
) -> Score:
    """Apply the metrics to values that are already read: the part of scoring that needs no machine.

    `and` is 0 at the first check that is 0, else the mean. `or` is 1 at the first check that is 1, else the best
    (OSWorld's arithmetic).
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
    """The value that a getter reads, also recorded; None if there is no getter, NotFit if the value cannot be read.

    Raises:
        CheckError: the getter failed, or its parameters are wrong.
        EnvError: the desktop failed.
    """
    if call is None:
        return None
    entry = registry.find("getter", call.type)
    try:
        value = plain(entry.function(world, **registry.check_parameters(entry, call.parameters)))
    except Unfit as error:
        if call.type in NOT_OF_THE_DESKTOP:
            raise CheckError(f"{call.where}: getter {call.type}: {error}") from error
        value = NotFit(str(error))
    except Lacking as error:
        value = _removed(error, world)
    except (EnvError, CheckError):
        raise
    except Exception as error:  # the boundary to getters, including users' own
        raise CheckError(f"{call.where}: getter {call.type}: {type(error).__name__}: {error}") from error
    world.state[call.where] = packed(value, lambda file: _recorded(file, world.cache))
    return value


def _removed(error: Lacking, world: World) -> NotFit:
    """Blame the agent for a missing program that existed when it began.

    Raises:
        Lacking: the program did not exist, or that is unknown.
    """
    if error.program not in world.programs:
        raise error
    return NotFit(f"{error.program}, which the check runs, existed when the agent began and is now gone")


def _recorded(file: Path, cache: Path) -> str:
    return file.relative_to(cache).as_posix() if file.is_relative_to(cache) else file.name


def restore(value: Any, files: Path) -> Any:
    """The reverse of what `World.state` records."""
    return unpacked(value, lambda name: files.joinpath(*(p for p in PurePosixPath(name).parts if p not in ("/", ".."))))


def rescore(
    task: Task, state: dict[str, Any], files: Path, *, said_fail: bool, strict: Revision | None = None
) -> Score:
    """Score again from the record, without a machine.

    Raises:
        CheckError: a metric failed, or the record lacks a value that the task's checks now need.
    """
    if task.evaluator.infeasible or said_fail:
        return _by_word(task, said_fail)
    return judge(task, recorded(task, state, files), strict=strict)


def recorded(task: Task, state: dict[str, Any], files: Path) -> list[tuple[Check, Any, Any]]:
    """The values that each check judges, from the record.

    Raises:
        CheckError: the record lacks a value that the task's checks now need.
    """
    values = []
    for check in task.evaluator.checks:
        pair = []
        for call in (check.result, check.expected):
            if call is not None and call.where not in state:
                raise CheckError(f"{task.key}: the record has no value for {call.where}")
            pair.append(None if call is None else _as_recorded(task, call, state[call.where], files))
        if check.metric in PROBES and pair[0] is not None and not any(isinstance(v, NotFit) for v in pair):
            pair[0] = _probed(task, check, state)
        values.append((check, pair[0], pair[1]))
    return values


def _as_recorded(task: Task, call: Call, value: Any, files: Path) -> Any:
    """A value from the record; files next to the task are not recorded and are read from there."""
    if call.type == "task_file":
        beside = task.asset(str(call.parameters["path"]))
        if beside.is_file():
            return beside
    return restore(value, files)


def _probed(task: Task, check: Check, state: dict[str, Any]) -> Any:
    if check.where + PROBED not in state:
        raise CheckError(f"{task.key}: the record does not say what {check.metric} found in the desktop")
    return unpacked(state[check.where + PROBED], Path)


def _outcome(check: Check, result: Any, expected: Any) -> CheckOutcome:
    shown = {"metric": check.metric, "result": _shown(result), "expected": _shown(expected), "source": _source(check)}
    for call, value in ((check.result, result), (check.expected, expected)):
        if isinstance(value, NotFit):
            return CheckOutcome(value=0.0, note=value.reason, **shown)
        if call is not None and value is None and call.type not in NOT_OF_THE_DESKTOP:
            return CheckOutcome(value=0.0, note="nothing to check: no such file or value", **shown)
    try:
        told = _apply(check, result, expected)
    except CheckError as error:
        raise CheckError(f"{check.where}: {error}") from error
    return CheckOutcome(value=told, note="" if told == 1.0 else told.note or "does not match", **shown)


def _source(check: Check) -> str:
    """Where the value that shows the agent's work comes from."""
    found = [registry.find("getter", call.type).source for call in (check.result, check.expected) if call is not None]
    if check.metric in PROBES:
        return "program"
    return next((source for source in found if source != "task"), "task")


def _apply(check: Check, result: Any, expected: Any) -> Told:
    """Run a metric in a separate process, unless it is quick or the agent has no influence on its values."""
    entry = registry.find("metric", check.metric)
    theirs = _from_the_desktop(check.result), _from_the_desktop(check.expected)
    files = next(files_in([result, expected]), None) is not None
    if not files and (not any(theirs) or (entry.linear and len(json.dumps([result, expected])) <= SHORT)):
        return apply(entry, result, expected, check.options, theirs=theirs)
    return worker.evaluate(check.metric, result, expected, check.options, theirs)


def _from_the_desktop(call: Call | None) -> bool:
    return call is not None and call.type not in NOT_OF_THE_DESKTOP


def _shown(value: Any) -> str:
    if isinstance(value, NotFit):
        return value.reason[:SHOWN]
    if isinstance(value, Path):
        try:
            with value.open(encoding="utf-8") as file:
                return file.read(SHOWN)
        except (OSError, UnicodeDecodeError):
            return f"file {value.name}" if value.exists() else "no such file"
    return "" if value is None else str(value)[:SHOWN]
