"""Reads only the visible cells of a very large table, such as a sheet of LibreOffice.

Such a table is never asked for its children: it would go on creating them long after the request. The cells at its
corners tell which rows and columns are visible, and only those are requested.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from deskbench.envs.server.accessibility import messages
from deskbench.envs.server.accessibility.bus import Bus
from deskbench.envs.server.accessibility.messages import Question

_TABLE, _COMPONENT, _NODE = "org.a11y.atspi.Table", "org.a11y.atspi.Component", "org.a11y.atspi.Accessible"
BOX = Question(_COMPONENT, "GetExtents", "(iiii)", messages.box, "u", struct.pack("<I", 0))
INDEX = Question(_NODE, "GetIndexInParent", "i", messages.number)
COLUMNS = messages.property_of(_TABLE, "NColumns")
INSET = 3
"""Pixels from a table's edge to the point where a cell is looked up, to get past the border."""
MAX_SHOWN = 4096
"""The most cells; about as many of the smallest useful cells fit on a screen. Hidden rows in between count."""

Found = Callable[[list[tuple[str, str]] | None], None]
"""Takes the visible cells, row by row, as name and path; None if the table does not tell."""


def at_point(x: int, y: int) -> Question:
    """A request for the child at a point of the screen."""
    return Question(_COMPONENT, "GetAccessibleAtPoint", "(so)", messages.pair, "iiu", struct.pack("<iiI", x, y, 0))


def cell(row: int, column: int) -> Question:
    """A request for the child that is a cell."""
    return Question(_TABLE, "GetAccessibleAt", "(so)", messages.pair, "ii", struct.pack("<ii", row, column))


class ShownCells:
    """Finds the visible cells of one table; calls `found` when done.

    Args:
        bus: the bus to ask.
        name, path: the table.
        found: takes the cells.
    """

    def __init__(self, bus: Bus, name: str, path: str, found: Found) -> None:
        self._bus, self._name, self._path, self._found = bus, name, path, found
        self._columns = 0
        self._corners: dict[int, int | None] = {}
        self._cells: list[tuple[str, str] | None] = []
        self._awaited = 0
        self._ask(COLUMNS, self._take_columns)

    def _ask(self, question: Question, taker: Callable[[Any], None], path: str | None = None) -> None:
        self._bus.ask(self._name, path or self._path, question, taker)

    def _take_columns(self, count: Any) -> None:
        if not isinstance(count, int) or count < 1:
            self._found(None)
            return
        self._columns = count
        self._ask(BOX, self._take_box)

    def _take_box(self, box: tuple[int, int, int, int] | None) -> None:
        if box is None or min(box[2:]) <= 2 * INSET:
            self._found(None)
            return
        x, y, width, height = box
        for corner, point in enumerate(((x + INSET, y + INSET), (x + width - INSET, y + height - INSET))):
            self._ask(at_point(*point), partial(self._take_corner, corner))

    def _take_corner(self, corner: int, ref: tuple[str, str] | None) -> None:
        if ref is None or ref[1].endswith("/null"):
            self._take_index(corner, None)
        else:
            self._ask(INDEX, partial(self._take_index, corner), ref[1])

    def _take_index(self, corner: int, index: int | None) -> None:
        self._corners[corner] = index
        if len(self._corners) < 2:
            return
        first, last = self._corners[0], self._corners[1]
        if first is None or last is None:
            self._found(None)
            return
        (top, left), (bottom, right) = divmod(first, self._columns), divmod(last, self._columns)
        wanted = (max(0, bottom - top) + 1) * (max(0, right - left) + 1)
        if wanted > MAX_SHOWN:
            self._found(None)
            return
        self._awaited = wanted
        self._cells = [None] * wanted
        across = right - left + 1 if right >= left else 1
        for number in range(wanted):
            row, column = divmod(number, across)
            self._ask(cell(top + row, left + column), partial(self._take_cell, number))

    def _take_cell(self, number: int, ref: tuple[str, str] | None) -> None:
        self._cells[number] = ref
        self._awaited -= 1
        if self._awaited == 0:
            self._found(list(dict.fromkeys(one for one in self._cells if one is not None)))  # merged cells repeat
