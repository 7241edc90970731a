"""Opens SQLite files from the desktop: read-only, with a step limit, and without trust in their schemas' functions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deskbench.tasks.metrics.support.packages import Unreadable

STEPS = 200_000_000
"""Instructions of SQLite's virtual machine for one file: a few seconds. 100,000 rows take two million."""
_INTERVAL = 1_000_000
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 64 * 2**20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2**20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}


@contextmanager
def opened_database(file: Path) -> Iterator[sqlite3.Connection]:
    """A database, opened read-only and without a journal (immutable).

    Raises:
        Unreadable: a query takes more than STEPS.
        sqlite3.DatabaseError: it is not a database.
    """
    with bounded(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True), file) as connection:
        yield connection


@contextmanager
def bounded(connection: sqlite3.Connection, file: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A connection to a database from the desktop, within the limits; it is closed at the end.

    Raises:
        Unreadable: its statements take more than STEPS; `file` is for the error.
    """
    steps = [0]

    def over() -> bool:
        steps[0] += _INTERVAL
        return steps[0] > STEPS

    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        for what, most in _LIMITS.items():
            connection.setlimit(what, most)
        connection.set_progress_handler(over, _INTERVAL)
        yield connection
    except sqlite3.OperationalError:
        if steps[0] > STEPS:
            raise Unreadable(f"the query takes more than {STEPS} steps", file) from None
        raise
    finally:
        connection.close()
