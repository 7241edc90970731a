"""Run many episodes, as the ledger hands them out, and end cleanly. An engine says where they run."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deskbench.agent import manifest
from deskbench.agent.build import Prepared
from deskbench.agent.engines.attempt import plan_of
from deskbench.agent.engines.base import Attempt, Engine, SeatLost
from deskbench.agent.engines.choose import engine_for
from deskbench.agent.episode import Doing
from deskbench.agent.limits import END_SECONDS, START_SECONDS
from deskbench.agent.report.outcomes import LOST, Outcome, outcome_of
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Lease, Ledger, Planned, Result, Verdict
from deskbench.agent.runs.record import EpisodeRecord, Written
from deskbench.agent.runs.recovery import recover
from deskbench.agent.statistics.summary import Summary, summarize
from deskbench.agent.workers import Worker, Workers
from deskbench.envs.errors import StorageError, UsageError

LATE = "its lease ended"
"""Why a result does not count that came too late."""


@dataclass
class Running:
    """An episode that is running, for display.

    Attributes:
        task: the task's key.
        repeat: its repeat, from 0.
        slot: number of the desktop, from 0 to the run's `parallel`.
        steps: the most decisions that the agent may make.
        began: start of the current attempt, in monotonic seconds.
        attempt: number of the current attempt of this session, from 1.
        doing: what the episode does at the moment.
    """

    task: str
    repeat: int = 0
    slot: int = 0
    steps: int = 0
    began: float = field(default_factory=time.monotonic)
    attempt: int = 1
    doing: Doing = field(default_factory=Doing)


@dataclass
class Progress:
    """The progress of a run, for display.

    Attributes:
        total: number of episodes that this session will run.
        finished: number of episodes whose final attempt has ended.
        running: the episodes that are running.
        retried: number of attempts that failed because of the infrastructure and were repeated.
        cost_usd: cost so far in US dollars; None while no price is known.
        scores: scores of the finished episodes.
        last: the outcome of the episode that finished last.
        began: start of the run, in monotonic seconds.
    """

    total: int
    finished: int = 0
    running: list[Running] = field(default_factory=list)
    retried: int = 0
    cost_usd: float | None = None
    scores: list[float | None] = field(default_factory=list)
    last: Outcome | None = None
    began: float = field(default_factory=time.monotonic)


class Batch:
    """One run.

    Args:
        prepared: what to run.
        folder: the run's folder: a new one, or with `resume` an existing one.
        on_change: called with the progress after every change, from any thread.
        on_begin: called with the folder once the run's manifest and ledger exist.
        end_seconds: how long the end of a desktop may take, and that of all desktops.
        make_engine: makes what places the attempts.

    Attributes:
        unclosed: why some desktops could not be stopped, or None.
        changes: what has changed since the earlier sessions of a resumed run, in words.
    """

    def __init__(
        self,
        prepared: Prepared,
        folder: Path,
        on_change: Callable[[Progress], None] = lambda p: None,
        on_begin: Callable[[Path], None] = lambda folder: None,
        *,
        end_seconds: float = END_SECONDS,
        make_engine: Callable[[Prepared, float], Engine] = engine_for,
    ) -> None:
        self._prepared = prepared
        self.folder = folder
        self._run = RunFolder(folder)
        self._tasks = {task.key: task for task in prepared.tasks}
        self._on_change = on_change
        self._on_begin = on_begin
        self._end_seconds = end_seconds
        self._engine = make_engine(prepared, end_seconds)
        self._stop = threading.Event()
        self._full = threading.Event()
        self._lock = threading.Lock()
        self._broken: BaseException | None = None
        self.unclosed: str | None = None
        self.changes: list[str] = []

    def interrupt(self) -> None:
        """Stop soon: no new episode begins; running ones end as interrupted, without a score."""
        self._stop.set()

    @property
    def notice(self) -> str | None:
        """What the user should know about where the run happens, in one line, or None; known once it has begun."""
        return self._engine.notice

    @property
    def interrupted(self) -> bool:
        """Whether the run was stopped early."""
        return self._stop.is_set()

    @property
    def full(self) -> bool:
        """Whether the run's budget is spent: no new episode begins, and running ones continue to their end."""
        return self._full.is_set()

    @property
    def state(self) -> str:
        """How the run ended.

        `done`, or the reason why it stopped before every episode had a score: `broken` (an error that ends a run),
        `interrupted`, or `budget` (the budget is spent).
        """
        if self._broken is not None:
            return "broken"
        summary = self.summary()
        if summary.scored == summary.planned:
            return "done"
        return "interrupted" if self.interrupted else "budget" if self.full else "done"

    def run(self, *, resume: bool = False) -> Summary:
        """Run every episode that is still to do.

        Raises:
            ModelFatal, StorageError: the run cannot continue; its records are kept.
            UsageError: the folder holds another run.
        """
        try:
            self._engine.room()
            ledger = self._open(resume)
        except BaseException:
            self._end()
            raise
        try:
            self._on_begin(self.folder)
            todo = len(ledger.open_episodes())
            self.progress = Progress(total=todo, cost_usd=ledger.spent())
            workers = Workers(ledger, self._prepared.config.lease_seconds, lambda one: self._work(one, ledger))
            workers.run(self._engine.open(todo), stopping=self._stop.is_set, lost=self._lost)
        except StorageError as error:
            self._stop.set()
            self._broken = self._broken or error
        finally:
            self._end()
            ledger.close()
        self._close()
        if self._broken is not None:
            raise self._broken
        return self.summary()

    def _end(self) -> None:
        """Stop all desktops. An engine that fails to stop them does not affect the records."""

        def close() -> None:
            try:
                self._engine.close()
            except Exception as error:  # noqa: BLE001  (the boundary to providers, users' own among them)
                self.unclosed = f"{type(error).__name__}: {error}"

        if not _within(self._end_seconds, close):
            self.unclosed = f"they did not end within {self._end_seconds:.0f} s"

    def _close(self) -> None:
        """Write how the run ended into run.json; until then its state is `running`."""
        error = str(self._broken) if self._broken else self.unclosed
        # a full disk has already been reported
        with contextlib.suppress(*([StorageError] if isinstance(self._broken, StorageError) else [])):
            manifest.update(self._run, state=self.state, error=error, bytes=self._run.size())

    def summary(self) -> Summary:
        """The numbers of the whole run, including earlier sessions of a resumed run."""
        planned = len(self._prepared.tasks) * self._prepared.config.repeats
        return summarize([reader.episode for reader in self._run.final()], planned, self._run.manifest())

    def _open(self, resume: bool) -> Ledger:
        if self._run.exists and not resume:
            raise UsageError(f"{self.folder} already holds a run; continue it with --resume, or use another folder")
        if self._run.exists:
            manifest.check_same(self._run, self._prepared)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot create {self.folder}: {error.strerror}") from error
        if not self._run.exists:  # before anything else, so that --resume works whatever happens next
            self._run.write_manifest(manifest.manifest(self._prepared))
        ledger = Ledger(self._run.ledger)
        self.changes = manifest.resumed(self._run, self._prepared)  # nothing in a new run
        recover(ledger, self._run)
        config = self._prepared.config
        ledger.plan(
            Planned(task.key, repeat, config.seed + repeat)
            for repeat in range(config.repeats)
            for task in self._prepared.tasks
        )
        ledger.begin_session(config.retries)
        return ledger

    def _work(self, worker: Worker, ledger: Ledger) -> None:
        """Run one episode after another, until none waits or the worker was given up."""
        seconds = self._prepared.config.lease_seconds

        def wanted() -> bool:
            return not (self._stop.is_set() or worker.lost) and ledger.waits(begun=self._full.is_set())

        try:
            while not (self._stop.is_set() or worker.lost) and self._engine.seat(worker, wanted):
                lease = ledger.lease(worker.name, seconds, begun=self._full.is_set())
                if lease is None:
                    return
                worker.begin(lease, START_SECONDS)
                self._attempt(worker, lease, ledger)
        except BaseException as error:  # noqa: BLE001  (the boundary of a thread: the run ends, with the cause)
            if not worker.lost:
                with self._lock:
                    self._broken = self._broken or error
                self._stop.set()
        finally:
            self._engine.leave(worker)

    def _attempt(self, worker: Worker, lease: Lease, ledger: Ledger) -> None:
        doing = Doing(alive=worker.alive)
        running = Running(lease.episode.task, lease.episode.repeat, worker.slot, attempt=lease.tries, doing=doing)
        self._change(lambda p: p.running.append(running))

        def hand_in(record: EpisodeRecord, written: Written) -> bool:
            worker.alive(self._end_seconds)
            verdict = ledger.accept(lease.token, Result.of(record), written.publish)
            worker.handed = verdict, record
            self._pay(record.totals.usage.cost_usd)
            return verdict.counts

        task = self._tasks[lease.episode.task]
        attempt = Attempt(
            plan_of(self._prepared, task, lease.episode, lease.number, deaths=lease.deaths, record=self.folder),
            lease.token, self._run.episode(lease.episode.task, lease.number).path, worker, doing,
            begin=lambda: ledger.start(lease), hand_in=hand_in,
            interrupted=lambda: self._stop.is_set() or worker.lost,
        )  # fmt: skip
        running.steps = attempt.plan.steps
        verdict, cause = None, LATE
        try:
            self._engine.carry_out(attempt)
        except SeatLost as error:
            verdict, cause = ledger.supersede(lease.token, str(error)), str(error)
        if worker.done():
            self._told(running, worker, verdict, cause)

    def _lost(self, worker: Worker, verdict: Verdict | None, cause: str) -> None:
        """Go on without a worker: show what became of its episode, and stop its desktop."""
        self._engine.give_up(worker)
        for running in [one for one in self.progress.running if one.slot == worker.slot]:
            self._told(running, worker, verdict, cause)

    def _told(self, running: Running, worker: Worker, verdict: Verdict | None, cause: str) -> None:
        """Show what became of an attempt: its result if that counts, else why it was lost."""
        handed, record = worker.handed or (None, None)
        verdict = verdict or handed or Verdict(False, True)
        lost = Outcome(running.task, running.repeat, None, LOST, cause)
        self._finished(running, verdict, outcome_of(record) if record is not None and verdict.counts else lost)

    def _finished(self, running: Running, verdict: Verdict, outcome: Outcome) -> None:
        def change(progress: Progress) -> None:
            progress.running = [one for one in progress.running if one is not running]
            if not verdict.ended and not self._stop.is_set():
                progress.retried += 1
                return
            progress.finished += 1
            progress.scores.append(outcome.score)
            progress.last = outcome

        self._change(change)

    def _pay(self, cost: float | None) -> None:
        """Add the cost of an attempt, even a failed one; no new episode begins once the budget is spent."""
        if cost is not None:
            self._change(lambda p: setattr(p, "cost_usd", (p.cost_usd or 0.0) + cost))
        limit, spent = self._prepared.config.budget_usd, self.progress.cost_usd
        if limit is not None and spent is not None and spent >= limit:
            self._full.set()

    def _change(self, change: Callable[[Progress], object]) -> None:
        with self._lock:
            change(self.progress)
            self._on_change(self.progress)


def _within(seconds: float, call: Callable[[], None]) -> bool:
    """Call something that may hang; returns whether it ended in time."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
