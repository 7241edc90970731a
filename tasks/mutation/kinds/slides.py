"""Presentations (PPTX): slides, shapes and their text, in the XML of ECMA-376, part 1, sections 19 to 21."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

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
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
SHOW = "ppt/presentation.xml"


def _read(raw: Raw) -> Parts:
    return read_parts(raw, SHOW)


kind("pptx", "Presentations (PPTX)", read=_read, write=write_parts, key=lambda parts: canonical(parts, unused))


def _slides(parts: Parts) -> list[str]:
    return parts.named("ppt/slides/slide")


def _number(slide: str) -> str:
    return "".join(sign for sign in slide.rpartition("/")[2] if sign.isdigit())


def _told(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _ids(root: _Element) -> list[_Element]:
    return list(root.iter(f"{P}sldId"))


@operator("pptx/slide-order", kind="pptx", must="fail")
def slide_order(parts: Parts, about: About) -> Change:
    """Two slides are swapped."""
    for place in about.some(range(len(_ids(parts.xml(SHOW))) - 1), FEW):
        root = parts.xml(SHOW)
        one, other = _ids(root)[place : place + 2]
        other.addnext(one)
        yield parts.having(SHOW, root), f"slides {place + 1} and {place + 2} are swapped"


@operator("pptx/slide-gone", kind="pptx", must="fail")
def slide_gone(parts: Parts, about: About) -> Change:
    """A slide is missing."""
    for place in about.some(range(len(_ids(parts.xml(SHOW)))), FEW):
        root = parts.xml(SHOW)
        found = _ids(root)[place]
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)
        yield parts.having(SHOW, root), f"slide {place + 1} is missing"


@operator("pptx/slide-size", kind="pptx", must="fail")
def slide_size(parts: Parts, about: About) -> Change:
    """The slides have a different aspect ratio."""
    root = parts.xml(SHOW)
    for size in root.iter(f"{P}sldSz"):
        size.set("cx", str(int(int(size.get("cx", "0")) * 0.75)))
        yield parts.having(SHOW, root), "the slides are a quarter narrower"


@operator("pptx/text", kind="pptx", must="fail")
def text(parts: Parts, about: About) -> Change:
    """A text is different: a digit, a letter, the case, a word."""
    found = [(slide, place) for slide in _slides(parts) for place in of_texts(parts.xml(slide), f"{A}t")]
    for slide, place in about.some(found, FEW):
        old = at(parts.xml(slide), f"{A}t", place).text or ""
        for new, _ in other_text(old):
            root = parts.xml(slide)
            at(root, f"{A}t", place).text = new
            yield parts.having(slide, root), f"{_told(old)} of slide {_number(slide)} is {_told(new)}"


@operator("pptx/notes", kind="pptx", must="fail")
def notes(parts: Parts, about: About) -> Change:
    """A slide's notes are different, or empty."""
    found = [(name, place) for name in parts.named("ppt/notesSlides/notesSlide")
             for place in of_texts(parts.xml(name), f"{A}t")]  # fmt: skip
    for name, place in about.some(found, FEW):
        for change in (lambda old: old + "x", lambda old: ""):
            root = parts.xml(name)
            element = at(root, f"{A}t", place)
            old = element.text or ""
            element.text = change(old)
            yield parts.having(name, root), f"the notes {_told(old)} are {_told(element.text)}"


@operator("pptx/swap-texts", kind="pptx", must="fail")
def swap_texts(parts: Parts, about: About) -> Change:
    """The first texts of two slides are swapped."""
    for one, other in about.some(list(zip(_slides(parts), _slides(parts)[1:], strict=False)), FEW):
        first, second = parts.xml(one), parts.xml(other)
        texts = [next(root.iter(f"{A}t"), None) for root in (first, second)]
        if texts[0] is not None and texts[1] is not None:
            texts[0].text, texts[1].text = texts[1].text, texts[0].text
            changed = parts.having(one, first).having(other, second)
            yield changed, f"the first texts of slides {_number(one)} and {_number(other)} are swapped"


Found = list[tuple[str, int]]


def _all(parts: Parts, tag: str, chosen: Callable[[_Element], bool] = lambda element: True) -> Found:
    return [(slide, place) for slide in _slides(parts) for place, element in enumerate(parts.xml(slide).iter(tag))
            if chosen(element)]  # fmt: skip


def _changed(name: str, tag: str, words: str, change: Callable[[_Element], bool]) -> None:
    """Register an operator that changes elements with a name; `change` returns whether it changed anything."""

    def changed(parts: Parts, about: About) -> Change:
        for slide, place in about.some(_all(parts, tag), FEW):
            root = parts.xml(slide)
            if change(at(root, tag, place)):
                yield parts.having(slide, root), f"slide {_number(slide)}, number {place + 1} of its kind: {words}"

    changed.__doc__ = f"{words[0].upper()}{words[1:]}."
    operator(f"pptx/{name}", kind="pptx", must="fail")(changed)


def _bold(run: _Element) -> bool:
    properties = run.find(f"{A}rPr")
    if properties is None:
        properties = run.makeelement(f"{A}rPr")
        run.insert(0, properties)
    properties.set("b", "0" if properties.get("b") in ("1", "true") else "1")
    return True


def _size(properties: _Element) -> bool:
    if properties.get("sz") is None:
        return False
    properties.set("sz", str(int(properties.get("sz", "1800")) + 400))
    return True


def _colour(colour: _Element) -> bool:
    old = int(colour.get("val", "000000"), 16)
    red = (old >> 16) & 255
    colour.set("val", f"{(red - 20 if red >= 128 else red + 20):02X}{old & 0xFFFF:04X}")
    return True


def _align(paragraph: _Element) -> bool:
    properties = paragraph.find(f"{A}pPr")
    if properties is None:
        properties = paragraph.makeelement(f"{A}pPr")
        paragraph.insert(0, properties)
    properties.set("algn", "r" if properties.get("algn") == "ctr" else "ctr")
    return bool("".join(t.text or "" for t in paragraph.iter(f"{A}t")).strip())


def _scaled(names: tuple[str, str]) -> Callable[[_Element], bool]:
    def change(element: _Element) -> bool:
        old = {name: int(element.get(name, "0")) for name in names}
        for name, value in old.items():
            element.set(name, str(int(value * 1.1) + 100))
        return True

    return change


def _removed(element: _Element) -> bool:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)
    return True


def _placeholder(element: _Element) -> bool:
    old = element.get("type")
    element.set("type", "body" if old in ("title", "ctrTitle") else "title")
    return True


_changed("bold", f"{A}r", "a text is bold, or no longer bold", _bold)
_changed("size", f"{A}rPr", "a text is four points larger", _size)
_changed("colour", f"{A}srgbClr", "a colour's red differs by 20", _colour)
_changed("alignment", f"{A}p", "a paragraph has a different alignment", _align)
_changed("position", f"{A}off", "a shape is a tenth further from the corner", _scaled(("x", "y")))
_changed("extent", f"{A}ext", "a shape is a tenth larger", _scaled(("cx", "cy")))
_changed("placeholder", f"{P}ph", "a title is plain text, or plain text is a title", _placeholder)
_changed("background-gone", f"{P}bg", "a background is gone", _removed)
_changed("transition-gone", f"{P}transition", "a transition is gone", _removed)
_changed("animation-gone", f"{P}timing", "an animation is gone", _removed)
_changed("picture-gone", f"{P}pic", "a picture is gone", _removed)
_changed("table-row-gone", f"{A}tr", "a table row is gone", _removed)


@operator("pptx/names", kind="pptx", must="stay")
def names(parts: Parts, about: About) -> Change:
    """Shapes have different names."""
    for slide in _slides(parts)[:1]:
        root = parts.xml(slide)
        for number, element in enumerate(root.iter(f"{P}cNvPr")):
            element.set("name", f"Shape {number} of mine")
        yield parts.having(slide, root), f"the shapes of slide {_number(slide)} have different names"
