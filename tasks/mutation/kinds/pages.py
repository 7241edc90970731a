"""PDF files. The model is the file's bytes, and PDFium makes every change to a copy."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING, Any

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

Change = Iterator[tuple[bytes, str]]
FEW = 3
_ID = re.compile(rb"/ID\s*\[\s*<[0-9A-Fa-f]*>\s*<[0-9A-Fa-f]*>\s*\]")
"""A document's id, which PDFium creates anew each time."""
MOST_PAGES = 50


def _opened(data: bytes) -> PdfDocument:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Unlike(f"not PDF: {error}") from None


def _read(raw: Raw) -> bytes:
    with closing(_opened(raw)) as document:
        if len(document) > MOST_PAGES:
            raise Unlike(f"it has more than {MOST_PAGES} pages")
        return _saved(document)


def _saved(document: PdfDocument) -> bytes:
    out = BytesIO()
    document.save(out)
    return _ID.sub(lambda m: b"/ID" + re.sub(rb"[0-9A-Fa-f]", b"0", m[0][3:]), out.getvalue())


def _key(data: bytes) -> list[dict[str, Any]]:
    """Size, rotation, text and rendering of each page."""
    pages = []
    with closing(_opened(data)) as document:
        for page in document:
            look = hashlib.sha256(page.render(scale=0.5).to_pil().tobytes()).hexdigest()
            text = page.get_textpage().get_text_bounded()
            pages.append({"size": page.get_size(), "turn": page.get_rotation(), "text": text, "look": look})
    return pages


kind("pdf", "PDF files", read=_read, write=lambda model, raw: model, key=_key)


def _with(data: bytes, change: Callable[[PdfDocument], object]) -> bytes:
    with closing(_opened(data)) as document:
        change(document)
        return _saved(document)


def _length(data: bytes) -> int:
    with closing(_opened(data)) as document:
        return len(document)


def _ordered(data: bytes, order: list[int]) -> bytes:
    import pypdfium2

    with closing(_opened(data)) as document, closing(pypdfium2.PdfDocument.new()) as new:
        new.import_pages(document, order)
        return _saved(new)


@operator("pdf/drop-page", kind="pdf", must="fail")
def drop_page(data: bytes, about: About) -> Change:
    """A page is missing."""
    for page in about.some(range(_length(data)) if _length(data) > 1 else [], FEW):
        yield _with(data, lambda document, page=page: document.del_page(page)), f"page {page + 1} is missing"  # type: ignore[misc]


@operator("pdf/repeat-page", kind="pdf", must="fail")
def repeat_page(data: bytes, about: About) -> Change:
    """A page occurs twice."""
    pages = list(range(_length(data)))
    for page in about.some(pages, FEW):
        yield _ordered(data, [*pages[: page + 1], *pages[page:]]), f"page {page + 1} occurs twice"


@operator("pdf/swap-pages", kind="pdf", must="fail")
def swap_pages(data: bytes, about: About) -> Change:
    """Two pages are swapped."""
    pages = list(range(_length(data)))
    for page in about.some(pages[:-1], FEW):
        order = [*pages[:page], page + 1, page, *pages[page + 2 :]]
        yield _ordered(data, order), f"pages {page + 1} and {page + 2} are swapped"


@operator("pdf/turn-page", kind="pdf", must="fail")
def turn_page(data: bytes, about: About) -> Change:
    """A page is rotated by 90 degrees."""
    for number in about.some(range(_length(data)), FEW):
        turned = _with(data, lambda document, number=number: _turn(document[number]))  # type: ignore[misc]
        yield turned, f"page {number + 1} is rotated by 90 degrees"


def _turn(page: Any) -> None:
    page.set_rotation((page.get_rotation() + 90) % 360)


@operator("pdf/picture-only", kind="pdf", must="fail")
def picture_only(data: bytes, about: About) -> Change:
    """The pages are pictures of themselves, without text."""
    with closing(_opened(data)) as document:
        pictures = [page.render(scale=1).to_pil().convert("RGB") for page in document]
    out = BytesIO()
    then = time.gmtime(0)  # not the time of day: a copy is the same each time
    pictures[0].save(out, "PDF", save_all=True, append_images=pictures[1:], creationDate=then, modDate=then)
    yield out.getvalue(), "its pages are pictures of themselves, with no text in them"
