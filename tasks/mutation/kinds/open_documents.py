"""OpenDocument files (ODT, ODS, ODP): texts, tables, slides and styles of `content.xml` (OpenDocument 1.3, part 3).

A style may be shared, so an operator that changes the look of one element gives it a style of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from lxml import etree

from deskbench.tasks.mutation.kinds.packages import (
    FEW,
    Parts,
    at,
    canonical,
    everywhere,
    other_text,
    read_parts,
    stored,
    write_parts,
)
from deskbench.tasks.mutation.operators import About, Raw, kind, operator

if TYPE_CHECKING:
    from lxml.etree import _Element

Change = Iterator[tuple[Parts, str]]
_URN = "{urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, STYLE = (f"{_URN}{name}:1.0}}" for name in ("office", "text", "table", "style"))
DRAW, FO, SVG = (f"{_URN}{name}:1.0}}" for name in ("drawing", "xsl-fo-compatible", "svg-compatible"))
CONTENT, META = "content.xml", "meta.xml"
_MINE = "Mutant"
"""The name of the style that a changed element gets."""


def read_document(raw: Raw) -> Parts:
    """The parts of an OpenDocument file."""
    return read_parts(raw, CONTENT)


def document_key(parts: Parts) -> dict[str, object]:
    """What is in an OpenDocument file."""
    return canonical(parts, _unused)


def _unused(name: str) -> bool:
    """Parts that tell of a document's history, or of the windows in which it was shown."""
    return name in (META, "settings.xml") or name.startswith(("Thumbnails/", "Configurations2/", "META-INF/"))


kind("odf", "OpenDocument files (ODT, ODS, ODP)", read=read_document, write=write_parts, key=document_key)
everywhere("stored", kind="odf")(stored)


@operator("odf/properties", kind="odf", must="stay")
def properties(parts: Parts, about: About) -> Change:
    """A different person saved the file at a different time."""
    if META in parts.members:
        root = parts.xml(META)
        for element in root.iter("{http://purl.org/dc/elements/1.1/}creator"):
            element.text = "Somebody Else"
        for element in root.iter("{http://purl.org/dc/elements/1.1/}date"):
            element.text = "2031-05-04T03:02:01"
        yield parts.having(META, root), "a different person saved it in 2031"


# -- texts and paragraphs


def said(element: _Element) -> str:
    """The text in an element."""
    return "".join(str(part) for part in element.itertext())


def told(text: str) -> str:
    """A text as it is quoted."""
    text = text.strip("\n")
    return repr(text if len(text) <= 40 else text[:37] + "...")


def has_text(element: _Element) -> bool:
    """Whether letters or digits stand in an element."""
    return any(sign.isalnum() for sign in said(element))


def places(
    parts: Parts, about: About, tag: str, most: int = FEW,
    chosen: Callable[[_Element], bool] = has_text,
) -> Iterator[tuple[_Element, _Element]]:  # fmt: skip
    """Some elements of a name that are `chosen` (those with letters or digits), each in a content of its own."""
    found = [place for place, element in enumerate(parts.xml(CONTENT).iter(tag)) if chosen(element)]
    for place in about.some(found, most):
        root = parts.xml(CONTENT)
        yield root, at(root, tag, place)


def in_sheet(element: _Element) -> bool:
    """Whether an element stands in a spreadsheet, where texts have the look of their cells."""
    return next(element.iterancestors(f"{OFFICE}spreadsheet"), None) is not None


def _flows(element: _Element) -> bool:
    return has_text(element) and not in_sheet(element)


def _is_text(element: _Element) -> bool:
    """Whether an element has letters or digits of its own that do not show a cell's number."""
    cell = next(element.iterancestors(f"{TABLE}table-cell"), None)
    return any(sign.isalnum() for sign in element.text or "") and (cell is None or f"{OFFICE}value" not in cell.attrib)


def remove(element: _Element) -> None:
    """Take an element out; the text that follows it stays."""
    parent, tail = element.getparent(), element.tail
    assert parent is not None
    before = element.getprevious()
    if tail and before is not None:
        before.tail = (before.tail or "") + tail
    elif tail:
        parent.text = (parent.text or "") + tail
    element.tail = None
    parent.remove(element)


def lower(
    parts: Parts, about: About, tag: str, words: str, before: Collection[str], most: int = FEW, *,
    alike: bool = False,
) -> Change:  # fmt: skip
    """Some elements of a name are one place lower: below the next one, if its name is one of `before`.

    Args:
        parts, about, most: as for `places`.
        tag: the elements' name.
        words: what they are.
        before: names of what may follow them.
        alike: also move those that have the same text as the next one, but look different.
    """

    def followed(element: _Element) -> bool:
        after = element.getnext()
        return after is not None and after.tag in before and (alike or said(after) != said(element))

    for root, element in places(parts, about, tag, most, followed):
        after = element.getnext()
        assert after is not None
        after.addnext(element)
        yield parts.having(CONTENT, root), f"{words} {told(said(element))} is one place lower"


_PARAGRAPHS = (f"{TEXT}p", f"{TEXT}h")


@operator("odf/text", kind="odf", must="fail")
def text(parts: Parts, about: About) -> Change:
    """A text is different: a digit, a letter, the case, a word."""
    for tag in (*_PARAGRAPHS, f"{TEXT}span"):
        for old_root, element in places(parts, about, tag, 2, _is_text):
            old, place = element.text or "", list(old_root.iter(tag)).index(element)
            for new, _ in other_text(old):
                root = parts.xml(CONTENT)
                at(root, tag, place).text = new
                yield parts.having(CONTENT, root), f"{told(old)} is {told(new)}"


@operator("odf/drop-paragraph", kind="odf", must="fail")
def drop_paragraph(parts: Parts, about: About) -> Change:
    """A paragraph has no text."""
    for tag in _PARAGRAPHS:
        for root, paragraph in places(parts, about, tag, chosen=_flows):
            words = told(said(paragraph))
            for child in list(paragraph):
                paragraph.remove(child)
            paragraph.text = None
            yield parts.having(CONTENT, root), f"the paragraph {words} is empty"


@operator("odf/repeat-paragraph", kind="odf", must="fail")
def repeat_paragraph(parts: Parts, about: About) -> Change:
    """A paragraph occurs twice."""
    for root, paragraph in places(parts, about, f"{TEXT}p", chosen=_flows):
        paragraph.addnext(copy.deepcopy(paragraph))
        yield parts.having(CONTENT, root), f"the paragraph {told(said(paragraph))} occurs twice"


@operator("odf/swap-paragraphs", kind="odf", must="fail")
def swap_paragraphs(parts: Parts, about: About) -> Change:
    """Two paragraphs are swapped."""
    for tag in _PARAGRAPHS:
        yield from lower(parts, about, tag, "the paragraph", _PARAGRAPHS, 2)


@operator("odf/heading", kind="odf", must="fail")
def heading(parts: Parts, about: About) -> Change:
    """A heading is of the next level, or a plain paragraph."""
    for root, found in places(parts, about, f"{TEXT}h"):
        level = found.get(f"{TEXT}outline-level", "1")
        found.set(f"{TEXT}outline-level", str(int(level) + 1) if level.isdigit() else "2")
        yield parts.having(CONTENT, root), f"the heading {told(said(found))} is of the next level"
    for root, found in places(parts, about, f"{TEXT}h", 1):
        found.tag = f"{TEXT}p"
        found.attrib.pop(f"{TEXT}outline-level", "")
        found.set(f"{TEXT}style-name", "Standard")
        yield parts.having(CONTENT, root), f"the heading {told(said(found))} is a plain paragraph"


@operator("odf/no-list", kind="odf", must="fail")
def no_list(parts: Parts, about: About) -> Change:
    """A list item is a plain paragraph."""
    for root, item in places(parts, about, f"{TEXT}list-item"):
        words, outer = told(said(item)), item.getparent()
        assert outer is not None
        for child in list(item):
            outer.addnext(child)
        remove(item)
        yield parts.having(CONTENT, root), f"{words} is not a list item"


def _gone(tag: str, words: str) -> Callable[[Parts, About], Change]:
    def changed(parts: Parts, about: About) -> Change:
        for number, (root, element) in enumerate(places(parts, about, tag, FEW, lambda one: True), 1):
            remove(element)
            yield parts.having(CONTENT, root), f"{words} is gone (number {number})"

    changed.__doc__ = f"{words[0].upper()}{words[1:]} is gone."
    return changed


operator("odf/picture-gone", kind="odf", must="fail")(_gone(f"{DRAW}image", "a picture"))
operator("odf/page-number-gone", kind="odf", must="fail")(_gone(f"{TEXT}page-number", "a page number"))


@operator("odf/tracked", kind="odf", must="fail")
def tracked(parts: Parts, about: About) -> Change:
    """A text is marked as inserted in tracked changes, and not accepted."""
    for root, paragraph in places(parts, about, f"{TEXT}p", 1, _flows):
        body = next(iter(root.iter(f"{OFFICE}body")))
        changes = etree.Element(f"{TEXT}tracked-changes")
        region = etree.SubElement(changes, f"{TEXT}changed-region", {f"{TEXT}id": "ct901"})
        etree.SubElement(region, f"{TEXT}insertion")
        body[0].insert(0, changes)
        start = etree.Element(f"{TEXT}change-start", {f"{TEXT}change-id": "ct901"})
        start.tail, paragraph.text = paragraph.text, None
        paragraph.insert(0, start)
        etree.SubElement(paragraph, f"{TEXT}change-end", {f"{TEXT}change-id": "ct901"})
        yield parts.having(CONTENT, root), f"{told(said(paragraph))} is marked as inserted"


# -- the look: each changed element gets a style of its own


_FAMILIES = {f"{TEXT}span": ("text", "run of letters"), f"{TEXT}p": ("paragraph", "paragraph"),
             f"{TABLE}table-cell": ("table-cell", "cell")}  # fmt: skip
"""Family of the styles of an element, and the element in words."""


def _own_style(root: _Element, element: _Element, name: str, family: str) -> _Element:
    """A new automatic style of an element, made of the one that it had; `name` is the attribute that names it."""
    styles = root.find(f"{OFFICE}automatic-styles")
    if styles is None:
        styles = etree.Element(f"{OFFICE}automatic-styles")
        root.insert(0, styles)
    old = element.get(name)
    known = [one for one in styles.iter(f"{STYLE}style") if one.get(f"{STYLE}name") == old]
    if known:
        new = copy.deepcopy(known[0])
    else:
        new = etree.Element(f"{STYLE}style", {f"{STYLE}family": family})
        if old is not None:
            new.set(f"{STYLE}parent-style-name", old)
    new.set(f"{STYLE}name", _MINE)
    styles.append(new)
    element.set(name, _MINE)
    return new


def look(
    tag: str, part: str, change: Callable[[_Element], None], words: str,
    chosen: Callable[[_Element], bool] = has_text,
) -> Callable[[Parts, About], Change]:  # fmt: skip
    """An operator's function that gives elements of one name another look; `part` is the style's part to change."""
    family, what = _FAMILIES[tag]
    name = f"{TABLE if tag.startswith(TABLE) else TEXT}style-name"

    def changed(parts: Parts, about: About) -> Change:
        for root, element in places(parts, about, tag, chosen=chosen):
            style = _own_style(root, element, name, family)
            inner = style.find(f"{STYLE}{part}")
            change(etree.SubElement(style, f"{STYLE}{part}") if inner is None else inner)
            yield parts.having(CONTENT, root), f"{told(said(element))} {words}"

    changed.__doc__ = f"A {what} {words}."
    return changed


def toggled(name: str, on: str, off: str) -> Callable[[_Element], None]:
    """A change that switches a part of a style on or off."""

    def change(inner: _Element) -> None:
        inner.set(name, off if inner.get(name, off) != off else on)

    return change


def setting(values: Mapping[str, str]) -> Callable[[_Element], None]:
    """A change that gives a style's part these attributes."""

    def change(inner: _Element) -> None:
        for name, value in values.items():
            inner.set(name, value)

    return change


def _size(inner: _Element) -> None:
    old = inner.get(f"{FO}font-size", "12pt").removesuffix("pt")
    inner.set(f"{FO}font-size", f"{float(old) + 2:g}pt" if old.replace(".", "", 1).isdigit() else "14pt")


_RUNS: dict[str, tuple[Callable[[_Element], None], str]] = {
    "bold": (toggled(f"{FO}font-weight", "bold", "normal"), "is bold, or no longer bold"),
    "italic": (toggled(f"{FO}font-style", "italic", "normal"), "is italic, or no longer italic"),
    "underline": (toggled(f"{STYLE}text-underline-style", "solid", "none"), "is underlined, or no longer underlined"),
    "size": (_size, "is two points larger"),
    "font": (setting({f"{STYLE}font-name": "Impact", f"{FO}font-family": "Impact"}), "has a different font"),
    "colour": (setting({f"{FO}color": "#12ab34"}), "has a different colour"),
    "highlight": (setting({f"{FO}background-color": "#ffff00"}), "is highlighted in yellow"),
}
for _name, (_change, _words) in _RUNS.items():
    operator(f"odf/{_name}", kind="odf", must="fail")(look(f"{TEXT}span", "text-properties", _change, _words, _flows))
_ALIGNED = {"center": "end", "end": "start", "right": "left", "left": "center", "start": "center"}


def _align(inner: _Element) -> None:
    inner.set(f"{FO}text-align", _ALIGNED.get(inner.get(f"{FO}text-align", "start"), "center"))


_OF_PARAGRAPHS: dict[str, tuple[Callable[[_Element], None], str]] = {
    "alignment": (_align, "has a different alignment"),
    "spacing": (setting({f"{FO}line-height": "270%", f"{FO}margin-top": "17pt"}), "has different line spacing"),
    "indent": (setting({f"{FO}margin-left": "55pt", f"{FO}text-indent": "11pt"}), "is indented"),
}
for _name, (_change, _words) in _OF_PARAGRAPHS.items():
    operator(f"odf/{_name}", kind="odf", must="fail")(look(f"{TEXT}p", "paragraph-properties", _change, _words, _flows))


@operator("odf/style", kind="odf", must="fail")
def style(parts: Parts, about: About) -> Change:
    """A paragraph has a different style."""
    for root, paragraph in places(parts, about, f"{TEXT}p", chosen=_flows):
        paragraph.set(f"{TEXT}style-name", "Quotations")
        yield parts.having(CONTENT, root), f"{told(said(paragraph))} has the style Quotations"


@operator("odf/split-spans", kind="odf", must="stay")
def split_spans(parts: Parts, about: About) -> Change:
    """A run is split into two with the same formatting."""
    for root, span in places(parts, about, f"{TEXT}span", 2, lambda one: not len(one) and len(one.text or "") > 3):
        whole = span.text or ""
        second = copy.deepcopy(span)
        span.text, second.text = whole[: len(whole) // 2], whole[len(whole) // 2 :]
        span.tail = None
        span.addnext(second)
        yield parts.having(CONTENT, root), f"{told(whole)} is two runs with the same formatting"


@operator("odf/style-names", kind="odf", must="stay")
def style_names(parts: Parts, about: About) -> Change:
    """Its automatic styles have different names."""
    root = parts.xml(CONTENT)
    styles = root.find(f"{OFFICE}automatic-styles")
    names = [one.get(f"{STYLE}name") for one in styles.iter(f"{STYLE}style")] if styles is not None else []
    for element in root.iter(etree.Element):
        for key, value in element.attrib.items():
            if str(key).endswith(("}style-name", "}name")) and value in names and _names_a_style(element, str(key)):
                element.set(key, f"{value!s}_2")
    if names:
        yield parts.having(CONTENT, root), "its automatic styles have different names"


def _names_a_style(element: _Element, key: str) -> bool:
    return key.endswith("}style-name") or (key == f"{STYLE}name" and element.tag == f"{STYLE}style")
