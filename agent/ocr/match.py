"""Finding a name among the lines of text on a screen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CLOSE_ENOUGH = 0.84
"""Least similarity (difflib's ratio) at which a reading counts as the name: OCR slips a letter now and then."""


@dataclass(frozen=True)
class Line:
    """A line of text as read: box (left, top, right, bottom) in pixels of the picture, confidence 0 to 1."""

    text: str
    box: tuple[int, int, int, int]
    confidence: float = 1.0


@dataclass(frozen=True)
class Found:
    """Where a name was read: how well it matches (0 to 1, more for a line of its own), and the box of its words."""

    score: float
    box: tuple[int, int, int, int]

    @property
    def centre(self) -> tuple[int, int]:
        """Its middle, in pixels of the picture."""
        left, top, right, bottom = self.box
        return (left + right) // 2, (top + bottom) // 2


def find(label: str, lines: Sequence[Line]) -> Found | None:
    """The best match of a name; a line of its own before words within a line, the first read before later ones."""
    wanted = _plain(label)
    if not wanted:
        return None
    found = [match for line in lines for match in _matches(wanted, line)]
    best = max(found, key=lambda match: match.score, default=None)
    return best if best is not None and best.score >= CLOSE_ENOUGH else None


def right_of(found: Found, lines: Sequence[Line], width: int) -> tuple[int, int]:
    """A point in the field that a label names: what stands right of it on its row, else a little to its right."""
    _, y = found.centre
    right, height = found.box[2], found.box[3] - found.box[1]
    beside = [
        line.box for line in lines if line.box[1] <= y < line.box[3] and right <= line.box[0] <= right + 12 * height
    ]
    if beside:
        left, _, end, _ = min(beside)
        return (left + end) // 2, y
    return min(right + 3 * height, width - 1), y


def _matches(wanted: str, line: Line) -> Iterator[Found]:
    words = [(m.start(), m.end()) for m in re.finditer(r"\S+", line.text)]
    count = len(wanted.split())
    whole = _similar(wanted, _plain(line.text))
    yield Found(whole + 0.05, line.box)
    for size in {count, max(1, count - 1), count + 1}:
        for first in range(len(words) - size + 1):
            start, end = words[first][0], words[first + size - 1][1]
            score = _similar(wanted, _plain(line.text[start:end]))
            if score >= CLOSE_ENOUGH:
                yield Found(score, _part(line, start, end))


def _similar(one: str, other: str) -> float:
    """1 for the same; short names must be the same, since one wrong letter makes another name of them."""
    if one == other:
        return 1.0
    if min(len(one), len(other)) < 4:
        return 0.0
    return difflib.SequenceMatcher(None, one, other).ratio() * 0.99


def _plain(text: str) -> str:
    """Lower case, spaces single, without the dots, colons and underlines that labels end in."""
    return " ".join(text.casefold().split()).strip(" .:…_*>")


def _part(line: Line, start: int, end: int) -> tuple[int, int, int, int]:
    """The box of some characters of a line, taking all characters as equally wide."""
    left, top, right, bottom = line.box
    per = (right - left) / max(len(line.text), 1)
    return int(left + start * per), top, max(int(left + end * per), int(left + start * per) + 1), bottom
