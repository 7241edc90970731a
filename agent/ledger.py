"""Which episodes were planned, started and finished: one SQLite file that survives a kill at any moment."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deskbench.envs.errors import StorageError

_SCHEMA = """
create table if not exists episode (
    task text not null, repeat integer not null, seed integer not null, primary key (task, repeat));
create table if not exists attempt (
    task text not null, repeat integer not null, number integer not null, started real not null,
    finished real, ending text, score real, primary key (task, repeat, number));
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
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._base = sqlite3.connect(path, check_same_thread=False)
            self._base.execute("pragma journal_mode=wal")
            self._base.execute("pragma synchronous=normal")
            self._base.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageError(f"cannot write {path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def plan(self, episodes: list[Planned]) -> None:
        """Write the plan down; what is planned already stays."""
        rows = [(e.task, e.repeat, e.seed) for e in episodes]
        self._write("insert or ignore into episode values (?, ?, ?)", rows)

    def begin(self, episode: Planned) -> int:
        """Note that an attempt begins; its number, from 1."""
        with self._lock:
            query = "select coalesce(max(number), 0) + 1 from attempt where task = ? and repeat = ?"
            number = int(self._base.execute(query, (episode.task, episode.repeat)).fetchone()[0])
        row = (episode.task, episode.repeat, number, time.time())
        self._write("insert into attempt (task, repeat, number, started) values (?, ?, ?, ?)", [row])
        return number

    def finish(self, episode: Planned, number: int, ending: str, score: float | None) -> None:
        """Note that an attempt has ended, with its score or without one."""
        row = (time.time(), ending, score, episode.task, episode.repeat, number)
        self._write(
            "update attempt set finished = ?, ending = ?, score = ? where task = ? and repeat = ? and number = ?", [row]
        )

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
        """How many episodes are planned."""
        with self._lock:
            return int(self._base.execute("select count(*) from episode").fetchone()[0])

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._lock, self._base:  # commits, or rolls back
                self._base.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StorageError(f"cannot write the ledger: {error}; make room and go on with --resume") from None
