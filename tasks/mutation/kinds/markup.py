"""XML and HTML files. The model is the root element, and every change is made to a copy."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lxml import etree

from deskbench.tasks.metrics.support.packages import Unreadable, parse_xml
from deskbench.tasks.mutation.kinds.settings import neighbours
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

if TYPE_CHECKING:
    from lxml.etree import _Element

    Change = Iterator[tuple[_Element, str]]


def _read(raw: Raw) -> _Element:
    try:
        return parse_xml(raw)
    except Unreadable as error:
        raise Unlike(str(error)) from None


def _write(model: _Element, raw: Raw) -> Raw:
    if isinstance(raw, str):
        return etree.tostring(model.getroottree(), encoding="unicode")
    declared = raw.lstrip().startswith(b"<?xml")
    return bytes(etree.tostring(model.getroottree(), encoding="utf-8", xml_declaration=declared))


def _key(model: _Element) -> list[str]:
    """The content, without comments and white space between elements."""
    lines = []
    for element in model.iter(etree.Element):
        depth = sum(1 for _ in element.iterancestors())
        attributes = "".join(f" {name!s}={value!r}" for name, value in sorted(element.items()))
        texts = [" ".join((text or "").split()) for text in (element.text, element.tail)]
        lines.append(f"{'  ' * depth}{_name(element)}{attributes}: {texts[0]} / {texts[1]}")
    return lines


kind("xml", "XML and HTML files", read=_read, write=_write, key=_key)


def _elements(root: _Element, about: About) -> list[tuple[int, _Element]]:
    """The elements that matter to the task by name and text, with their positions in the document."""
    found = enumerate(root.iter(etree.Element))
    return [(place, element) for place, element in found if place and _matters(element, about)]


def _matters(element: _Element, about: About) -> bool:
    """By its name and text. An empty element of a program's settings sets nothing that a task could be about."""
    text = (element.text or "").strip()
    if about.settings and not (text or len(element) or element.attrib):
        return False
    return about.matters(_name(element), text)


def _name(element: _Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _copied(root: _Element, place: int) -> tuple[_Element, _Element]:
    """A copy of the document, and the element at a position."""
    new = copy.deepcopy(root)
    return new, next(element for number, element in enumerate(new.iter(etree.Element)) if number == place)


def _taken_out(element: _Element) -> _Element:
    """Remove an element but keep the text after it; returns the parent."""
    parent = element.getparent()
    assert parent is not None
    before = element.getprevious()
    if before is None:
        parent.text = (parent.text or "") + (element.tail or "")
    else:
        before.tail = (before.tail or "") + (element.tail or "")
    parent.remove(element)
    element.tail = None
    return parent


def _texts(root: _Element, about: About) -> list[tuple[int, _Element]]:
    return [(place, e) for place, e in _elements(root, about) if (e.text or "").strip() and len(e) == 0]


@operator("xml/drop-element", kind="xml", must="fail")
def drop_element(root: _Element, about: About) -> Change:
    """An element is missing."""
    for place, old in about.some(_elements(root, about)):
        new, element = _copied(root, place)
        _taken_out(element)
        yield new, f"the element {_name(old)} (number {place}) is missing"


@operator("xml/change-text", kind="xml", must="fail")
def change_text(root: _Element, about: About) -> Change:
    """An element's text is different."""
    for place, old in about.some(_texts(root, about)):
        text = (old.text or "").strip()
        for value in neighbours(text):
            new, element = _copied(root, place)
            element.text = value
            yield new, f"{_name(old)} (number {place}) is {value}, not {text}"


@operator("xml/comment-out", kind="xml", must="fail")
def comment_out(root: _Element, about: About) -> Change:
    """An element is commented out."""
    for place, old in about.some(list(_texts(root, about)), 3):
        new, element = _copied(root, place)
        text = re.sub("-{2,}", "-", etree.tostring(element, encoding="unicode", with_tail=False))
        comment = etree.Comment(re.sub(r' xmlns(:\w+)?="[^"]*"', "", text))
        comment.tail = element.tail
        element.getparent().replace(element, comment)  # type: ignore[union-attr]
        yield new, f"the element {_name(old)} (number {place}) is commented out"


@operator("xml/move", kind="xml", must="fail")
def move(root: _Element, about: About) -> Change:
    """An element is moved into the root, at the end of the document."""
    for place, old in about.some([(p, e) for p, e in _elements(root, about) if e.getparent() is not root], 3):
        new, element = _copied(root, place)
        _taken_out(element)
        new.append(element)
        yield new, f"the element {_name(old)} (number {place}) is at the end of {_name(root)}"


@operator("xml/rename", kind="xml", must="fail")
def rename(root: _Element, about: About) -> Change:
    """An element has a different name."""
    for place, old in about.some(_elements(root, about), 3):
        new, element = _copied(root, place)
        element.tag = f"{old.tag}2"
        yield new, f"the element {_name(old)} (number {place}) is called {_name(old)}2"


@operator("xml/attribute", kind="xml", must="fail")
def attribute(root: _Element, about: About) -> Change:
    """An attribute has a different value, or is missing."""
    found = [(p, name) for p, e in _elements(root, about) for name in map(str, e.keys()) if about.matters(name)]
    for place, name in about.some(found, 3):
        new, element = _copied(root, place)
        old = str(element.get(name))
        element.set(name, neighbours(old)[0])
        yield new, f"{_name(element)}'s {name} is {element.get(name)}, not {old}"
        gone, element = _copied(root, place)
        del element.attrib[name]
        yield gone, f"{_name(element)} has no {name}"


@operator("xml/swap", kind="xml", must="fail")
def swap(root: _Element, about: About) -> Change:
    """Two consecutive elements are swapped; not in a program's settings, where that means nothing."""
    pairs = [] if about.settings else [(p, e) for p, e in _elements(root, about) if e.getnext() is not None]
    for place, _ in about.some(pairs, 3):
        new, element = _copied(root, place)
        after = element.getnext()
        assert after is not None
        after.addnext(element)
        yield new, f"{_name(element)} (number {place}) and the next element are swapped"


@operator("xml/comment", kind="xml", must="stay")
def comment(root: _Element, about: About) -> Change:
    """There is a comment at the end."""
    new = copy.deepcopy(root)
    new.append(etree.Comment(" seen "))
    yield new, f"there is a comment at the end of {_name(root)}"


@operator("xml/attribute-order", kind="xml", must="stay")
def attribute_order(root: _Element, about: About) -> Change:
    """Attributes are in reverse order."""
    new = copy.deepcopy(root)
    for element in new.iter(etree.Element):
        items = list(element.items())
        for name, _ in items:
            del element.attrib[name]
        for name, value in reversed(items):
            element.set(name, value)
    yield new, "the attributes of every element are in reverse order"
