"""Screenshots: the pixels that X shows, the cursor at its position, and the same frame while nothing changes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.server.x11.capture import Screen

pytestmark = pytest.mark.desktop
PATIENCE = 20.0
BLUE, GREEN, RED = 0x2040C0, 0x20C040, (255, 0, 0)
SIDE, HOT_X, HOT_Y = 8, 3, 2


class Painter:
    """A frameless blue window over the whole screen, whose cursor is a red square with a known hot-spot."""

    def __init__(self, display_name: str) -> None:
        from Xlib import X, display

        self.connection = display.Display(display_name)
        screen = self.connection.screen()
        self.size = (screen.width_in_pixels, screen.height_in_pixels)
        shape = screen.root.create_pixmap(SIDE, SIDE, 1)
        shape.fill_rectangle(shape.create_gc(foreground=1), 0, 0, SIDE, SIDE)
        cursor = shape.create_cursor(shape, (65535, 0, 0), (0, 0, 0), HOT_X, HOT_Y)
        self.window = screen.root.create_window(
            0, 0, *self.size, 0, screen.root_depth, X.InputOutput,
            background_pixel=BLUE, override_redirect=True, cursor=cursor,
        )  # fmt: skip
        self.gc = self.window.create_gc(foreground=GREEN)
        self.window.map()
        self.connection.sync()

    def point(self, x: int, y: int) -> None:
        self.connection.screen().root.warp_pointer(x, y)
        self.connection.sync()

    def square(self, x: int, y: int, side: int) -> None:
        self.window.fill_rectangle(self.gc, x, y, side, side)
        self.connection.sync()


@pytest.fixture
def painter(xvfb: Any) -> Iterator[Painter]:
    found = Painter(xvfb.display)
    yield found
    found.connection.close()


@pytest.fixture(scope="module")
def screen(xvfb: Any) -> Screen:
    return Screen(xvfb.display)


def pixels(screen: Screen) -> Any:
    return np.asarray(Image.open(io.BytesIO(screen.capture().png)).convert("RGB"))


def rgb(colour: int) -> tuple[int, int, int]:
    return colour >> 16, colour >> 8 & 255, colour & 255


@pytest.mark.parametrize("at", [(100, 100), (0, 0), (1279, 799), (1, 798), (1278, 0)])
def test_the_cursor_lies_with_its_hot_spot_at_the_pointer_and_is_cut_at_edges(
    screen: Screen, painter: Painter, at: tuple[int, int]
) -> None:
    painter.point(*at)
    width, height = painter.size
    expected = np.full((height, width, 3), rgb(BLUE), np.uint8)
    left, top = at[0] - HOT_X, at[1] - HOT_Y
    expected[max(top, 0) : top + SIDE, max(left, 0) : left + SIDE] = RED
    wait.until(lambda: np.array_equal(pixels(screen), expected), timeout=PATIENCE)
    assert np.array_equal(pixels(screen), expected)
    assert screen.capture().cursor == screen.cursor() == at


def test_what_is_drawn_is_seen_to_the_pixel(screen: Screen, painter: Painter) -> None:
    painter.point(600, 600)
    painter.square(200, 100, 50)

    def green() -> Any:
        return np.argwhere((pixels(screen) == rgb(GREEN)).all(axis=2))

    assert wait.until(lambda: len(green()) == 50 * 50, timeout=PATIENCE)
    assert green().min(axis=0).tolist() == [100, 200]
    assert green().max(axis=0).tolist() == [149, 249]


def test_a_frame_is_named_by_its_bytes_and_answered_again_while_nothing_changes(
    screen: Screen, painter: Painter
) -> None:
    painter.point(600, 600)
    # The window may still be drawing; two identical frames show that it has finished.
    assert wait.until(lambda: screen.capture() is screen.capture(), timeout=PATIENCE)
    first = screen.capture()
    assert first.sha256 == hashlib.sha256(first.png).hexdigest()
    painter.square(10, 10, 1)
    assert wait.until(lambda: screen.capture().sha256 != first.sha256, timeout=PATIENCE)


def test_a_moved_pointer_makes_a_new_frame(screen: Screen, painter: Painter) -> None:
    painter.point(600, 600)
    assert wait.until(lambda: screen.capture().cursor == (600, 600), timeout=PATIENCE)
    first = screen.capture()
    painter.point(601, 600)
    assert screen.capture().sha256 != first.sha256


def test_another_cursor_in_the_same_place_is_another_frame(screen: Screen, painter: Painter) -> None:
    painter.point(400, 300)
    wait.until(lambda: pixels(screen)[300, 400].tolist() == list(RED), timeout=PATIENCE)
    before = screen.capture()
    painter.window.change_attributes(cursor=0)
    painter.connection.sync()
    assert wait.until(lambda: screen.capture().sha256 != before.sha256, timeout=PATIENCE)
    assert pixels(screen)[300, 400].tolist() != list(RED)
