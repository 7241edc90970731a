"""Run many episodes: a queue, threads, retries after infrastructure failures, and a clean end."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from deskbench.agent import manifest
from deskbench.agent.base import Agent, AgentCrash, Decision, Ending, Goal, ModelFatal, Needs
from deskbench.agent.build import ASSETS, Prepared, make_provider
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Ledger, Planned
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter
from deskbench.agent.statistics.summary import Summary, summarize
from deskbench.agent.user import user_of
from deskbench.envs.desktop import Desktop, Provider
from deskbench.envs.errors import StorageError, UsageError
from deskbench.envs.providers.pool import Pool
from deskbench.envs.types import Observation
from deskbench.tasks.types import Task


@dataclass
class Progress:
    """The progress of a run, for display.

    Attributes:
        total: number of episodes that this session will run.
        finished: number of episodes whose final attempt has ended.
        running: keys of the tasks that are running.
        retried: number of attempts that failed because of the infrastructure and were repeated.
        cost_usd: cost so far in US dollars; None while no price is known.
        scores: scores of the finished episodes.
        began: start of the run, in monotonic seconds.
    """

    total: int
    finished: int = 0
    running: list[str] = field(default_factory=list)
    retried: int = 0
    cost_usd: float | None = None
    scores: list[float | None] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)


class Batch:
    """One run.

    Args:
        prepared: what to run.
        folder: the run's folder: a new one, or with `resume` an existing one.
        on_change: called with the progress after every change, from any thread.
    """

    def __init__(
        self, prepared: Prepared, folder: Path, on_change: Callable[[Progress], None] = lambda p: None
    ) -> None:
        self._prepared = prepared
        self.folder = folder
        self._run = RunFolder(folder)
        self._tasks = {task.key: task for task in prepared.tasks}
        self._on_change = on_change
        self._stop = threading.Event()
        self._full = threading.Event()
        self._lock = threading.Lock()
        self._broken: BaseException | None = None
        self._deaths: Counter[tuple[str, int]] = Counter()
        self.unclosed: str | None = None

    def interrupt(self) -> None:
        """Stop soon: no new episode begins; running ones end as interrupted, without a score."""
        self._stop.set()

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
        ledger = self._open(resume)
        todo = self._todo(ledger)
        owner = make_provider(self._prepared.config.provider)
        workers = min(self._prepared.config.parallel, len(todo), owner.capacity or len(todo))
        self.progress = Progress(total=len(todo), cost_usd=self._spent())
        pending: queue.SimpleQueue[Planned] = queue.SimpleQueue()
        for episode in todo:
            pending.put(episode)
        # A provider with few machines does not start one ahead of time for a later episode.
        provider = Pool(owner, ahead=1 if len(todo) > 1 and owner.capacity is None else 0)
        threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="episode")
        try:
            wait([threads.submit(self._work, pending, provider, ledger) for _ in range(workers)])
        finally:
            threads.shutdown(wait=False)  # all have ended, or a KeyboardInterrupt must stop the desktops at once
            self._end(provider)
            ledger.close()
        self._close()
        if self._broken is not None:
            raise self._broken
        return self.summary()

    def _todo(self, ledger: Ledger) -> list[Planned]:
        """The episodes without a score, except those whose desktop died twice while the agent acted."""
        records = self._run.records()
        for record in records:
            key = record.task, record.repeat
            self._deaths[key] = max(self._deaths[key], record.deaths)
        settled = {(record.task, record.repeat) for record in records if record.tampered}
        return [one for one in ledger.open_episodes() if (one.task, one.repeat) not in settled]

    def _end(self, provider: Provider) -> None:
        """Stop all desktops. A provider that fails to stop them does not affect the records."""
        try:
            provider.close()
        except Exception as error:  # noqa: BLE001  (the boundary to providers, users' own among them)
            self.unclosed = f"{type(error).__name__}: {error}"

    def _spent(self) -> float | None:
        """The cost of earlier sessions of a resumed run in US dollars, or None if no price is known.

        Another run paid for the episodes that were taken over from it.
        """
        costs = [record.totals.usage.cost_usd for record in self._run.records() if record.origin is None]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known else None

    def _close(self) -> None:
        """Write how the run ended into run.json; until then its state is `running`."""
        error = str(self._broken) if self._broken else self.unclosed
        # a full disk has already been reported
        with contextlib.suppress(*([StorageError] if isinstance(self._broken, StorageError) else [])):
            manifest.update(self._run, state=self.state, error=error)

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
        self._reconcile(ledger)
        config = self._prepared.config
        ledger.plan(
            [
                Planned(task.key, repeat, config.seed + repeat)
                for repeat in range(config.repeats)
                for task in self._prepared.tasks
            ]
        )
        return ledger

    def _reconcile(self, ledger: Ledger) -> None:
        """Mark episodes as finished in the ledger that were recorded just before the process was killed."""
        unknown = ledger.unfinished()
        for record in self._run.records() if unknown else ():
            if (record.task, record.attempt) in unknown:
                ledger.finish(record.task, record.attempt, record.ending, record.score.value)

    def _work(self, pending: queue.SimpleQueue[Planned], provider: Provider, ledger: Ledger) -> None:
        while not (self._stop.is_set() or self._full.is_set()):
            try:
                episode = pending.get_nowait()
            except queue.Empty:
                return
            try:
                self._episode(episode, provider, ledger)
            except BaseException as error:  # noqa: BLE001  (the boundary of a thread: the run ends, with the cause)
                with self._lock:
                    self._broken = self._broken or error
                self._stop.set()
                return

    def _episode(self, episode: Planned, provider: Provider, ledger: Ledger) -> None:
        self._change(lambda p: p.running.append(episode.task))
        record = None
        for attempt in range(self._prepared.config.retries + 1):
            record = self._attempt(episode, provider, ledger)
            self._pay(record.totals.usage.cost_usd)
            if not _again(record) or self._stop.is_set():
                break
            if attempt < self._prepared.config.retries:
                self._change(lambda p: setattr(p, "retried", p.retried + 1))
        assert record is not None
        self._finished(episode, record)

    def _finished(self, episode: Planned, record: EpisodeRecord) -> None:
        def change(progress: Progress) -> None:
            progress.running.remove(episode.task)
            progress.finished += 1
            progress.scores.append(record.score.value)

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

    def _attempt(self, episode: Planned, provider: Provider, ledger: Ledger) -> EpisodeRecord:
        task = self._tasks[episode.task]
        number = ledger.begin(episode)
        writer = EpisodeWriter(self._run.episode(episode.task, number).path)
        try:
            record = self._with_desktop(self._plan(task, episode, number), provider, writer)
            self._deaths[episode.task, episode.repeat] = record.deaths
        except ModelFatal:
            ledger.finish(episode.task, number, Ending.AGENT_ERROR, None)
            raise
        finally:
            writer.close()
        ledger.finish(episode.task, number, record.ending, record.score.value)
        return record

    def _plan(self, task: Task, episode: Planned, number: int) -> Plan:
        config = self._prepared.config
        return Plan(
            task=task,
            agent_name=config.agent,
            provider_name=config.provider,
            assets=ASSETS,
            repeat=episode.repeat,
            attempt=number,
            seed=episode.seed,
            max_steps=config.max_steps,
            max_seconds=config.max_seconds,
            policy=config.policy,
            osworld_strict=config.osworld_strict,
            code_allowed=config.code_allowed,
            budget_usd=config.episode_budget_usd,
            deaths=self._deaths[episode.task, episode.repeat],
            on_tamper=config.on_tamper,
            task_json=self._prepared.files[task.key],
            ask=user_of(task, config),
        )

    def _with_desktop(self, plan: Plan, provider: Provider, writer: EpisodeWriter) -> EpisodeRecord:
        began = time.monotonic()
        desktop = self._started(plan.task, provider)
        try:
            return run_episode(
                plan,
                self._agent(plan.task),
                desktop,
                writer,
                interrupted=self._stop.is_set,
                reset_ms=(time.monotonic() - began) * 1e3,
            )
        finally:
            if not isinstance(desktop, Exception):
                _stopped(provider, desktop, writer)

    def _started(self, task: Task, provider: Provider) -> Desktop | Exception:
        """A desktop, or the error that kept it from starting; the episode is then recorded with this error."""
        try:
            return provider.start(self._prepared.spec(task))
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001  (the boundary to providers, users' own among them)
            return error

    def _agent(self, task: Task) -> Agent:
        try:
            return self._prepared.make_agent(task)
        except (UsageError, StorageError):
            raise
        except Exception as error:  # noqa: BLE001  (the boundary to agents, users' own among them)
            return _NeverMade(error)


def _again(record: EpisodeRecord) -> bool:
    """Whether an attempt failed for a reason that another attempt may not meet."""
    broken = record.ending in (Ending.ENV_ERROR, Ending.CRASHED)
    return broken and not record.tampered and not record.permanent


def _stopped(provider: Provider, desktop: Desktop, writer: EpisodeWriter) -> None:
    try:
        provider.stop(desktop)
    except Exception as error:  # noqa: BLE001  (the boundary to providers; the episode is recorded, and counts)
        writer.note("error", {"error": f"stopping the desktop: {type(error).__name__}: {error}"})


class _NeverMade:
    """Stands in for an agent that could not be made, so that the episode is recorded with the error."""

    name = "never-made"
    needs = Needs()

    def __init__(self, error: Exception) -> None:
        self._error = error

    def start(self, goal: Goal) -> None:
        raise AgentCrash(f"the agent cannot be made: {self._error}") from self._error

    def act(self, observation: Observation) -> Decision:
        raise AgentCrash(f"the agent cannot be made: {self._error}") from self._error

    def close(self) -> None:
        """Nothing to release."""
