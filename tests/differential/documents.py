"""Cases for text documents, made with python-docx and LibreOffice, and for PDF files and archives."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from docx import Document
from docx.enum.section import WD_SECTION
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK, WD_COLOR_INDEX, WD_LINE_SPACING, WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

from tests.differential.case import Case, Files
from tests.differential.office import converted, has_office
from tests.differential.pictures import as_bytes, photo
from tests.differential.plain import USED, rules

TEXTS = ("The first paragraph. It has two sentences.", "", "A second one,  with blanks\tand a tab.", "REFERENCES OF ALL KINDS",
         "References", "Knuth, D. (1968) The Art of Computer Programming.", "Gamma, E. (1994) Design Patterns.")  # fmt: skip


def base(document: Any) -> None:
    """A document with text, a table, a picture and a footer."""
    for text in TEXTS:
        document.add_paragraph(text)
    table = document.add_table(2, 2)
    for row in range(2):
        for column in range(2):
            table.cell(row, column).text = f"cell {row}{column}"
    document.add_picture(io.BytesIO(as_bytes(photo((40, 30)))), width=Cm(3))
    document.sections[0].footer.paragraphs[0].text = "page"


def made(
    files: Files, change: Callable[[Any], object] = lambda document: None, start: Callable[[Any], object] = base
) -> Path:
    """A document with one changed property."""
    document = Document()
    start(document)
    change(document)
    path = files.new("a.docx")
    document.save(str(path))
    return path


def _runs(document: Any) -> list[Any]:
    return [run for paragraph in document.paragraphs for run in paragraph.runs]


def _text(index: int, text: str) -> Callable[[Any], object]:
    return lambda document: document.paragraphs[index].runs[0].__setattr__("text", text)


def _each(change: Callable[[Any], object]) -> Callable[[Any], object]:
    def run_all(document: Any) -> None:
        for run in _runs(document):
            change(run)

    return run_all


def _drop(index: int) -> Callable[[Any], object]:
    return lambda document: document.paragraphs[index]._element.getparent().remove(document.paragraphs[index]._element)


def _move_first(document: Any) -> None:
    first = document.paragraphs[0]._element
    document.paragraphs[5]._element.addnext(first)


def _other_picture(document: Any) -> None:
    document.add_picture(io.BytesIO(as_bytes(photo((40, 30), seed=5))), width=Cm(3))


CHANGES: dict[str, Callable[[Any], object]] = {
    "equal": lambda document: None,
    "a word differs": _text(0, "The first paragraph. It has three sentences."),
    "case": _text(0, TEXTS[0].upper()),
    "blanks": _text(0, TEXTS[0].replace(" ", "  ")),
    "an empty paragraph less": _drop(1),
    "a paragraph less": _drop(2),
    "a paragraph more": lambda document: document.add_paragraph("more"),
    "another order": _move_first,
    "a cell differs": lambda document: document.tables[0].cell(0, 1).__setattr__("text", "other"),
    "a row more": lambda document: document.tables[0].add_row(),
    "a table more": lambda document: document.add_table(1, 1),
    "a picture more": _other_picture,
    "a reference differs": _text(6, "Gamma, E. et al. (1995) Design Patterns, Addison-Wesley."),
    "references lack": _drop(4),
    "highlighted": lambda document: _runs(document)[0].font.__setattr__("highlight_color", WD_COLOR_INDEX.YELLOW),
    "subscript": lambda document: _runs(document)[1].font.__setattr__("subscript", True),
    "line spacing": lambda document: document.paragraphs[0].paragraph_format.__setattr__("line_spacing", 2.0),
    "exact spacing": lambda document: document.paragraphs[0].paragraph_format.__setattr__("line_spacing", Pt(20)),
}

COMPARED = ("compare_docx_files", "compare_docx_files_and_ignore_new_lines", "compare_docx_lines", "compare_init_lines",
            "compare_docx_tables", "compare_docx_images", "compare_contains_image", "compare_highlighted_text",
            "compare_references", "compare_line_spacing", "compare_subscript_contains", "compare_insert_equation")  # fmt: skip
SUBSCRIPT = CHANGES["subscript"]


def compared(files: Files) -> Iterator[Case]:
    """Metrics that compare two documents, with every option set from tasks and with single options."""
    found = {name: made(files, change) for name, change in CHANGES.items()}
    if has_office():
        names = list(found)
        written = converted(files, [found[name] for name in names], "docx")
        found |= {f"{name}, by LibreOffice": path for name, path in zip(names, written, strict=True)}
    wanted = found["equal"]
    sub = found["subscript"]
    for metric in COMPARED:
        gold = {"compare_subscript_contains": sub}.get(metric, wanted)
        for options in _options(metric):
            for name, path in found.items():
                yield Case(metric, f"{name} {options}", (path, gold), options)
    if has_office():
        odt = converted(files, list(found.values())[:8], "odt")
        for name, path in zip(found, odt, strict=False):
            for options in _options("compare_docx_files"):
                yield Case("compare_docx_files", f"odt {name} {options}", (path, odt[0]), options)
        yield Case("compare_docx_files", "docx for odt", (wanted, odt[0]))
    yield Case("compare_docx_files", "no document", (files.text("a.docx", "x"), wanted))
    nothing = made(files, start=lambda document: document.add_paragraph("References"))
    yield Case("compare_references", "none are wanted", (nothing, nothing), differs="short-document")


def _options(metric: str) -> list[dict[str, Any]]:
    used = [one["options"] for one in USED.get(metric, ()) if "options" in one]
    if metric == "compare_docx_files":
        names = ("ignore_blanks", "ignore_case", "ignore_order", "content_only", "fuzzy_match", "delete_empty_lines")
        used += [{name: name != "ignore_blanks"} for name in names]
        used += [{"ignore_blanks": False, name: True} for name in names[1:]]
    if metric == "compare_docx_files_and_ignore_new_lines":
        used += [{"ignore_blanks": True}]
    if metric == "compare_references":
        used += [{"reference_base_result": 0.9}, {"reference_indicator": "REFERENCES OF ALL KINDS"}]
    return [{}, *used]


def _breaks(kinds: list[str]) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        for kind in kinds:
            paragraph = document.add_paragraph("x")
            if kind == "mark":
                paragraph.add_run().add_break(WD_BREAK.PAGE)
            elif kind == "line":
                paragraph.add_run().add_break(WD_BREAK.LINE)
            else:
                paragraph.paragraph_format.page_break_before = True

    return change


def _footer(*texts: str, field: bool = False) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        footer = document.sections[0].footer
        footer.paragraphs[0].text = texts[0] if texts else ""
        for text in texts[1:]:
            footer.add_paragraph(text)
        if field:
            _add_field(footer.paragraphs[0])

    return change


def _add_field(paragraph: Any) -> None:
    """A page number field as Word writes it."""
    for kind, text in (("begin", ""), ("", " PAGE "), ("separate", ""), ("", "1"), ("end", "")):
        run = paragraph.add_run()
        if kind:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
            run._element.append(mark)
        elif text.strip() == "PAGE":
            code = OxmlElement("w:instrText")
            code.text = text
            run._element.append(code)
        else:
            run.text = text


def _coloured(words: Mapping[str, tuple[int, int, int] | None]) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        cell = document.add_table(1, 1).cell(0, 0)
        for word, colour in words.items():
            run = cell.paragraphs[0].add_run(word)
            if colour:
                run.font.color.rgb = RGBColor(*colour)

    return change


RED, BLUE, NEARLY, GREEN = (255, 0, 0), (0, 0, 255), (250, 5, 5), (0, 255, 0)


def looks(files: Files) -> Iterator[Case]:
    """Metrics for formatting."""
    plain: Callable[[Any], object] = lambda document: [document.add_paragraph(text) for text in TEXTS[:3]]
    for rule in (*rules("contains_page_break"), {"page_break_count": 1}, {}):
        for kinds, differs in (
            ([], ""),
            (["mark"], ""),
            (["mark"] * 5, ""),
            (["line"] * 5, ""),
            (["mark"] * 4 + ["before"], "page-break-before"),
        ):
            if differs and rule.get("page_break_count") not in (4, 5):
                continue
            yield Case(
                "contains_page_break", f"{kinds} {rule}", (made(files, _breaks(kinds), plain), rule), differs=differs
            )
    for rule in rules("compare_font_names"):
        font = rule["font_name"]
        for name, change, differs in (
            ("each run", _each(lambda run: run.font.__setattr__("name", font)), ""), ("one run less", lambda d: _runs(d)[1].font.__setattr__("name", font), ""),
            ("none", lambda d: None, ""), ("by style", lambda d: d.styles["Normal"].font.__setattr__("name", font), "font-of-style"),
        ):  # fmt: skip
            yield Case("compare_font_names", name, (made(files, change, plain), rule), differs=differs)
    for name, value in (("centre", WD_ALIGN_PARAGRAPH.CENTER), ("left", WD_ALIGN_PARAGRAPH.LEFT), ("none", None)):
        change = lambda d, v=value: d.paragraphs[0].__setattr__("alignment", v)
        yield Case("is_first_line_centered", name, (made(files, change, plain),))
    by_style: Callable[[Any], object] = lambda d: d.styles["Normal"].paragraph_format.__setattr__("alignment", 1)
    yield Case("is_first_line_centered", "by style", (made(files, by_style, plain),), differs="font-of-style")
    for name, change, differs in (
        ("nothing", _footer(), ""), ("a word", _footer("page"), ""), ("a field", _footer(field=True), ""), ("a digit", _footer("2024"), "footer-digit"),
        ("a field below", lambda d: _add_field(d.sections[0].footer.add_paragraph()), "footer-digit"),
        ("two sections", lambda d: (_footer(field=True)(d), d.add_section(WD_SECTION.NEW_PAGE)), ""),
    ):  # fmt: skip
        yield Case("has_page_numbers_in_footers", name, (made(files, change, plain),), differs=differs)
    for spacings in ((1.0, 2.0, 1.5), (1.0, 2.0, 1.0), (1.5, 2.0, 1.0)):
        yield Case("evaluate_spacing", str(spacings), (made(files, _spacings(spacings), plain),))
    yield Case(
        "evaluate_spacing", "short", (made(files, start=lambda d: d.add_paragraph("x")),), differs="short-document"
    )
    yield from coloured(files, plain)
    yield from letters(files, plain)
    yield from tabs(files)
    yield from highlights(files, plain)


def _spacings(values: tuple[float, ...]) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        for paragraph, value in zip(document.paragraphs, values, strict=False):
            paragraph.paragraph_format.line_spacing = value
            paragraph.paragraph_format.line_spacing_rule = WD_LINE_SPACING.MULTIPLE

    return change


def coloured(files: Files, plain: Callable[[Any], object]) -> Iterator[Case]:
    """`evaluate_colored_words_in_tables`."""
    name = "evaluate_colored_words_in_tables"
    wanted = made(files, start=plain)
    for what, words in (
        ("right", {"apple ": RED, "pear": BLUE}), ("nearly", {"apple ": NEARLY, "pear": BLUE}), ("turned", {"apple ": BLUE, "pear": RED}),
        ("green", {"apple ": GREEN, "pear": BLUE}), ("capitals", {"Apple ": RED, "Pear": BLUE}),
    ):  # fmt: skip
        yield Case(name, what, (made(files, _coloured(words), plain), wanted))
        yield Case(name, f"{what}, less tolerant", (made(files, _coloured(words), plain), wanted), {"threshold": 0.5})
    black = made(files, _coloured({"apple": None}), plain)
    yield Case(name, "no colour", (black, wanted), differs="black-words")
    yield Case(name, "other text", (made(files, _text(0, "other"), plain), wanted))


def letters(files: Files, plain: Callable[[Any], object]) -> Iterator[Case]:
    """Italics, strike-through, capitals, sentences."""
    wanted = made(files, start=plain)

    def italic(size: float | None, which: int = 0) -> Callable[[Any], object]:
        def change(document: Any) -> None:
            run = _runs(document)[which]
            run.italic = True
            run.font.size = None if size is None else Pt(size)

        return change

    for name, change in (
        ("none", lambda d: None),
        ("14", italic(14)),
        ("12", italic(12)),
        ("no size", italic(None)),
        ("other text", _text(0, "x")),
    ):
        yield Case("check_italic_font_size_14", name, (made(files, change, plain), wanted))
    strike: Callable[[int], Callable[[Any], object]] = lambda index: (
        lambda d: [run.font.__setattr__("strike", True) for run in d.paragraphs[index].runs]
    )
    for name, change in (
        ("last", strike(-1)),
        ("first", strike(0)),
        ("none", lambda d: None),
        ("other text", _text(0, "x")),
    ):
        yield Case("evaluate_strike_through_last_paragraph", name, (made(files, change, plain), wanted))
    for name, change in (("small", lambda d: None), ("capitals", _text(0, "CAPITALS")), ("mixed", _text(0, "Mixed")),
                         ("in a table", lambda d: d.add_table(1, 1).cell(0, 0).paragraphs[0].add_run("LOUD"))):  # fmt: skip
        yield Case("evaluate_conversion", name, (made(files, change, plain),))
    for text in ("One two three four five.", "One two  three four five.", "One two three\tfour five.", "A b.", ""):
        yield Case("evaluate_alignment", text, (made(files, start=lambda d: d.add_paragraph(text)),))
    trains = ["10:00:00, 1, 5, 2", "10:05:00, 2, 5, 2", "10:07:00, 1, 6, 1", "no train"]
    initial = made(files, start=lambda d: [d.add_paragraph(t) for t in trains])
    right = made(files, start=lambda d: [d.add_paragraph(t) for t in trains[:2] + trains[3:]])
    for name, rows in (("right", trains[:2] + trains[3:]), ("as it was", trains), ("the other of two", trains[1:]), ("one lacks", trains[:1]),
                       ("a line that was not there", [*trains[:2], "x"]), ("without the last", trains[:2])):  # fmt: skip
        found = made(files, start=lambda d: [d.add_paragraph(t) for t in rows])
        yield Case("compare_unique_train_records", name, (found, [right, initial]))
        yield Case("check_no_duplicates", name, (initial, found))


def tabs(files: Files) -> Iterator[Case]:
    """`check_tabstops`."""

    def document(stops: list[tuple[float, Any]], texts: list[str]) -> Callable[[Any], object]:
        def start(d: Any) -> None:
            for text in texts:
                paragraph = d.add_paragraph(text)
                for position, kind in stops:
                    paragraph.paragraph_format.tab_stops.add_tab_stop(Cm(position), kind)

        return start

    right, texts = [(15.0, WD_TAB_ALIGNMENT.RIGHT)], ["one two three\tfour five", "six seven eight\tnine"]
    wanted = made(files, start=document(right, texts))
    for options in (
        {},
        *(one["options"] for one in USED["check_tabstops"] if "options" in one),
        {"word_number_split_by_tabstop": 2, "index": 1},
    ):
        for name, stops, found in (
            ("equal", right, texts), ("nearer", [(12.0, WD_TAB_ALIGNMENT.RIGHT)], texts), ("another kind", [(15.0, WD_TAB_ALIGNMENT.LEFT)], texts),
            ("none", [], texts), ("two", [*right, (5.0, WD_TAB_ALIGNMENT.LEFT)], texts), ("one that is cleared", [*right, (5.0, WD_TAB_ALIGNMENT.CLEAR)], texts),
            ("a paragraph less", right, texts[:1]), ("four words", right, ["a b c d\te", texts[1]]),
        ):  # fmt: skip
            yield Case(
                "check_tabstops", f"{name} {options}", (made(files, start=document(stops, found)), wanted), options
            )
    short = made(files, start=document(right, ["one two three", "four five six"]))
    yield Case(
        "check_tabstops", "no tab", (short, wanted), {"word_number_split_by_tabstop": 1, "index": 1}, "short-document"
    )


def highlights(files: Files, plain: Callable[[Any], object]) -> Iterator[Case]:
    """`check_highlighted_words`, with documents from LibreOffice."""
    if not has_office():
        return
    yellow: Callable[[Any], object] = lambda d: _runs(d)[0].font.__setattr__("highlight_color", WD_COLOR_INDEX.YELLOW)
    green: Callable[[Any], object] = lambda d: _runs(d)[0].font.__setattr__(
        "highlight_color", WD_COLOR_INDEX.BRIGHT_GREEN
    )
    changes = {"none": lambda d: None, "yellow": yellow, "green": green, "other text": _text(0, "x")}
    found = converted(files, [made(files, change, plain) for change in changes.values()], "odt")
    for name, path in zip(changes, found, strict=True):
        yield Case("check_highlighted_words", name, (path, found[0]))


def _pdf(files: Files, *pages: str, pictures: tuple[Any, ...] = ()) -> Path:
    """A PDF with text or pictures on its pages, from LibreOffice or Pillow."""
    path = files.new("a.pdf")
    if pictures:
        first, *rest = pictures
        first.save(path, "PDF", save_all=True, append_images=rest)
        return path
    document = Document()
    for index, text in enumerate(pages):
        paragraph = document.add_paragraph(text)
        if index < len(pages) - 1:
            paragraph.add_run().add_break(WD_BREAK.PAGE)
    source = files.new("a.docx")
    document.save(str(source))
    shutil.copy(converted(files, [source], "pdf")[0], path)
    return path


def pdfs(files: Files) -> Iterator[Case]:
    """PDF files."""
    one, other, blurred = photo(), photo(seed=8), photo().resize((60, 45))
    by_pictures = {
        "equal": (one, other),
        "other": (one, one),
        "one less": (one,),
        "smaller": (blurred, other),
        "turned": (other, one),
    }
    gold = _pdf(files, pictures=by_pictures["equal"])
    wanted = files.text("gold.pdf", gold.read_bytes())
    for name, made_of in by_pictures.items():
        yield Case("compare_pdf_images", name, (_pdf(files, pictures=made_of), wanted))
    yield Case("compare_pdf_images", "of one name", (_pdf(files, pictures=(one, one)), gold), differs="pdf-names")
    if not has_office():
        return
    gold = _pdf(files, "The first page of two.", "The second page.")
    found = {"equal": gold, "other": _pdf(files, "The first page of three.", "The second page."), "one page": _pdf(files, "The first page of two."),
             "nothing alike": _pdf(files, "zzz")}  # fmt: skip
    for name, path in found.items():
        yield Case("compare_pdfs", name, (path, gold))
        for relation in ("eq", "lt", "ge"):
            yield Case("check_pdf_pages", f"{name} {relation}", (path, {"relation": relation, "ref_value": 2}))
        for rule in rules("check_pdf_pages"):
            yield Case("check_pdf_pages", name, (path, rule))
        texts = files.text("gold.json", '{"a": "first page of two", "b": "second"}')
        yield Case("is_gold_text_included_in_pdf", name, (path, texts))
    golds = [gold, found["other"]]
    yield Case("compare_pdfs", "lists", ([gold, gold], golds))
    yield Case("compare_pdfs", "lists, one lacks", ([gold, None], golds))
    yield Case("compare_pdfs", "lists, one less", ([gold], golds))
    yield Case("compare_pdfs", "no PDF in a list", ([files.text("a.pdf", "x"), gold], golds))
    yield Case("compare_pdfs", "no PDF", (files.text("a.pdf", "x"), gold))
    yield Case(
        "check_pdf_pages", "no PDF", (files.text("a.pdf", "x"), {"relation": "eq", "ref_value": 1}), differs="raises"
    )
    yield from archives(files, gold, found)


def _zip(files: Files, members: dict[str, bytes], name: str = "a.zip") -> Path:
    path = files.new(name)
    with zipfile.ZipFile(path, "w") as archive:
        for inner, data in members.items():
            archive.writestr(inner, data)
    return path


def _tar(files: Files, members: dict[str, bytes]) -> Path:
    path = files.new("a.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for inner, data in members.items():
            info = tarfile.TarInfo(inner)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def archives(files: Files, gold: Path, found: dict[str, Path]) -> Iterator[Case]:
    """Archives of documents."""
    for options in (one["options"] for one in USED["compare_archive"] if "options" in one):
        folder = f"{options['file_path']}/" if "file_path" in options else ""
        wanted = _zip(files, {f"{folder}a.pdf": gold.read_bytes(), f"{folder}b.pdf": gold.read_bytes()}, "gold.zip")
        for name, path in found.items():
            members = {f"{folder}a.pdf": gold.read_bytes(), f"{folder}b.pdf": path.read_bytes()}
            yield Case("compare_archive", f"zip, {name} {options}", (_zip(files, members), wanted), options)
            yield Case("compare_archive", f"tar, {name} {options}", (_tar(files, members), wanted), options)
        yield Case(
            "compare_archive",
            f"one less {options}",
            (_zip(files, {f"{folder}a.pdf": gold.read_bytes()}), wanted),
            options,
        )
        named = {f"{folder}a.pdf": gold.read_bytes(), f"{folder}c.pdf": gold.read_bytes()}
        yield Case("compare_archive", f"another name {options}", (_zip(files, named), wanted), options)
        yield Case("compare_archive", f"no archive {options}", (files.text("a.zip", "x"), wanted), options, "raises")
    text = _zip(files, {"a.txt": b"a\n"}, "gold.zip")
    for name, members in (("equal", {"a.txt": b"a\n"}), ("other", {"a.txt": b"b\n"})):
        yield Case("compare_archive", f"text, {name}", (_zip(files, members), text))
        yield Case("compare_archive", f"csv, {name}", (_zip(files, members), text), {"file_type": "csv"})
    nested = _zip(files, {"a.txt": b"a\n", "d/b.txt": b"b\n"}, "gold.zip")
    yield Case("compare_archive", "a folder within", (nested, nested), differs="archive-folders")
    members = {"a.pdf": gold.read_bytes(), "b/c.txt": b"x"}
    wanted = _zip(files, members, "gold.zip")
    for name, change in (
        ("equal", {}), ("another text", {"b/c.txt": b"y"}), ("a PDF of much the same text", {"a.pdf": found["other"].read_bytes()}),
        ("another PDF", {"a.pdf": found["nothing alike"].read_bytes()}), ("one more", {"z": b""}),
    ):  # fmt: skip
        yield Case("compare_zip_files", name, (_zip(files, {**members, **change}), wanted))
    yield Case("compare_zip_files", "no archive", (files.text("a.zip", "x"), wanted), differs="raises")
    yield from books(files)


def books(files: Files) -> Iterator[Case]:
    """E-books."""
    chapters = {
        "toc.ncx": b"<ncx>\n<navPoint id='1'>\n<text>One</text>\n</navPoint>\n</ncx>\n", "content.opf": b"<p>\n<dc:identifier>1</dc:identifier>\n<x/>\n</p>",
        "a.html": b"<html><body><p>One</p>\n<p>Two</p></body></html>", "b.html": b"<html><body><p>Three</p></body></html>", "mimetype": b"epub",
    }  # fmt: skip
    wanted = _zip(files, chapters, "gold.epub")
    for name, change, differs in (
        ("equal", {}, ""), ("another identifier", {"content.opf": chapters["content.opf"].replace(b">1<", b">2<")}, ""),
        ("another chapter", {"b.html": b"<html><body><p>Four</p></body></html>"}, ""), ("laid out otherwise", {"a.html": chapters["a.html"].replace(b"\n", b"")}, ""),
        ("a chapter more", {"c.html": b"<html><body><p>x</p></body></html>"}, "epub-names"),
    ):  # fmt: skip
        yield Case("compare_epub", name, (_zip(files, {**chapters, **change}, "a.epub"), wanted), differs=differs)
    short = {name: data for name, data in chapters.items() if name != "b.html"}
    yield Case("compare_epub", "a chapter less", (_zip(files, short, "a.epub"), wanted), differs="epub-names")
    yield Case("compare_epub", "no book", (files.text("a.epub", "x"), wanted))


FAMILIES = {"documents": compared, "looks": looks, "pdfs": pdfs}
