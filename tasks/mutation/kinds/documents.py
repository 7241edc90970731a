"""Text documents (DOCX): paragraphs, runs, tables, fields, in the XML of ECMA-376, part 1, section 17."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lxml import etree

from deskbench.tasks.mutation.kinds.packages import (
    FEW,
    Parts,
    at,
    canonical,
    of_texts,
    other_text,
    read_parts,
    unused,
    write_parts,
)
from deskbench.tasks.mutation.operators import About, Raw, kind, operator

if TYPE_CHECKING:
    from lxml.etree import _Element

Change = Iterator[tuple[Parts, str]]
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
EXTENT = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}extent"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
BODY = "word/document.xml"


def _read(raw: Raw) -> Parts:
    return read_parts(raw, BODY)


kind("docx", "Text documents (DOCX)", read=_read, write=write_parts, key=lambda parts: canonical(parts, unused))


def _said(element: _Element) -> str:
    return "".join(t.text or "" for t in element.iter(f"{W}t"))


def _told(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _of(root: _Element, tag: str, chosen: Callable[[_Element], bool] = lambda element: True) -> list[int]:
    return [place for place, element in enumerate(root.iter(W + tag)) if chosen(element)]


def _parent(element: _Element) -> _Element:
    parent = element.getparent()
    assert parent is not None
    return parent


@operator("docx/text", kind="docx", must="fail")
def text(parts: Parts, about: About) -> Change:
    """A text is different: a digit, a letter, the case, a word."""
    for place in about.some(of_texts(parts.xml(BODY), f"{W}t"), FEW):
        old = at(parts.xml(BODY), f"{W}t", place).text or ""
        for new, _ in other_text(old):
            root = parts.xml(BODY)
            found = at(root, f"{W}t", place)
            found.text = new
            found.set(SPACE, "preserve")
            yield parts.having(BODY, root), f"{_told(old)} is {_told(new)}"


def _paragraphs(root: _Element) -> list[int]:
    return _of(root, "p", lambda p: bool(_said(p).strip()))


@operator("docx/drop-paragraph", kind="docx", must="fail")
def drop_paragraph(parts: Parts, about: About) -> Change:
    """A paragraph has no text."""
    for place in about.some(_paragraphs(parts.xml(BODY)), FEW):
        root = parts.xml(BODY)
        paragraph = at(root, f"{W}p", place)
        words = _told(_said(paragraph))
        for run in list(paragraph.iter(f"{W}r")):
            _parent(run).remove(run)
        yield parts.having(BODY, root), f"the paragraph {words} is empty"


@operator("docx/repeat-paragraph", kind="docx", must="fail")
def repeat_paragraph(parts: Parts, about: About) -> Change:
    """A paragraph occurs twice."""
    for place in about.some(_paragraphs(parts.xml(BODY)), FEW):
        root = parts.xml(BODY)
        paragraph = at(root, f"{W}p", place)
        paragraph.addnext(copy.deepcopy(paragraph))
        yield parts.having(BODY, root), f"the paragraph {_told(_said(paragraph))} occurs twice"


@operator("docx/swap-paragraphs", kind="docx", must="fail")
def swap_paragraphs(parts: Parts, about: About) -> Change:
    """Two paragraphs are swapped."""

    def followed(paragraph: _Element) -> bool:
        after = paragraph.getnext()
        return after is not None and after.tag == f"{W}p" and bool(_said(paragraph).strip() or _said(after).strip())

    for place in about.some(_of(parts.xml(BODY), "p", followed), FEW):
        root = parts.xml(BODY)
        paragraph = at(root, f"{W}p", place)
        after = paragraph.getnext()
        assert after is not None
        after.addnext(paragraph)
        yield parts.having(BODY, root), f"the paragraph {_told(_said(paragraph))} is one place lower"


# -- formatting of runs and paragraphs


def _properties(element: _Element, tag: str) -> _Element:
    found = element.find(W + tag)
    if found is None:
        found = etree.Element(W + tag)
        element.insert(0, found)
    return found


def _with(element: _Element, properties: str, tag: str, **values: str) -> None:
    """Set a property of a run or paragraph, replacing the old one."""
    inside = _properties(element, properties)
    for old in inside.findall(W + tag):
        inside.remove(old)
    etree.SubElement(inside, W + tag, {W + name: value for name, value in values.items()})


def _value(element: _Element, properties: str, tag: str) -> str | None:
    found = element.find(f"{W}{properties}/{W}{tag}")
    return None if found is None else found.get(f"{W}val", "1")


def _toggle(run: _Element, tag: str) -> None:
    on = _value(run, "rPr", tag) not in (None, "0", "false", "none")
    off = "none" if tag == "u" else "0"
    _with(run, "rPr", tag, val=off if on else "single" if tag == "u" else "1")


def _size(run: _Element) -> None:
    old = _value(run, "rPr", "sz") or "22"
    _with(run, "rPr", "sz", val=str(int(old) + 4 if old.isdigit() else 26))


_RUNS: dict[str, tuple[str, Callable[[_Element], None]]] = {
    "bold": ("is bold, or no longer bold", lambda run: _toggle(run, "b")),
    "italic": ("is italic, or no longer italic", lambda run: _toggle(run, "i")),
    "underline": ("is underlined, or no longer underlined", lambda run: _toggle(run, "u")),
    "struck": ("is struck through, or no longer struck through", lambda run: _toggle(run, "strike")),
    "size": ("is two points larger", _size),
    "font": ("has another font", lambda run: _with(run, "rPr", "rFonts", ascii="Impact", hAnsi="Impact", cs="Impact")),
    "colour": ("has a different colour", lambda run: _with(run, "rPr", "color", val="12AB34")),
}  # fmt: skip
_ALIGNED = {"center": "right", "right": "left", "end": "left"}


def _align(paragraph: _Element) -> None:
    _with(paragraph, "pPr", "jc", val=_ALIGNED.get(_value(paragraph, "pPr", "jc") or "left", "center"))


def _restyle(paragraph: _Element) -> None:
    old = _value(paragraph, "pPr", "pStyle") or ""
    level = old[-1:] if old.lower().startswith("heading") else ""
    properties = _properties(paragraph, "pPr")
    for found in properties.findall(f"{W}pStyle"):
        properties.remove(found)
    new = etree.Element(f"{W}pStyle", {f"{W}val": f"{old[:-1]}{int(level) % 9 + 1}" if level.isdigit() else "Quote"})
    properties.insert(0, new)


_PARAGRAPHS: dict[str, tuple[str, Callable[[_Element], None]]] = {
    "alignment": ("has a different alignment", _align),
    "spacing": ("has different line spacing",
                lambda p: _with(p, "pPr", "spacing", line="700", lineRule="auto", before="340")),
    "indent": ("is indented", lambda p: _with(p, "pPr", "ind", left="1111", firstLine="222")),
    "style": ("has a different style, or is a heading of the next level", _restyle),
}  # fmt: skip


def _looks(name: str, tag: str, words: str, change: Callable[[_Element], None]) -> None:
    """Register an operator that changes the formatting of runs or paragraphs."""

    def changed(parts: Parts, about: About) -> Change:
        for place in about.some(_of(parts.xml(BODY), tag, lambda one: bool(_said(one).strip())), FEW):
            root = parts.xml(BODY)
            element = at(root, W + tag, place)
            change(element)
            yield parts.having(BODY, root), f"{_told(_said(element))} {words}"

    changed.__doc__ = f"A {'run of letters' if tag == 'r' else 'paragraph'} {words}."
    operator(f"docx/{name}", kind="docx", must="fail")(changed)


for _name, (_words, _change) in _RUNS.items():
    _looks(_name, "r", _words, _change)
for _name, (_words, _change) in _PARAGRAPHS.items():
    _looks(_name, "p", _words, _change)


# -- lists, tables, breaks, pictures, fields


@operator("docx/no-list", kind="docx", must="fail")
def no_list(parts: Parts, about: About) -> Change:
    """A list item is a plain paragraph."""
    for place in about.some(_of(parts.xml(BODY), "numPr"), FEW):
        root = parts.xml(BODY)
        found = at(root, f"{W}numPr", place)
        words = _told(_said(_parent(_parent(found))))
        _parent(found).remove(found)
        yield parts.having(BODY, root), f"{words} is not a list item"


@operator("docx/table-rows", kind="docx", must="fail")
def table_rows(parts: Parts, about: About) -> Change:
    """A table row is missing, or is one place lower."""
    for place in about.some(_of(parts.xml(BODY), "tr"), FEW):
        root = parts.xml(BODY)
        row = at(root, f"{W}tr", place)
        words = _told(_said(row))
        after = row.getnext()
        if after is not None and after.tag == row.tag:
            after.addnext(row)
            yield parts.having(BODY, root), f"the table's row {words} is one place lower"
        root = parts.xml(BODY)
        row = at(root, f"{W}tr", place)
        _parent(row).remove(row)
        yield parts.having(BODY, root), f"the table's row {words} is missing"


def _gone(tag: str, words: str, chosen: Callable[[_Element], bool] = lambda element: True) -> Callable[..., Change]:
    def changed(parts: Parts, about: About) -> Change:
        names = [BODY, *parts.named("word/header"), *parts.named("word/footer")]
        found = [(name, place) for name in names for place in _of(parts.xml(name), tag, chosen)]
        for name, place in about.some(found, FEW):
            root = parts.xml(name)
            element = at(root, W + tag, place)
            _parent(element).remove(element)
            yield parts.having(name, root), f"{words} is gone"

    changed.__doc__ = f"{words[0].upper()}{words[1:]} is gone."
    return changed


def _of_pages(element: _Element) -> bool:
    return "PAGE" in (element.get(f"{W}instr") or element.text or "")


operator("docx/break-gone", kind="docx", must="fail")(_gone("br", "a break"))
operator("docx/picture-gone", kind="docx", must="fail")(_gone("drawing", "a picture"))
operator("docx/page-number-gone", kind="docx", must="fail")(_gone("instrText", "a page number", _of_pages))
operator("docx/simple-page-number-gone", kind="docx", must="fail")(_gone("fldSimple", "a page number", _of_pages))


@operator("docx/picture-size", kind="docx", must="fail")
def picture_size(parts: Parts, about: About) -> Change:
    """A picture is a fifth wider."""
    for place, _ in about.some(list(enumerate(parts.xml(BODY).iter(EXTENT))), FEW):
        root = parts.xml(BODY)
        extent = at(root, EXTENT, place)
        extent.set("cx", str(int(int(extent.get("cx", "0")) * 1.2)))
        yield parts.having(BODY, root), "a picture is a fifth wider"


@operator("docx/tracked", kind="docx", must="fail")
def tracked(parts: Parts, about: About) -> Change:
    """A text is marked as deleted in tracked changes, and not accepted."""
    for place in about.some(_of(parts.xml(BODY), "r", lambda run: bool(_said(run).strip())), 1):
        root = parts.xml(BODY)
        run = at(root, f"{W}r", place)
        words = _told(_said(run))
        mark = etree.Element(f"{W}del", {f"{W}id": "901", f"{W}author": "A", f"{W}date": "2031-05-04T03:02:01Z"})
        _parent(run).replace(run, mark)
        mark.append(run)
        for element in run.iter(f"{W}t"):
            element.tag = f"{W}delText"
        yield parts.having(BODY, root), f"{words} is marked as deleted"


@operator("docx/split-runs", kind="docx", must="stay")
def split_runs(parts: Parts, about: About) -> Change:
    """A run is split into two with the same formatting."""

    def simple(run: _Element) -> bool:
        return len(_said(run)) > 3 and [child.tag for child in run if child.tag != f"{W}rPr"] == [f"{W}t"]

    for place in about.some(_of(parts.xml(BODY), "r", simple), 2):
        root = parts.xml(BODY)
        run = at(root, f"{W}r", place)
        whole = _said(run)
        second = copy.deepcopy(run)
        for one, piece in ((run, whole[: len(whole) // 2]), (second, whole[len(whole) // 2 :])):
            inner = next(one.iter(f"{W}t"))
            inner.text = piece
            inner.set(SPACE, "preserve")
        run.addnext(second)
        yield parts.having(BODY, root), f"{_told(whole)} is two runs of the same look"


@operator("docx/revisions", kind="docx", must="stay")
def revisions(parts: Parts, about: About) -> Change:
    """Paragraphs have marks of a different editing session."""
    root = parts.xml(BODY)
    for paragraph in root.iter(f"{W}p"):
        paragraph.set(f"{W}rsidR", "00AB12CD")
    yield parts.having(BODY, root), "every paragraph was written in a different session"
