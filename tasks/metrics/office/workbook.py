"""Workbooks (xlsx): pandas reads values, openpyxl reads formatting, and the XML gives what both hide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import Unreadable, checked_package, member, needs, opened_zip, parse_xml

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
X14 = "{http://schemas.microsoft.com/office/spreadsheetml/2009/9/main}"
XM = "{http://schemas.microsoft.com/office/excel/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


class NoSheet(Exception):
    """A workbook does not have the requested sheet."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path.name} has no {what}")
        self.path = path


@dataclass(frozen=True)
class Workbook:
    """One workbook. Each part is read once."""

    path: Path

    @cached_property
    def cells(self) -> Any:
        """The workbook as openpyxl reads it: formulas, styles, charts."""
        try:
            import openpyxl
            from openpyxl.utils.exceptions import InvalidFileException
        except ImportError as error:
            raise needs("evaluators", error) from None
        try:
            return openpyxl.load_workbook(str(checked_package(self.path)))
        except (InvalidFileException, KeyError, ValueError, TypeError, SyntaxError) as error:
            raise Unreadable(f"{self.path.name} is not a workbook: {error}", self.path) from None

    @cached_property
    def _frames(self) -> Any:
        try:
            import pandas
        except ImportError as error:
            raise needs("evaluators", error) from None
        try:
            return pandas.ExcelFile(str(checked_package(self.path)), engine="openpyxl")
        except (KeyError, ValueError, TypeError, SyntaxError) as error:
            raise Unreadable(f"{self.path.name} is not a workbook: {error}", self.path) from None

    @cached_property
    def names(self) -> list[str]:
        """The sheets' names, in order."""
        return [str(name) for name in self._frames.sheet_names]

    def name_of(self, index: str | int) -> str:
        """A sheet's name by its index; a name is returned as it is.

        Raises:
            NoSheet: the workbook has fewer sheets.
        """
        if isinstance(index, str):
            return index
        if not -len(self.names) <= index < len(self.names):
            raise NoSheet(self.path, f"sheet number {index}")
        return self.names[index]

    def sheet(self, name: str) -> Any:
        """A sheet as openpyxl reads it."""
        if name not in self.cells.sheetnames:
            raise NoSheet(self.path, f"sheet {name!r}")
        return self.cells[name]

    def frame(self, name: str) -> Any:
        """A sheet's values as pandas reads them: the first row names the columns."""
        if name not in self.names:
            raise NoSheet(self.path, f"sheet {name!r}")
        return self._frames.parse(name)

    def printed(self, name: str) -> list[str]:
        """The lines, in reverse order, of a sheet's CSV file that LibreOffice wrote next to the workbook."""
        csv = self.path.with_name(f"{self.path.stem}-{name}.csv")
        if not csv.is_file():
            raise NoSheet(self.path, f"{csv.name} beside it")
        data = csv.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        lines = [line.strip() for line in text.splitlines()][::-1]
        while lines and not lines[0]:
            lines.pop(0)
        return lines

    @cached_property
    def shared_strings(self) -> list[str]:
        """The texts that cells refer to by number, with all runs of each text joined."""
        with opened_zip(self.path) as archive:
            data = member(archive, "xl/sharedStrings.xml")
        if data is None:
            return []
        items = parse_xml(data, self.path).iterchildren(f"{MAIN}si")
        return ["".join(text.text or "" for text in item.iter(f"{MAIN}t")) for item in items]

    @cached_property
    def _parts(self) -> dict[str, str]:
        """The package member of each sheet."""
        with opened_zip(self.path) as archive:
            book = parse_xml(member(archive, "xl/workbook.xml") or b"<none/>", self.path)
            relations = parse_xml(member(archive, "xl/_rels/workbook.xml.rels") or b"<none/>", self.path)
        targets = {r.get("Id"): str(PurePosixPath("/xl") / (r.get("Target") or ""))[1:] for r in relations}
        sheets = {s.get("name"): s for s in book.iter(f"{MAIN}sheet")}
        if as_upstream("sheet-part"):
            return {str(name): f"xl/worksheets/sheet{s.get('sheetId')}.xml" for name, s in sheets.items()}
        return {str(name): targets.get(s.get(f"{RELATION}id"), "") for name, s in sheets.items()}

    def xml(self, name: str) -> Any:
        """A sheet's XML; None if there is no such sheet."""
        with opened_zip(self.path) as archive:
            data = member(archive, self._parts.get(name, ""))
        return None if data is None else parse_xml(data, self.path)

    @cached_property
    def _values(self) -> dict[str, dict[str, Any]]:
        return {}

    def value(self, name: str, coordinate: str) -> Any:
        """A cell's value as last calculated: a number, a text, or an error's name; None if the cell is empty."""
        if name not in self._values:
            root = self.xml(name)
            cells = () if root is None else root.iter(f"{MAIN}c")
            self._values[name] = {cell.get("r"): cell for cell in cells}
        cell = self._values[name].get(coordinate)
        return None if cell is None else self._value_of(cell)

    def _value_of(self, cell: Any) -> Any:
        kind, text = cell.get("t", "n"), cell.findtext(f"{MAIN}v")
        if kind == "inlineStr":
            return "".join(part.text or "" for part in cell.iter(f"{MAIN}t"))
        if text is None:
            return None
        try:
            if kind == "n":
                return float(text)
            if kind == "s":
                return self.shared_strings[int(text)]
        except (ValueError, IndexError):
            return None
        if kind == "b":
            return None if as_upstream("cell-kinds") else text == "1"
        return text if kind in ("str", "e") else None

    def sparklines(self, name: str) -> dict[str, str]:
        """The sparklines: from each cell to the cells that its chart shows."""
        root = self.xml(name)
        if root is None:
            return {}
        found = root.iter(f"{X14}sparkline")
        return {line.findtext(f"{XM}sqref") or "": line.findtext(f"{XM}f") or "" for line in found}


def merged_cells(cell: Any) -> bool:
    """Whether a cell is in a merged range and not its first."""
    return type(cell).__name__ == "MergedCell"


_FONT = {"font_name": "name", "font_family": "family", "font_bold": "bold", "font_italic": "italic",
         "font_underline": "underline", "font_size": "size"}  # fmt: skip
STYLES = (*_FONT, "number_format", "font_color", "fill_type", "bgcolor", "fgcolor", "hyperlink", "merge")
"""The properties that `style` and `check_cell` support."""


def style_of(name: str, cell: Any, over: Any = None) -> Any:
    """One property of a cell's style; an empty cell only has its fill and whether it is merged.

    Args:
        name: one of `STYLES`.
        cell: an openpyxl cell.
        over: the differential style of a conditional format that applies here.
    """
    if name == "merge":
        return merged_cells(cell)
    if name in ("fill_type", "bgcolor", "fgcolor"):
        return _fill(name, cell, over)
    if cell.value is None:
        return None
    if name == "number_format":
        return _number_format(cell, over)
    if name == "hyperlink":
        return _hyperlink(cell)
    font = (over or cell).font
    if name == "font_color":
        return None if font is None or font.color is None else _colour(font.color)
    return getattr(font, _FONT[name], None)


def _colour(colour: Any) -> str:
    """A colour as aRGB, or as a reference to theme or palette; openpyxl gives the same text for all references."""
    if isinstance(colour.rgb, str) or as_upstream("colours"):
        return str(colour.rgb)
    return f"{colour.type}:{colour.value}:{colour.tint}"


def _fill(name: str, cell: Any, over: Any) -> str | None:
    fill = (over or cell).fill
    if fill is None:
        return None
    if name == "fill_type":
        return str(fill.tagname)
    # The fill's colour is the foreground in a cell, and the background in a conditional format.
    colour = getattr(fill, "bgColor" if over is not None else "fgColor", None)
    return None if colour is None else _colour(colour)


def _number_format(cell: Any, over: Any) -> str | None:
    if cell.data_type != "n":
        return None
    if over is None:
        return str(cell.number_format)
    return None if over.numFmt is None else str(over.numFmt.formatCode)


def _hyperlink(cell: Any) -> Any:
    link = cell.hyperlink
    if link is None or as_upstream("hyperlink"):
        return link or ""
    return link.target or link.location or ""


def title_text(title: Any) -> str | None:
    """The text of a chart's or an axis's title; None without a title."""
    try:
        if as_upstream("chart-title"):
            return str(title.tx.rich.p[0].r[0].t)
        runs = [run.t or "" for paragraph in title.tx.rich.p for run in paragraph.r or ()]
    except (AttributeError, IndexError, TypeError):
        return None
    return "".join(runs) or None


def charts(sheet: Any, props: list[str]) -> dict[str, dict[str, Any]]:
    """A sheet's charts by the location of their data, with the requested properties."""
    return {
        ";".join(map(_series, chart.series)): {p: _chart_property(chart, p) for p in props} for chart in sheet._charts
    }


def _series(series: Any) -> str:
    return f"{_reference(getattr(series, 'val', None))},{_reference(getattr(series, 'cat', None))}"


def _reference(source: Any) -> str:
    for kind in ("numRef", "strRef"):
        found = getattr(getattr(source, kind, None), "f", None)
        if found is not None:
            return str(found)
    return ""


def _chart_property(chart: Any, name: str) -> Any:
    if name in ("title", "xtitle", "ytitle", "ztitle"):
        holder = chart if name == "title" else getattr(chart, f"{name[0]}_axis", None)
        return title_text(getattr(holder, "title", None))
    if name == "legend":
        return None if chart.legend is None else chart.legend.position
    if name == "anchor":
        return _anchor(chart.anchor)
    return getattr(chart, {"type": "tagname", "direction": "barDir"}.get(name, name), None)


def _anchor(anchor: Any) -> list[Any]:
    start, end = getattr(anchor, "_from", None), getattr(anchor, "to", None)
    top = getattr(end if as_upstream("chart-anchor") else start, "row", None)
    return [
        getattr(anchor, "editAs", None), getattr(start, "col", None), top,
        getattr(end, "col", None), getattr(end, "row", None),
    ]  # fmt: skip


def pivots(sheet: Any, props: list[str]) -> dict[str, dict[str, Any]]:
    """A sheet's pivot tables by the location of their data, with the requested properties."""
    return dict(_pivot(table, props) for table in sheet._pivots)


_PIVOT_FLAGS = {"show_total": "visualTotals", "show_empty_row": "showEmptyRow", "show_empty_col": "showEmptyCol",
                "show_headers": "showHeaders", "name": "name", "location": "location"}  # fmt: skip


def _pivot(table: Any, props: list[str]) -> tuple[str, dict[str, Any]]:
    """Leave out fields without items at either end of the data, so that a range with one more column is equal."""
    fields = [[(item.h, item.x) for item in f.items if item.x is not None] for f in table.pivotFields]
    used = [index for index, items in enumerate(fields) if items]
    left, right = (used[0], used[-1] + 1) if used else (len(fields), len(fields))
    info: dict[str, Any] = {p: getattr(table, _PIVOT_FLAGS[p]) for p in props if p in _PIVOT_FLAGS}
    if "filter" in props or "selection" in props:
        chosen = fields[left:right]
        info["selection"] = chosen if "ordered" in props else [set(items) for items in chosen]
    if "filter" in props:
        info["filter_fields"] = {f.fld for f in table.pageFields}
    for name, columns in (("col_fields", table.colFields), ("row_fields", table.rowFields)):
        if name in props:
            info[name] = [f.x - left for f in columns]
    if "data_fields" in props:
        named = "data_fields_name" in props
        info["data_fields"] = [
            (f.fld - left, f.name if named else "", f.subtotal, f.showDataAs) for f in table.dataFields
        ]
    return _pivot_source(table, left, len(fields) - right), info


def _pivot_source(table: Any, left: int, right: int) -> str:
    from openpyxl.utils import coordinate_to_tuple

    source = table.cache.cacheSource
    first, _, last = (source.worksheetSource.ref or "A1:A1").partition(":")
    (top, start), (bottom, end) = coordinate_to_tuple(first), coordinate_to_tuple(last or first)
    return f"{source.type};{top},{start + left}:{bottom},{end - right};{source.worksheetSource.sheet}"


def frozen(sheet: Any) -> Any:
    """The number of fixed columns and rows, or how the sheet's window is split."""
    pane = sheet.sheet_view.pane
    if as_upstream("freeze-corner"):
        return sheet.freeze_panes
    if pane is None:
        return None
    splits = int(pane.xSplit or 0), int(pane.ySplit or 0)
    is_frozen = (pane.state or "").lower() in ("frozen", "frozensplit")
    return ("frozen", *splits) if is_frozen else ("split", *splits, pane.topLeftCell)


def filters(sheet: Any) -> dict[str, Any]:
    """A sheet's automatic filter: its range, its columns with the values they let through, and its order."""
    found = sheet.auto_filter
    columns = [_filter_column(column) for column in found.filterColumn]
    info: dict[str, Any] = {"ref": found.ref, "filter_column": sorted(columns, key=lambda c: c["col_id"])}
    state = found.sortState
    if state is not None:
        conditions = [
            (c.descending, c.sortBy, c.ref, c.customList, c.dxfId, c.iconSet, c.iconId) for c in state.sortCondition
        ]
        info["sort_state"] = (state.columnSort, state.caseSensitive, state.sortMethod, state.ref, conditions)
    return info


def _filter_column(column: Any) -> dict[str, Any]:
    info: dict[str, Any] = {
        "col_id": column.colId, "hidden_button": column.hiddenButton, "show_button": column.showButton,
    }  # fmt: skip
    if column.filters is not None:
        info["blank"], info["filters"] = column.filters.blank, set(column.filters.filter)
    if column.customFilters is not None:
        info["op"] = column.customFilters._and
        info["custom"] = {(f.operator, f.val) for f in column.customFilters.customFilter}
    return info


def lines_of(sheet: Any, which: str, props: list[str], others: Iterable[Any] = ()) -> dict[Any, dict[str, Any]]:
    """Properties of rows (`which` is "row") or columns: those in the file, and `others`."""
    dimensions = getattr(sheet, f"{which}_dimensions")
    wanted = set(dimensions) | set(others)
    return {number: {p: getattr(dimensions[number], p, None) for p in props} for number in wanted}
