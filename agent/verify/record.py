"""The validation record of a suite: `validation.json` beside its task files. It becomes stale when the tasks change.

It has the fields of OpenEnv's validation report, so that OpenEnv's tools can read it (openenv 0.10,
`openenv/validation/schemas/report-v2.schema.json`); deskbench's own data is under `measured`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deskbench.agent.build import DESKTOP_PATH
from deskbench.agent.runs.record import write_atomic
from deskbench.agent.verify.cells import Cell, Column, Outcome
from deskbench.envs.wire import PROTOCOL
from deskbench.tasks.fingerprint import POLICY, TASK, code_key, key_of
from deskbench.tasks.load import VALIDATION
from deskbench.tasks.types import Task

AGENT = tuple(f"deskbench.agent.{name}" for name in ("agents", "models", "ocr", "prompting", "replies"))
"""The packages with the code that a decision depends on."""
CHECK_IDS: dict[Column, str] = {
    "oracle": "semantic.oracle_max", "solution": "semantic.oracle_max", "again": "semantic.verifier_determinism",
    "neutral": "semantic.neutral_changes", "nothing": "semantic.floor_gap", "done": "semantic.floor_gap",
    "fail": "semantic.floor_gap", "random": "semantic.floor_gap", "mutant": "semantic.canary_floor",
    "prefix": "semantic.canary_floor", "blind": "semantic.blind_replay", "shell": "semantic.screen_needed",
}  # fmt: skip
"""OpenEnv's names for what each column shows, and our own names where OpenEnv has none."""
REMEDIES: dict[Column, str] = {
    "oracle": "fix the oracle, or the check that rejects its end state",
    "solution": "make the check accept this solution's end state, or remove the solution",
    "again": "make the check read without changing anything: the same end state must score the same",
    "neutral": "make the check accept this harmless change, or allow it with a reason (`allowed`)",
    "nothing": "make the check require something that set-up does not leave",
    "done": "make the check require something that set-up does not leave",
    "fail": "let only infeasible tasks pass with Fail",
    "random": "make the check require more than random actions leave",
    "mutant": "make the check tell this end state from the right one",
    "prefix": "make the check require what the last steps do",
    "blind": "make each seed move things on the screen and change the expected result",
}  # fmt: skip


class Entry(BaseModel):
    """One task's record: its trials, and what they depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    key: str
    desktop: dict[str, str]
    date: str
    k: int
    cells: tuple[Cell, ...]

    @property
    def valid(self) -> bool:
        """Whether every trial went right or does not apply, and a solution passed."""
        return is_valid(self.cells)


def is_valid(cells: Sequence[Cell]) -> bool:
    """Whether every trial went right or does not apply, and at least one of them was a solution that passed."""
    solved = any(cell.outcome is Outcome.RIGHT and cell.score == 1.0 for cell in cells)
    return solved and all(cell.outcome in (Outcome.RIGHT, Outcome.NONE) for cell in cells)


def stronger(before: Entry | None, now: Entry) -> bool:
    """Whether an earlier record of the same task and desktop is valid, as the new one is, with more oracle runs."""
    return (
        before is not None and before.valid and now.valid and before.k > now.k
        and (before.key, before.desktop) == (now.key, now.desktop)
    )  # fmt: skip


# -- what a result depends on


def agent_key(module: str) -> str:
    """Hash of the code of an agent, with the parts of deskbench that it decides with."""
    return code_key(module, AGENT)


def desktop_of(task: Task, provider: str, made_of: Mapping[str, str]) -> dict[str, str]:
    """The desktop of a result: the provider, its image, and on this machine the programs that the task requires."""
    found = {"provider": provider.partition(":")[0], "protocol": str(PROTOCOL), **made_of}
    if not made_of:
        for app in task.requires.apps:
            path = shutil.which(app, path=DESKTOP_PATH)
            found[app] = _digest(path) if path is not None else "missing"
    return found


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


# -- the file


class Records:
    """The records of the tasks' suites; each file is read once."""

    def __init__(self) -> None:
        self._read: dict[Path, dict[str, Entry]] = {}

    def of(self, task: Task) -> Entry | None:
        """A task's record, whether current or stale; None if there is none."""
        path = task.folder / VALIDATION
        if path not in self._read:
            self._read[path] = read(path)
        return self._read[path].get(task.key)

    def stale(self, task: Task, provider: str, made_of: Mapping[str, str]) -> str | None:
        """Why a task does not count as validated here; None if it does."""
        entry = self.of(task)
        if entry is None:
            path = task.folder / VALIDATION
            return f"{path.name} cannot be read, or has another format" if is_broken(path) else "was never verified"
        if entry.key != key_of(task):
            return "the task, its assets or the code of its check changed after it was verified"
        now = desktop_of(task, provider, made_of)
        if entry.desktop != now:
            return f"was verified on another desktop: {_difference(entry.desktop, now)}"
        return None if entry.valid else _why_invalid(entry)


@dataclass(frozen=True)
class Validated:
    """How many tasks of a run count as validated, and why the others do not."""

    n: int
    m: int
    why_not: Mapping[str, str]

    def __str__(self) -> str:
        """One line for people."""
        return f"validated {self.n} of {self.m}"


def validated(tasks: Sequence[Task], provider: str, made_of: Mapping[str, str]) -> Validated:
    """Count the tasks that have a current record for this desktop."""
    records = Records()
    why = {task.key: records.stale(task, provider, made_of) for task in tasks}
    return Validated(
        sum(reason is None for reason in why.values()), len(tasks), {k: reason for k, reason in why.items() if reason}
    )


def _why_invalid(entry: Entry) -> str:
    outcomes = {cell.outcome for cell in entry.cells}
    if Outcome.WRONG in outcomes:
        return "failed its verification"
    if outcomes & {Outcome.ERROR, Outcome.TIMEOUT}:
        return "was not decided: its verification ended with errors or timeouts"
    return "has no solution that passed its verification"


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {before.get(name, 'not there')}, is {now.get(name, 'not there')}" for name in names)


def read(path: Path) -> dict[str, Entry]:
    """The entries of a record by task key; empty if the file cannot be read."""
    return _entries(path) or {}


def is_broken(path: Path) -> bool:
    """Whether there is a file in the record's place that is no record."""
    return path.exists() and _entries(path) is None


def _entries(path: Path) -> dict[str, Entry] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found = [one["measured"] for one in value["results"] if one["check_id"] == TASK]
        return {entry.task: entry for entry in (Entry.model_validate(_whole(one, value)) for one in found)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError):
        return None


def _whole(measured: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    trials = [one["measured"] for one in report["results"] if one["check_id"] != TASK]
    cells = [cell for one in trials if one.get("task") == measured["task"] for cell in one["trials"]]
    return {**{k: v for k, v in measured.items() if k != "valid"}, "cells": cells}


def write(path: Path, suite: str, entries: Sequence[Entry], versions: Mapping[str, str]) -> None:
    """Write a suite's record, in the order of the entries, with the `versions` that produced it.

    Raises:
        StorageError: the file cannot be written.
    """
    results = [one for entry in entries for one in _results(entry)]
    digest = hashlib.sha256("".join(entry.key for entry in entries).encode()).hexdigest()
    document = {
        "report_schema_version": "2",
        "target": suite,
        "source_digest": f"sha256:{digest}",
        "signature": "openenv.yaml",  # the only value OpenEnv's tools know that fits
        "manifest": None,
        "policy_version": POLICY,
        "lane": "local",
        "levels_run": [3],
        "results": [_made_with(versions), *results],
        "verdict": "pass" if entries and all(entry.valid for entry in entries) else "fail",
    }
    write_atomic(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def _made_with(versions: Mapping[str, str]) -> dict[str, Any]:
    measured = {"date": time.strftime("%Y-%m-%d"), "versions": dict(versions), "protocol": PROTOCOL}
    return _result("deskbench.versions", "pass", measured, [], None, 0.0)


def _results(entry: Entry) -> Iterator[dict[str, Any]]:
    yield _result(
        TASK, "pass" if entry.valid else "fail",
        {**entry.model_dump(exclude={"cells"}), "valid": entry.valid}, [], None,
        sum(cell.seconds for cell in entry.cells),
    )  # fmt: skip
    for column in dict.fromkeys(cell.column for cell in entry.cells):
        cells = [cell for cell in entry.cells if cell.column == column]
        status = _status(cells)
        rows = [cell.model_dump(mode="json", exclude={"folder"}) for cell in cells]
        yield _result(
            CHECK_IDS[column], status, {"task": entry.task, "column": column, "trials": rows},
            [f"{cell.name or column}: {cell.outcome}: {cell.reason}" for cell in cells if cell.reason],
            REMEDIES.get(column) if status == "fail" else None, sum(cell.seconds for cell in cells),
        )  # fmt: skip


def _status(cells: Sequence[Cell]) -> Literal["pass", "fail", "skip", "error"]:
    outcomes = {cell.outcome for cell in cells}
    if Outcome.WRONG in outcomes:
        return "fail"
    if outcomes & {Outcome.ERROR, Outcome.TIMEOUT}:
        return "error"
    return "skip" if outcomes == {Outcome.NONE} else "pass"


def _result(
    check_id: str, status: str, measured: dict[str, Any], evidence: list[str], remediation: str | None, seconds: float
) -> dict[str, Any]:
    return {
        "check_id": check_id, "status": status, "measured": measured, "evidence": evidence, "remediation": remediation,
        "duration_s": round(seconds, 2),
    }  # fmt: skip
