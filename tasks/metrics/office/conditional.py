"""Finds the cells that a workbook's conditional formats change.

A library evaluates the formulas; nothing is executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from deskbench.tasks.metrics.office.workbook import Workbook, style_of
from deskbench.tasks.metrics.support.packages import needs

MAX_CELLS = 200_000
"""How many cells of a conditional format's range are checked; ranges of whole columns are cut off."""
_ABSOLUTE = re.compile(r"\$([A-Z]{1,3})\$(\d+)(?::\$([A-Z]{1,3})\$(\d+))?")
_BY_FORMULA = {"expression", "containsText", "notContainsText", "endsWith", "beginsWith", "containsErrors",
               "notContainsErrors"}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, list[Any]], bool]] = {
    "lessThanOrEqual": lambda v, r: v <= r[0], "lessThan": lambda v, r: v < r[0], "equal": lambda v, r: v == r[0],
    "notEqual": lambda v, r: v != r[0], "greaterThan": lambda v, r: v > r[0],
    "greaterThanOrEqual": lambda v, r: v >= r[0], "between": lambda v, r: min(r) <= v <= max(r),
    "notBetween": lambda v, r: not min(r) <= v <= max(r),
}  # fmt: skip


def styles(book: Workbook, name: str, props: list[str]) -> dict[str, list[Any]]:
    """The style of every cell of a sheet by coordinate, conditional formats included."""
    if name not in book.cells.sheetnames:
        return {}
    sheet = book.cells[name]
    found = {cell.coordinate: [style_of(p, cell) for p in props] for row in sheet.iter_rows() for cell in row}
    for cell, over in _changed(book, name, sheet):
        found[cell.coordinate] = [style_of(p, cell, over) for p in props]
    return found


def _changed(book: Workbook, name: str, sheet: Any) -> Iterator[tuple[Any, Any]]:
    for formatting in sheet.conditional_formatting:
        for rule in formatting.rules:
            test = _test_of(rule, book, name)
            if test is not None and rule.dxf is not None:
                yield from ((cell, rule.dxf) for cell in _filled(formatting, sheet) if _holds(test, book, name, cell))


def _filled(formatting: Any, sheet: Any) -> Iterator[Any]:
    """The cells of a format's ranges that lie in the used part of the sheet."""
    for area in formatting.cells:
        bottom, right = min(area.max_row, sheet.max_row), min(area.max_col, sheet.max_column)
        rows = sheet.iter_rows(area.min_row, bottom, area.min_col, right)
        yield from (cell for index, row in enumerate(rows) for cell in row if index * len(row) < MAX_CELLS)


def _holds(test: Callable[[Any], Any], book: Workbook, name: str, cell: Any) -> bool:
    value = book.value(name, cell.coordinate)
    if value is None:
        return False
    try:
        return bool(test(value))
    except Exception:  # noqa: BLE001  the library's formulas raise what they like; such a cell is not changed
        return False


def _test_of(rule: Any, book: Workbook, name: str) -> Callable[[Any], Any] | None:
    """A function that tells whether a rule applies to a cell's value; None for unsupported kinds of rules."""
    formulas = [_formula(text, book, name) for text in rule.formula]
    if None in formulas or not formulas:
        return None
    if rule.type in _BY_FORMULA:
        function, arguments = formulas[0] or (None, [])
        return lambda value: function(value, *arguments)  # type: ignore[misc]
    if rule.type == "cellIs" and rule.operator in _COMPARE:
        references = [_constant(*formula) for formula in formulas if formula]
        return lambda value: _COMPARE[rule.operator](value, references)
    return None


def _constant(function: Any, arguments: list[Any]) -> Any:
    value = function(*arguments)
    return value.item() if hasattr(value, "item") else value


def _formula(text: str, book: Workbook, name: str) -> tuple[Any, list[Any]] | None:
    """A formula as a function, with the values of the fixed cells that it names; None if it cannot be parsed."""
    try:
        import formulas
        from formulas.errors import BaseError
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        function = formulas.Parser().ast(f"={text}")[1].compile()
    except (BaseError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return function, [_fixed(book, name, *found) for found in _ABSOLUTE.findall(text)]


def _fixed(book: Workbook, name: str, column: str, row: str, last_column: str, last_row: str) -> Any:
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.cell_range import CellRange

    if not last_column:
        return book.value(name, f"{column}{row}")
    area = CellRange(f"{column}{row}:{last_column}{last_row}")
    return [book.value(name, f"{get_column_letter(c)}{r}") for r, c in list(area.cells)[:MAX_CELLS]]
