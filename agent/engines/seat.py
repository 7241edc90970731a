"""A seat: the part of an engine that runs on another node, in a process of its own. It has one desktop at a time.

A seat answers short questions while its attempt runs. It never opens the ledger: it writes a record beside the place
where the record would count, and asks. Who has the ledger decides, and publishes the record.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import deskbench
from deskbench.agent.build import ASSETS, Prepared, agent_maker, make_provider
from deskbench.agent.config import RunConfig
from deskbench.agent.engines.attempt import perform, stopped
from deskbench.agent.engines.base import Attempt
from deskbench.agent.engines.keys import take_keys
from deskbench.agent.engines.store import Store
from deskbench.agent.episode import Doing, Plan
from deskbench.agent.limits import START_SECONDS
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeRecord, Written
from deskbench.agent.workers import Worker
from deskbench.envs import wait
from deskbench.envs.errors import DeskbenchError, UsageError
from deskbench.envs.providers.pool import Pool
from deskbench.envs.redact import KNOWN, Printed, secrets_in
from deskbench.envs.types import Action
from deskbench.tasks import registry


@dataclass(frozen=True)
class Terms:
    """What a seat must know before its first attempt; no secrets.

    Attributes:
        config: the run's settings.
        version: of deskbench, on the machine that has the ledger.
        end_seconds: how long the end of a desktop may take.
        place: the run's folder below `config.results_url`.
    """

    config: RunConfig
    version: str
    end_seconds: float
    place: str


@dataclass(frozen=True)
class Look:
    """What an attempt is at.

    Attributes:
        phase, step, actions: as in `Doing`.
        left: seconds until the seat counts as hung.
        began: the desktop has started, or did not start.
        handed: the record and its file, while it waits for an answer.
        ended: nothing more will happen.
        error: what ended it, if that ends the run.
    """

    phase: str
    step: int
    actions: tuple[Action, ...]
    left: float
    began: bool
    handed: tuple[EpisodeRecord, Written] | None
    ended: bool
    error: Exception | None


_Opened = tuple[Terms, Prepared, Pool]


class _Attempting:
    """An attempt that runs in a thread of a seat; `tell` is called for news that somebody waits for."""

    def __init__(self, opened: _Opened, tell: Callable[[], None]) -> None:
        self._terms, self._prepared, self._provider = opened
        self._tell = tell
        self._worker = Worker(0)
        self._doing = Doing(alive=self._worker.alive)
        self._began = self._ended = False
        self._handed: tuple[EpisodeRecord, Written] | None = None
        self._answered = threading.Event()
        self._counts = False
        self._error: Exception | None = None
        self._given_up = False
        self._store = Store(self._terms.config.results_url) if self._terms.config.results_url else None
        self._folder = Path()
        self._name = ""
        self.interrupted = False

    def begin(self, plan: Plan, token: int, folder: Path) -> None:
        self._worker.alive(START_SECONDS)
        self._name = f"{self._terms.place}/{token}"
        self._folder = folder if self._store is None else Path(tempfile.mkdtemp(prefix="deskbench-"))
        attempt = Attempt(
            plan, token, self._folder, self._worker, self._doing, begin=self._begun, hand_in=self._hand_in,
            interrupted=lambda: self.interrupted,
        )  # fmt: skip
        threading.Thread(target=self._run, args=(attempt,), name=folder.name, daemon=True).start()

    def look(self) -> Look:
        ended, doing = self._ended, self._doing  # `ended` before the error, which is set first
        left = self._worker.ends - wait.now()
        return Look(doing.phase, doing.step, doing.actions, left, self._began, self._handed, ended, self._error)

    def answer(self, counts: bool) -> None:
        self._counts, self._handed = counts, None
        self._answered.set()

    def give_up(self) -> None:
        self._given_up = self.interrupted = True
        self.answer(False)
        desktop = self._worker.take()
        if desktop is not None:
            stopped(self._provider, desktop)
        self._remove()  # the process may be ended before the attempt's thread comes to it

    def _remove(self) -> None:
        if self._store is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, attempt: Attempt) -> None:
        try:
            perform(attempt, self._prepared, self._provider, self._terms.end_seconds)
            self._send()
        except BaseException as error:  # noqa: BLE001  (the boundary of a thread: another process has to hear of it)
            self._error = _portable(error)
        finally:
            self._remove()
            self._ended = True
            self._tell()

    def _send(self) -> None:
        if self._store is not None:
            self._store.put(self._folder, self._name, besides=EpisodeFolder(self._folder).now)

    def _begun(self) -> None:
        self._began = True
        self._tell()

    def _hand_in(self, record: EpisodeRecord, written: Written) -> bool:
        self._worker.alive(self._terms.end_seconds)
        self._send()
        self._answered.clear()
        self._handed = record, written
        self._tell()
        if not self._given_up:
            self._answered.wait()
        return self._counts


def _portable(error: BaseException) -> Exception:
    """An error that can be sent: one of ours, or its name and text."""
    return error if isinstance(error, DeskbenchError) else RuntimeError(f"{type(error).__name__}: {error}")


class Seat:
    """One desktop's place on a node. Several threads call it at once."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._fresh = False
        self._opened: _Opened | None = None
        self._attempt: _Attempting | None = None

    def open(self, terms: Terms, keys: Mapping[str, str]) -> str:
        """Get ready; returns the name of the node.

        Raises:
            UsageError: the node has another version of deskbench, or no desktop can start on it.
        """
        node = platform.node()
        take_keys(keys)
        if terms.version != deskbench.__version__:
            found = deskbench.__version__
            raise UsageError(f"{node} has deskbench {found}, and this machine has {terms.version}: install the same")
        prepared = Prepared(terms.config, (), (), agent_maker(terms.config), {})
        provider = Pool(make_provider(terms.config.provider), ahead=0)
        registry.load_all()
        self._opened = terms, prepared, provider
        return node

    def begin(self, plan: Plan, token: int, folder: Path, ahead: int) -> None:
        """Begin an attempt; `look` says what becomes of it. `ahead` is how many warm desktops to keep."""
        assert self._opened is not None, "the seat was not opened"
        self._opened[2].ahead = ahead
        self._attempt = _Attempting(self._opened, self._tell)
        self._attempt.begin(replace(plan, assets=ASSETS), token, folder)

    def look(self, seconds: float) -> Look:
        """What the attempt is at; waits at most so long for news."""
        with self._news:
            self._news.wait_for(lambda: self._fresh, timeout=seconds)
            self._fresh = False
        return self._running.look()

    def answer(self, counts: bool) -> None:
        """Say whether the record that was handed in counts."""
        self._running.answer(counts)

    def interrupt(self) -> None:
        """Let the attempt end soon."""
        self._running.interrupted = True

    def close(self) -> None:
        """Give up the attempt, if one is running, and stop all desktops.

        Raises:
            Exception: they could not be stopped.
        """
        if self._attempt is not None:
            self._attempt.give_up()
        if self._opened is not None:
            self._opened[2].close()

    def _tell(self) -> None:
        with self._news:
            self._fresh = True
            self._news.notify_all()

    @property
    def _running(self) -> _Attempting:
        assert self._attempt is not None, "no attempt was begun"
        return self._attempt


class SeatProcess(Seat):
    """A seat that has a process of its own. Ray keeps what the process prints, so keys are cut out of it."""

    def open(self, terms: Terms, keys: Mapping[str, str]) -> str:
        """As `Seat.open`."""
        KNOWN.add(*secrets_in(os.environ))
        sys.stdout, sys.stderr = Printed(sys.stdout), Printed(sys.stderr)
        return super().open(terms, keys)
