"""What an oracle can name on a screen: everything that is there, and what stands at a point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deskbench.envs.targets import SCREEN, Target, boxes
from deskbench.envs.tree import Element, elements

WINDOWS = frozenset({"frame", "dialog", "alert", "file-chooser", "window"})
"""Roles of what has a title bar, as AT-SPI and UI Automation name them."""
POPUPS = frozenset({"menu-item", "check-menu-item", "radio-menu-item", "tearoff-menu-item"})
"""What lies above every window while it is shown."""
WHOLE = POPUPS | {"push-button", "button", "toggle-button", "menu", "page-tab", "icon", "label", "link", "combo-box",
                  "table-cell", "list-item"}  # fmt: skip
"""Roles of things that do the same wherever they are clicked."""
PLAIN = frozenset({"filler", "panel", "scroll-pane", "viewport", "layered-pane", "split-pane", "root-pane", "unknown"})
"""Roles that only hold others: no name for a person."""
MAX_TEXT = 60
"""Characters of a text that names something; a longer one is content."""
SLACK = 0.2
"""How far from the centre, as a part of width and height, a point still counts as the centre."""

Box = tuple[int, int, int, int]
"""x, y, width and height in pixels."""


@dataclass(frozen=True)
class Seen:
    """Something on the screen that has a name or a text.

    Attributes:
        role, name, text: as a target writes them.
        box: where it is.
        window: the name of its window, or nothing.
        unique: role and name mean this and nothing else.
    """

    role: str
    name: str
    text: str
    box: Box
    window: str
    unique: bool


def seen(tree: str, screen: tuple[int, int]) -> list[Seen]:
    """What a target can mean on a screen of this width and height, in the tree's order.

    Raises:
        EnvError: the tree cannot be read.
    """
    shown = [(one, box) for one, box in _shown(tree) if _is_on(box, screen) and (one.name or _short(one))]
    found = list(_usable(tree))
    return [
        Seen(one.tag, one.name, _short(one), box, _window_name(one),
             bool(one.name) and sum(other.tag == one.tag and other.name == one.name for other, _ in found) == 1)
        for one, box in shown
    ]  # fmt: skip


def target_at(
    tree: str | None, point: tuple[int, int], screen: tuple[int, int], *, exact: bool = False, covered: bool = False
) -> dict[str, Any]:
    """The target, as an oracle's JSON has it, that means this point of a screen of this width and height.

    Role and name where they mean one thing, else its text, else its place in the named window, else on the screen.

    Args:
        tree: OSWorld's XML, or None where there is none.
        point: x and y in pixels.
        screen: width and height in pixels.
        exact: the target leads to this very pixel, as a drag wants it.
        covered: something lies above everything that the tree shows, so that only the place is known.

    Raises:
        EnvError: the tree cannot be read.
    """
    hits = sorted(_hits(tree, point), key=_order) if tree else []
    for element, box in hits[: not covered]:
        for fields in _names(element):
            if list(boxes(tree or "", Target(**fields))) == [box]:
                return {**fields, **(_from_corner(box, point) if exact else _offset(element.tag, box, point))}
    for element, box in hits:
        fields = {"role": element.tag, "name": element.name}
        if element.tag in WINDOWS and element.name and list(boxes(tree or "", Target(**fields))) == [box]:
            return {**fields, **_from_corner(box, point)}
    return {"role": SCREEN, **_from_corner((0, 0, *screen), point)}


def shows_popups(tree: str | None) -> bool:
    """Whether the tree has an item of a menu that is open. GTK 2's never has.

    Raises:
        EnvError: the tree cannot be read.
    """
    return any(element.tag in POPUPS for element, _ in _shown(tree)) if tree else False


def submenus_at(tree: str | None, point: tuple[int, int]) -> list[tuple[int, int]]:
    """Centres of the menus over which the pointer went on its way to an item of a menu in a menu, outermost first.

    Raises:
        EnvError: the tree cannot be read.
    """
    hits = sorted(_hits(tree, point), key=_order) if tree else []
    if not hits or (hits[0][0].tag not in POPUPS and hits[0][0].tag != "menu"):
        return []
    menus = [one for one in hits[0][0].above() if one.tag == "menu" and one.name and one.box]
    inner = [one for one in menus if any(above.tag == "menu" for above in one.above())]
    return [(box[0] + box[2] // 2, box[1] + box[3] // 2) for one in reversed(inner) if (box := one.box)]


def _names(element: Element) -> Iterator[dict[str, Any]]:
    """The ways to name an element, the best first."""
    window, text = _window_name(element), _short(element)
    within: list[dict[str, Any]] = [{}, *([{"within": window}] if window and element.tag not in WINDOWS else [])]
    if element.tag in PLAIN and not element.name:
        return
    if element.name:
        yield from ({"role": element.tag, "name": element.name, **where} for where in within)
    if text:
        yield from ({"text": text, **where} for where in within)
        yield from ({"role": element.tag, "text": text, **where} for where in within)
    if not element.name:
        yield from ({"role": element.tag, **where} for where in within)


def _offset(role: str, box: Box, point: tuple[int, int]) -> dict[str, Any]:
    x, y, width, height = box
    centred = abs(point[0] - x - width / 2) <= SLACK * width and abs(point[1] - y - height / 2) <= SLACK * height
    return {} if role in WHOLE or centred else _from_corner(box, point)


def _from_corner(box: Box, point: tuple[int, int]) -> dict[str, Any]:
    return {"at": [0, 0], "dx": point[0] - box[0], "dy": point[1] - box[1]}


def _hits(tree: str | None, point: tuple[int, int]) -> Iterator[tuple[Element, Box]]:
    for element, box in _shown(tree or ""):
        x, y, width, height = box
        if x <= point[0] < x + width and y <= point[1] < y + height:
            yield element, box


def _order(hit: tuple[Element, Box]) -> tuple[bool, bool, int]:
    """Menus lie above windows, the active window above the others, what is small above what holds it."""
    element, box = hit
    window = _window(element)
    return element.tag not in POPUPS, window is None or not window.has("active"), box[2] * box[3]


def _usable(tree: str) -> Iterator[tuple[Element, Box]]:
    """What the oracle may find (`envs.targets.boxes`)."""
    for element in elements(tree):
        box = element.box
        if box and (element.has("sensitive") or element.has("enabled")) and box[0] + box[2] > 0 and box[1] + box[3] > 0:
            yield element, box


def _shown(tree: str) -> Iterator[tuple[Element, Box]]:
    return (hit for hit in _usable(tree) if hit[0].platform != "ubuntu" or hit[0].has("showing"))


def _is_on(box: Box, screen: tuple[int, int]) -> bool:
    return box[0] < screen[0] and box[1] < screen[1]


def _short(element: Element) -> str:
    text = element.text
    return text if len(text) <= MAX_TEXT and "\n" not in text else ""


def _window(element: Element) -> Element | None:
    if element.tag in WINDOWS:
        return element
    return next((one for one in element.above() if one.tag in WINDOWS), None)


def _window_name(element: Element) -> str:
    window = _window(element)
    return window.name if window is not None else ""
