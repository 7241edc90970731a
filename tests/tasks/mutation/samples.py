"""One small piece of evidence of every kind, which every operator of the kind can change."""

from __future__ import annotations

import io
import json
import sqlite3
import wave
import zipfile
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from functools import cache
from typing import Any

import docx
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from PIL import Image, ImageDraw
from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.oxml.ns import qn as of_slide
from pptx.util import Inches
from pptx.util import Pt as Points

from deskbench.tasks.mutation.operators import About, find_kind, operators

TEXT = "The meeting is on Monday at 17:45.\nBring the naïve plan.\nIt was good.\n"
JSON = json.dumps(
    {"name": "Ana", "city": "Oslo", "seats": 3, "express": True, "tags": ["a", "b"], "note": "é"}, indent=2
)
INI = '# head\n[general]\nmode=1\nname = "old"\n\n[view]\nshow=true\n'
XML = '<?xml version="1.0"?><conf><desktops n="1" m="2"><number>3</number><first>1</first></desktops><last/></conf>'
CSV = "item,cost\nrent,900\nfood,300\n"
REGISTRY = (
    "\r\nHKEY_CURRENT_USER\\Software\\Shop\r\n    Paper    REG_SZ    A4\r\n    Copies    REG_DWORD    0x2\r\n\r\n"
    "HKEY_CURRENT_USER\\Software\\Shop\\Old\r\n"
)
RTF = (
    "{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}{\\*\\generator One 1.0;}\r\n\\pard\\b Invoice 2047\\b0\\par\r\n"
    "Three \\i boxes\\i0  \\ul of\\ulnone  chalk\\par\r\n}"
)
TREE = {"type": "directory", "name": "Pictures", "children": [
    {"type": "directory", "name": "Texts", "children": [{"type": "file", "name": "a.txt"}]},
    {"type": "file", "name": "sunset.png"},
]}  # fmt: skip


@cache
def workbook() -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Costs"
    for row in (["item", "cost"], ["rent", 900], ["food", 300.5]):
        sheet.append(row)
    sheet["B4"] = "=SUM(B2:B3)"
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = "A1:B3"
    sheet.merge_cells("D1:E1")
    sheet.conditional_formatting.add("B2:B3", CellIsRule("greaterThan", ["500"], fill=PatternFill("solid", "FFFF00")))
    validation = DataValidation("list", formula1='"a,b"')
    validation.add("F1")
    sheet.add_data_validation(validation)
    chart = BarChart()
    chart.title = "Money"
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
    sheet.add_chart(chart, "H1")
    other = book.create_sheet("Notes")
    other["A1"] = "a note"
    return _cached_sum(_saved(book.save))


def _cached_sum(data: bytes) -> bytes:
    """Add the cached value of a formula, which openpyxl does not write."""
    from deskbench.tasks.mutation.kinds.packages import read_parts, write_parts

    parts = read_parts(data, "xl/workbook.xml")
    sheet = "xl/worksheets/sheet1.xml"
    with_value = (
        parts.members[sheet].replace(b"</f><v></v>", b"</f><v>1200.5</v>").replace(b"</f><v/>", b"</f><v>1200.5</v>")
    )
    return write_parts(parts.having(sheet, with_value), data)


@cache
def document() -> bytes:
    made = docx.Document()
    made.add_heading("Report of 2031", level=1)
    first = made.add_paragraph("The sales ")
    run = first.add_run("went up")
    run.bold = True
    run.font.size = Pt(12)
    made.add_paragraph("A second paragraph.").add_run().add_break(WD_BREAK.PAGE)
    made.add_paragraph("one item", style="List Bullet")
    numbered = made.add_paragraph("numbered")
    properties = numbered._p.get_or_add_pPr()
    properties.get_or_add_numPr().get_or_add_numId().val = 1
    table = made.add_table(2, 2)
    for row, texts in zip(table.rows, (("a", "b"), ("c", "d")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    made.add_picture(io.BytesIO(picture()), width=Pt(40))
    footer = made.sections[0].footer.paragraphs[0]
    simple = OxmlElement("w:fldSimple")
    simple.set(qn("w:instr"), "PAGE")
    footer._p.append(simple)
    words = OxmlElement("w:instrText")
    words.text = " PAGE "
    footer.add_run()._r.append(words)
    return _saved(made.save)


@cache
def slides() -> bytes:
    show = Presentation()
    for number in (1, 2):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"Title {number}"
        slide.placeholders[1].text = f"Body of {number}"
        run = slide.placeholders[1].text_frame.paragraphs[0].runs[0]
        run.font.size = Points(20)
        run.font.color.rgb = RGBColor(200, 30, 30)
        slide.shapes.add_textbox(Inches(1), Inches(1), Inches(2), Inches(1)).text_frame.text = f"Box {number}"
        slide.notes_slide.notes_text_frame.text = f"Say {number}"
    first = show.slides[0]
    first.background.fill.solid()
    first.background.fill.fore_color.rgb = RGBColor(10, 20, 30)
    first.shapes.add_picture(io.BytesIO(picture()), Inches(1), Inches(1))
    table = first.shapes.add_table(2, 1, Inches(1), Inches(3), Inches(2), Inches(1)).table
    table.cell(0, 0).text = "top"
    for tag in ("transition", "timing"):
        first._element.append(first._element.makeelement(of_slide(f"p:{tag}"), {}))
    return _saved(show.save)


@cache
def picture(form: str = "PNG") -> bytes:
    image = Image.new("RGBA" if form == "PNG" else "RGB", (60, 40), (200, 120, 40))
    draw = ImageDraw.Draw(image)
    for x in range(60):
        draw.line((x, 0, x, 30), fill=(4 * x, 255 - 3 * x, 90))
    draw.rectangle((3, 5, 15, 20), fill=(10, 200, 30, 90) if form == "PNG" else (10, 200, 30))
    return _saved(lambda out: image.save(out, form))


@cache
def pages() -> bytes:
    images = [Image.new("RGB", (120, 160), colour) for colour in ("red", "green", "blue")]
    ImageDraw.Draw(images[0]).text((10, 10), "one", fill="white")
    return _saved(lambda out: images[0].save(out, "PDF", save_all=True, append_images=images[1:]))


@cache
def database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE orders (name TEXT, count INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [("chalk", 3), ("paper", 5)])
        connection.commit()
        return bytes(connection.serialize())


@cache
def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join((n * 37 % 2000).to_bytes(2, "little") for n in range(16000)))
    return out.getvalue()


@cache
def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.txt", "one\n")
        made.writestr("b/c.txt", "two\n" * 50)
    return out.getvalue()


@cache
def mail() -> bytes:
    first, second = EmailMessage(), EmailMessage()
    for number, message in enumerate((first, second), 1):
        message["From"] = "ana@lake.example"
        message["To"] = "ben@hill.example"
        message["Subject"] = f"Plan {number}"
        message["Message-ID"] = f"<{number}@lake.example>"
        message.set_content(f"Text of {number}.\n")
    first["Cc"] = "eva@lake.example"
    second.add_attachment(b"bytes", maintype="application", subtype="pdf", filename="plan.pdf")
    return b"".join(b"From - Mon May  5 2031\n" + message.as_bytes() + b"\n" for message in (first, second))


def _saved(save: Callable[[io.BytesIO], Any]) -> bytes:
    out = io.BytesIO()
    save(out)
    return out.getvalue()


SAMPLES: dict[str, Callable[[], Any]] = {
    "files": lambda: b"some bytes", "text": TEXT.encode, "json": JSON.encode, "ini": INI.encode, "xml": XML.encode,
    "yaml": lambda: b"name: Ana # a comment\nseats: 3\nyes: true\ntags: [a, b]\ntwo: {x: a, y: b}\n",
    "toml": lambda: b'name = "Ana"\ncity = "Oslo"\nseats = 3\ntags = ["a", "b"]\n\n[view]\nshow = true\n',
    "object": lambda: {"name": "Ana", "city": "Oslo", "seats": 3, "tags": ["a", "b"]},
    "csv": CSV.encode, "registry": lambda: REGISTRY, "rtf": RTF.encode, "xlsx": workbook, "docx": document,
    "pptx": slides, "png": picture, "jpeg": lambda: picture("JPEG"), "pdf": pages,
    "archive": archive, "mail": mail, "sqlite": database, "wav": sound,
    "answer": lambda: "54329", "clipboard": lambda: "beta 0815", "output": lambda: "true\n", "number": lambda: 5,
    "windows": lambda: ["Notes", "report.txt - Editor"], "tree": lambda: TREE,
}  # fmt: skip


SEED = "chosen"
"""The seed for choices. Office files contain their time of creation, so their own hashes would vary."""


def changes(kind: str, operator: str, raw: Any = None, about: About | None = None) -> list[tuple[Any, str]]:
    """The copies that one operator makes of a sample, in recorded form, with their descriptions."""
    old = SAMPLES[kind]() if raw is None else raw
    found = find_kind(kind)
    model = found.read(old)
    [one] = [one for one in operators(kind) if one.name == f"{kind}/{operator}"]
    return [(found.write(new, old), words) for new, words in one.change(model, about or About(SEED))]
