"""PDF documents: pages, text, pictures."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from deskbench.tasks.metrics.data.text import text_of
from deskbench.tasks.metrics.media.pictures import hash_distance
from deskbench.tasks.metrics.support.matching import likeness
from deskbench.tasks.metrics.support.packages import Unreadable, needs
from deskbench.tasks.registry import closed, metric

MAX_PAGES = 5000
HASH_THRESHOLD = 5
"""The number of bits by which the perceptual hashes of two pictures may differ (OSWorld's)."""


@contextmanager
def _document(data: Path | bytes) -> Iterator[Any]:
    try:
        import pypdfium2
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Unreadable(f"not a PDF: {error}", data if isinstance(data, Path) else None) from None
    try:
        yield document
    finally:
        document.close()


def pdf_text(data: Path | bytes) -> str:
    """The text of every page, in order.

    Raises:
        Unreadable: it is not a PDF.
    """
    with _document(data) as document:
        return "".join(page.get_textpage().get_text_range() for page in document).strip()


def _text_of(path: Path | None) -> str | None:
    try:
        return None if path is None else pdf_text(path)
    except Unreadable:
        return None


@metric("compare_pdfs")
def compare_pdfs(result: Path | list[Path | None], expected: Path | list[Path | None]) -> float:
    """The similarity of the texts of PDF files, 0 to 1; for lists the mean. An unreadable file counts as 0."""
    if isinstance(result, Path) and isinstance(expected, Path):
        return likeness(pdf_text(result), pdf_text(expected))
    golds = expected if isinstance(expected, list) else [expected]
    found = result if isinstance(result, list) else [result]
    texts = [(_text_of(a), _text_of(b)) for a, b in zip(found, golds, strict=False)]
    return sum(likeness(a, b) for a, b in texts if a is not None and b is not None) / len(golds)


@metric("compare_pdf_images")
def compare_pdf_images(result: Path, expected: Path) -> float:
    """The share of a PDF's pictures that look like the expected ones; 0 when their number differs."""
    found, wanted = _images(result), _images(expected)
    if len(found) != len(wanted):
        return 0.0
    same = [hash_distance(a, b) <= HASH_THRESHOLD for a, b in zip(found, wanted, strict=True)]
    return sum(same) / len(same) if same else 1.0


def _images(path: Path) -> list[Any]:
    with _document(path) as document:
        from pypdfium2 import raw

        objects = [o for page in document for o in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])]
        return [image.get_bitmap(render=False).to_pil() for image in objects]


@closed
class Pages(TypedDict):
    """A number of pages, and how to compare with it."""

    relation: Literal["eq", "ne", "lt", "le", "gt", "ge"]
    ref_value: int


@metric("check_pdf_pages")
def check_pdf_pages(result: Path, rules: Pages) -> float:
    """1 when the number of pages compares as given (`eq`, `lt`, ...) with the given number."""
    import pypdfium2

    with _document(result) as document:
        number = len(document)  # according to the file
        try:
            if number <= MAX_PAGES:
                for index in range(number):
                    document.get_page(index).close()
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"it claims to have {number} pages: {error}", result) from None
        if number > MAX_PAGES:
            raise Unreadable(f"it claims to have {number} pages; at most {MAX_PAGES} are read", result)
        return float(getattr(operator, rules["relation"])(number, rules["ref_value"]))


@metric("is_gold_text_included_in_pdf")
def is_gold_text_included_in_pdf(result: Path, expected: Path) -> float:
    """1 when the PDF's text, as laid out in lines, contains every value of a JSON object."""
    try:
        import pdfplumber
        from pdfminer.pdfparser import PDFSyntaxError
        from pdfplumber.utils.exceptions import PdfminerException
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        with pdfplumber.open(result) as document:
            text = "".join(page.extract_text() for page in document.pages)
    except (PDFSyntaxError, PdfminerException) as error:
        raise Unreadable(f"not a PDF: {error}", result) from None
    return float(all(value in text for value in json.loads(text_of(expected)).values()))
