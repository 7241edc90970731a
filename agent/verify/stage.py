"""Carry out trials: each on a fresh desktop, as a recorded episode."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.base import Ending
from deskbench.agent.build import ASSETS
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter
from deskbench.agent.verify.cells import Cell, Outcome
from deskbench.agent.verify.start import start_findings
from deskbench.agent.verify.trials import Trial, WatchedOracle, last, looks_only, only_saying
from deskbench.envs.desktop import Desktop, DesktopSpec, Provider
from deskbench.envs.errors import CheckError, EnvError, Unfit
from deskbench.tasks.scoring.score import PROBED, score
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call, Score, Task
from deskbench.tasks.world import Context, World

ATTEMPTS = 3
"""Attempts of a trial: a desktop that dies costs one, and the reason names it."""

ACTING = frozenset({"oracle", "solution", "neutral", "prefix", "blind"})
"""Columns whose outcome says something only if all of their actions were carried out."""


@dataclass
class Result:
    """The result of a trial.

    Attributes:
        cell: its outcome.
        evidence: hash of what the check read from the end state.
        again: the outcome of scoring the same end state again, if requested.
        also: outcomes of trials that need no desktop of their own.
        folder: the episode's folder.
        passing: whether a failure may not happen on another desktop.
    """

    cell: Cell
    evidence: str = ""
    again: Cell | None = None
    also: tuple[Cell, ...] = ()
    folder: Path = field(default_factory=Path)
    passing: bool = False


class Stage:
    """A provider's desktops, and a folder for the episodes on them.

    Args:
        provider: starts fresh desktops.
        name: the provider's name, for the record.
        spec: the desktop that a task needs.
        folder: the folder for the episodes, with one subfolder per trial.
        interrupted: whether to stop soon.
    """

    def __init__(
        self, provider: Provider, name: str, spec: Callable[[Task], DesktopSpec], folder: Path,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._provider, self._name, self._spec, self._folder = provider, name, spec, folder
        self.interrupted = interrupted

    def carry_out(self, trial: Trial, *, again: bool = False) -> Result:
        """Carry out a trial; if a desktop fails, try again on another one.

        Args:
            trial: the trial.
            again: also score the same end state a second time.
        """
        began, lost = time.monotonic(), []
        for attempt in range(1, ATTEMPTS + 1):
            result = self._attempt(trial, attempt, again=again)
            if not result.passing or self.interrupted():
                break
            lost.append(f"attempt {attempt}: {result.cell.reason}")
        reason = "; ".join([result.cell.reason, *lost[: attempt - 1]]).strip("; ")
        seconds = round(time.monotonic() - began, 2)
        return replace(result, cell=result.cell.model_copy(update={"reason": reason, "seconds": seconds}))

    def prefixes(self, task: Task) -> list[Cell]:
        """Score every prefix of the oracle in one episode; for tasks whose check changes nothing (`looks_only`)."""
        seen: dict[int, tuple[Score, str]] = {}

        def look(desktop: Desktop, left: int) -> None:
            world = _world(task, desktop, self._folder / "looks" / task.key / str(left))
            seen[left] = score(task, world, _context(world), said_fail=False), evidence_of(task, world.state)

        def watched(desktop: Desktop) -> OracleAgent:
            seen.clear()
            return WatchedOracle(task.oracle, partial(look, desktop))

        trial = Trial("prefix", "", task, watched, 1.0)
        result = self.carry_out(trial)
        if result.cell.outcome is not Outcome.RIGHT:  # the oracle itself failed
            return [result.cell]
        return [self._prefix(trial, left, *seen[left], result) for left in sorted(seen) if left]

    def _prefix(self, trial: Trial, left: int, found: Score, evidence: str, whole: Result) -> Cell:
        about = replace(trial, name=last(left), want=0.0, partial=True)
        if evidence == whole.evidence:
            return self._cell(about, whole.folder, Outcome.NONE, found.value, "same end state as the whole oracle")
        return self._cell(about, whole.folder, verdict(about, found.value), found.value, found.reason)

    def _attempt(self, trial: Trial, attempt: int, *, again: bool) -> Result:
        folder = self._free(trial)
        writer = EpisodeWriter(folder)
        try:
            return self._on_a_desktop(trial, attempt, writer, again=again)
        except EnvError as error:  # before the episode, or after its end
            cell = self._cell(trial, folder, Outcome.ERROR, None, f"the desktop failed: {error}")
            return Result(cell, passing=not error.permanent)
        except (CheckError, Unfit) as error:
            return Result(self._cell(trial, folder, Outcome.ERROR, None, f"the check failed: {error}"))
        finally:
            writer.close()

    def _on_a_desktop(self, trial: Trial, attempt: int, writer: EpisodeWriter, *, again: bool) -> Result:
        desktop = self._provider.start(self._spec(trial.task))
        try:
            plan = self._plan(trial, attempt)
            record = run_episode(plan, trial.agent(desktop), desktop, writer, interrupted=self.interrupted)
            result = self._judged(trial, record, writer.folder)
            if trial.after and record.score.value == 1.0:
                found = _scored_now(trial.task, desktop, writer.folder / "after", record, trial.after)
                outcome = verdict(trial, found.value)
                result.cell = self._cell(trial, writer.folder, outcome, found.value, found.reason, record)
            if trial.column == "nothing":
                notes = tuple(start_findings(trial.task, record, writer.folder, desktop))
                result.cell = result.cell.model_copy(update={"notes": notes})
                result.also = tuple(self._only_said(trial, record, desktop, writer.folder))
            if again and record.score.value is not None:
                result.again = self._again(trial, record, desktop, writer.folder)
            return result
        finally:
            self._provider.stop(desktop)

    def _plan(self, trial: Trial, attempt: int) -> Plan:
        return Plan(
            task=trial.task, agent_name=f"verify-{trial.column}", provider_name=self._name, assets=ASSETS,
            attempt=attempt, seed=trial.seed, task_json=trial.task.written,
        )  # fmt: skip

    def _judged(self, trial: Trial, record: EpisodeRecord, folder: Path) -> Result:
        value = record.score.value
        outcome = Outcome.ERROR if value is None else verdict(trial, value)
        cut = record.ending is Ending.TIME_LIMIT  # not all of the trial's actions were carried out
        if cut and outcome is (Outcome.WRONG if trial.want == 1.0 else Outcome.RIGHT) and trial.column in ACTING:
            outcome = Outcome.TIMEOUT
        reason = "the episode's time ran out" if outcome is Outcome.TIMEOUT else record.score.reason
        broke = record.ending in (Ending.ENV_ERROR, Ending.CRASHED) and not record.permanent
        cell = self._cell(trial, folder, outcome, value, reason, record)
        return Result(cell, evidence_of(trial.task, record.state), folder=folder, passing=broke and value is None)

    def _again(self, trial: Trial, record: EpisodeRecord, desktop: Desktop, folder: Path) -> Cell:
        about = replace(trial, column="again", name="", want=None)
        if trial.task.is_class:
            return self._cell(about, folder, Outcome.NONE, None, "a task class is judged once")
        found = _scored_now(trial.task, desktop, folder / "again", record)
        same = found.value == record.score.value
        reason = "" if same else f"{record.score.value} at first, then {found.value}: {found.reason}"
        return self._cell(about, folder, Outcome.RIGHT if same else Outcome.WRONG, found.value, reason)

    def _only_said(self, trial: Trial, record: EpisodeRecord, desktop: Desktop, folder: Path) -> Iterator[Cell]:
        """Score the untouched state once more, as if the agent had said Done or Fail, where scoring changes nothing."""
        if record.score.value is None or not looks_only(trial.task):
            return
        for about in only_saying(trial.task):
            said = record.model_copy(update={"ending": Ending.FAILED if about.column == "fail" else Ending.DONE})
            found = _scored_now(trial.task, desktop, folder / about.column, said)
            yield self._cell(about, folder, verdict(about, found.value), found.value, found.reason)

    def _cell(
        self, trial: Trial, folder: Path, outcome: Outcome, value: float | None, reason: str,
        record: EpisodeRecord | None = None,
    ) -> Cell:  # fmt: skip
        right = outcome is Outcome.RIGHT and trial.want is not None
        return Cell(
            task=trial.task.key, column=trial.column, name=trial.name, outcome=outcome, score=value,
            reason="" if right else " ".join(reason.split())[:400],
            folder=folder.relative_to(self._folder).as_posix(),
            steps=record.totals.steps if record is not None else 0,
        )  # fmt: skip

    def _free(self, trial: Trial) -> Path:
        """A folder that no episode uses yet."""
        name = re.sub(r"[^\w.@-]+", "-", f"{trial.column}-{trial.name}").strip("-")[:80]
        base = RunFolder(self._folder).attempts(trial.task.key)
        taken = sum(1 for path in base.glob(f"{name}.*") if path.is_dir()) if base.is_dir() else 0
        return base / f"{name}.{taken + 1}"


def verdict(trial: Trial, value: float | None) -> Outcome:
    """The outcome for a score, compared with the score that the trial must get; None means it was not scored."""
    if value is None:
        return Outcome.ERROR
    right = trial.want in (None, value) or (trial.partial and value < 1.0)
    return Outcome.RIGHT if right else Outcome.WRONG


def evidence_of(task: Task, state: Mapping[str, Any]) -> str:
    """Hash of what the check read from the end state; files are hashed by content."""
    wheres = {check.result.where for check in task.evaluator.checks if check.result is not None}
    read = {where: value for where, value in state.items() if where in wheres or where.endswith(PROBED)}
    return hashlib.sha256(json.dumps(read, sort_keys=True, default=str).encode()).hexdigest()


def _scored_now(
    task: Task, desktop: Desktop, folder: Path, record: EpisodeRecord, steps: tuple[Call, ...] = ()
) -> Score:
    """Score a desktop whose episode has ended, after running more set-up steps."""
    world = _world(task, desktop, folder, record.answer)
    context = _context(world)
    try:
        run_steps(steps, context)
        return score(task, world, context, said_fail=record.ending is Ending.FAILED)
    finally:
        context.close()


def _world(task: Task, desktop: Desktop, folder: Path, answer: str | None = None) -> World:
    folder.mkdir(parents=True, exist_ok=True)
    return World(desktop, task, folder, ASSETS, answer)


def _context(world: World) -> Context:
    return Context(world.desktop, world.task, world.cache, ASSETS, world.desktop.health().screen)
