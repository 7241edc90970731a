"""Screens compared: what counts, what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from deskbench.agent.replay.screens import Box, compare, moving, picture

SIZE = (320, 200)


def screen(*boxes: Box, colour: str = "black", back: str = "white") -> Image.Image:
    image = Image.new("RGB", SIZE, back)
    draw = ImageDraw.Draw(image)
    for x0, y0, x1, y1 in boxes:
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
    return image


def test_the_same_screen_does_not_differ() -> None:
    found = compare(screen((10, 10, 60, 40)), screen((10, 10, 60, 40)))
    assert found.same
    assert (found.share, found.boxes, found.ignored) == (0.0, (), ())


def test_a_difference_is_found_where_it_is_and_measured() -> None:
    found = compare(screen(), screen((40, 50, 90, 80)))
    assert found.boxes == ((40, 50, 90, 80),)
    assert found.share == pytest.approx(50 * 30 / (320 * 200))


def test_things_that_are_apart_are_told_apart() -> None:
    found = compare(screen(), screen((10, 10, 30, 30), (200, 100, 230, 130)))
    assert found.boxes == ((10, 10, 30, 30), (200, 100, 230, 130))


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_caret_does_not_count(width: int) -> None:
    found = compare(screen(), screen((100, 60, 100 + width, 76)))
    assert found.same
    assert found.ignored == ((100, 60, 100 + width, 76),)


def test_a_letter_counts() -> None:
    assert not compare(screen(), screen((100, 60, 106, 70))).same


def test_a_speck_and_a_shade_do_not_count() -> None:
    assert compare(screen(), screen((100, 60, 101, 63))).same
    assert compare(screen(), screen((0, 0, 300, 180), colour="#f0f0f0")).same


def test_a_change_of_colour_alone_counts() -> None:
    assert not compare(screen((0, 0, 50, 50), colour="#ff0000"), screen((0, 0, 50, 50), colour="#0000ff")).same


def test_what_lies_in_a_mask_does_not_count_and_what_reaches_out_of_it_does() -> None:
    clock, wide = (280, 180, 310, 195), (200, 180, 310, 195)
    mask = [(270, 170, 320, 200)]
    assert compare(screen(), screen(clock), mask).same
    assert not compare(screen(), screen(wide), mask).same


def test_what_moves_by_itself_becomes_a_mask_a_little_larger() -> None:
    masks = moving([(screen((280, 180, 290, 195)), screen((284, 180, 290, 195)))])
    assert compare(screen((280, 180, 300, 195)), screen((270, 180, 300, 195)), masks).same


def test_a_window_that_stands_elsewhere_is_no_mask() -> None:
    assert moving([(screen((10, 10, 200, 150)), screen((20, 20, 210, 160)))]) == []


def test_screens_of_other_sizes_differ_wholly() -> None:
    found = compare(screen(), Image.new("RGB", (100, 100)))
    assert (found.share, found.same) == (1.0, False)


def test_the_picture_shows_both_and_frames_the_difference() -> None:
    one, other = screen(), screen((40, 50, 90, 80))
    sheet = picture(one, other, compare(one, other))
    assert sheet.size == (320 + 8 + 320, 200)
    assert sheet.getpixel((37, 60)) == sheet.getpixel((328 + 37, 60)) == (255, 0, 0)


places = st.tuples(st.integers(0, 300), st.integers(0, 180), st.integers(4, 40), st.integers(4, 30))


@given(places)
def test_every_difference_is_inside_what_is_reported_and_the_same_both_ways(place: tuple[int, int, int, int]) -> None:
    x, y, width, height = place
    box = (x, y, min(x + width, 320), min(y + height, 200))
    one, other = screen(), screen(box)
    assert compare(one, other) == compare(other, one)
    found = compare(one, other)
    assert found.boxes + found.ignored == (box,)
