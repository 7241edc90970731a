"""Text documents (docx, odt): their text, paragraph by paragraph, and their tables and pictures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from deskbench.envs.errors import CheckError
from deskbench.tasks.metrics.media.pictures import MAX_PIXELS
from deskbench.tasks.metrics.support.matching import likeness
from deskbench.tasks.metrics.support.packages import Unreadable, checked_package, member, needs, opened_zip, parse_xml
from deskbench.tasks.metrics.support.told import Told
from deskbench.tasks.registry import metric

TEXT_NS = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
WORD_NS = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def docx_of(path: Path) -> Any:
    """A Word document.

    Raises:
        Unreadable: it is not a Word document.
    """
    try:
        import docx
        from docx.opc.exceptions import OpcError
        from lxml.etree import XMLSyntaxError
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        return docx.Document(str(checked_package(path)))
    except (OpcError, XMLSyntaxError, KeyError, ValueError) as error:
        raise Unreadable(f"{path.name} is not a Word document: {error}", path) from None


def docx_paragraphs(path: Path) -> list[str]:
    """The text of every paragraph of the body, including empty ones."""
    return [paragraph.text for paragraph in docx_of(path).paragraphs]


def odt_root(path: Path) -> Any:
    """The content of an OpenDocument text.

    Raises:
        Unreadable: it is not an OpenDocument.
    """
    with opened_zip(path) as archive:
        content = member(archive, "content.xml")
    if content is None:
        raise Unreadable(f"{path.name} is not an OpenDocument", path)
    return parse_xml(content, path)


def odt_paragraphs(path: Path) -> list[str]:
    """The text of every paragraph, headers and footers first, without anything nested deeper than spans."""
    with opened_zip(path) as archive:
        styles = member(archive, "styles.xml")
    roots = [odt_root(path)] if styles is None else [parse_xml(styles, path), odt_root(path)]
    return ["".join(_odt_text(paragraph)) for root in roots for paragraph in root.iter(f"{TEXT_NS}p")]


def _odt_text(paragraph: Any) -> Iterator[str]:
    yield paragraph.text or ""
    for child in paragraph:
        if child.tag == f"{TEXT_NS}span":
            yield child.text or ""
            yield from (inner.tail or "" for inner in child)
        yield child.tail or ""


def _paragraphs(result: Path, expected: Path) -> tuple[list[str], list[str]] | None:
    """The paragraphs of two documents of the same format; None for other formats."""
    for suffix, read in ((".docx", docx_paragraphs), (".odt", odt_paragraphs)):
        if result.suffix == suffix and expected.suffix == suffix:
            return read(result), read(expected)
    return None


def _one_blank(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@metric("compare_docx_files")
def compare_docx_files(
    result: Path,
    expected: Path,
    *,
    ignore_blanks: bool = True,
    ignore_case: bool = False,
    ignore_order: bool = False,
    content_only: bool = False,
    fuzzy_match: bool = False,
    delete_empty_lines: bool = False,
) -> float:
    """1 when two documents (docx or odt) have the same text; or the similarity of their texts.

    Args:
        result, expected: documents of the same format.
        ignore_blanks: compare the texts as a whole, with any run of blanks and paragraph ends as one blank.
        ignore_case: ignore case.
        ignore_order: accept paragraphs in any order.
        content_only: score the similarity of the texts as a whole.
        fuzzy_match: score the similarity of the texts, or the mean similarity of the paragraphs.
        delete_empty_lines: ignore paragraphs that contain only blanks.
    """
    both = _paragraphs(result, expected)
    if both is None:
        return Told(0.0, f"{result.suffix or 'the file'} and {expected.suffix} do not have the same format")
    sides = [sorted(side) if ignore_order else side for side in both]
    if delete_empty_lines:
        sides = [[text for text in side if text.strip()] for side in sides]
    if content_only or ignore_blanks:
        sides = [[_one_blank("\n".join(side))] for side in sides]
    if ignore_case:
        sides = [[text.lower() for text in side] for side in sides]
    return _compare_texts(sides[0], sides[1], fuzzy=fuzzy_match or content_only)


def _compare_texts(found: list[str], wanted: list[str], *, fuzzy: bool) -> float:
    if len(found) != len(wanted):
        return Told(0.0, f"{len(found)} paragraphs; {len(wanted)} are expected")
    pairs = list(zip(found, wanted, strict=True))
    if fuzzy:
        return sum(likeness(a, b) for a, b in pairs) / len(pairs) if pairs else 1.0
    wrong = next(((a, b) for a, b in pairs if a != b), None)
    return Told(1.0) if wrong is None else Told(0.0, _difference(*wrong))


def _difference(found: str, wanted: str) -> str:
    """The first difference of two texts, with some context."""
    at = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), min(len(found), len(wanted)))
    start = max(0, at - 20)
    return f"{found[start : at + 20]!r} instead of {wanted[start : at + 20]!r}"


def same_text(result: Path, expected: Path) -> bool:
    """Whether two documents have the same text, ignoring blanks. Metrics of layout check this first."""
    return compare_docx_files(result, expected) == 1.0


@metric("compare_docx_files_and_ignore_new_lines")
def compare_docx_files_and_ignore_new_lines(result: Path, expected: Path, *, ignore_blanks: bool = True) -> float:
    """1 when two documents have the same text, ignoring empty paragraphs."""
    if result.suffix != ".docx" or expected.suffix != ".docx":
        return 0.0
    sides = [[text for text in docx_paragraphs(path) if text] for path in (result, expected)]
    if ignore_blanks:
        sides = [[_one_blank("\n".join(side))] for side in sides]
    return _compare_texts(sides[0], sides[1], fuzzy=False)


@metric("compare_docx_lines")
def compare_docx_lines(result: Path, expected: Path) -> float:
    """1 when two documents have the same paragraphs, in any order and number."""
    sides = [{text.strip() for text in docx_paragraphs(path) if text.strip()} for path in (result, expected)]
    return float(sides[0] == sides[1])


@metric("compare_init_lines")
def compare_init_lines(result: Path, expected: Path) -> float:
    """1 when two documents begin with the same paragraphs; one may be longer."""
    return float(all(a == b for a, b in zip(docx_paragraphs(result), docx_paragraphs(expected), strict=False)))


@metric("compare_docx_tables")
def compare_docx_tables(result: Path, expected: Path) -> float:
    """1 when two documents have the same tables, cell by cell, ignoring outer blanks."""
    return float(_tables(result) == _tables(expected))


def _tables(path: Path) -> list[list[list[str]]]:
    return [
        [
            [table.cell(row, column).text.strip() for column in range(len(table.columns))]
            for row in range(len(table.rows))
        ]
        for table in docx_of(path).tables
    ]


@metric("compare_docx_images")
def compare_docx_images(result: Path, expected: Path) -> float:
    """1 when two documents have the same pictures, pixel by pixel, in the same order."""
    found, wanted = _pictures(result), _pictures(expected)
    return float(
        len(found) == len(wanted)
        and all(_pixels(a, result) == _pixels(b, expected) for a, b in zip(found, wanted, strict=True))
    )


def _pictures(path: Path) -> list[bytes]:
    return [r.target_part.blob for r in docx_of(path).part.rels.values() if "image" in r.reltype and not r.is_external]


def _pixels(data: bytes, file: Path) -> bytes:
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_PIXELS:
            raise Unreadable("a picture is larger than any that a task makes", file)
        return picture.tobytes()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return data  # a drawing, or a format that Pillow does not know: compare its bytes


@metric("compare_contains_image")
def compare_contains_image(result: Path, expected: Path) -> float:
    """1 when two documents have pictures in the same runs of text."""
    pairs = _run_pairs(result, expected)
    return float(all(("graphicData" in a._element.xml) == ("graphicData" in b._element.xml) for a, b in pairs))


def _run_pairs(result: Path, expected: Path) -> Iterator[tuple[Any, Any]]:
    for one, other in zip(docx_of(result).paragraphs, docx_of(expected).paragraphs, strict=False):
        yield from zip(one.runs, other.runs, strict=False)


@metric("compare_subscript_contains")
def compare_subscript_contains(result: Path, expected: Path) -> float:
    """1 when some run of text is a subscript in both documents."""
    return float(any(a.font.subscript and b.font.subscript for a, b in _run_pairs(result, expected)))


@metric("compare_insert_equation")
def compare_insert_equation(result: Path, expected: Path) -> float:
    """1 when the texts are the same and some run is an embedded object in both."""
    pairs = _run_pairs(result, expected)
    objects = any(a.element.xpath(".//w:object") and b.element.xpath(".//w:object") for a, b in pairs)
    return float(objects and same_text(result, expected))


@metric("compare_highlighted_text")
def compare_highlighted_text(result: Path, expected: Path) -> float:
    """1 when two documents highlight the same texts."""
    return float(_highlighted(result) == _highlighted(expected))


def _highlighted(path: Path) -> set[str]:
    with opened_zip(path) as archive:
        content = member(archive, "word/document.xml")
    if content is None:
        raise Unreadable(f"{path.name} is not a Word document", path)
    runs = parse_xml(content, path).iter(f"{WORD_NS}r")
    return {_first_text(run) for run in runs if _is_highlighted(run)} - {""}


def _is_highlighted(run: Any) -> bool:
    mark = next(run.iter(f"{WORD_NS}highlight"), None)
    return mark is not None and mark.get(f"{WORD_NS}val") != "none"


def _first_text(run: Any) -> str:
    text = next(run.iter(f"{WORD_NS}t"), None)
    return "" if text is None else text.text or ""


@metric("compare_references")
def compare_references(
    result: Path,
    expected: Path,
    *,
    reference_indicator: str = "References",
    reference_base_result: float = 0.5,
    content_only: bool = False,
) -> float:
    """The similarity of two lists of references; the similarity of an untouched list scores 0.

    Args:
        result, expected: Word documents.
        reference_indicator: the paragraph after which the list begins.
        reference_base_result: the similarity that scores 0.
        content_only: in OSWorld's files; it changes nothing, because references are compared by their text anyway.
    """
    if result.suffix != ".docx" or expected.suffix != ".docx":
        return 0.0
    found, wanted = (_after(docx_paragraphs(path), reference_indicator) for path in (result, expected))
    if found is None or wanted is None:
        return float(found is wanted)
    if len(found) != len(wanted):
        return Told(0.0, f"{len(found)} references; {len(wanted)} are expected")
    if not wanted:
        return 1.0
    mean = sum(likeness(a, b) for a, b in zip(found, wanted, strict=True)) / len(wanted)
    if mean < reference_base_result + 0.01:
        return Told(0.0, f"the references are no more similar than at the start ({mean:.0%})")
    return (mean - reference_base_result) / (1 - reference_base_result)


def _after(paragraphs: list[str], mark: str) -> list[str] | None:
    if mark not in paragraphs:
        return None
    return [text for text in paragraphs[paragraphs.index(mark) + 1 :] if text.strip()]


def _trains(paragraphs: list[str]) -> list[str]:
    """The train in every line with four fields: time, train, station, platform."""
    fields = [text.split(",") for text in paragraphs]
    return [parts[1].strip() for parts in fields if len(parts) == 4]


@metric("check_no_duplicates")
def check_no_duplicates(result: Path, processed: Path) -> float:
    """1 when the second document has every train of the first exactly once."""
    trains = _trains(docx_paragraphs(processed))
    return float(len(trains) == len(set(trains)) and set(trains) == set(_trains(docx_paragraphs(result))))


@metric("compare_unique_train_records")
def compare_unique_train_records(result: Path, expected: list[Path]) -> float:
    """1 when a document has only lines of the initial one, each train once, and all trains of the right one.

    `expected` holds the right document and the initial one.
    """
    if not isinstance(expected, list) or len(expected) < 2:
        raise CheckError("compare_unique_train_records needs two expected files: the right one and the initial one")
    lines, right, initial = ([t.strip() for t in docx_paragraphs(p) if t.strip()] for p in (result, *expected[:2]))
    trains = _trains(lines)
    once = len(trains) == len(set(trains)) and len(lines) == len(right)
    return float(once and set(lines) <= set(initial) and set(trains) == set(_trains(right)))
