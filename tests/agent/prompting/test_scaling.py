"""A position of one size is a pixel of another: the one that holds it, and never one that is not there."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.prompting.scaling import Scale, pixel_at
from deskbench.agent.replies.spaces import Space

SIDES = st.integers(1, 4000)
SIZES = st.tuples(SIDES, SIDES)


@pytest.mark.parametrize(
    ("at", "size", "pixel"),
    [
        ((0, 0), (1000, 1000), (0, 0)),
        ((999.9, 500), (1000, 1000), (1919, 540)),
        ((1000, 1000), (1000, 1000), (1919, 1079)),  # the far edge
        ((-3, 1e9), (1000, 1000), (0, 1079)),
        ((0.5, 0.5), (1, 1), (960, 540)),
        ((959.99, 0.99), (1920, 1080), (959, 0)),  # down, not to the nearest
    ],
)
def test_the_pixel_that_holds_a_position(
    at: tuple[float, float], size: tuple[float, float], pixel: tuple[int, int]
) -> None:
    assert pixel_at(at, size, (1920, 1080)) == pixel


@given(SIZES, SIZES, st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 4000))
def test_it_is_always_there(size: tuple[int, int], whole: tuple[int, int], x: float, y: float) -> None:
    if math.isfinite(x * whole[0]):
        across, down = pixel_at((x, y), size, whole)
        assert 0 <= across < whole[0] and 0 <= down < whole[1]


@given(SIZES, SIZES, st.data())
def test_a_pixel_of_the_picture_is_read_alike_by_every_agent(
    screen: tuple[int, int], image: tuple[int, int], data: st.DataObject
) -> None:
    x, y = (data.draw(st.integers(0, side)) for side in image)
    assert Space("image", screen, image).place(x, y) == Scale(screen, image).to_screen(x, y)
