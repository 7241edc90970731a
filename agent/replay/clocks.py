"""Times of day on a screen: they differ between a recording and its replay, and mean nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lxml import etree

from deskbench.agent.replay.screens import Box

_COMPONENT = "{https://accessibility.ubuntu.example.org/ns/component}"
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TIMES = (
    r"\b\d{1,2}[:\u2236]\d{2}\b",  # GTK writes U+2236, the ratio sign
    r"\b(?:Today|Yesterday)\b",
    r"\b\d{4}-\d{2}-\d{2}\b",
    rf"\b\d{{1,2}} (?:{_MONTHS})[a-z]*\b",
)
_TIME = re.compile("|".join(_TIMES))
LONGEST = 60
"""Characters: what is longer is a text in which a time stands, not a clock or a date of a file."""


def time_boxes(tree: str) -> list[Box]:
    """Where an accessibility tree (OSWorld's XML) has short texts that are times or dates."""
    try:
        root = etree.fromstring(tree.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return []
    return [box for node in root.iter() if isinstance(node.tag, str) and _is_time(node) for box in _box(node)]


def _is_time(node: etree._Element) -> bool:
    texts = (node.get("name") or "", node.text or "")
    return any(0 < len(text) <= LONGEST and _TIME.search(text) for text in texts)


def _box(node: etree._Element) -> Iterator[Box]:
    where, size = node.get(_COMPONENT + "screencoord"), node.get(_COMPONENT + "size")
    if where is None or size is None:
        return
    try:
        (x, y), (width, height) = ast.literal_eval(where), ast.literal_eval(size)
    except (ValueError, SyntaxError, TypeError):
        return
    if width > 0 and height > 0:
        yield x, y, x + width, y + height
