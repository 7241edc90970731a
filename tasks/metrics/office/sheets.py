"""Spreadsheets: `compare_table` and its rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError
from deskbench.tasks.metrics.office import conditional, workbook
from deskbench.tasks.metrics.office.workbook import NoSheet, Workbook
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.matching import Match, likeness, matches
from deskbench.tasks.metrics.support.packages import Unreadable, needs
from deskbench.tasks.metrics.support.told import Told, verdict
from deskbench.tasks.registry import closed, metric

SheetIndex = int | Annotated[str, Field(pattern=r"^[RE](I-?\d+|N.+)$")]
"""A sheet: a number or `RI0`, `RNname` for the result; `EI0`, `ENname` for the expected workbook."""
Style = Literal[
    "number_format", "font_name", "font_family", "font_color", "font_bold", "font_italic", "font_underline",
    "font_size", "fill_type", "bgcolor", "fgcolor", "hyperlink", "merge",
]  # fmt: skip
ChartProperty = Literal[
    "title", "anchor", "legend", "width", "height", "type", "direction", "xtitle", "ytitle", "ztitle"
]
PivotProperty = Literal[
    "name", "show_total", "show_empty_row", "show_empty_col", "show_headers", "location", "filter", "selection",
    "ordered", "col_fields", "row_fields", "data_fields", "data_fields_name",
]  # fmt: skip


@closed
class SheetName(TypedDict):
    """The sheets have the same names, in the same order."""

    type: Literal["sheet_name"]


class _Two(TypedDict):
    sheet_idx0: SheetIndex
    sheet_idx1: SheetIndex


@closed
class SheetData(_Two):
    """The sheets have the same values, rounded to `precision` digits."""

    type: Literal["sheet_data"]
    precision: NotRequired[int]
    ignore_case: NotRequired[bool]


@closed
class SheetPrint(_Two):
    """The sheets print the same: their CSV files next to the workbooks are equal."""

    type: Literal["sheet_print"]
    ignore_case: NotRequired[bool]


@closed
class FuzzyRule(TypedDict):
    """How to compare the texts of some cells."""

    range: list[str]
    type: Literal["includes", "included_by", "fuzzy_match", "exact_match"]
    threshold: NotRequired[float]
    ignore_case: NotRequired[bool]
    ignore_chars: NotRequired[str]
    trim_leadings: NotRequired[str]
    trim_trailings: NotRequired[str]
    normalization: NotRequired[list[list[str]]]


@closed
class SheetFuzzy(_Two):
    """The cells have similar texts."""

    type: Literal["sheet_fuzzy"]
    rules: list[FuzzyRule]


@closed
class Sparkline(_Two):
    """The sheets have the same sparklines (small charts in cells)."""

    type: Literal["sparkline"]


@closed
class Chart(_Two):
    """The sheets have charts of the same data, with the same properties."""

    type: Literal["chart"]
    chart_props: NotRequired[list[ChartProperty]]


@closed
class CellStyles(_Two):
    """The cells look the same, conditional formats included."""

    type: Literal["style"]
    props: list[Style]


@closed
class Freeze(_Two):
    """The same rows and columns stay in view."""

    type: Literal["freeze"]


@closed
class Zoom(Match):
    """The zoom in percent."""

    type: Literal["zoom"]
    sheet_idx: SheetIndex


@closed
class DataValidation(TypedDict):
    """The data validation: every validation of the sheet matches one of these."""

    type: Literal["data_validation"]
    sheet_idx: SheetIndex
    dv_props: list[dict[str, Match]]


@closed
class Lines(_Two):
    """The rows, or columns, have the same properties."""

    type: Literal["row_props", "col_props"]
    props: list[Literal["hidden", "collapsed", "height", "width", "auto_size", "min", "max"]]


@closed
class Filter(_Two):
    """The sheets have the same automatic filter."""

    type: Literal["filter"]


@closed
class PivotTable(_Two):
    """The sheets have pivot tables of the same data, with the same properties."""

    type: Literal["pivot_table"]
    pivot_props: NotRequired[list[PivotProperty]]


@closed
class CheckCell(TypedDict):
    """One cell's value (`value`) and style."""

    type: Literal["check_cell"]
    sheet_idx: SheetIndex
    coordinate: str
    props: dict[Literal["value"] | Style, Match]


Rule = Annotated[
    SheetName | SheetData | SheetPrint | SheetFuzzy | Sparkline | Chart | CellStyles | Freeze | Zoom | DataValidation
    | Lines | Filter | PivotTable | CheckCell,
    Field(discriminator="type"),
]  # fmt: skip
Books = Mapping[str, Workbook]
"""`R`, the result, and `E`, the expected workbook, if there is one."""


def _has_books(given: Mapping[str, Any]) -> None:
    """Check that rules that compare with an expected workbook have one."""
    for rule in given["rules"]:
        places = [str(rule.get(key, "")) for key in ("sheet_idx0", "sheet_idx1", "sheet_idx")]
        if given["expected"] is None and (rule["type"] == "sheet_name" or any(p.startswith("E") for p in places)):
            raise ValueError(f"the rule {rule['type']} needs an expected workbook, but there is none")


@metric("compare_table", fits=_has_books)
def compare_table(result: Path, expected: Path | None = None, *, rules: list[Rule]) -> float:
    """1 when a workbook passes every rule; most rules compare one of its sheets with an expected sheet."""
    books = {"R": Workbook(result)} | ({} if expected is None else {"E": Workbook(expected)})
    assert books["R"].names is not None  # reports an invalid result before its rules run
    for rule in rules:
        problem = _problem(books, rule)
        if problem is not None:
            return verdict(problem)
    return Told(1.0)


def _problem(books: Books, rule: Mapping[str, Any]) -> str | None:
    where = rule.get("coordinate", rule.get("sheet_idx0", rule.get("sheet_idx", "")))
    try:
        met = _RULES[rule["type"]](books, rule)
    except NoSheet as error:
        raise Unreadable(f"{rule['type']}: {error}", error.path) from None
    return None if met else f"{rule['type']} {where}: not met"


def _place(books: Books, index: int | str) -> tuple[Workbook, str]:
    """The workbook and the name of a sheet."""
    if isinstance(index, int):
        return books["R"], books["R"].name_of(index)
    side, kind, rest = index[:1], index[1:2], index[2:]
    if side not in books or kind not in ("I", "N"):
        raise CheckError(f"sheet {index!r} is not one of 0, RI0, RNname, EI0, ENname, or there is no such workbook")
    return books[side], books[side].name_of(int(rest) if kind == "I" else rest)


def _pair(books: Books, rule: Mapping[str, Any]) -> list[tuple[Workbook, str]]:
    return [_place(books, rule["sheet_idx0"]), _place(books, rule["sheet_idx1"])]


def _same(read: Callable[[Workbook, str, Mapping[str, Any]], Any]) -> Callable[[Books, Mapping[str, Any]], bool]:
    """A rule that compares the same value of two sheets."""

    def met(books: Books, rule: Mapping[str, Any]) -> bool:
        one, other = (read(book, name, rule) for book, name in _pair(books, rule))
        return bool(one == other)

    return met


def _sheet_name(books: Books, rule: Mapping[str, Any]) -> bool:
    if "E" not in books:
        raise CheckError("the rule sheet_name needs an expected workbook")
    return books["R"].names == books["E"].names


def _sheet_data(books: Books, rule: Mapping[str, Any]) -> bool:
    digits, fold = rule.get("precision", 4), rule.get("ignore_case", False) and not as_upstream("data-case")
    one, other = (_frame(book.frame(name).round(digits), fold) for book, name in _pair(books, rule))
    return bool(one.equals(other))


def _frame(frame: Any, fold: bool) -> Any:
    if not fold:
        return frame
    lower: Callable[[Any], Any] = lambda value: value.lower() if isinstance(value, str) else value  # noqa: E731
    return frame.rename(columns=lower).map(lower)


def _printed(book: Workbook, name: str, rule: Mapping[str, Any]) -> list[str]:
    lines = book.printed(name)
    return [line.lower() for line in lines] if rule.get("ignore_case") else lines


def _sheet_fuzzy(books: Books, rule: Mapping[str, Any]) -> bool:
    (book, name), (other, other_name) = _pair(books, rule)
    return all(
        _alike(str(book.value(name, cell)), str(other.value(other_name, cell)), one)
        for one in rule["rules"]
        for cell in _cells(one["range"])
    )


def _cells(ranges: list[str]) -> list[str]:
    try:
        from openpyxl.utils import get_column_letter
        from openpyxl.worksheet.cell_range import MultiCellRange
    except ImportError as error:
        raise needs("evaluators", error) from None
    return [f"{get_column_letter(c)}{r}" for area in MultiCellRange(ranges) for r, c in area.cells]


def _alike(found: str, wanted: str, rule: Mapping[str, Any]) -> bool:
    found, wanted = (_trimmed(text, rule) for text in (found, wanted))
    if rule["type"] == "includes":
        return wanted in found
    if rule["type"] == "included_by":
        return found in wanted
    if rule["type"] == "fuzzy_match":
        return likeness(found, wanted) * 100 >= float(rule.get("threshold", 85.0))
    return found == wanted


def _trimmed(text: str, rule: Mapping[str, Any]) -> str:
    for old, new in rule.get("normalization", []):
        text = text.replace(old, new)
    text = text.lstrip(rule["trim_leadings"]) if "trim_leadings" in rule else text
    text = text.rstrip(rule["trim_trailings"]) if "trim_trailings" in rule else text
    text = text.translate(dict.fromkeys(map(ord, rule.get("ignore_chars", ""))))
    return text.lower() if rule.get("ignore_case") else text


def _zoom(books: Books, rule: Mapping[str, Any]) -> bool:
    book, name = _place(books, rule["sheet_idx"])
    return matches(book.sheet(name).sheet_view.zoomScale or 100.0, rule)


def _data_validation(books: Books, rule: Mapping[str, Any]) -> bool:
    book, name = _place(books, rule["sheet_idx"])
    found = book.sheet(name).data_validations.dataValidation
    wanted = rule["dv_props"]
    return len(found) >= len(wanted) and all(
        any(all(matches(getattr(one, key, None), m) for key, m in props.items()) for props in wanted) for one in found
    )


def _lines(which: str) -> Callable[[Books, Mapping[str, Any]], bool]:
    def met(books: Books, rule: Mapping[str, Any]) -> bool:
        one, other = (book.sheet(name) for book, name in _pair(books, rule))
        numbers = [set(getattr(sheet, f"{which}_dimensions")) for sheet in (one, other)]
        # A row that the file does not mention has default properties.
        extra = [iter(()), iter(())] if as_upstream("row-defaults") else [iter(numbers[1]), iter(numbers[0])]
        read = [workbook.lines_of(s, which, rule["props"], more) for s, more in zip((one, other), extra, strict=True)]
        return read[0] == read[1]

    return met


def _check_cell(books: Books, rule: Mapping[str, Any]) -> bool:
    book, name = _place(books, rule["sheet_idx"])
    cell = book.sheet(name)[rule["coordinate"]]

    def read(prop: str) -> Any:
        return book.value(name, rule["coordinate"]) if prop == "value" else workbook.style_of(prop, cell)

    return all(matches(read(prop), match) for prop, match in rule["props"].items())


_RULES: dict[str, Callable[[Books, Mapping[str, Any]], bool]] = {
    "sheet_name": _sheet_name,
    "sheet_data": _sheet_data,
    "sheet_print": _same(_printed),
    "sheet_fuzzy": _sheet_fuzzy,
    "sparkline": _same(lambda book, name, rule: book.sparklines(name)),
    "chart": _same(lambda book, name, rule: workbook.charts(book.sheet(name), rule.get("chart_props", []))),
    "style": _same(lambda book, name, rule: conditional.styles(book, name, rule["props"])),
    "freeze": _same(lambda book, name, rule: workbook.frozen(book.sheet(name))),
    "zoom": _zoom,
    "data_validation": _data_validation,
    "row_props": _lines("row"),
    "col_props": _lines("column"),
    "filter": _same(lambda book, name, rule: workbook.filters(book.sheet(name))),
    "pivot_table": _same(lambda book, name, rule: workbook.pivots(book.sheet(name), rule.get("pivot_props", []))),
    "check_cell": _check_cell,
}


@closed
class Cities(TypedDict):
    """For each row the city, or a list of its names."""

    expected: list[str | list[str]]


CITY_CELLS = "C2:C22"
"""The column of cities in the only task that uses this metric."""


@metric("compare_conference_city_in_order")
def compare_conference_city_in_order(result: Path, rules: Cities) -> float:
    """1 when each cell of a column names the city of its row, ignoring case, accents and punctuation."""
    sheet = Workbook(result).cells.active
    if sheet is None:
        raise Unreadable(f"{result.name} has no sheet", result)
    rows = sheet[CITY_CELLS]
    found = [_plain_city(row[0].value) for row in rows]
    wanted = [[city] if isinstance(city, str) else city for city in rules["expected"]]
    if len(wanted) < len(found):
        raise CheckError(f"{len(found)} rows are read, but only {len(wanted)} cities are given")
    wrong = [row for row, (city, names) in enumerate(zip(found, wanted, strict=False), 2) if not _names(city, names)]
    return verdict(f"C{wrong[0]}: {found[wrong[0] - 2]!r}" if wrong else None)


def _plain_city(value: Any) -> str:
    text = "" if value is None else str(value)
    if as_upstream("city-spelling"):
        return text
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    letters = r"[^a-z0-9]+" if as_upstream("city-letters") else r"[\W_]+"
    return re.sub(letters, " ", bare).strip()


def _names(city: str, names: list[str]) -> bool:
    blank = as_upstream("city-spelling")
    return any((plain or blank) and plain in city for plain in map(_plain_city, names))
