"""A store of what was read of runs, so that opening them again reads only what has changed.

It is one SQLite file in the user's cache. The run folders are the truth: the file may be deleted at any time, and a
file that is damaged, locked or of another version is replaced by an empty store.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from deskbench.agent import statistics

_SCHEMA = """
create table if not exists episode (run blob, path blob, stamp text, row text, record text, primary key (run, path));
create table if not exists head (run blob primary key, stamp text, head text);
create table if not exists numbers (run blob primary key, stamp text, numbers text);
"""


@cache
def _made_by() -> int:
    """A number for the code that makes the store's content: content of other code is dropped."""
    folders = (Path(__file__).parent, Path(statistics.__file__).parent)
    sources = sorted({path for folder in folders for path in folder.glob("*.py")})
    return zlib.crc32(b"".join(path.read_bytes() for path in sources)) & 0x7FFFFFFF


def default_place() -> Path:
    """Where the store is unless the user names another place."""
    return user_cache_path("deskbench") / "view" / "index.sqlite"


class Index:
    """The store; safe to use from several threads and several processes.

    Args:
        path: the file; None keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._base = _opened(path)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def episodes(self, run: Path) -> dict[bytes, tuple[str, str, str | None]]:
        """The stamp, row and record of each episode of a run, by its path in the run."""
        query = "select path, stamp, row, record from episode where run = ?"
        return {path: (stamp, row, record) for path, stamp, row, record in self._read(query, (os.fsencode(run),))}

    def keep(self, run: Path, rows: Iterable[tuple[bytes, str, str, str | None]]) -> None:
        """Add or replace episodes: path, stamp, row and record."""
        key = os.fsencode(run)
        self._write("insert or replace into episode values (?, ?, ?, ?, ?)", [(key, *row) for row in rows])

    def forget(self, run: Path, paths: Iterable[bytes]) -> None:
        """Remove episodes that are gone."""
        self._write("delete from episode where run = ? and path = ?", [(os.fsencode(run), path) for path in paths])

    def head(self, run: Path, stamp: str) -> dict[str, Any] | None:
        """The head of a run, if it was kept under this stamp."""
        found = self._read("select head from head where run = ? and stamp = ?", (os.fsencode(run), stamp))
        return dict(json.loads(found[0][0])) if found else None

    def keep_head(self, run: Path, stamp: str, head: str) -> None:
        """Add or replace the head of a run."""
        self._write("insert or replace into head values (?, ?, ?)", [(os.fsencode(run), stamp, head)])

    def numbers(self, run: Path, stamp: str) -> dict[str, Any] | None:
        """The numbers of a run, if they were kept under this stamp."""
        found = self._read("select numbers from numbers where run = ? and stamp = ?", (os.fsencode(run), stamp))
        return dict(json.loads(found[0][0])) if found else None

    def keep_numbers(self, run: Path, stamp: str, numbers: str) -> None:
        """Add or replace the numbers of a run."""
        self._write("insert or replace into numbers values (?, ?, ?)", [(os.fsencode(run), stamp, numbers)])

    def _read(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock, suppress(sqlite3.Error):
            return self._base.execute(query, values).fetchall()
        return []

    def _write(self, statement: str, rows: list[Any]) -> None:
        """Write rows; what cannot be written is read from the run again next time."""
        if rows:
            with self._lock, suppress(sqlite3.Error), self._base:
                self._base.executemany(statement, rows)


def _opened(path: Path | None) -> sqlite3.Connection:
    """The file's connection, or one in memory where the file cannot be used."""
    for _ in range(2 if path else 0):
        assert path is not None
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return _ready(path)
        except sqlite3.OperationalError:
            break  # locked, or not ours to write
        except (sqlite3.Error, OSError):
            with suppress(OSError):
                path.unlink()
    return _ready(Path(":memory:"))


def _ready(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, check_same_thread=False, timeout=2.0)
    try:
        if path.is_file():
            path.chmod(0o600)
        base.execute("pragma journal_mode=wal")
        base.execute("pragma synchronous=off")
        (version,) = base.execute("pragma user_version").fetchone()
        if version != _made_by():
            base.executescript("drop table if exists episode; drop table if exists head; drop table if exists numbers;")
            base.execute(f"pragma user_version={_made_by()}")
        base.executescript(_SCHEMA)
    except sqlite3.Error:
        base.close()
        raise
    return base
