"""Set of marks: what is boxed, how it is named, and that the numbers can be read."""

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageChops

from deskbench.agent.models.tokens import Budget
from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.prompting.som import Box, _overlap, _place, draw_marks, find_marks, marks_table

from ..agents.screens import node, picture, tree

BOXES = ((10, 20, 80, 30), (10, 60, 80, 30), (300, 200, 100, 100))
XML = tree(
    node("push-button", "Save", BOXES[0]),
    node("entry", "Name", BOXES[1], text="Ada"),
    node("icon", "Photo", BOXES[2]),
    node("push-button", "Hidden", (500, 300, 50, 50)),
    node("push-button", "Outside", (700, 20, 50, 50)),
)
SAME = Scale((640, 400), (640, 400))


def test_marks_are_numbered_from_one_and_named_by_their_middle() -> None:
    marks = find_marks(XML, SAME, picture(640, 400, *BOXES))
    assert {m.name: m.centre for m in marks} == {"tag_1": (50, 35), "tag_2": (50, 75), "tag_3": (350, 250)}


def test_what_is_one_plain_colour_or_outside_has_no_mark() -> None:
    names = [m.node.name for m in find_marks(XML, SAME, picture(640, 400, *BOXES))]
    assert "Hidden" not in names
    assert "Outside" not in names


def test_the_same_box_is_marked_once() -> None:
    xml = tree(node("push-button", "a", BOXES[0]), node("push-button", "b", BOXES[0]))
    assert len(find_marks(xml, SAME, picture(640, 400, *BOXES))) == 1


def test_the_table_says_what_each_number_is() -> None:
    marks = find_marks(XML, SAME, picture(640, 400, *BOXES))
    assert marks_table(marks, Budget(1000)).text.split("\n") == [
        "index\ttag\tname\ttext",
        '1\tpush-button\tSave\t""',
        "2\tentry\tName\tAda",
        '3\ticon\tPhoto\t""',
    ]


def test_boxes_are_drawn_on_a_copy() -> None:
    plain = picture(640, 400, *BOXES)
    before = plain.copy()
    marked = draw_marks(plain, find_marks(XML, SAME, plain))
    assert ImageChops.difference(plain, before).getbbox() is None
    assert marked.getpixel((60, 20)) == (255, 0, 0)
    assert marked.getpixel((350, 299)) == (255, 0, 0)
    colours = {colour: count for count, colour in marked.getcolors(1 << 20) or []}
    assert colours[0, 0, 0] > 100  # labels


def test_marks_are_in_the_pixels_of_the_picture_that_is_sent() -> None:
    half = Scale((640, 400), (320, 200))
    marks = find_marks(XML, half, half.picture(picture(640, 400, *BOXES)))
    assert marks[0].box == (5, 10, 45, 25)


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(1, 12))
def test_labels_on_a_grid_of_small_boxes_do_not_cover_each_other(columns: int, rows: int) -> None:
    boxes: list[Box] = [
        (40 + 45 * c, 30 + 25 * r, 70 + 45 * c, 45 + 25 * r) for r in range(rows) for c in range(columns)
    ]
    placed: list[Box] = []
    for box in boxes:
        placed.append(_place(box, (16, 12), (640, 400), placed, boxes))
    assert not any(_overlap(a, b) for i, a in enumerate(placed) for b in placed[:i])
    assert all(min(x, y) >= 0 and r <= 640 and b <= 400 for x, y, r, b in placed)
