"""SQLite files. The model is the file's bytes, and every change is made to a copy in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deskbench.tasks.metrics.data.databases import bounded
from deskbench.tasks.metrics.support.packages import Unreadable
from deskbench.tasks.mutation.kinds.settings import neighbours
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

Change = Iterator[tuple[bytes, str]]
MOST_ROWS = 2000
FEW = 3


@contextmanager
def opened_database(data: bytes) -> Iterator[sqlite3.Connection]:
    """A copy of a database, in memory.

    Raises:
        Unlike: its views and triggers take too long.
        sqlite3.Error: it is not a database.
    """
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    try:
        with bounded(connection):
            yield connection
    except Unreadable as error:
        raise Unlike(str(error)) from None


def _read(raw: Raw) -> bytes:
    try:
        with opened_database(raw) as connection:
            list(tables(connection))
            return bytes(raw)
    except sqlite3.Error as error:
        raise Unlike(f"not a database: {error}") from None


def tables(connection: sqlite3.Connection) -> Iterator[str]:
    """The names of its tables, which views are not."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (name,) in sorted(found.fetchall()):
        yield str(name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _key(data: bytes) -> dict[str, Any]:
    with opened_database(data) as connection:
        found = {}
        for name in tables(connection):
            rows = connection.execute(f"SELECT * FROM {_quoted(name)} LIMIT {MOST_ROWS}")
            found[name] = sorted(repr(row) for row in rows)
        return found


kind("sqlite", "SQLite databases", read=_read, write=lambda model, raw: model, key=_key)


def _changed(data: bytes, *statements: tuple[str, tuple[Any, ...]]) -> bytes | None:
    """The database after some statements; None if a statement violates a constraint of the database."""
    try:
        with opened_database(data) as connection:
            for statement, values in statements:
                connection.execute(statement, values)
            connection.commit()
            return connection.serialize()
    except sqlite3.Error:
        return None


def _rows(data: bytes, about: About) -> list[tuple[str, int, tuple[str, ...], tuple[Any, ...]]]:
    """Table, rowid, columns and values of rows."""
    found = []
    with opened_database(data) as connection:
        for name in tables(connection):
            try:
                cursor = connection.execute(f"SELECT rowid, * FROM {_quoted(name)} LIMIT {MOST_ROWS}")
            except sqlite3.Error:  # a table without rowids, or of a module that is not loaded
                continue
            columns = tuple(item[0] for item in cursor.description[1:])
            found += [(name, int(row[0]), columns, tuple(row[1:])) for row in cursor]
    return about.some([row for row in found if about.matters(row[0])])


@operator("sqlite/drop-row", kind="sqlite", must="fail")
def drop_row(data: bytes, about: About) -> Change:
    """A row is missing."""
    for table, row, _, values in _rows(data, about):
        new = _changed(data, (f"DELETE FROM {_quoted(table)} WHERE rowid = ?", (row,)))
        if new is not None:
            yield new, f"the row {values!r:.60} of {table} is missing"


@operator("sqlite/repeat-row", kind="sqlite", must="fail")
def repeat_row(data: bytes, about: About) -> Change:
    """A row occurs twice, if the table's constraints allow that."""
    for table, _, columns, values in _rows(data, about)[:FEW]:
        names = ", ".join(_quoted(name) for name in columns)
        places = ", ".join("?" for _ in columns)
        new = _changed(data, (f"INSERT INTO {_quoted(table)} ({names}) VALUES ({places})", values))
        if new is not None:
            yield new, f"the row {values!r:.60} of {table} occurs twice"


@operator("sqlite/change-value", kind="sqlite", must="fail")
def change_value(data: bytes, about: About) -> Change:
    """A value in a row is different."""
    for table, row, columns, values in _rows(data, about):
        for column, old in list(zip(columns, values, strict=True))[:FEW]:
            if old is None or isinstance(old, bytes):
                continue
            other = old + 1 if isinstance(old, (int, float)) else neighbours(str(old))[0]
            statement = f"UPDATE {_quoted(table)} SET {_quoted(column)} = ? WHERE rowid = ?"
            new = _changed(data, (statement, (other, row)))
            if new is not None:
                yield new, f"{column} of {table} is {other!r}, not {old!r}"


@operator("sqlite/null", kind="sqlite", must="fail")
def null(data: bytes, about: About) -> Change:
    """A value in a row is null, if the table's constraints allow that."""
    for table, row, columns, values in _rows(data, about)[:FEW]:
        for column, old in list(zip(columns, values, strict=True))[-1:]:
            new = _changed(data, (f"UPDATE {_quoted(table)} SET {_quoted(column)} = NULL WHERE rowid = ?", (row,)))
            if new is not None and old is not None:
                yield new, f"{column} of {table} is null, not {old!r}"


@operator("sqlite/rename-table", kind="sqlite", must="fail")
def rename_table(data: bytes, about: About) -> Change:
    """A table has a different name."""
    with opened_database(data) as connection:
        names = [name for name in tables(connection) if about.matters(name)]
    for name in about.some(names, FEW):
        new = _changed(data, (f"ALTER TABLE {_quoted(name)} RENAME TO {_quoted(name + '_2')}", ()))
        if new is not None:
            yield new, f"the table {name} is called {name}_2"


@operator("sqlite/vacuum", kind="sqlite", must="stay")
def vacuum(data: bytes, about: About) -> Change:
    """The file is rewritten with a different page size."""
    with opened_database(data) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA page_size = {1024 if size != 1024 else 2048}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)  # the new file
        connection.execute("VACUUM")
        yield connection.serialize(), "it is rewritten with a different page size"
