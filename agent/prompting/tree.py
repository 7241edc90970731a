"""The accessibility tree as a table for a model, with OSWorld's filter and columns but without its mistakes.

The kept elements and their columns follow OSWorld's linearisation. Class and description come from the namespace of
the tree's own platform (OSWorld reads Windows' namespace for every tree, so there they are always empty).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deskbench.agent.models.tokens import Budget, Fitted, fit_lines
from deskbench.agent.prompting.scaling import Scale
from deskbench.envs.tree import Element, elements

COLUMNS = ("tag", "name", "text", "class", "description", "position (top-left x&y)", "size (w&h)")
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
    """One element on the screen, with its box (x, y, width, height) in pixels of the screen."""

    tag: str
    name: str
    text: str
    class_name: str
    description: str
    box: tuple[int, int, int, int]


def nodes(xml: str) -> Iterator[Node]:
    """The elements of a tree that a person could see and use, in the tree's order.

    Raises:
        EnvError: the tree is not XML.
    """
    for element in elements(xml):
        node = _node(element)
        if node is not None:
            yield node


def linearize(xml: str, scale: Scale, budget: Budget) -> Fitted:
    """The tree as lines of tab-separated columns, positions in pixels of the picture.

    Args:
        xml: OSWorld's XML.
        scale: the scale from the screen to the picture.
        budget: beyond it, whole lines are left out; the last line says how many.
    """
    return fit_lines("\t".join(COLUMNS), [_line(node, scale) for node in nodes(xml)], budget)


def quoted(text: str) -> str:
    """A cell: unchanged, or in double quotes if it is empty or contains a tab, a line end or a quote (as in CSV)."""
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


def _node(element: Element) -> Node | None:
    if not _is_widget(element.tag.lower()) or not _is_shown(element):
        return None
    name, text, box = element.name, element.value, element.box
    if not (name.strip() or text.strip()) or box is None or min(box) < 0:
        return None
    class_name = element.get("attributes", "class") or element.get("class", "class") or ""
    return Node(element.tag, name, text, class_name, element.get("attributes", "description") or "", box)


def _is_widget(tag: str) -> bool:
    return tag.startswith(_STARTS) or tag.endswith(_ENDS) or tag in _WHOLE


def _is_shown(element: Element) -> bool:
    if element.platform == "macos":
        return True  # its trees have no states
    if not element.has("visible") or (element.platform == "ubuntu" and not element.has("showing")):
        return False
    return any(map(element.has, _USABLE))
