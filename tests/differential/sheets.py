"""Cases for spreadsheets, made with openpyxl and LibreOffice."""

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.chart import BarChart, LineChart, Reference
from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation

from tests.differential.case import Case, Files
from tests.differential.office import converted, has_office
from tests.differential.plain import USED, rules

Change = Callable[[Any], None]
FILL, OTHER_FILL = PatternFill("solid", fgColor="FF0000FF"), PatternFill("solid", fgColor="FF00FF00")


def base(book: Any) -> None:
    """A workbook of two sheets with numbers, texts, dates as numbers, empty cells, formatting and a chart."""
    sheet = book.active
    sheet.title = "Sheet1"
    rows = [
        ["Name", "Amount", "Share", "Result"],
        ["Ann", 12, 0.25, "Pass"],
        ["Ben", 7.5, 0.123456, "Fail"],
        ["Çem", None, 3, " Held"],
    ]
    for row in rows:
        sheet.append(row)
    second = book.create_sheet("Sheet2")
    for row in [["Demographic Profile", "x"], ["a", 1], ["b", 2]]:
        second.append(row)
    second["A1"].font, second["A1"].fill = Font(bold=True, color="FFFFFFFF", name="Arial", size=12), FILL
    chart = BarChart()
    chart.title = "Sales"
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=4), titles_from_data=True)
    chart.set_categories(Reference(sheet, min_col=1, min_row=2, max_row=4))
    second.add_chart(chart, "D2")


def made(files: Files, change: Change = lambda book: None, name: str = "a.xlsx") -> Path:
    """A workbook with one changed property."""
    book = openpyxl.Workbook()
    base(book)
    change(book)
    path = files.new(name)
    book.save(path)
    return path


def _cell(coordinate: str, value: Any, sheet: str = "Sheet1") -> Change:
    return lambda book: book[sheet].__setitem__(coordinate, value)


def _look(coordinate: str, sheet: str = "Sheet1", **looks: Any) -> Change:
    def change(book: Any) -> None:
        for name, value in looks.items():
            setattr(book[sheet][coordinate], name, value)

    return change


def _chart(
    kind: Any = BarChart, title: str | None = "Sales", column: int = 2, anchor: str = "D2", **more: Any
) -> Change:
    def change(book: Any) -> None:
        sheet, second = book["Sheet1"], book["Sheet2"]
        chart = kind()
        chart.title = title
        chart.add_data(Reference(sheet, min_col=column, min_row=1, max_row=4), titles_from_data=True)
        chart.set_categories(Reference(sheet, min_col=1, min_row=2, max_row=4))
        for name, value in more.items():
            if name.endswith("_axis"):
                getattr(chart, name).title = value
            elif name == "legend":
                chart.legend.position = value
            else:
                setattr(chart, name, value)
        second._charts.clear()
        second.add_chart(chart, anchor)

    return change


def _validation(cells: str = "D2:D29", kind: str = "list", formula: str = '"Pass,Fail,Held"') -> Change:
    def change(book: Any) -> None:
        validation = DataValidation(type=kind, formula1=formula)
        validation.add(cells)
        book["Sheet1"].add_data_validation(validation)

    return change


def _conditional(rule: Any, cells: str = "B2:B4") -> Change:
    return lambda book: book["Sheet1"].conditional_formatting.add(cells, rule)


def _set(path: str, value: Any, sheet: str = "Sheet1") -> Change:
    """Set an attribute of a sheet, by its dotted path; `row:3` and `col:B` are dimensions."""

    def change(book: Any) -> None:
        *way, last = path.split(".")
        owner = book[sheet]
        for step in way:
            kind, _, key = step.partition(":")
            if kind == "row":
                owner = owner.row_dimensions[int(key)]
            elif kind == "col":
                owner = owner.column_dimensions[key]
            else:
                owner = getattr(owner, step)
        setattr(owner, last, value)

    return change


def _filter(ref: str, column: int | None = None, values: tuple[str, ...] = ()) -> Change:
    def change(book: Any) -> None:
        book["Sheet1"].auto_filter.ref = ref
        if column is not None:
            book["Sheet1"].auto_filter.add_filter_column(column, list(values))

    return change


RED_FONT = Font(color="FFFF0000")
CHANGES: dict[str, Change] = {
    "equal": lambda book: None,
    "a value differs": _cell("B2", 13),
    "a value differs in the 5th digit": _cell("C3", 0.123457),
    "a value differs in the 3rd digit": _cell("C3", 0.124),
    "case": _cell("A2", "ANN"),
    "blanks": _cell("D4", "Held"),
    "a row more": lambda book: book["Sheet1"].append(["Dan", 1, 1, "Pass"]),
    "an empty cell is 0": _cell("B4", 0),
    "a number is text": _cell("B2", "12"),
    "a formula": _cell("B2", "=6+6"),
    "another sheet's name": lambda book: setattr(book["Sheet2"], "title", "Other"),
    "a sheet more": lambda book: book.create_sheet("Third"),
    "sheets turned": lambda book: book.move_sheet("Sheet2", -1),
    "bold": _look("A2", font=Font(bold=True)),
    "red": _look("A2", font=RED_FONT),
    "filled": _look("A2", fill=OTHER_FILL),
    "empty and filled": _look("F9", fill=OTHER_FILL),
    "another format": _look("B2", number_format="0.00"),
    "merged": lambda book: book["Sheet1"].merge_cells("A3:A4"),
    "frozen": _set("freeze_panes", "B2"),
    "zoomed": _set("sheet_view.zoomScale", 260),
    "zoomed a little": _set("sheet_view.zoomScale", 110),
    "a row hidden": _set("row:3.hidden", True),
    "a column hidden": _set("col:B.hidden", True),
    "a column wider": _set("col:B.width", 30),
    "a chart of lines": _chart(LineChart),
    "another title": _chart(title="Costs"),
    "no title": _chart(title=None),
    "another legend": _chart(legend="b"),
    "other data": _chart(column=3),
    "a larger chart": _chart(width=20, height=10),
    "bars across": _chart(barDir="bar"),
    "axes named": _chart(x_axis="names", y_axis="amounts"),
    "no chart": lambda book: book["Sheet2"]._charts.clear(),
    "validated": _validation(),
    "validated, fewer": _validation(formula='"Pass,Fail"'),
    "validated, turned": _validation(formula='"Held,Pass,Fail"'),
    "validated, more cells": _validation(cells="D1:D2000"),
    "validated, a number": _validation(kind="whole", formula="1"),
    "filtered": _filter("A1:D4", 0, ("Ann",)),
    "filtered otherwise": _filter("A1:D4", 0, ("Ben",)),
    "a filter only": _filter("A1:D4"),
    "above 10 is red": _conditional(CellIsRule(operator="greaterThan", formula=["10"], font=RED_FONT, fill=OTHER_FILL)),
    "above 8 is red": _conditional(CellIsRule(operator="greaterThan", formula=["8"], font=RED_FONT, fill=OTHER_FILL)),
    "between is red": _conditional(CellIsRule(operator="between", formula=["5", "9"], font=RED_FONT, fill=OTHER_FILL)),
    "by formula": _conditional(FormulaRule(formula=["B2>$C$4"], font=RED_FONT, fill=OTHER_FILL)),
}

BY_OFFICE = ("equal", "a value differs", "case", "a row more", "a formula", "sheets turned", "red", "filled", "empty and filled", "merged",
             "frozen", "zoomed", "a row hidden", "a column hidden", "a column wider", "a chart of lines", "another title", "validated",
             "filtered", "above 10 is red", "by formula")  # fmt: skip
"""Changes that are also converted with LibreOffice."""
STYLES = ["number_format", "font_name", "font_family", "font_color", "font_bold", "font_italic", "font_underline", "font_size",
          "fill_type", "bgcolor", "fgcolor", "hyperlink", "merge"]  # fmt: skip
PAIR = {"sheet_idx0": 0, "sheet_idx1": "EI0"}
SECOND = {"sheet_idx0": "RNSheet2", "sheet_idx1": "ENSheet2"}


def own() -> list[list[dict[str, Any]]]:
    """Each kind of rule with each of its properties."""
    charts = ["title", "anchor", "legend", "width", "height", "type", "direction", "xtitle", "ytitle", "ztitle"]
    methods = (("eq", 12), ("ne", 12), ("lt", 13), ("gt", 12), ("approx:0.5", 12.2), ("range.te", [7, 12]))
    return [
        [{"type": "sheet_name"}],
        *([{"type": "sheet_data", **PAIR, "precision": digits}] for digits in (2, 4, 6)),
        [{"type": "sheet_data", "sheet_idx0": "RI1", "sheet_idx1": "ENSheet2"}],
        *([{"type": "chart", **SECOND, "chart_props": [prop]}] for prop in charts if prop != "direction"),
        [{"type": "chart", **SECOND}],
        *([{"type": "style", **PAIR, "props": [style]}] for style in STYLES if style not in ("font_color", "hyperlink")),
        [{"type": "style", "sheet_idx0": 1, "sheet_idx1": "EI1", "props": ["font_bold", "bgcolor"]}],
        [{"type": "freeze", **PAIR}], [{"type": "filter", **PAIR}], [{"type": "sparkline", **PAIR}], [{"type": "pivot_table", **PAIR}],
        *([{"type": "row_props", **PAIR, "props": [prop]}] for prop in ("hidden", "height", "collapsed")),
        *([{"type": "col_props", **PAIR, "props": [prop]}] for prop in ("hidden", "width", "min", "max")),
        [{"type": "zoom", "sheet_idx": 0, "method": "range.te", "ref": [100, 260]}],
        [{"type": "data_validation", "sheet_idx": 0, "dv_props": [{"type": {"method": "eq", "ref": "list"}}]}],
        *([{"type": "check_cell", "sheet_idx": 0, "coordinate": "B2", "props": {"value": {"method": m, "ref": ref}}}] for m, ref in methods),
        [{"type": "check_cell", "sheet_idx": "RNSheet1", "coordinate": "A2", "props": {"value": {"method": "re.I", "ref": "^ann$"}}}],
        [{"type": "check_cell", "sheet_idx": 0, "coordinate": "F9", "props": {"value": {"method": "eq", "ref": 1}}}],
        *([{"type": "check_cell", "sheet_idx": 1, "coordinate": "A1", "props": {style: {"method": "ne", "ref": "?"}}}]
          for style in STYLES if style != "hyperlink"),
        *([{"type": "sheet_fuzzy", **PAIR, "rules": [{"range": ["A1:D4"], **how}]}] for how in FUZZY),
    ]  # fmt: skip


FUZZY: tuple[dict[str, Any], ...] = (
    {"type": "exact_match"}, {"type": "includes"}, {"type": "included_by"}, {"type": "fuzzy_match"}, {"type": "fuzzy_match", "threshold": 50},
    {"type": "exact_match", "ignore_case": True}, {"type": "exact_match", "trim_leadings": " "}, {"type": "exact_match", "trim_trailings": " d"},
    {"type": "exact_match", "ignore_chars": " A"}, {"type": "exact_match", "normalization": [["12.0", "13.0"], ["ANN", "Ann"]]},
)  # fmt: skip


def tables(files: Files) -> Iterator[Case]:
    """`compare_table`: each kind of rule and property on every change, and the tasks' own rules on some."""
    found = {name: made(files, change) for name, change in CHANGES.items()}
    if has_office():
        written = converted(files, [found[name] for name in BY_OFFICE], "xlsx")
        found |= {f"{name}, by LibreOffice": path for name, path in zip(BY_OFFICE, written, strict=True)}
    golds = {"": found["equal"], "by LibreOffice": found.get("equal, by LibreOffice")}
    some = [name for name in found if name.partition(",")[0] in OF_TASKS]
    for rule, names in (*((rule, telling(rule, found)) for rule in own()), *((rule, some) for rule in used())):
        if not all(_has_sheets(one) for one in rule):
            continue
        for name in names:
            gold = golds["by LibreOffice" if name.endswith("LibreOffice") else ""]
            what = f"{name} {json.dumps(rule)[:150]}"
            yield Case("compare_table", what, (found[name], gold), {"rules": rule}, explained(name, rule))


OF_TASKS = ("equal", "a value differs", "red", "a chart of lines", "validated", "zoomed", "frozen")
"""Changes on which the tasks' own rules are tried."""
VALUES = ("value", "case", "blanks", "row more", "0", "text", "formula")
LOOKS = ("bold", "red", "filled", "format", "merged", "formula")
TELLING = {
    "sheet_name": ("sheet",), "sheet_data": (*VALUES, "sheets turned"), "sheet_fuzzy": (*VALUES, "sheets turned"),
    "chart": ("chart", "title", "legend", "data", "bars", "axes"), "style": LOOKS, "freeze": ("frozen",),
    "filter": ("filter",), "sparkline": (), "pivot_table": (), "row_props": ("row", "turned"), "col_props": ("column",),
    "zoom": ("zoom",), "data_validation": ("validated",), "check_cell": (*VALUES, *LOOKS),
}  # fmt: skip
"""Words in the names of changes that concern a kind of rule."""
SAMPLE = 7
"""One in this many of the other changes is tried."""


def telling(rule: list[dict[str, Any]], names: Iterable[str]) -> list[str]:
    """The changes to try with a rule: all that concern it or have a listed difference, and a sample of the others."""
    words = ("equal", *TELLING[rule[-1]["type"]])

    def kept(name: str) -> bool:
        chosen = zlib.crc32(f"{name} {rule}".encode()) % SAMPLE == 0
        return chosen or bool(explained(name, rule)) or any(word in name for word in words)

    return [name for name in names if kept(name)]


def _has_sheets(rule: dict[str, Any]) -> bool:
    """Whether a rule names only sheets that the workbooks here have: two, by number or name."""
    for key in ("sheet_idx", "sheet_idx0", "sheet_idx1"):
        place = str(rule.get(key, 0))
        name = place[2:] if place[1:2] == "N" else ""
        if name not in ("", "Sheet1", "Sheet2") or (not name and place.endswith("2")):
            return False
    return True


NEVER_WORKED_OUT = "a formula"
ROWS = ("a row more, by LibreOffice", "sheets turned, by LibreOffice", "empty and filled, by LibreOffice")


def explained(name: str, rule: list[dict[str, Any]]) -> str:
    """The listed difference that a change shows with a rule."""
    one = rule[-1]
    office = "LibreOffice" in name
    kind, props = one["type"], [*one.get("props", ()), *one.get("chart_props", ())]
    if kind == "chart" and "anchor" in props and not office:
        return "chart-anchor"
    if (
        kind == "style"
        and not str(one["sheet_idx0"]).endswith("1")
        and (name.startswith("by formula") or (" is red" in name and "number_format" in props))
    ):
        return "conditional-cells"
    if kind == "row_props" and props != ["height"] and (name in ROWS or (name.startswith("validated") and office)):
        return "row-defaults"
    if (name, kind) == ("a row hidden", "row_props") and props != ["hidden"]:
        return "row-defaults"
    if kind == "col_props" and (name.partition(",")[0], props) in (
        ("a column wider", ["hidden"]),
        ("a column hidden", ["width"]),
    ):
        return "row-defaults"
    if kind == "sheet_fuzzy" and (name == NEVER_WORKED_OUT or (name == "blanks" and _meets_blanks(one))):
        return "cell-values"
    return ""


def _meets_blanks(rule: dict[str, Any]) -> bool:
    """Whether the comparison of texts ignores a leading blank."""
    how = rule["rules"][0]
    return len(rule["rules"]) == 1 and (
        how["type"] == "fuzzy_match" or " " in how.get("trim_leadings", "") + how.get("ignore_chars", "")
    )


def used() -> Iterator[list[dict[str, Any]]]:
    """The lists of rules in tasks, without duplicates and without those that need files next to the workbook."""
    seen = set()
    for one in USED["compare_table"]:
        rule = [r for r in one["options"]["rules"] if r["type"] != "sheet_print"]
        if rule and json.dumps(rule) not in seen:
            seen.add(json.dumps(rule))
            yield rule


def _pane(frozen: str, corner: str, **values: str) -> Change:
    """Freeze panes at one cell, and scroll to another."""

    def change(book: Any) -> None:
        sheet = book["Sheet1"]
        sheet.freeze_panes = frozen
        sheet.sheet_view.pane.topLeftCell = corner
        for name, value in values.items():
            setattr(sheet.sheet_view.pane, name, value)

    return change


def peculiar(files: Files) -> Iterator[Case]:
    """One case for each listed difference of `compare_table`."""
    name = "compare_table"
    plain = made(files)

    def one(what: str, change: Change, rule: dict[str, Any], differs: str, gold: Change | None = None) -> Case:
        other = plain if gold is None else made(files, gold)
        return Case(name, what, (made(files, change), other), {"rules": [rule]}, differs)

    data = {"type": "sheet_data", **PAIR}
    value = {"type": "check_cell", "sheet_idx": 0, "coordinate": "A2"}
    yield one("another case, which does not count", _cell("A2", "ANN"), {**data, "ignore_case": True}, "data-case")
    yield one("a row differs, and case does not count", _cell("A2", "BOB"), {**data, "ignore_case": True}, "")
    yield one("true", _cell("A2", True), {**value, "props": {"value": {"method": "eq", "ref": True}}}, "cell-kinds")
    link = {**value, "props": {"hyperlink": {"method": "eq", "ref": "https://a.example/"}}}
    yield one(
        "a hyperlink", lambda book: setattr(book["Sheet1"]["A2"], "hyperlink", "https://a.example/"), link, "hyperlink"
    )
    moved = _renumbered(files, made(files, _cell("A2", "Bob")))
    yield Case(name, "a sheet's number is not its file's", (moved, moved), {"rules": [_fuzzy("Sheet2", "B2")]})
    seen = {**value, "props": {"value": {"method": "eq", "ref": "Bob"}}}
    yield Case(
        name, "a cell of a sheet whose number is not its file's", (moved, plain), {"rules": [seen]}, "sheet-part"
    )
    theme = {**PAIR, "type": "style", "props": ["font_color"]}
    yield one("another colour of the theme", _all_fonts(4), theme, "colours", _all_fonts(5))
    yield one("the same colour of the theme", _all_fonts(4), theme, "", _all_fonts(4))
    titled = {"type": "chart", **SECOND, "chart_props": ["title"]}
    yield one(
        "a title of two runs",
        _chart_title("Sales", " of 2023"),
        titled,
        "chart-title",
        _chart_title("Sales", " of 2024"),
    )
    anchor = {"type": "chart", **SECOND, "chart_props": ["anchor"]}
    yield one("held by two corners, the upper one higher", _held(1), anchor, "chart-anchor", _held(3))
    yield one("held by the same corners", _held(3), anchor, "", _held(3))
    for what, ref in (("the same order", "A2:A4"), ("another order", "B2:B4")):
        yield one(what, _sorted(ref), {"type": "filter", **PAIR}, "", _sorted("A2:A4"))
    yield one(
        "neither has the sheet", lambda book: None, {"type": "freeze", "sheet_idx0": "RNx", "sheet_idx1": "ENx"}, ""
    )
    freeze = {"type": "freeze", **PAIR}
    scrolled, split = _pane("B2", "D20"), _pane("B2", "B2", state="split")
    yield one("frozen and scrolled", scrolled, freeze, "freeze-corner", CHANGES["frozen"])
    yield one("frozen elsewhere, scrolled to the same", _pane("C3", "D20"), freeze, "freeze-corner", scrolled)
    yield one("split, not frozen", split, freeze, "freeze-corner", CHANGES["frozen"])
    yield one("split alike", split, freeze, "", split)
    bare = {**PAIR, "type": "style", "props": ["font_color"]}
    yield one("letters without a colour", _look("A2", font=Font(color=None)), bare, "no-font-colour")
    absent = {"type": "chart", "sheet_idx0": "RNx", "sheet_idx1": "ENx"}
    yield one("charts of sheets that neither has", lambda book: None, absent, "missing-sheet")
    above = CHANGES["above 10 is red"]
    style = {"type": "style", **PAIR, "props": ["font_bold", "bgcolor"]}
    yield one("a format for duplicates", _conditional(_duplicates()), style, "")

    def both(book: Any) -> None:
        above(book)
        _conditional(_duplicates())(book)

    yield one("a format for duplicates after another", both, style, "conditional-kinds", above)
    yield from printed(files)
    yield from pivots(files)
    yield from cities(files)


def _duplicates() -> Any:
    from openpyxl.formatting.rule import Rule
    from openpyxl.styles.differential import DifferentialStyle

    return Rule(type="duplicateValues", dxf=DifferentialStyle(font=Font(bold=True), fill=FILL))


def _fuzzy(sheet: str, cell: str) -> dict[str, Any]:
    how = {"range": [cell], "type": "exact_match"}
    return {"type": "sheet_fuzzy", "sheet_idx0": f"RN{sheet}", "sheet_idx1": f"EN{sheet}", "rules": [how]}


def _renumbered(files: Files, path: Path) -> Path:
    """The workbook with its sheet numbers swapped, as after deleting one sheet and adding another."""
    target = files.new("a.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "xl/workbook.xml":
                data = (
                    data.replace(b'sheetId="1"', b'sheetId="9"')
                    .replace(b'sheetId="2"', b'sheetId="1"')
                    .replace(b'sheetId="9"', b'sheetId="2"')
                )
            new.writestr(info, data)
    return target


def _all_fonts(theme: int) -> Change:
    from openpyxl.styles.colors import Color

    def change(book: Any) -> None:
        for row in book["Sheet1"].iter_rows():
            for cell in row:
                cell.font = Font(color=Color(theme=theme))

    return change


def _chart_title(*texts: str) -> Change:
    from openpyxl.chart.text import RichText, Text
    from openpyxl.chart.title import Title
    from openpyxl.drawing.text import Paragraph, RegularTextRun

    def change(book: Any) -> None:
        runs = [RegularTextRun(t=text) for text in texts]
        book["Sheet2"]._charts[0].title = Title(tx=Text(rich=RichText(p=[Paragraph(r=runs)])))

    return change


def _held(top: int) -> Change:
    from openpyxl.drawing.spreadsheet_drawing import AnchorMarker, TwoCellAnchor

    def change(book: Any) -> None:
        corners = AnchorMarker(col=3, row=top), AnchorMarker(col=9, row=20)
        book["Sheet2"]._charts[0].anchor = TwoCellAnchor("oneCell", *corners)

    return change


def _sorted(ref: str) -> Change:
    def change(book: Any) -> None:
        book["Sheet1"].auto_filter.ref = "A1:D4"
        book["Sheet1"].auto_filter.add_sort_condition(ref)

    return change


def printed(files: Files) -> Iterator[Case]:
    """`sheet_print`: the contents of the CSV file next to a workbook."""
    rule = {"type": "sheet_print", "sheet_idx0": "RNSheet1", "sheet_idx1": "ENSheet1"}
    lines = "Name,Amount\nAnn,12\n"

    def beside(text: str | None) -> Path:
        path = made(files)
        if text is not None:
            path.with_name("a-Sheet1.csv").write_text(text, encoding="utf-8")
        return path

    wanted = beside(lines)
    for what, text in (("equal", lines), ("empty lines at the end", f"{lines}\n\n"), ("case", lines.upper()), ("a value differs", lines.replace("12", "13")),
                       ("a line more", f"{lines}x\n"), ("no file", None)):  # fmt: skip
        for more in ({}, {"ignore_case": True}):
            yield Case(
                "compare_table", f"printed, {what} {more}", (beside(text), wanted), {"rules": [{**rule, **more}]}
            )


def pivot(rows: list[int], data: int = 1, function: str = "sum", ref: str = "A1:D4", name: str = "Pivot") -> Change:
    """A pivot table for the first sheet."""
    from openpyxl.pivot.cache import CacheDefinition, CacheField, CacheSource, SharedItems, WorksheetSource
    from openpyxl.pivot.fields import Missing, Number, Text
    from openpyxl.pivot.record import Record, RecordList
    from openpyxl.pivot.table import DataField, FieldItem, Location, PivotField, RowColField, TableDefinition

    def change(book: Any) -> None:
        fields = ("Name", "Amount", "Share", "Result")
        source = CacheSource(type="worksheet", worksheetSource=WorksheetSource(ref=ref, sheet="Sheet1"))
        items = [SharedItems(_fields=[Text(v=f"{f}{i}") for i in range(3)]) for f in fields]
        cache = CacheDefinition(
            cacheSource=source,
            cacheFields=[CacheField(name=f, sharedItems=i) for f, i in zip(fields, items, strict=True)],
            id="rId1",
        )
        cache.records = RecordList(r=[Record(_fields=[Number(v=1), Missing(), Number(v=2), Missing()])])
        used = [PivotField(axis="axisRow" if i in rows else None, dataField=i == data or None,
                           items=[FieldItem(x=x) for x in range(3)]) for i in range(4)]  # fmt: skip
        table = TableDefinition(
            name=name, cacheId=1, dataCaption="Values", location=Location(ref="F1:G5", firstHeaderRow=1, firstDataRow=1, firstDataCol=1),
            pivotFields=used, rowFields=[RowColField(x=i) for i in rows], dataFields=[DataField(name="Total", fld=data, subtotal=function)],
        )  # fmt: skip
        table.cache = cache
        book["Sheet2"].add_pivot(table)

    return change


def pivots(files: Files) -> Iterator[Case]:
    """`pivot_table`, with the property sets in tasks and with single properties."""
    sets = [
        r["pivot_props"] for one in USED["compare_table"] for r in one["options"]["rules"] if r["type"] == "pivot_table"
    ]
    alone = [["name"], ["col_fields"], ["row_fields"], ["data_fields"], ["data_fields", "data_fields_name"], ["filter"], ["selection", "ordered"],
             ["selection"], ["location"], ["show_headers"], ["show_total"], []]  # fmt: skip
    changes = {"equal": pivot([0]), "another row": pivot([3]), "two rows": pivot([0, 3]), "another value": pivot([0], data=2),
               "counted": pivot([0], function="count"), "other data": pivot([0], ref="A1:D9"), "another name": pivot([0], name="Other"), "none": lambda book: None}  # fmt: skip
    found = {what: made(files, change) for what, change in changes.items()}
    for props in (*sets[:1], *alone):
        rule = {"type": "pivot_table", **SECOND, "pivot_props": props}
        for what, path in found.items():
            yield Case("compare_table", f"pivot, {what} {props}", (path, found["equal"]), {"rules": [rule]})


def cities(files: Files) -> Iterator[Case]:
    """`compare_conference_city_in_order`."""
    import unicodedata

    name = "compare_conference_city_in_order"
    for rule in rules(name):
        names = [city if isinstance(city, str) else city[0] for city in rule["expected"]]
        last = [city if isinstance(city, str) else city[-1] for city in rule["expected"]]
        for what, found, key in (
            ("equal", names, ""), ("other names", last, ""), ("with more", [f"{n}, x" for n in names], ""), ("turned", names[::-1], ""),
            ("one lacks", [*names[:3], None, *names[4:]], ""), ("upper case", [n.upper() for n in names], "city-spelling"),
            ("hyphens", [n.replace(" ", "-") for n in names], "city-spelling"), ("part of the name", [n[:3] for n in names], ""), ("é as two", [unicodedata.normalize("NFD", n) for n in last], "city-spelling"),
        ):  # fmt: skip
            path = files.new("a.xlsx")
            book = openpyxl.Workbook()
            for row, city in enumerate(found, 2):
                book.active.cell(row, 3, city)
            book.save(path)
            changed = found != last
            yield Case(name, what, (path, rule), differs=key if changed else "")
        for what, city, wanted, key in (("not Latin", "東京都", "東京", "city-letters"), ("nothing is wanted", "Rome", "", "city-spelling"),
                                        ("punctuation only", "Rome", "?", "")):  # fmt: skip
            path = files.new("a.xlsx")
            book = openpyxl.Workbook()
            for row in range(2, 23):
                book.active.cell(row, 3, city)
            book.save(path)
            yield Case(name, what, (path, {"expected": [wanted] * 21}), differs=key)
        short = {"expected": rule["expected"][:5]}
        yield Case(name, "fewer cities than rows", (path, short), differs="cities-length")


FAMILIES = {"tables": tables, "workbooks": peculiar}
