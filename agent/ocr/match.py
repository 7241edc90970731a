"""Find a name among the lines of text on a screen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CLOSE_ENOUGH = 0.84
"""Lowest similarity (difflib's ratio) at which a text counts as the name: OCR sometimes misreads a letter."""


@dataclass(frozen=True)
class Line:
    """A line of text from OCR: box (left, top, right, bottom) in pixels of the picture, confidence 0 to 1."""

    text: str
    box: tuple[int, int, int, int]
    confidence: float = 1.0


@dataclass(frozen=True)
class Found:
    """Where a name was found: how well it matches (0 to 1, more for a separate line), and the box of its words."""

    score: float
    box: tuple[int, int, int, int]

    @property
    def centre(self) -> tuple[int, int]:
        """The centre of the box, in pixels of the picture."""
        left, top, right, bottom = self.box
        return (left + right) // 2, (top + bottom) // 2


def find(label: str, lines: Sequence[Line]) -> Found | None:
    """The best match of a name; separate lines come before words inside a line, earlier lines before later ones."""
    wanted = _plain(label)
    if not wanted:
        return None
    found = [match for line in lines for match in _matches(wanted, line)]
    best = max(found, key=lambda match: match.score, default=None)
    return best if best is not None and best.score >= CLOSE_ENOUGH else None


def right_of(found: Found, lines: Sequence[Line], width: int) -> tuple[int, int]:
    """A point in the field that a label names: the text right of it in the same row, or else just right of it."""
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
    """1 for equal names; short names must be equal, because one wrong letter makes a different name."""
    if one == other:
        return 1.0
    if min(len(one), len(other)) < 4:
        return 0.0
    return difflib.SequenceMatcher(None, one, other).ratio() * 0.99


def _plain(text: str) -> str:
    """The text in lower case, with single spaces, without the dots, colons and underlines at the end of labels."""
    return " ".join(text.casefold().split()).strip(" .:…_*>")


def _part(line: Line, start: int, end: int) -> tuple[int, int, int, int]:
    """The box of some characters of a line, assuming that all characters are equally wide."""
    left, top, right, bottom = line.box
    per = (right - left) / max(len(line.text), 1)
    return int(left + start * per), top, max(int(left + end * per), int(left + start * per) + 1), bottom
