"""What a run asks of an engine. The plan, the workers and the ledger are the run's; only placement is the engine's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deskbench.agent.episode import Doing, Plan
from deskbench.agent.runs.record import EpisodeRecord, Written
from deskbench.agent.workers import Worker
from deskbench.envs.errors import EnvError


class SeatLost(EnvError):
    """The place where an attempt ran is gone, such as its node; nobody will hand in a result."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at an episode.

    Attributes:
        plan: what to run.
        token: of its lease.
        folder: the attempt's own folder in the run's folder.
        worker: who runs it. It learns how long each part may take, and holds the desktop if that is in this process.
        doing: is kept up to date, for display.
        begin: called once the desktop has started, or did not start.
        hand_in: takes the record; publishes it and returns True if it counts.
        interrupted: whether the attempt is to end soon.
    """

    plan: Plan
    token: int
    folder: Path
    worker: Worker
    doing: Doing
    begin: Callable[[], None]
    hand_in: Callable[[EpisodeRecord, Written], bool]
    interrupted: Callable[[], bool]


class Engine(Protocol):
    """Places attempts. All methods but `room`, `open` and `close` are called from any thread.

    Attributes:
        notice: what the user should know before the run, in one line, or None.
    """

    notice: str | None

    def room(self) -> None:
        """Look whether an attempt can be placed at all; called before anything is written.

        Raises:
            UsageError: it never can; the message says what is missing.
        """

    def open(self, todo: int) -> int:
        """Get ready for this many episodes; returns how many may run at once."""

    def seat(self, worker: Worker, wanted: Callable[[], bool]) -> bool:
        """Wait until the worker has a place for an attempt.

        Args:
            worker: keeps the place until it leaves or is given up.
            wanted: whether the worker would still use a place.

        Returns:
            False if the place is no longer wanted.

        Raises:
            EnvError: no place can be had any more.
            UsageError: no desktop can start there.
        """

    def carry_out(self, attempt: Attempt) -> None:
        """Run an attempt in the place of its worker, until it has ended or the worker was given up.

        Raises:
            SeatLost: the place is gone. The attempt may still be running, so its result must not count.
            ModelFatal, StorageError, UsageError: as `run_episode`.
        """

    def leave(self, worker: Worker) -> None:
        """Take the place of a worker that ended; another one may have it."""

    def give_up(self, worker: Worker) -> None:
        """Stop the desktop of a worker that hangs, without waiting for it."""

    def close(self) -> None:
        """Stop all desktops.

        Raises:
            Exception: some could not be stopped.
        """
