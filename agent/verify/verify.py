"""Verify a suite: carry out every trial of every task on fresh desktops, and keep the results."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from deskbench.agent.build import Prepared, make_provider
from deskbench.agent.replay.mutants import Verdict, mutate
from deskbench.agent.runs.record import EpisodeReader
from deskbench.agent.verify import trials
from deskbench.agent.verify.cells import COLUMNS, DECIDED, Cell, Column, Outcome
from deskbench.agent.verify.record import Entry, desktop_of, is_valid
from deskbench.agent.verify.stage import Result, Stage
from deskbench.envs.errors import StorageError
from deskbench.envs.providers.pool import Pool
from deskbench.envs.types import Action, parse_actions
from deskbench.tasks.fingerprint import key_of
from deskbench.tasks.load import load
from deskbench.tasks.types import Task

ROWS = "results.jsonl"
COPY = "copy "
"""How the names of neutral changes begin that deskbench makes in recorded evidence."""
NOT_THERE: dict[Column, str] = {
    "oracle": "the file has no oracle", "solution": "the file has no other solution", "again": "nothing was scored",
    "neutral": "the file has no neutral change, and none fits the evidence", "mutant": "the file has no mutants",
    "prefix": "fewer than two oracle steps", "blind": "no other seed's oracle", "shell": "the file has no script",
}  # fmt: skip
"""Why a column does not apply."""


@dataclass
class Found:
    """The cells of one task so far.

    Attributes:
        key: hash of the task, its assets and the code of its check.
        desktop: what its desktops are made of.
        cells: the cells by place.
    """

    task: Task
    key: str
    desktop: dict[str, str]
    cells: dict[tuple[str, str, str], Cell] = field(default_factory=dict)

    @property
    def depends(self) -> str:
        """Hash of everything that the cells depend on: the key and the desktop."""
        return hashlib.sha256(json.dumps([self.key, self.desktop], sort_keys=True).encode()).hexdigest()

    @property
    def valid(self) -> bool:
        """Whether every column has a cell, and all went right."""
        return self.complete and is_valid(list(self.cells.values()))

    @property
    def complete(self) -> bool:
        """Whether every column has a cell."""
        return {cell.column for cell in self.cells.values()} >= set(COLUMNS)

    def of(self, column: Column) -> list[Cell]:
        """The cells of one column."""
        return [cell for cell in self.cells.values() if cell.column == column]


class Verification:
    """One verification.

    Args:
        prepared: the tasks and the provider.
        folder: the folder for episodes and results; existing results are continued.
        k: number of oracle runs per task.
        parallel: number of desktops at once.
        on_task: called with each finished task, from any thread.
    """

    def __init__(
        self, prepared: Prepared, folder: Path, *, k: int = 3, parallel: int = 1,
        on_task: Callable[[Found], None] = lambda found: None,
    ) -> None:  # fmt: skip
        self._prepared, self._folder, self._k, self._parallel = prepared, folder, k, parallel
        self._on_task, self._stop, self._lock = on_task, threading.Event(), threading.Lock()
        self._broken: BaseException | None = None
        self._instances: dict[Path, list[Task]] = {}
        provider, made_of = prepared.config.provider, prepared.made_of
        self.found = {
            task.key: Found(task, key_of(task), desktop_of(task, provider, made_of)) for task in prepared.tasks
        }

    def interrupt(self) -> None:
        """Stop soon; results so far are kept."""
        self._stop.set()

    @property
    def interrupted(self) -> bool:
        """Whether the verification was stopped early."""
        return self._stop.is_set()

    def run(self) -> dict[str, Found]:
        """Carry out every trial that has no result yet.

        Raises:
            StorageError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / ROWS).touch()
        self._read()
        owner = make_provider(self._prepared.config.provider)
        provider = Pool(owner, ahead=1 if owner.capacity is None else 0)
        workers = max(1, min(self._parallel, owner.capacity or self._parallel, len(self.found)))
        stage = Stage(
            provider, self._prepared.config.provider, self._prepared.spec, self._folder, lambda: self.interrupted
        )
        threads = ThreadPoolExecutor(workers, thread_name_prefix="verify")
        try:
            self._over(threads, workers, lambda found: self._own_trials(stage, found))
            self._over(threads, workers, lambda found: self._blind(stage, found))
        finally:
            threads.shutdown(wait=False)
            provider.close()
        if self._broken is not None:
            raise self._broken
        return self.found

    def entries(self) -> Iterator[Entry]:
        """The record of every complete task."""
        for found in self.found.values():
            if found.complete:
                yield Entry(
                    task=found.task.key, key=found.key, k=self._k, date=time.strftime("%Y-%m-%d"),
                    desktop=found.desktop,
                    cells=tuple(sorted(found.cells.values(), key=lambda cell: list(COLUMNS).index(cell.column))),
                )  # fmt: skip

    def _over(self, threads: ThreadPoolExecutor, workers: int, work: Callable[[Found], None]) -> None:
        """Do the work for every task once, several at a time; the first unexpected error ends all of it."""
        pending: queue.SimpleQueue[Found] = queue.SimpleQueue()
        for found in self.found.values():
            pending.put(found)

        def loop() -> None:
            while not self.interrupted:
                try:
                    work(pending.get_nowait())
                except queue.Empty:
                    return
                except BaseException as error:  # noqa: BLE001  (the boundary of a thread: all ends, with the cause)
                    with self._lock:
                        self._broken = self._broken or error
                    self._stop.set()

        wait([threads.submit(loop) for _ in range(workers)])

    def _own_trials(self, stage: Stage, found: Found) -> None:
        """Carry out all trials except the one that needs another seed."""
        task = found.task
        for number, trial in enumerate(trials.solving(task, self._k)):
            again = number == 0 and not found.of("again")
            self._trial(stage, found, trial, again=again)
        self._copies(found)
        for trial in [*trials.failing(task), *trials.scripts(task)]:
            self._trial(stage, found, trial)
        if not self.interrupted:
            self._prefixes(stage, found)
        for column in ("oracle", "solution", "again", "neutral", "mutant", "prefix", "shell"):
            self._fill(found, column)
        if len(self._seeds(task)) < 2 or not task.oracle:
            self._fill(found, "blind")
            self._done(found)

    def _trial(self, stage: Stage, found: Found, trial: trials.Trial, *, again: bool = False) -> None:
        known = found.cells.get((found.task.key, trial.column, trial.name))
        if self.interrupted or (known is not None and known.outcome in DECIDED):
            return
        result = stage.carry_out(trial, again=again)
        if not self.interrupted:
            self._keep(found, result.cell, *([result.again] if result.again is not None else []), *result.also)

    def _copies(self, found: Found) -> None:
        """Score harmless copies of the evidence that an oracle left, without a desktop."""
        passed = next((cell.folder for cell in found.of("oracle") if cell.outcome is Outcome.RIGHT), None)
        if self.interrupted or passed is None or any(cell.name.startswith(COPY) for cell in found.of("neutral")):
            return
        began = time.monotonic()
        [mutated] = mutate(self._folder / passed, harmless=True).tasks
        cells = [_copy(found.task, verdict, passed) for verdict in mutated.verdicts]
        if mutated.excuse:
            cells = [Cell(task=found.task.key, column="neutral", name=f"{COPY}of the evidence", outcome=Outcome.NONE,
                          reason=mutated.excuse, folder=passed)]  # fmt: skip
        seconds = round((time.monotonic() - began) / max(1, len(cells)), 2)
        self._keep(found, *(cell.model_copy(update={"seconds": seconds}) for cell in cells))

    def _prefixes(self, stage: Stage, found: Found) -> None:
        task = found.task
        if len(task.oracle) < 2:
            return
        if trials.looks_only(task):
            if not found.of("prefix"):
                cells = stage.prefixes(task)
                if not self.interrupted:
                    self._keep(found, *cells)
            return
        known = {cell.name for cell in found.of("prefix")}
        todo = [trial for trial in trials.prefixes(task) if trial.name not in known]
        whole = stage.carry_out(trials.solving(task, 1)[0]).evidence if todo else ""
        for trial in todo:
            if self.interrupted:
                return
            result = stage.carry_out(trial)
            if not self.interrupted:
                self._keep(found, _unless_same(result, whole))

    def _blind(self, stage: Stage, found: Found) -> None:
        """Repeat the recorded actions of another seed's oracle on this seed."""
        seeds = self._seeds(found.task)
        if len(seeds) < 2 or not found.task.oracle or self.interrupted:
            return
        place = [task.id for task in seeds].index(found.task.id)
        other = seeds[(place + 1) % len(seeds)]
        if not any(cell.outcome in DECIDED for cell in found.of("blind")):
            passed = self._solved(stage, other)
            if passed is not None:
                self._trial(stage, found, trials.blind(found.task, other.id, _decisions(self._folder / passed)))
            elif not self.interrupted:
                reason = f"the oracle of {other.id} did not pass"
                self._keep(found, Cell(task=found.task.key, column="blind", outcome=Outcome.ERROR, reason=reason))
        if not self.interrupted:
            self._done(found)

    def _solved(self, stage: Stage, task: Task) -> str | None:
        """The folder of an episode in which the task's oracle passed; a task that is not verified here is run once."""
        here = [one for one in self.found.values() if (one.task.path, one.task.id) == (task.path, task.id)]
        cells = here[0].of("oracle") if here else [stage.carry_out(trials.solving(task, 1)[0]).cell]
        return next((cell.folder for cell in cells if cell.outcome is Outcome.RIGHT), None)

    def _seeds(self, task: Task) -> list[Task]:
        """The instances of the task's file, one per seed, also those that are not verified."""
        with self._lock:
            if task.path not in self._instances:
                several = "@" in task.id
                host_files = self._prepared.config.host_files
                self._instances[task.path] = load(str(task.path), host_files=host_files) if several else [task]
            return self._instances[task.path]

    def _fill(self, found: Found, column: Column) -> None:
        if not self.interrupted and not found.of(column):
            reason = NOT_THERE[column]
            self._keep(found, Cell(task=found.task.key, column=column, outcome=Outcome.NONE, reason=reason))

    def _done(self, found: Found) -> None:
        if not self.interrupted:
            with self._lock:
                self._on_task(found)

    def _keep(self, found: Found, *cells: Cell) -> None:
        """Keep results; each is written at once, as one line."""
        with self._lock:
            for cell in cells:
                kept = cell.model_copy(update={"key": found.depends})
                found.cells[kept.place] = kept
                _append(self._folder / ROWS, kept.model_dump_json().encode())

    def _read(self) -> None:
        """Read an earlier session's results that are decided and still current.

        A broken last line is left out and ended, so that the next result has a line of its own.
        """
        path = self._folder / ROWS
        data = path.read_bytes()
        for line in data.split(b"\n"):
            try:
                cell = Cell.model_validate_json(line)
            except ValueError:
                continue
            found = self.found.get(cell.task)
            if found is not None and found.depends == cell.key and cell.outcome in DECIDED:
                found.cells[cell.place] = cell
        if data and not data.endswith(b"\n"):
            _append(path, b"")


def _append(path: Path, line: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None


def _copy(task: Task, verdict: Verdict, folder: str) -> Cell:
    """The cell of a harmless copy; one that the author allows to lose the score does not count."""
    outcome = {"stayed": Outcome.RIGHT, "broke": Outcome.WRONG}.get(verdict.outcome, Outcome.ERROR)
    if verdict.allowed:
        outcome = Outcome.NONE
    reason = f"{verdict.words}: {verdict.allowed or verdict.reason}"
    return Cell(
        task=task.key, column="neutral", name=f"{COPY}{verdict.id} of {verdict.evidence}", outcome=outcome,
        score=verdict.value, reason="" if outcome is Outcome.RIGHT else " ".join(reason.split())[:400], folder=folder,
    )  # fmt: skip


def _unless_same(result: Result, whole: str) -> Cell:
    """The cell of a prefix; a prefix with the same end state as the whole oracle is not a wrong end state."""
    if result.evidence == whole and result.cell.score is not None:
        return result.cell.model_copy(update={"outcome": Outcome.NONE, "reason": "same end state as the whole oracle"})
    return result.cell


def _decisions(folder: Path) -> list[tuple[Action, ...]]:
    return [tuple(parse_actions(step.actions)) for step in EpisodeReader(folder).steps()]
