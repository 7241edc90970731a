"""Elements on the screen as OSWorld's XML, in its dialects for Windows and macOS."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

_SHARED = {
    "st": "state", "attr": "attributes", "cp": "component", "doc": "document", "txt": "text", "val": "value",
    "act": "action",
}  # fmt: skip
PREFIXES = {
    "windows": {**_SHARED, "docattr": "document/attributes", "class": "class"},
    "macos": {**_SHARED, "role": "role"},
}
"""Prefixes and the ends of their namespaces, as in OSWorld's server."""
# Characters that XML 1.0 cannot hold at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_A_NAME = re.compile(r"[^\w-]")


@dataclass
class Element:
    """One thing on the screen: a window, a control, an item.

    Attributes:
        tag: its kind; becomes an XML name when it is written.
        attributes: values by prefixed name (`st:enabled`).
        box: x, y, width, height of the visible part, in pixels of the screen.
        text: the element's own text.
    """

    tag: str
    name: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    box: tuple[int, int, int, int] | None = None
    text: str = ""
    children: list[Element] = field(default_factory=list)


def to_xml(platform: str, elements: Iterable[Element]) -> str:
    """The whole document; `platform` is `windows` or `macos`."""
    base = f"https://accessibility.{platform}.example.org/ns/"
    spaces = "".join(f' xmlns:{prefix}="{base}{name}"' for prefix, name in PREFIXES[platform].items())
    parts = [f"<desktop{spaces}>"]
    for element in elements:
        _write(element, parts)
    return "".join([*parts, "</desktop>"])


def truth(value: object) -> str:
    """A state as OSWorld writes it on these platforms: always present, `true` or `false`."""
    return "true" if value else "false"


def tag(name: str) -> str:
    """A class or role as an XML name in lower case, with `tag` in front if it does not begin with a letter."""
    made = _NOT_A_NAME.sub("-", name.strip().lower()) or "unknown"
    return made if made[0].isalpha() else f"tag{made}"


def _write(element: Element, parts: list[str]) -> None:
    name = tag(element.tag)
    parts.append(f"<{name} name={_quoted(element.name)}")
    parts.extend(f" {key}={_quoted(value)}" for key, value in element.attributes.items())
    if element.box is not None:
        x, y, width, height = element.box
        parts.append(f' cp:screencoord="({x}, {y})" cp:size="({width}, {height})"')
    parts.append(">" + escape(_FORBIDDEN.sub("", element.text), {"\r": "&#13;"}))
    for child in element.children:
        _write(child, parts)
    parts.append(f"</{name}>")


def _quoted(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("", text))
