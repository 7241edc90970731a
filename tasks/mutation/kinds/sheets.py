"""Workbooks (XLSX): cells, sheets, formats and sheet features, in the XML of ECMA-376, part 1, section 18."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lxml import etree

from deskbench.tasks.mutation.kinds.packages import FEW, Parts, canonical, other_text, read_parts, unused, write_parts
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

if TYPE_CHECKING:
    from lxml.etree import _Element

Change = Iterator[tuple[Parts, str]]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
BOOK, STYLES, STRINGS = "xl/workbook.xml", "xl/styles.xml", "xl/sharedStrings.xml"
_RANGE = re.compile(r"(\$?[A-Z]{1,3}\$?\d+:\$?[A-Z]{1,3}\$?)(\d+)")


def _read(raw: Raw) -> Parts:
    return read_parts(raw, BOOK)


kind("xlsx", "Workbooks (XLSX)", read=_read, write=write_parts, key=lambda parts: canonical(parts, unused))


def _sheets(parts: Parts) -> list[str]:
    return parts.named("xl/worksheets/")


def _named(sheet: str, ref: str) -> str:
    """A cell in words: `B2`, with the sheet's number if it is not the first."""
    number = "".join(sign for sign in sheet.rpartition("/")[2] if sign.isdigit())
    return ref if number in ("", "1") else f"{ref} of sheet {number}"


Choice = Callable[["_Element"], bool]


def _cells(parts: Parts, chosen: Choice) -> list[tuple[str, str]]:
    """Sheet and reference of each chosen cell."""
    return [(sheet, str(cell.get("r"))) for sheet in _sheets(parts) for cell in parts.xml(sheet).iter(f"{MAIN}c")
            if cell.get("r") and chosen(cell)]  # fmt: skip


def _cell(parts: Parts, sheet: str, ref: str) -> tuple[_Element, _Element]:
    """A copy of a sheet, and a cell in it."""
    root = parts.xml(sheet)
    return root, next(cell for cell in root.iter(f"{MAIN}c") if cell.get("r") == ref)


def _child(element: _Element, tag: str) -> _Element | None:
    return element.find(MAIN + tag)


def _value(cell: _Element) -> str:
    value = _child(cell, "v")
    return "" if value is None else value.text or ""


def _is_number(cell: _Element) -> bool:
    return _child(cell, "f") is None and cell.get("t", "n") == "n" and bool(_value(cell))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unlike(f"{text!r} is not a number") from None


def _shifted(text: str, by: float) -> str:
    value = _number(text) + by
    return str(int(value)) if value == int(value) else repr(value)


def _set_value(cell: _Element, text: str) -> None:
    value = _child(cell, "v")
    if value is not None:
        value.text = text


@operator("xlsx/number", kind="xlsx", must="fail")
def number(parts: Parts, about: About) -> Change:
    """A number in a cell is one more or one less."""
    for sheet, ref in about.some(_cells(parts, _is_number)):
        for by in (1, -1):
            root, cell = _cell(parts, sheet, ref)
            old = _value(cell)
            _set_value(cell, _shifted(old, by))
            yield parts.having(sheet, root), f"{_named(sheet, ref)} is {_value(cell)}, not {old}"


def _texts(parts: Parts) -> list[str]:
    if STRINGS not in parts.members:
        return []
    return ["".join(t.text or "" for t in item.iter(f"{MAIN}t")) for item in parts.xml(STRINGS).iter(f"{MAIN}si")]


def _text_of(cell: _Element, texts: list[str]) -> str:
    """A cell's text; empty for a cell of another type."""
    if cell.get("t") == "s" and _value(cell).isdigit() and int(_value(cell)) < len(texts):
        return texts[int(_value(cell))]
    return "".join(t.text or "" for t in cell.iter(f"{MAIN}t")) if cell.get("t") == "inlineStr" else ""


def _set_text(cell: _Element, text: str) -> None:
    for child in list(cell):
        cell.remove(child)
    cell.set("t", "inlineStr")
    inner = etree.SubElement(etree.SubElement(cell, f"{MAIN}is"), f"{MAIN}t")
    inner.text = text
    inner.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")


@operator("xlsx/text", kind="xlsx", must="fail")
def text(parts: Parts, about: About) -> Change:
    """A cell's text is different: a digit, a letter, the case, a word."""
    texts = _texts(parts)
    for sheet, ref in about.some(_cells(parts, lambda cell: bool(_text_of(cell, texts).strip())), FEW):
        old = _text_of(_cell(parts, sheet, ref)[1], texts)
        for new, _ in other_text(old):
            root, cell = _cell(parts, sheet, ref)
            _set_text(cell, new)
            yield parts.having(sheet, root), f"{_named(sheet, ref)} is {new!r}, not {old!r}"


@operator("xlsx/number-as-text", kind="xlsx", must="fail")
def number_as_text(parts: Parts, about: About) -> Change:
    """A number in a cell is stored as text."""
    for sheet, ref in about.some(_cells(parts, _is_number), FEW):
        root, cell = _cell(parts, sheet, ref)
        old = _value(cell)
        _set_text(cell, old)
        yield parts.having(sheet, root), f"{_named(sheet, ref)} is the text {old!r}, not a number"


@operator("xlsx/clear", kind="xlsx", must="fail")
def clear(parts: Parts, about: About) -> Change:
    """A cell is empty."""
    for sheet, ref in about.some(_cells(parts, lambda cell: len(cell) > 0)):
        root, cell = _cell(parts, sheet, ref)
        for child in list(cell):
            cell.remove(child)
        cell.attrib.pop("t", "")
        yield parts.having(sheet, root), f"{_named(sheet, ref)} is empty"


@operator("xlsx/value-for-formula", kind="xlsx", must="fail")
def value_for_formula(parts: Parts, about: About) -> Change:
    """A formula is replaced by its value."""
    for sheet, ref in about.some(_cells(parts, lambda cell: _child(cell, "f") is not None and bool(_value(cell)))):
        root, cell = _cell(parts, sheet, ref)
        formula = _child(cell, "f")
        assert formula is not None
        cell.remove(formula)
        yield parts.having(sheet, root), f"{_named(sheet, ref)} is the value {_value(cell)}, not a formula"


@operator("xlsx/formula-range", kind="xlsx", must="fail")
def formula_range(parts: Parts, about: About) -> Change:
    """A formula's range is one row too short, and its value is different."""

    def ranged(cell: _Element) -> bool:
        formula = _child(cell, "f")
        return formula is not None and any(int(m[2]) > 1 for m in _RANGE.finditer(formula.text or ""))

    for sheet, ref in about.some(_cells(parts, ranged), FEW):
        root, cell = _cell(parts, sheet, ref)
        formula = _child(cell, "f")
        assert formula is not None
        old = formula.text or ""
        formula.text = _RANGE.sub(lambda m: m[1] + str(max(1, int(m[2]) - 1)), old, count=1)
        if cell.get("t", "n") == "n" and _value(cell):
            _set_value(cell, _shifted(_value(cell), -1))
        yield parts.having(sheet, root), f"{_named(sheet, ref)} is ={formula.text}, not ={old}"


@operator("xlsx/drop-row", kind="xlsx", must="fail")
def drop_row(parts: Parts, about: About) -> Change:
    """The cells of a row are empty."""
    rows = [(sheet, str(row.get("r"))) for sheet in _sheets(parts) for row in parts.xml(sheet).iter(f"{MAIN}row")
            if any(len(cell) for cell in row)]  # fmt: skip
    for sheet, number in about.some(rows, FEW):
        root = parts.xml(sheet)
        row = next(row for row in root.iter(f"{MAIN}row") if row.get("r") == number)
        for cell in list(row):
            row.remove(cell)
        yield parts.having(sheet, root), f"row {_named(sheet, number)} is empty"


@operator("xlsx/hide-row", kind="xlsx", must="fail")
def hide_row(parts: Parts, about: About) -> Change:
    """A row is hidden."""
    rows = [(sheet, str(row.get("r"))) for sheet in _sheets(parts) for row in parts.xml(sheet).iter(f"{MAIN}row")
            if len(row) and row.get("hidden") not in ("1", "true")]  # fmt: skip
    for sheet, number in about.some(rows, 1):
        root = parts.xml(sheet)
        next(row for row in root.iter(f"{MAIN}row") if row.get("r") == number).set("hidden", "1")
        yield parts.having(sheet, root), f"row {_named(sheet, number)} is hidden"


# -- sheets


def _entries(root: _Element) -> list[_Element]:
    return list(root.iter(f"{MAIN}sheet"))


@operator("xlsx/sheet-name", kind="xlsx", must="fail")
def sheet_name(parts: Parts, about: About) -> Change:
    """A sheet has a different name."""
    for place in about.some(range(len(_entries(parts.xml(BOOK)))), FEW):
        root = parts.xml(BOOK)
        entry = _entries(root)[place]
        old = entry.get("name", "")
        entry.set("name", f"{old[:28]} 2")
        yield parts.having(BOOK, root), f"the sheet {old} is called {entry.get('name')}"


@operator("xlsx/sheet-order", kind="xlsx", must="fail")
def sheet_order(parts: Parts, about: About) -> Change:
    """Two sheets are swapped."""
    for place in about.some(range(len(_entries(parts.xml(BOOK))) - 1), FEW):
        root = parts.xml(BOOK)
        one, other = _entries(root)[place : place + 2]
        other.addnext(one)
        yield parts.having(BOOK, root), f"the sheets {one.get('name')} and {other.get('name')} are swapped"


@operator("xlsx/sheet-gone", kind="xlsx", must="fail")
def sheet_gone(parts: Parts, about: About) -> Change:
    """A sheet is missing."""
    entries = _entries(parts.xml(BOOK))
    for place in about.some(range(len(entries)) if len(entries) > 1 else [], FEW):
        root = parts.xml(BOOK)
        entry = _entries(root)[place]
        parent = entry.getparent()
        assert parent is not None
        parent.remove(entry)
        yield parts.having(BOOK, root), f"the sheet {entry.get('name')} is missing"


# -- formats


def _restyled(parts: Parts, sheet: str, ref: str, change: Callable[[_Element, _Element], None]) -> Parts:
    """A copy in which one cell has its own format; `change` edits a copy of the old one in a copy of the styles."""
    root, cell = _cell(parts, sheet, ref)
    styles = parts.xml(STYLES)
    formats = styles.find(f"{MAIN}cellXfs")
    if formats is None or not len(formats):
        raise Unlike("it has no formats")
    new = copy.deepcopy(formats[min(int(cell.get("s", "0")), len(formats) - 1)])
    formats.append(new)
    formats.set("count", str(len(formats)))
    change(styles, new)
    cell.set("s", str(len(formats) - 1))
    return parts.having(sheet, root).having(STYLES, styles)


def _added(styles: _Element, group: str, make: Callable[[_Element], None], index: int) -> str:
    """Add a copy of a group's item (fonts, fills), edited by `make`; returns its index."""
    items = styles.find(MAIN + group)
    if items is None or index >= len(items):
        raise Unlike(f"it has no {group}")
    new = copy.deepcopy(items[index])
    make(new)
    items.append(new)
    items.set("count", str(len(items)))
    return str(len(items) - 1)


def _filled(cell: _Element) -> bool:
    return len(cell) > 0


@operator("xlsx/bold", kind="xlsx", must="fail")
def bold(parts: Parts, about: About) -> Change:
    """A cell that was not bold is bold, or the other way round."""

    def toggle(font: _Element) -> None:
        old = _child(font, "b")
        if old is None:
            font.insert(0, etree.Element(f"{MAIN}b"))
        else:
            font.remove(old)

    def change(styles: _Element, new: _Element) -> None:
        new.set("fontId", _added(styles, "fonts", toggle, int(new.get("fontId", "0"))))
        new.set("applyFont", "1")

    for sheet, ref in about.some(_cells(parts, _filled), FEW):
        yield _restyled(parts, sheet, ref, change), f"{_named(sheet, ref)} is bold, or no longer bold"


@operator("xlsx/fill", kind="xlsx", must="fail")
def fill(parts: Parts, about: About) -> Change:
    """A cell has a different background colour."""

    def paint(fill: _Element) -> None:
        for child in list(fill):
            fill.remove(child)
        pattern = etree.SubElement(fill, f"{MAIN}patternFill", patternType="solid")
        etree.SubElement(pattern, f"{MAIN}fgColor", rgb="FF12AB34")

    def change(styles: _Element, new: _Element) -> None:
        new.set("fillId", _added(styles, "fills", paint, 0))
        new.set("applyFill", "1")

    for sheet, ref in about.some(_cells(parts, _filled), FEW):
        yield _restyled(parts, sheet, ref, change), f"{_named(sheet, ref)} has a green background"


@operator("xlsx/number-format", kind="xlsx", must="fail")
def number_format(parts: Parts, about: About) -> Change:
    """A number has a different format."""

    def change(styles: _Element, new: _Element) -> None:
        new.set("numFmtId", "11" if new.get("numFmtId") != "11" else "2")  # 0.00E+00, 0.00
        new.set("applyNumberFormat", "1")

    chosen = _cells(parts, lambda cell: cell.get("t", "n") == "n" and bool(_value(cell)))
    for sheet, ref in about.some(chosen, FEW):
        yield _restyled(parts, sheet, ref, change), f"{_named(sheet, ref)} has a different number format"


# -- sheet features

_OVER = {
    "autoFilter": "the filter",
    "mergeCells": "the merging of cells",
    "conditionalFormatting": "a condition's format",
    "dataValidations": "the validation of entries",
    "hyperlinks": "the links",
    "pane": "the freezing of rows",
}


@operator("xlsx/feature-gone", kind="xlsx", must="fail")
def feature_gone(parts: Parts, about: About) -> Change:
    """A filter, merged cells, conditional formatting, a validation, links or frozen rows are missing."""
    for sheet in _sheets(parts):
        for tag, words in _OVER.items():
            root = parts.xml(sheet)
            found = next(root.iter(MAIN + tag), None)
            parent = None if found is None else found.getparent()
            if found is not None and parent is not None:
                parent.remove(found)
                yield parts.having(sheet, root), f"{words} is gone"


@operator("xlsx/pane", kind="xlsx", must="fail")
def pane(parts: Parts, about: About) -> Change:
    """One more row is frozen."""
    for sheet in _sheets(parts):
        root = parts.xml(sheet)
        found = next(root.iter(f"{MAIN}pane"), None)
        if found is not None:
            found.set("ySplit", _shifted(found.get("ySplit", "0"), 1))
            yield parts.having(sheet, root), "one more row is frozen"


@operator("xlsx/threshold", kind="xlsx", must="fail")
def threshold(parts: Parts, about: About) -> Change:
    """The number in a condition is one more."""
    for sheet in _sheets(parts):
        root = parts.xml(sheet)
        for rule in root.iter(f"{MAIN}cfRule"):
            formula = _child(rule, "formula")
            if formula is not None and re.fullmatch(r"-?\d+(\.\d+)?", formula.text or ""):
                old = formula.text or ""
                formula.text = _shifted(old, 1)
                yield parts.having(sheet, root), f"a condition's number is {formula.text}, not {old}"
                break


@operator("xlsx/chart", kind="xlsx", must="fail")
def chart(parts: Parts, about: About) -> Change:
    """A chart's series is one row too short, its title is different, or its bars are horizontal."""
    for name in about.some(parts.named("xl/charts/chart"), FEW):
        root = parts.xml(name)
        for found in list(root.iter(f"{CHART}f"))[-1:]:
            old = found.text or ""
            found.text = _RANGE.sub(lambda m: m[1] + str(max(1, int(m[2]) - 1)), old)
            yield parts.having(name, root), f"a chart's series is {found.text}, not {old}"
        root = parts.xml(name)
        for title in list(root.iter(f"{DRAWING}t"))[:1]:
            title.text = f"{title.text} 2"
            yield parts.having(name, root), f"a chart's title is {title.text!r}"
        root = parts.xml(name)
        for way in list(root.iter(f"{CHART}barDir"))[:1]:
            way.set("val", "bar" if way.get("val") == "col" else "col")
            yield parts.having(name, root), "a chart's bars go the other way"


@operator("xlsx/widths", kind="xlsx", must="stay")
def widths(parts: Parts, about: About) -> Change:
    """A column is wider."""
    for sheet in _sheets(parts)[:1]:
        root = parts.xml(sheet)
        columns, data = _child(root, "cols"), _child(root, "sheetData")
        if data is None:
            continue
        if columns is None:
            columns = etree.Element(f"{MAIN}cols")
            data.addprevious(columns)
            etree.SubElement(columns, f"{MAIN}col", min="1", max="1", width="30", customWidth="1")
        else:
            columns[0].set("width", "30")
        yield parts.having(sheet, root), "the first column is 30 characters wide"


@operator("xlsx/active-cell", kind="xlsx", must="stay")
def active_cell(parts: Parts, about: About) -> Change:
    """A different cell is selected, if no rows are frozen."""
    for sheet in _sheets(parts):
        root = parts.xml(sheet)
        view = next(root.iter(f"{MAIN}sheetView"), None)
        if view is not None and next(view.iter(f"{MAIN}pane"), None) is None:
            for old in list(view.iter(f"{MAIN}selection")):
                view.remove(old)
            etree.SubElement(view, f"{MAIN}selection", activeCell="H9", sqref="H9")
            yield parts.having(sheet, root), f"{_named(sheet, 'H9')} is selected"
            return
