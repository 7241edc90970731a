"""The ledger of planned, started and finished episodes: one SQLite file that survives a kill at any time."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deskbench.envs.errors import StorageError, UsageError

_SCHEMA = """
create table if not exists episode (
    task text not null, repeat integer not null, seed integer not null, primary key (task, repeat));
create table if not exists attempt (
    task text not null, repeat integer not null, number integer not null, started real not null,
    finished real, ending text, score real, primary key (task, number));
"""


@dataclass(frozen=True)
class Planned:
    """One episode of the plan."""

    task: str
    repeat: int
    seed: int


class Ledger:
    """The ledger of one run; safe to use from several threads.

    Raises:
        StorageError: the file cannot be written.
        UsageError: another process is working on the run.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._base = sqlite3.connect(path, check_same_thread=False, timeout=1.0)
            self._base.execute("pragma locking_mode=exclusive")  # one process per run; a kill releases the lock
            self._base.execute("pragma journal_mode=wal")
            self._base.execute("pragma synchronous=normal")
            self._base.executescript(_SCHEMA)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte of extended codes
                raise UsageError(f"another process is working on {path.parent}") from None
            raise StorageError(f"cannot write {path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def plan(self, episodes: list[Planned]) -> None:
        """Add episodes to the plan; episodes that are already planned stay as they are."""
        rows = [(e.task, e.repeat, e.seed) for e in episodes]
        with self._writing() as base:
            base.executemany("insert or ignore into episode values (?, ?, ?)", rows)

    def begin(self, episode: Planned) -> int:
        """Record the start of an attempt; returns its number, from 1, counted over all repeats of the task."""
        statement = """
            insert into attempt (task, repeat, number, started)
            select :task, :repeat, coalesce(max(number), 0) + 1, :now from attempt where task = :task
            returning number"""
        values = {"task": episode.task, "repeat": episode.repeat, "now": time.time()}
        with self._writing() as base:
            return int(base.execute(statement, values).fetchone()[0])

    def finish(self, task: str, number: int, ending: str, score: float | None) -> None:
        """Record the end of an attempt, with or without a score."""
        statement = "update attempt set finished = ?, ending = ?, score = ? where task = ? and number = ?"
        with self._writing() as base:
            base.execute(statement, (time.time(), ending, score, task, number))

    def unfinished(self) -> set[tuple[str, int]]:
        """(task, number) of the attempts that began and have not ended: they are running or were killed."""
        with self._lock:
            return set(self._base.execute("select task, number from attempt where finished is null"))

    def open_episodes(self) -> list[Planned]:
        """The planned episodes without a scored attempt, in the plan's order."""
        query = """
            select task, repeat, seed from episode where not exists (
                select 1 from attempt where attempt.task = episode.task and attempt.repeat = episode.repeat
                and attempt.score is not null)
            order by rowid"""
        with self._lock:
            return [Planned(*row) for row in self._base.execute(query)]

    def count(self) -> int:
        """The number of planned episodes."""
        with self._lock:
            return int(self._base.execute("select count(*) from episode").fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._base:  # commits, or rolls back
                yield self._base
        except sqlite3.Error as error:
            raise StorageError(f"cannot write the ledger: {error}; free disk space, then use --resume") from None
