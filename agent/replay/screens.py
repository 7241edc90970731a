"""Find where two screenshots differ, and ignore carets, clocks and parts that move by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are exclusive."""

STEP = 24
"""Of 255: a channel must differ by more than this. The eye does not see smaller differences side by side."""
SPECK = 4
"""Pixels: a smaller difference does not count."""
CELL = 8
"""Pixels: differences closer than this are merged."""
CARET_WIDTH, CARET_HEIGHTS = 3, range(6, 64)
"""Pixels of a text caret as toolkits draw it: a bar one to three pixels wide and as high as a line of text."""
SMALL = 0.005
"""Share of the screen: a smaller difference before the first action is a clock or something similar."""
MARGIN = 24
"""Pixels by which to grow such a place: often only one digit of a clock differs."""


@dataclass(frozen=True)
class Difference:
    """How two screenshots differ.

    Attributes:
        share: share of all pixels that differ and count (0 to 1): the perceptual distance.
        boxes: places that differ and count.
        ignored: places that differ but do not count: carets and everything inside a mask.
    """

    share: float
    boxes: tuple[Box, ...] = ()
    ignored: tuple[Box, ...] = ()

    @property
    def same(self) -> bool:
        """Whether no difference counts."""
        return not self.boxes


def compare(one: Image.Image, other: Image.Image, masks: Sequence[Box] = ()) -> Difference:
    """Compare two screenshots; places that are entirely inside a mask do not count."""
    if one.size != other.size:
        return Difference(1.0, ((0, 0, *one.size),))
    changed = _changed(one, other)
    counted: list[Box] = []
    ignored: list[Box] = []
    pixels = 0
    for box in _places(changed):
        size = changed.crop(box).histogram()[255]
        if size < SPECK:
            continue
        if _is_caret(box) or any(_within(box, mask) for mask in masks):
            ignored.append(box)
        else:
            counted.append(box)
            pixels += size
    return Difference(pixels / (one.width * one.height), tuple(counted), tuple(ignored))


def moving(pairs: Iterable[tuple[Image.Image, Image.Image]]) -> list[Box]:
    """Masks for parts that changed although nothing was done: small places that differ within a pair, enlarged."""
    masks = []
    for one, other in pairs:
        if one.size == other.size:
            limit = SMALL * one.width * one.height
            masks += [_grown(box) for box in compare(one, other).boxes if _area(box) <= limit]
    return masks


def picture(one: Image.Image, other: Image.Image, difference: Difference) -> Image.Image:
    """Both screenshots side by side, with red frames for differences that count and grey frames for the others."""
    width = one.width + other.width + CELL
    sheet = Image.new("RGB", (width, max(one.height, other.height)), "white")
    draw = ImageDraw.Draw(sheet)
    for image, left in ((one, 0), (other, one.width + CELL)):
        sheet.paste(image, (left, 0))
        for boxes, colour in ((difference.ignored, "grey"), (difference.boxes, "red")):
            for x0, y0, x1, y1 in boxes:
                draw.rectangle((left + x0 - 3, y0 - 3, left + x1 + 2, y1 + 2), outline=colour, width=2)
    return sheet


def _changed(one: Image.Image, other: Image.Image) -> Image.Image:
    """A picture that is 255 where any channel differs visibly, else 0."""
    red, green, blue = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return most.point([0 if value <= STEP else 255 for value in range(256)])


def _places(changed: Image.Image) -> list[Box]:
    """The boxes of connected areas, on a grid of cells."""
    grid = changed.reduce(CELL)  # one pixel in a cell leaves 255/64, which is not 0
    columns = grid.width
    left = {index for index, value in enumerate(grid.tobytes()) if value}
    found = []
    while left:
        cells, edge = set(), [left.pop()]
        while edge:
            cell = edge.pop()
            cells.add(cell)
            near = {n for n in _neighbours(cell, columns) if n in left}
            left -= near
            edge += near
        found.append(_exact(changed, cells, columns))
    return sorted(found)


def _neighbours(cell: int, columns: int) -> Iterable[int]:
    row, column = divmod(cell, columns)
    for r in (row - 1, row, row + 1):
        for c in (column - 1, column, column + 1):
            if 0 <= c < columns:
                yield r * columns + c


def _exact(changed: Image.Image, cells: set[int], columns: int) -> Box:
    rows, cols = [c // columns for c in cells], [c % columns for c in cells]
    x0, y0 = min(cols) * CELL, min(rows) * CELL
    x1, y1 = min((max(cols) + 1) * CELL, changed.width), min((max(rows) + 1) * CELL, changed.height)
    inner = changed.crop((x0, y0, x1, y1)).getbbox()
    assert inner is not None
    return x0 + inner[0], y0 + inner[1], x0 + inner[2], y0 + inner[3]


def _is_caret(box: Box) -> bool:
    return box[2] - box[0] <= CARET_WIDTH and box[3] - box[1] in CARET_HEIGHTS


def _within(box: Box, mask: Box) -> bool:
    return mask[0] <= box[0] and mask[1] <= box[1] and box[2] <= mask[2] and box[3] <= mask[3]


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _grown(box: Box) -> Box:
    return box[0] - MARGIN, box[1] - MARGIN, box[2] + MARGIN, box[3] + MARGIN
