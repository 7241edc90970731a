"""The accessibility tree as a table for a model: OSWorld's filter and columns, with its slips mended.

Which things are kept and which columns they get follows OSWorld's linearisation; class and description are read from
the namespace of the tree's own platform (OSWorld reads Windows' for every tree, so they are always empty there).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from deskbench.agent.models.tokens import Budget, Fitted, fit_lines
from deskbench.agent.prompting.scaling import Scale
from deskbench.envs.errors import EnvError

COLUMNS = ("tag", "name", "text", "class", "description", "position (top-left x&y)", "size (w&h)")
_PLATFORMS = ("ubuntu", "windows", "macos")
_STARTS = ("document",)
_ENDS = (
    "item", "button", "heading", "label", "scrollbar", "searchbox", "textbox", "link", "tabelement", "textfield",
    "textarea", "menu",
)  # fmt: skip
_WHOLE = frozenset(
    """
    alert canvas check-box combo-box entry icon image paragraph scroll-bar section slider static table-cell terminal
    text netuiribbontab start trayclockwclass traydummysearchcontrol uiimage uiproperty uiribboncommandbar
    """.split()
)
_USABLE = ("enabled", "editable", "expandable", "checkable")


@dataclass(frozen=True)
class Node:
    """One thing on the screen: what it is, and its box (x, y, width, height) in pixels of the screen."""

    tag: str
    name: str
    text: str
    class_name: str
    description: str
    box: tuple[int, int, int, int]


def nodes(xml: str) -> Iterator[Node]:
    """The things of a tree that a person could see and use, in the tree's order.

    Raises:
        EnvError: it is not XML.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(xml.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise EnvError(f"the accessibility tree is not XML: {error}") from None
    platform = _platform(root)
    for element in root.iter(etree.Element):
        node = _node(element, platform)
        if node is not None:
            yield node


def linearize(xml: str, scale: Scale, budget: Budget) -> Fitted:
    """The tree as lines of tab-separated columns, positions in pixels of the picture.

    Args:
        xml: OSWorld's XML.
        scale: from the screen to the picture.
        budget: after which whole lines are left out; how many is said at the end.
    """
    return fit_lines("\t".join(COLUMNS), [_line(node, scale) for node in nodes(xml)], budget)


def quoted(text: str) -> str:
    """A cell: as it is, or in double quotes when it is empty or holds a tab, a line end or a quote (as CSV does)."""
    if text and not any(c in text for c in '\t\n\r"'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _line(node: Node, scale: Scale) -> str:
    x, y, width, height = node.box
    (left, top), (right, bottom) = scale.to_image(x, y), scale.to_image(x + width, y + height)
    where, size = f"({left}, {top})", f"({max(right - left, 1)}, {max(bottom - top, 1)})"
    cells = (node.tag, _flat(node.name), quoted(node.text), node.class_name, _flat(node.description), where, size)
    return "\t".join(cells)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _platform(root: etree._Element) -> str:
    spaces = " ".join(uri for element in root.iter(etree.Element) for uri in element.nsmap.values())
    return next((p for p in _PLATFORMS if f"accessibility.{p}." in spaces), _PLATFORMS[0])


def _node(element: etree._Element, platform: str) -> Node | None:
    tag = str(element.tag)
    if not _is_widget(tag.lower()) or not _is_shown(element, platform):
        return None
    name = element.get("name") or ""
    text = element.text or ""
    if platform == "windows":
        text = element.get(_in(platform, "value") + "value") or text
    box = _box(element, platform)
    if not (name.strip() or text.strip()) or box is None:
        return None
    attributes = _in(platform, "attributes")
    class_name = element.get(attributes + "class") or element.get(_in(platform, "class") + "class") or ""
    return Node(tag, name, text, class_name, element.get(attributes + "description") or "", box)


def _is_widget(tag: str) -> bool:
    return tag.startswith(_STARTS) or tag.endswith(_ENDS) or tag in _WHOLE


def _is_shown(element: etree._Element, platform: str) -> bool:
    state = _in(platform, "state")

    def has(name: str) -> bool:
        return element.get(state + name) == "true"

    if platform == "macos":
        return True  # its trees carry no states
    if not has("visible") or (platform == "ubuntu" and not has("showing")):
        return False
    return any(has(name) for name in _USABLE)


def _box(element: etree._Element, platform: str) -> tuple[int, int, int, int] | None:
    component = _in(platform, "component")
    where, size = _pair(element.get(component + "screencoord")), _pair(element.get(component + "size"))
    if where is None or size is None or min(where) < 0 or min(size) <= 0:
        return None
    return *where, *size


def _pair(text: str | None) -> tuple[int, int] | None:
    """`(x, y)` as written by the machine under test: read as a literal, never run."""
    try:
        x, y = ast.literal_eval(text or "")
        return int(x), int(y)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
        return None


def _in(platform: str, space: str) -> str:
    return f"{{https://accessibility.{platform}.example.org/ns/{space}}}"
