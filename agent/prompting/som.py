"""Set of marks: draw numbered boxes around the screen's elements, so that a model can name them instead of aiming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from deskbench.agent.models.tokens import Budget, Fitted, fit_lines
from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.prompting.tree import Node, nodes, quoted

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels of the picture; right and bottom are the first pixels outside."""


_ROOMY = 12
"""A box with less than this many times a label's area is small: a label inside would hide the element."""


@dataclass(frozen=True)
class Mark:
    """A numbered element: `node` is the element, `box` its place in the picture."""

    number: int
    node: Node
    box: Box

    @property
    def name(self) -> str:
        """Its name in replies: `tag_3`."""
        return f"tag_{self.number}"

    @property
    def centre(self) -> tuple[int, int]:
        """The point that its name stands for, in pixels of the picture."""
        left, top, right, bottom = self.box
        return (left + right) // 2, (top + bottom) // 2


def find_marks(xml: str, scale: Scale, picture: Image.Image) -> list[Mark]:
    """The marks of a screen, numbered from 1 in the tree's order.

    Elements outside the picture get no mark, nor do areas of one plain colour (such as hidden elements that claim to be
    visible). Elements with the same box and tag get one mark.
    """
    marks: list[Mark] = []
    taken = set()
    for node in nodes(xml):
        box = _box(node, scale)
        if box is None or (box, node.tag) in taken or _is_plain(picture, box):
            continue
        taken.add((box, node.tag))
        marks.append(Mark(len(marks) + 1, node, box))
    return marks


def marks_table(marks: Sequence[Mark], budget: Budget) -> Fitted:
    """A table of the numbers: index, tag, name and text, separated by tabs; cut at about the budget's tokens."""
    lines = ["\t".join((str(m.number), m.node.tag, quoted(m.node.name), quoted(m.node.text))) for m in marks]
    return fit_lines("index\ttag\tname\ttext", lines, budget)


def draw_marks(picture: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """A copy of the picture with a thin red box and a white number on black for each mark.

    A number is inside its box if there is room, and beside a small box. It covers no other number and, if possible, no
    other box.
    """
    marked = picture.copy()
    draw = ImageDraw.Draw(marked)
    font = ImageFont.load_default(size=12)
    for mark in marks:
        left, top, right, bottom = mark.box
        draw.rectangle((left, top, right - 1, bottom - 1), outline=(255, 0, 0), width=1)
    placed: list[Box] = []
    boxes = [mark.box for mark in marks]
    for mark in marks:
        ink = draw.textbbox((0, 0), str(mark.number), font=font)
        size = (int(ink[2] - ink[0]) + 4, int(ink[3] - ink[1]) + 4)
        label = _place(mark.box, size, picture.size, placed, boxes)
        placed.append(label)
        draw.rectangle((label[0], label[1], label[2] - 1, label[3] - 1), fill=(0, 0, 0))
        draw.text((label[0] + 2 - ink[0], label[1] + 2 - ink[1]), str(mark.number), font=font, fill=(255, 255, 255))
    return marked


def _place(
    box: Box, size: tuple[int, int], picture: tuple[int, int], placed: Sequence[Box], boxes: Sequence[Box]
) -> Box:
    """The first place where a label covers no earlier label and no other box, or at least no earlier label."""
    width, height = size
    places = [
        (max(0, min(x, picture[0] - width)), max(0, min(y, picture[1] - height)))
        for x, y in _corners(box, width, height)
    ]
    labels = [(x, y, x + width, y + height) for x, y in places]
    free = [label for label in labels if not any(_overlap(label, other) for other in placed)]
    around = [other for other in boxes if other != box and not _holds(other, box)]
    clear = (label for label in free if not any(_overlap(label, other) for other in around))
    return next(clear, (free or labels)[0])


def _corners(box: Box, width: int, height: int) -> list[tuple[int, int]]:
    """Candidates for a label's top left corner, best first: where it hides least of its box, or outside a small box.

    Text begins at the left of a low box, and icons have their text at the bottom (where OSWorld puts its labels).
    """
    left, top, right, bottom = box
    low = bottom - top < 3 * height
    inside = [(left, top), (right - width, top), (left, bottom - height), (right - width, bottom - height)]
    inside = [inside[3], inside[1], inside[2], inside[0]] if low else inside
    outside = [(left - width, top), (left, top - height), (left, bottom), (right, top), (right - width, top - height)]
    is_small = (right - left) * (bottom - top) < _ROOMY * width * height
    return [*outside, *inside] if is_small else [*inside, *outside]


def _holds(one: Box, other: Box) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] and one[2] >= other[2] and one[3] >= other[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _box(node: Node, scale: Scale) -> Box | None:
    x, y, width, height = node.box
    screen_width, screen_height = scale.screen
    if x >= screen_width or y >= screen_height:
        return None
    left, top = scale.to_image(x, y)
    right, bottom = scale.to_image(min(x + width, screen_width) - 1, min(y + height, screen_height) - 1)
    return left, top, right + 1, bottom + 1


def _is_plain(picture: Image.Image, box: Box) -> bool:
    return all(low == high for low, high in picture.crop(box).getextrema())  # type: ignore[misc]
