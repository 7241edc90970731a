"""The accessibility tree as a desktop sends it: OSWorld's XML, in the dialect of Ubuntu, Windows or macOS.

The XML comes from the machine under test, so nothing in it is trusted. Entities are not expanded, nothing external is
loaded, and libxml2's own limits on depth and text length apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from deskbench.envs.errors import EnvError

PLATFORMS = ("ubuntu", "windows", "macos")
_NUMBER = r"\s*([-+]?\d{1,9})(?:\.\d*)?\s*"
_PAIR = re.compile(rf"\({_NUMBER},{_NUMBER}\)")


@dataclass(frozen=True)
class Element:
    """One element of a tree.

    Attributes:
        node: lxml's element.
        platform: the tree's platform, which determines the namespaces of its attributes.
    """

    node: etree._Element
    platform: str

    @property
    def tag(self) -> str:
        """Its role."""
        return str(self.node.tag)

    @property
    def name(self) -> str:
        """Its name, or an empty string."""
        return self.node.get("name") or ""

    @property
    def text(self) -> str:
        """Its own text, or an empty string."""
        return self.node.text or ""

    @property
    def value(self) -> str:
        """Its value: Windows' trees write it as an attribute, other trees as text."""
        return (self.platform == "windows" and self.get("value", "value")) or self.text

    def get(self, space: str, name: str) -> str | None:
        """An attribute of one of the platform's namespaces (`state`, `component`, `attributes`, `value`, ...)."""
        return self.node.get(f"{{https://accessibility.{self.platform}.example.org/ns/{space}}}{name}")

    def has(self, state: str) -> bool:
        """Whether it is in a state (`visible`, `enabled`, ...)."""
        return self.get("state", state) == "true"

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """x, y, width and height in screen pixels; None for an element without a position or an area."""
        where, size = _pair(self.get("component", "screencoord")), _pair(self.get("component", "size"))
        return (*where, *size) if where and size and min(size) > 0 else None

    def above(self) -> Iterator[Element]:
        """The elements that contain it, innermost first."""
        return (Element(node, self.platform) for node in self.node.iterancestors())


def elements(xml: str) -> Iterator[Element]:
    """Every element of a tree, in the tree's order.

    Raises:
        EnvError: it is not XML, or it is too deep or too long.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(xml.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise EnvError(f"the accessibility tree is not XML: {error}") from None
    platform = _platform(root)
    return (Element(node, platform) for node in root.iter(etree.Element))


def _platform(root: etree._Element) -> str:
    """The platform whose namespaces are declared first; Ubuntu if there are none."""
    for node in root.iter(etree.Element):
        spaces = " ".join(node.nsmap.values())
        for platform in PLATFORMS:
            if f"//accessibility.{platform}." in spaces:
                return platform
    return PLATFORMS[0]


def _pair(text: str | None) -> tuple[int, int] | None:
    """Two numbers, written `(x, y)`."""
    found = _PAIR.fullmatch(text or "")
    return (int(found[1]), int(found[2])) if found else None
