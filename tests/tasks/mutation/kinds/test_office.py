"""Changes of office files, read back by openpyxl, python-docx and python-pptx."""

from __future__ import annotations

import io
from typing import Any

import docx
import pytest
from docx.enum.text import WD_ALIGN_PARAGRAPH
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from pptx import Presentation

from deskbench.tasks.mutation.operators import Unlike, find_kind, operators
from tests.tasks.mutation.samples import changes, document, slides, workbook


def book(raw: bytes) -> Workbook:
    return load_workbook(io.BytesIO(raw))


def books(operator: str) -> dict[str, Workbook]:
    return {words: book(raw) for raw, words in changes("xlsx", operator)}


def costs(one: Workbook) -> Worksheet:
    return one["Costs"]


def cells(one: Workbook) -> list[Any]:
    return [[[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in one.worksheets]


OLD = book(workbook())


@pytest.mark.parametrize(
    ("operator", "words", "cell", "value"),
    [
        ("number", "B2 is 901, not 900", "B2", 901),
        ("number", "B2 is 899, not 900", "B2", 899),
        ("number-as-text", "B2 is the text '900', not a number", "B2", "900"),
        ("clear", "B2 is empty", "B2", None),
        ("value-for-formula", "B4 is the value 1200.5, not a formula", "B4", 1200.5),
        ("formula-range", "B4 is =SUM(B2:B2), not =SUM(B2:B3)", "B4", "=SUM(B2:B2)"),
    ],
)
def test_a_cell(operator: str, words: str, cell: str, value: Any) -> None:
    found = costs(books(operator)[words])
    assert found[cell].value == value != costs(OLD)[cell].value
    assert found["A3"].value == "food"


def test_a_text_of_a_cell() -> None:
    flat = [value for sheet in cells(OLD) for row in sheet for value in row]
    for words, one in books("text").items():
        new = [value for sheet in cells(one) for row in sheet for value in row]
        [(was, now)] = [pair for pair in zip(flat, new, strict=True) if pair[0] != pair[1]]
        assert f"is {now!r}, not {was!r}" in words


def test_a_row() -> None:
    for words, one in books("drop-row").items():
        number = int(words.split()[1])
        sheet = one["Notes" if "sheet 2" in words else "Costs"]
        assert {cell.value for cell in sheet[number]} == {None}


def test_sheets() -> None:
    assert books("sheet-name")["the sheet Notes is called Notes 2"].sheetnames == ["Costs", "Notes 2"]
    [swapped] = books("sheet-order").values()
    assert swapped.sheetnames == ["Notes", "Costs"]
    assert [one.sheetnames for one in books("sheet-gone").values()] == [["Notes"], ["Costs"]]


def test_the_look_of_a_cell() -> None:
    for operator, old, look in (
        ("bold", False, lambda cell: bool(cell.font.b)),
        ("fill", "00000000", lambda cell: cell.fill.fgColor.rgb),
        ("number-format", "General", lambda cell: cell.number_format),
    ):
        found = [costs(one) for one in books(operator).values()]
        changed = [sum(look(cell) != old for row in sheet.iter_rows() for cell in row) for sheet in found]
        assert 1 in changed and max(changed) == 1, operator
        assert cells(books(operator)[next(iter(books(operator)))]) == cells(OLD)


def test_what_lies_over_the_cells() -> None:
    found = {words: costs(one) for words, one in books("feature-gone").items()}
    assert not found["the filter is gone"].auto_filter.ref
    assert not found["the merging of cells is gone"].merged_cells.ranges
    assert found["the freezing of rows is gone"].freeze_panes is None
    assert not list(found["a condition's format is gone"].conditional_formatting)
    assert not found["the validation of entries is gone"].data_validations.dataValidation
    [frozen] = books("pane").values()
    assert costs(OLD).freeze_panes == "A2" and frozen is not None
    [rule] = [
        rule for area in costs(next(iter(books("threshold").values()))).conditional_formatting for rule in area.rules
    ]
    assert rule.formula == ["501"]
    [hidden] = books("hide-row").values()
    assert [row.hidden for sheet in hidden.worksheets for row in sheet.row_dimensions.values()].count(True) == 1


def test_a_chart() -> None:
    names = list(books("chart"))
    assert len(names) == 3 and "a chart's title is 'Money 2'" in names
    assert any("series" in words and "$B$2" in words for words in names)


@pytest.mark.parametrize("operator", [one.name.partition("/")[2] for one in operators("xlsx") if one.must == "stay"])
def test_neutral_workbooks_have_the_same_cells(operator: str) -> None:
    for raw, _ in changes("xlsx", operator):
        assert cells(book(raw)) == cells(OLD)
        assert costs(book(raw)).freeze_panes == "A2"


# -- documents


def text_of(raw: bytes) -> list[str]:
    return [paragraph.text for paragraph in docx.Document(io.BytesIO(raw)).paragraphs]


def documents(operator: str) -> dict[str, Any]:
    return {words: docx.Document(io.BytesIO(raw)) for raw, words in changes("docx", operator)}


def first(operator: str) -> Any:
    return next(iter(documents(operator).values()))


BEFORE = text_of(document())


def all_of(d: Any) -> list[str]:
    """Every paragraph's text, including those in tables."""
    return [p.text for p in paragraphs(d)]


def paragraphs(d: Any) -> list[Any]:
    return [*d.paragraphs, *(p for t in d.tables for row in t.rows for cell in row.cells for p in cell.paragraphs)]


def test_the_paragraphs_of_a_document() -> None:
    old = all_of(docx.Document(io.BytesIO(document())))
    for name, lost, more in (("drop-paragraph", 1, [""]), ("repeat-paragraph", 0, None), ("text", 1, None)):
        for d in documents(name).values():
            left = list(old)
            extra = [text for text in all_of(d) if text not in left or left.remove(text)]  # type: ignore[func-returns-value]
            assert len(left) == lost and len(extra) == 1, name
            assert more is None or extra == more
    for d in documents("swap-paragraphs").values():
        assert sorted(all_of(d)) == sorted(old) and all_of(d) != old


def runs(d: Any) -> list[Any]:
    return [run for p in paragraphs(d) for run in p.runs if run.text.strip()]


@pytest.mark.parametrize(
    ("operator", "look"),
    [
        ("bold", lambda run: run.bold),
        ("italic", lambda run: run.italic),
        ("underline", lambda run: run.underline),
        ("struck", lambda run: run.font.strike),
        ("size", lambda run: run.font.size),
        ("font", lambda run: run.font.name),
        ("colour", lambda run: run.font.color.rgb),
    ],
)
def test_the_look_of_one_run(operator: str, look: Any) -> None:
    old = [look(run) for run in runs(docx.Document(io.BytesIO(document())))]
    for found in documents(operator).values():
        assert sum(bool(one) != bool(other) or one != other for one, other in
                   zip(old, [look(run) for run in runs(found)], strict=True)) == 1  # fmt: skip


def test_the_look_of_one_paragraph() -> None:
    old = docx.Document(io.BytesIO(document()))
    for operator in ("alignment", "spacing", "indent", "style"):

        def look(p: Any) -> Any:
            form = p.paragraph_format
            return p.alignment, form.line_spacing, form.left_indent, p._p.pPr is not None and p._p.pPr.style

        for found in documents(operator).values():
            new, before = ([look(p) for p in paragraphs(d)] for d in (found, old))
            assert sum(a != b for a, b in zip(new, before, strict=True)) == 1, operator
    assert {WD_ALIGN_PARAGRAPH.CENTER} == {p.alignment for d in documents("alignment").values() for p in paragraphs(d)
                                           if p.alignment is not None}  # fmt: skip


def test_tables_lists_breaks_and_fields() -> None:
    rows = [[row.cells[0].text for row in d.tables[0].rows] for d in documents("table-rows").values()]
    assert rows == [["c", "a"], ["c"], ["a"]]
    assert "numPr" not in first("no-list")._element.xml
    assert 'w:type="page"' not in first("break-gone")._element.xml
    assert "pic:pic" not in first("picture-gone")._element.xml
    assert "instrText" not in first("page-number-gone").sections[0].footer._element.xml
    assert "fldSimple" not in first("simple-page-number-gone").sections[0].footer._element.xml
    assert first("picture-size").inline_shapes[0].width == int(
        docx.Document(io.BytesIO(document())).inline_shapes[0].width * 1.2
    )
    assert "w:delText" in first("tracked")._element.xml


@pytest.mark.parametrize("operator", [one.name.partition("/")[2] for one in operators("docx") if one.must == "stay"])
def test_neutral_documents_say_the_same(operator: str) -> None:
    found = changes("docx", operator)
    assert found and all(text_of(raw) == BEFORE for raw, _ in found)


# -- presentations


def shows(operator: str) -> dict[str, Any]:
    return {words: Presentation(io.BytesIO(raw)) for raw, words in changes("pptx", operator)}


def titles(show: Any) -> list[str]:
    return [slide.shapes.title.text for slide in show.slides]


def test_slides() -> None:
    assert [titles(show) for show in shows("slide-order").values()] == [["Title 2", "Title 1"]]
    assert [titles(show) for show in shows("slide-gone").values()] == [["Title 2"], ["Title 1"]]
    [smaller] = shows("slide-size").values()
    assert smaller.slide_width == Presentation(io.BytesIO(slides())).slide_width * 0.75
    [swapped] = shows("swap-texts").values()
    assert titles(swapped) == ["Title 2", "Title 1"]


def test_what_is_on_slides() -> None:
    said = [slide.notes_slide.notes_text_frame.text for show in shows("notes").values() for slide in show.slides]
    assert "Say 1x" in said and "" in said
    pictures = [
        sum(shape.shape_type == 13 for shape in show.slides[0].shapes) for show in shows("picture-gone").values()
    ]
    assert pictures == [0]
    places = [[shape.left for shape in show.slides[0].shapes] for show in shows("position").values()]
    old = [shape.left for shape in Presentation(io.BytesIO(slides())).slides[0].shapes]
    assert any(sum(a != b for a, b in zip(new, old, strict=True)) == 1 for new in places)
    colours = {str(run.font.color.rgb) for show in shows("colour").values() for slide in show.slides
               for run in slide.placeholders[1].text_frame.paragraphs[0].runs}  # fmt: skip
    assert "B41E1E" in colours
    assert any(
        slide.follow_master_background for show in shows("background-gone").values() for slide in [show.slides[0]]
    )


@pytest.mark.parametrize("operator", [one.name.partition("/")[2] for one in operators("pptx") if one.must == "stay"])
def test_neutral_presentations_say_the_same(operator: str) -> None:
    def said(raw: bytes) -> list[str]:
        show = Presentation(io.BytesIO(raw))
        return [shape.text_frame.text for slide in show.slides for shape in slide.shapes if shape.has_text_frame]

    found = changes("pptx", operator)
    assert found and all(said(raw) == said(slides()) for raw, _ in found)


@pytest.mark.parametrize("name", ["xlsx", "docx", "pptx"])
def test_what_is_no_office_file_is_not_changed_as_one(name: str) -> None:
    other = document() if name != "docx" else workbook()
    for raw in (b"", b"PK\x03\x04 and no more", other):
        with pytest.raises(Unlike):
            find_kind(name).read(raw)
