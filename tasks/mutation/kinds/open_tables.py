"""OpenDocument files, a kind of its own for the cells, rows and sheets of tables, and the pages of slides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from deskbench.tasks.mutation.kinds.open_documents import (
    CONTENT,
    DRAW,
    FO,
    OFFICE,
    SVG,
    TABLE,
    TEXT,
    Change,
    document_key,
    in_sheet,
    look,
    lower,
    places,
    read_document,
    remove,
    said,
    setting,
    toggled,
    told,
)
from deskbench.tasks.mutation.kinds.packages import Parts, other_text, write_parts
from deskbench.tasks.mutation.operators import About, kind, operator

if TYPE_CHECKING:
    from lxml.etree import _Element

CELL, ROW, SHEET, PAGE = f"{TABLE}table-cell", f"{TABLE}table-row", f"{TABLE}table", f"{DRAW}page"
VALUE, KIND, FORMULA, NAME = f"{OFFICE}value", f"{OFFICE}value-type", f"{TABLE}formula", f"{TABLE}name"
kind("odf-table", "Tables and slides of OpenDocument files", read=read_document, write=write_parts, key=document_key)
LENGTHS = ("cm", "mm", "in", "pt")
"""Units of a shape's place and size that are changed."""


# -- cells


def _is_number(cell: _Element) -> bool:
    return cell.get(VALUE, "").lstrip("-").replace(".", "", 1).isdigit()


def _show(cell: _Element, text: str) -> None:
    """Let a cell show a text."""
    for paragraph in list(cell.iter(f"{TEXT}p"))[:1]:
        for child in list(paragraph):
            paragraph.remove(child)
        paragraph.text = text


def _empty(cell: _Element) -> None:
    for child in list(cell):
        cell.remove(child)
    for name in (VALUE, KIND, FORMULA, f"{OFFICE}string-value"):
        cell.attrib.pop(name, "")


@operator("odf-table/number", kind="odf-table", must="fail")
def number(parts: Parts, about: About) -> Change:
    """A number in a cell is one more."""
    for root, cell in places(parts, about, CELL, chosen=_is_number):
        old = cell.get(VALUE, "")
        new = f"{float(old) + 1:g}"
        cell.set(VALUE, new)
        _show(cell, new)
        yield parts.having(CONTENT, root), f"a cell has {new}, not {old}"


@operator("odf-table/number-as-text", kind="odf-table", must="fail")
def number_as_text(parts: Parts, about: About) -> Change:
    """A number in a cell is a text."""
    for root, cell in places(parts, about, CELL, 1, chosen=_is_number):
        cell.attrib.pop(VALUE)
        cell.set(KIND, "string")
        yield parts.having(CONTENT, root), f"{told(said(cell))} is a text, not a number"


@operator("odf-table/clear", kind="odf-table", must="fail")
def clear(parts: Parts, about: About) -> Change:
    """A cell is empty."""
    for root, cell in places(parts, about, CELL):
        words = told(said(cell))
        _empty(cell)
        yield parts.having(CONTENT, root), f"the cell with {words} is empty"


@operator("odf-table/value-for-formula", kind="odf-table", must="fail")
def value_for_formula(parts: Parts, about: About) -> Change:
    """A formula is replaced by its value."""
    for root, cell in places(parts, about, CELL, chosen=lambda one: FORMULA in one.attrib):
        formula = cell.attrib.pop(FORMULA)
        yield parts.having(CONTENT, root), f"a cell has the value of {formula!s}, not the formula"


@operator("odf-table/formula", kind="odf-table", must="fail")
def formula(parts: Parts, about: About) -> Change:
    """A formula is different."""
    for root, cell in places(parts, about, CELL, chosen=lambda one: FORMULA in one.attrib):
        old = cell.get(FORMULA, "")
        new = next(other_text(old))[0]
        cell.set(FORMULA, new)
        yield parts.having(CONTENT, root), f"a formula is {new}, not {old}"


operator("odf-table/fill", kind="odf-table", must="fail")(
    look(
        CELL,
        "table-cell-properties",
        setting({f"{FO}background-color": "#12ab34"}),
        "has a different background colour",
    )
)
operator("odf-table/cell-bold", kind="odf-table", must="fail")(
    look(CELL, "text-properties", toggled(f"{FO}font-weight", "bold", "normal"), "is bold, or no longer bold", in_sheet)
)


# -- rows and sheets


@operator("odf-table/drop-row", kind="odf-table", must="fail")
def drop_row(parts: Parts, about: About) -> Change:
    """A row's cells are empty."""
    for root, row in places(parts, about, ROW):
        words = told(said(row))
        for cell in row.iter(CELL):
            _empty(cell)
        yield parts.having(CONTENT, root), f"the row with {words} is empty"


@operator("odf-table/swap-rows", kind="odf-table", must="fail")
def swap_rows(parts: Parts, about: About) -> Change:
    """Two rows are swapped."""
    yield from lower(parts, about, ROW, "the row with", (ROW,))


@operator("odf-table/hide-row", kind="odf-table", must="fail")
def hide_row(parts: Parts, about: About) -> Change:
    """A row is hidden."""
    for root, row in places(parts, about, ROW, 2):
        row.set(f"{TABLE}visibility", "collapse")
        yield parts.having(CONTENT, root), f"the row with {told(said(row))} is hidden"


@operator("odf-table/sheet-name", kind="odf-table", must="fail")
def sheet_name(parts: Parts, about: About) -> Change:
    """A sheet or table has a different name."""
    for root, sheet in places(parts, about, SHEET, chosen=lambda one: NAME in one.attrib):
        old = sheet.get(NAME, "")
        sheet.set(NAME, f"{old} 2")
        yield parts.having(CONTENT, root), f"the table {old!r} is called {old + ' 2'!r}"


@operator("odf-table/sheet-gone", kind="odf-table", must="fail")
def sheet_gone(parts: Parts, about: About) -> Change:
    """A sheet or table is missing."""
    for root, sheet in places(parts, about, SHEET):
        remove(sheet)
        yield parts.having(CONTENT, root), f"the table {sheet.get(NAME, '')!r} is missing"


# -- slides


@operator("odf-table/slide-gone", kind="odf-table", must="fail")
def slide_gone(parts: Parts, about: About) -> Change:
    """A slide is missing."""
    for root, page in places(parts, about, PAGE):
        remove(page)
        yield parts.having(CONTENT, root), f"the slide with {told(said(page))} is missing"


@operator("odf-table/slide-order", kind="odf-table", must="fail")
def slide_order(parts: Parts, about: About) -> Change:
    """Two slides are swapped."""
    yield from lower(parts, about, PAGE, "the slide with", (PAGE,), alike=True)


@operator("odf-table/position", kind="odf-table", must="fail")
def position(parts: Parts, about: About) -> Change:
    """A shape or picture is a tenth further to the right, or a tenth wider."""
    for name, words in ((f"{SVG}x", "is a tenth further to the right"), (f"{SVG}width", "is a tenth wider")):
        for root, frame in places(parts, about, f"{DRAW}frame", 2, partial(_has_length, name)):
            old = frame.get(name, "")
            frame.set(name, f"{float(old[:-2]) * 1.1 + 0.1:g}{old[-2:]}")
            yield parts.having(CONTENT, root), f"the frame {told(said(frame))} {words}"


def _has_length(name: str, element: _Element) -> bool:
    value = element.get(name, "")
    return value.endswith(LENGTHS) and value[:-2].replace(".", "", 1).isdigit()
