"""CSV files. The model is the rows and the delimiter."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from deskbench.tasks.mutation.kinds.settings import neighbours
from deskbench.tasks.mutation.kinds.text import decoded, encoded
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Rows:
    """A table as written."""

    rows: list[list[str]]
    delimiter: str = ","
    quoted: bool = False


Change = Iterator[tuple[Rows, str]]


def _read(raw: Raw) -> Rows:
    text = decoded(raw)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise Unlike(f"not a table: {error}") from None
    if not rows:
        raise Unlike("it has no rows")
    return Rows(rows, delimiter)


def _write(model: Rows, raw: Raw) -> Raw:
    text = io.StringIO()
    end = "\r\n" if "\r\n" in decoded(raw) else "\n"
    quoting: Literal[0, 1] = csv.QUOTE_ALL if model.quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=model.delimiter, lineterminator=end, quoting=quoting).writerows(model.rows)
    return encoded(text.getvalue(), raw)


def _key(model: Rows) -> dict[str, object]:
    return {"delimiter": model.delimiter, "rows": [", ".join(map(repr, row)) for row in model.rows]}


kind("csv", "CSV files", read=_read, write=_write, key=_key)


def _columns(table: Rows) -> int:
    return max(len(row) for row in table.rows)


@operator("csv/drop-row", kind="csv", must="fail")
def drop_row(table: Rows, about: About) -> Change:
    """A row is missing, possibly the header."""
    for n in about.some(range(len(table.rows))):
        yield replace(table, rows=table.rows[:n] + table.rows[n + 1 :]), f"row {n + 1} is missing"


@operator("csv/repeat-row", kind="csv", must="fail")
def repeat_row(table: Rows, about: About) -> Change:
    """A row occurs twice."""
    for n in about.some(range(len(table.rows)), 3):
        yield replace(table, rows=table.rows[: n + 1] + table.rows[n:]), f"row {n + 1} occurs twice"


@operator("csv/change-cell", kind="csv", must="fail")
def change_cell(table: Rows, about: About) -> Change:
    """A cell has a different value."""
    cells = [(r, c) for r, row in enumerate(table.rows) for c in range(len(row))]
    for r, c in about.some(cells):
        old, new = table.rows[r][c], neighbours(table.rows[r][c])[0]
        row = [*table.rows[r][:c], new, *table.rows[r][c + 1 :]]
        rows = [*table.rows[:r], row, *table.rows[r + 1 :]]
        yield replace(table, rows=rows), f"row {r + 1}, column {c + 1} is {new!r}, not {old!r}"


@operator("csv/swap-columns", kind="csv", must="fail")
def swap_columns(table: Rows, about: About) -> Change:
    """Two columns are swapped."""
    for c in about.some(range(_columns(table) - 1), 2):
        rows = [[*row[:c], row[c + 1], row[c], *row[c + 2 :]] if len(row) > c + 1 else row for row in table.rows]
        yield replace(table, rows=rows), f"columns {c + 1} and {c + 2} are swapped"


@operator("csv/extra-column", kind="csv", must="fail")
def extra_column(table: Rows, about: About) -> Change:
    """There is an extra column."""
    yield replace(table, rows=[[*row, str(n)] for n, row in enumerate(table.rows)]), "there is an extra column"


@operator("csv/shift", kind="csv", must="fail")
def shift(table: Rows, about: About) -> Change:
    """The last column is shifted down by one row."""
    last = [row[-1] if row else "" for row in table.rows]
    rows = [[*row[:-1], before] if row else row for row, before in zip(table.rows, ["", *last[:-1]], strict=True)]
    yield replace(table, rows=rows), "the last column is one row too low"


@operator("csv/delimiter", kind="csv", must="fail")
def delimiter(table: Rows, about: About) -> Change:
    """The delimiter is different."""
    if _columns(table) > 1:
        other = ";" if table.delimiter != ";" else ","
        yield replace(table, delimiter=other), f"the delimiter is {other!r}, not {table.delimiter!r}"


@operator("csv/reverse", kind="csv", must="fail")
def reverse(table: Rows, about: About) -> Change:
    """The rows below the header are in reverse order."""
    yield replace(table, rows=[table.rows[0], *reversed(table.rows[1:])]), "the rows are in reverse order"


@operator("csv/quotes", kind="csv", must="stay")
def quotes(table: Rows, about: About) -> Change:
    """Every cell is quoted."""
    yield replace(table, quoted=True), "every cell is quoted"
