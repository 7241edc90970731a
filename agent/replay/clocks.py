"""Find clocks and dates on a screen: they differ between a recording and its replay, but do not count."""

from __future__ import annotations

import re

from deskbench.agent.replay.screens import Box
from deskbench.envs.errors import EnvError
from deskbench.envs.tree import Element, elements

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TIMES = (
    r"\b\d{1,2}[:\u2236]\d{2}\b",  # GTK writes U+2236, the ratio sign
    r"\b(?:Today|Yesterday)\b",
    r"\b\d{4}-\d{2}-\d{2}\b",
    rf"\b\d{{1,2}} (?:{_MONTHS})[a-z]*\b",
)
_TIME = re.compile("|".join(_TIMES))
LONGEST = 60
"""Characters: a longer text contains a time, but is not a clock or the date of a file."""


def time_boxes(tree: str) -> list[Box]:
    """The boxes of short texts with times or dates in an accessibility tree (OSWorld's XML); none if it is broken."""
    try:
        boxes = [element.box for element in elements(tree) if _is_time(element)]
    except EnvError:
        return []
    return [(x, y, x + width, y + height) for x, y, width, height in filter(None, boxes)]


def _is_time(element: Element) -> bool:
    texts = (element.name, element.text, element.value)
    return any(0 < len(text) <= LONGEST and _TIME.search(text) for text in texts)
