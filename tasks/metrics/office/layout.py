"""Formatting of text documents: fonts, colours, alignment, spacing, breaks, tabs, footers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from deskbench.tasks.metrics.office.documents import TEXT_NS, WORD_NS, docx_of, odt_root, same_text
from deskbench.tasks.metrics.programs.settings import FontName
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import Unreadable, needs
from deskbench.tasks.metrics.support.told import Told
from deskbench.tasks.registry import closed, metric

STYLE_NS = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
FO_NS = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
YELLOW = "#ffff00"
RED, BLUE = (255, 0, 0), (0, 0, 255)


@closed
class PageBreaks(TypedDict):
    """The number of page breaks; without it, at least one."""

    page_break_count: NotRequired[int]


@metric("contains_page_break")
def contains_page_break(result: Path, rules: PageBreaks | None = None) -> float:
    """1 when the document has the given number of page breaks, in the text or as a paragraph's property."""
    count = sum(_breaks(paragraph) for paragraph in docx_of(result).paragraphs)
    wanted = (rules or {}).get("page_break_count")
    return Told(float(count > 0 and wanted in (None, count)), f"{count} page breaks; expected: {wanted or 'any'}")


def _breaks(paragraph: Any) -> int:
    marks = sum(br.get(f"{WORD_NS}type") == "page" for run in paragraph.runs for br in run.element.iter(f"{WORD_NS}br"))
    before = paragraph.paragraph_format.page_break_before is True and not as_upstream("page-break-before")
    return int(marks + before)


@metric("compare_line_spacing")
def compare_line_spacing(result: Path, expected: Path) -> float:
    """1 when the texts are the same and each paragraph has the same line spacing."""
    if not same_text(result, expected):
        return Told(0.0, "the texts differ")
    spacings = [[p.paragraph_format.line_spacing for p in docx_of(path).paragraphs] for path in (result, expected)]
    return Told(float(spacings[0] == spacings[1]), "the line spacing differs")


@metric("evaluate_spacing")
def evaluate_spacing(result: Path) -> float:
    """1 when the first three paragraphs have a line spacing of 1, 2 and 1.5."""
    found = [p.paragraph_format.line_spacing for p in docx_of(result).paragraphs[:3]]
    return float(found == [1.0, 2.0, 1.5])


@metric("compare_font_names")
def compare_font_names(result: Path, rules: FontName) -> float:
    """1 when every run of text has the given font, directly or by its style."""
    document = docx_of(result)
    fonts = {_font(document, paragraph, run) for paragraph in document.paragraphs for run in paragraph.runs}
    return Told(float(fonts <= {rules["font_name"]}), f"fonts: {', '.join(sorted(map(str, fonts)))}")


def _font(document: Any, paragraph: Any, run: Any) -> str | None:
    if as_upstream("font-of-style") or run.font.name is not None:
        return run.font.name  # type: ignore[no-any-return]
    for style in (*_styles(run.style), *_styles(paragraph.style)):
        if style.font.name is not None:
            return style.font.name  # type: ignore[no-any-return]
    found = document.styles.element.xpath("w:docDefaults/w:rPrDefault/w:rPr/w:rFonts/@w:ascii")
    return str(found[0]) if found else None


def _styles(style: Any) -> Iterator[Any]:
    """A style and the styles that it is based on."""
    while style is not None:
        yield style
        style = style.base_style


@metric("is_first_line_centered")
def is_first_line_centered(result: Path) -> float:
    """1 when the first paragraph is centred, directly or by its style."""
    paragraphs = docx_of(result).paragraphs
    return float(bool(paragraphs) and _alignment(paragraphs[0]) == 1)


def _alignment(paragraph: Any) -> int | None:
    """The alignment in python-docx's numbers: 0 left, 1 centre, 2 right, 3 justified."""
    formats = [paragraph.paragraph_format]
    if not as_upstream("font-of-style"):
        formats += [style.paragraph_format for style in _styles(paragraph.style)]
    return next((int(f.alignment) for f in formats if f.alignment is not None), None)


@metric("has_page_numbers_in_footers")
def has_page_numbers_in_footers(result: Path) -> float:
    """1 when the footer of every section has a page number: a field, not a typed digit."""
    has = _digit_in_footer if as_upstream("footer-digit") else _field_in_footer
    return float(all(has(section.footer) for section in docx_of(result).sections))


def _digit_in_footer(footer: Any) -> bool:
    return bool(footer.paragraphs) and any(char.isdigit() for char in footer.paragraphs[0].text)


def _field_in_footer(footer: Any) -> bool:
    element = footer._element
    codes = [e.text or "" for e in element.iter(f"{WORD_NS}instrText")]
    codes += [e.get(f"{WORD_NS}instr") or "" for e in element.iter(f"{WORD_NS}fldSimple")]
    return any(re.match(r"\s*PAGE\b", code) for code in codes)


@metric("check_tabstops")
def check_tabstops(
    result: Path, expected: Path, *, word_number_split_by_tabstop: int | None = None, index: int = 0
) -> float:
    """1 minus the mean distance of the tab stops from their expected places, in widths of the text.

    Args:
        result, expected: Word documents.
        word_number_split_by_tabstop: the number of words that one part of each paragraph, between tabs, must have.
        index: the index of that part.
    """
    found, wanted = ([p for p in docx_of(path).paragraphs if p.text.strip()] for path in (result, expected))
    if len(found) != len(wanted):
        return Told(0.0, f"{len(found)} paragraphs; {len(wanted)} are expected")
    if not wanted:
        raise Unreadable(f"{expected.name} has no text", expected)
    if word_number_split_by_tabstop is not None and not all(
        _words(p.text, index) == word_number_split_by_tabstop for p in found
    ):
        return Told(0.0, f"not {word_number_split_by_tabstop} words in part {index} of every paragraph")
    section = docx_of(expected).sections[0]
    width = section.page_width - section.left_margin - section.right_margin
    distances = [_apart(a, b) for a, b in zip(found, wanted, strict=True)]
    if None in distances:
        return Told(0.0, "the tab stops differ in kind or number")
    return max(0.0, 1 - float(sum(d / width for d in distances if d)) / len(wanted))


def _words(text: str, index: int) -> int | None:
    parts = text.split("\t")
    return len(parts[index].split()) if index < len(parts) else None


def _apart(one: Any, other: Any) -> int | None:
    """The total distance between the tab stops of two paragraphs; None if the stops are of different kinds."""
    sides = [[(t.alignment, t.position) for t in p.paragraph_format.tab_stops if _is_set(t)] for p in (one, other)]
    if [a for a, _ in sides[0]] != [a for a, _ in sides[1]]:
        return None
    return int(sum(abs(a - b) for (_, a), (_, b) in zip(*sides, strict=True)))


def _is_set(tab: Any) -> bool:
    """Whether a tab stop is neither cleared nor the one at the left edge that every paragraph has."""
    name = getattr(tab.alignment, "name", "")
    return name != "CLEAR" and not (name == "LEFT" and tab.position == 0)


@metric("evaluate_colored_words_in_tables")
def evaluate_colored_words_in_tables(result: Path, expected: Path, *, threshold: float = 3.5) -> float:
    """1 when in tables words that begin with a vowel are red, all others blue, and the text is unchanged.

    `threshold` is the largest colour difference that passes (CIEDE2000).
    """
    if not same_text(result, expected):
        return Told(0.0, "the texts differ")
    for run in _table_runs(docx_of(result)):
        wanted = RED if run.text[0].lower() in "aeiou" else BLUE
        if _colour_distance(run.font.color.rgb, wanted) > threshold:
            return Told(0.0, f"{run.text!r} has a different colour")
    return 1.0


def _table_runs(document: Any) -> Iterator[Any]:
    for table in document.tables:
        for row in table.rows:
            for cell in row.cells:
                yield from (run for paragraph in cell.paragraphs for run in paragraph.runs if run.text)


def _colour_distance(one: Any, other: tuple[int, int, int]) -> float:
    """The colour difference (CIEDE2000). Text without its own colour is black."""
    try:
        from skimage.color import deltaE_ciede2000, rgb2lab
    except ImportError as error:
        raise needs("evaluators", error) from None
    return float(deltaE_ciede2000(*(rgb2lab([part / 255 for part in colour or (0, 0, 0)]) for colour in (one, other))))


@metric("check_highlighted_words")
def check_highlighted_words(result: Path, expected: Path) -> float:
    """1 when nothing in an OpenDocument text is highlighted in yellow, and the text is unchanged."""
    if not same_text(result, expected):
        return Told(0.0, "the texts differ")
    root = odt_root(result)
    yellow = {
        style.get(f"{STYLE_NS}name")
        for style in root.iter(f"{STYLE_NS}style")
        if any(part.get(f"{FO_NS}background-color") == YELLOW for part in style)
    }
    return float(not any(span.get(f"{TEXT_NS}style-name") in yellow for span in root.iter(f"{TEXT_NS}span")))


@metric("evaluate_strike_through_last_paragraph")
def evaluate_strike_through_last_paragraph(result: Path, expected: Path) -> float:
    """1 when all of the last paragraph is struck through, and the text is unchanged."""
    if not same_text(result, expected):
        return Told(0.0, "the texts differ")
    paragraphs = docx_of(result).paragraphs
    return float(bool(paragraphs) and all(run.font.strike for run in paragraphs[-1].runs))


@metric("evaluate_conversion")
def evaluate_conversion(result: Path) -> float:
    """1 when no run of text is in capitals."""
    document = docx_of(result)
    runs = [run for paragraph in document.paragraphs for run in paragraph.runs]
    return float(not any(run.text.isupper() for run in (*runs, *_table_runs(document))))


@metric("check_italic_font_size_14")
def check_italic_font_size_14(result: Path, expected: Path) -> float:
    """1 when all italic text has a size of 14 points, and the text is unchanged."""
    if not same_text(result, expected):
        return Told(0.0, "the texts differ")
    runs = (run for paragraph in docx_of(result).paragraphs for run in paragraph.runs if run.italic)
    return float(all(run.font.size is not None and run.font.size.pt == 14 for run in runs))


@metric("evaluate_alignment")
def evaluate_alignment(result: Path) -> float:
    """1 when the first three words of every sentence with three or more are separated by single blanks."""
    sentences = (s for paragraph in docx_of(result).paragraphs for s in paragraph.text.split("."))
    return float(all(_first_three_apart(sentence) for sentence in sentences if len(sentence.split()) >= 3))


def _first_three_apart(sentence: str) -> bool:
    words = sentence.split()
    first, rest = " ".join(words[:3]), " ".join(words[3:])
    return first in sentence and rest in sentence and sentence.find(first) < sentence.find(rest)
