"""Screenshots: the pixels that X shows, the cursor at its position, and the same frame while nothing changes."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import mss
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


@pytest.mark.parametrize("seed", range(4))
def test_a_capture_of_what_has_changed_is_the_whole_screen(
    screen: Screen, painter: Painter, xvfb: Any, seed: int
) -> None:
    random = np.random.default_rng(seed)
    painter.point(600, 600)
    assert wait.until(lambda: pixels(screen)[600, 600].tolist() == list(RED), timeout=PATIENCE)
    with mss.MSS(display=xvfb.display) as grabber:
        for _ in range(60):
            for _ in range(random.integers(0, 4)):
                x, y, side = (int(number) for number in random.integers(-20, (1280, 800, 200)))
                painter.gc.change(foreground=int(random.integers(0, 1 << 24)))
                painter.square(x, y, max(side, 1))
            if random.random() < 0.5:
                painter.point(int(random.integers(0, 1280)), int(random.integers(0, 800)))
            screen.catch_up()
            shot = grabber.grab(grabber.monitors[0])
            expected = np.frombuffer(shot.rgb, np.uint8).reshape(800, 1280, 3).copy()
            x, y = screen.cursor()
            left, top = x - HOT_X, y - HOT_Y
            expected[max(top, 0) : top + SIDE, max(left, 0) : left + SIDE] = RED
            assert np.array_equal(pixels(screen), expected)


FLICKER = """
import random, sys, time
from Xlib import X, display
connection = display.Display(sys.argv[1])
screen = connection.screen()
window = screen.root.create_window(0, 0, 20, 800, 0, screen.root_depth, X.InputOutput, override_redirect=True)
window.map()
while True:
    for colour in (0x20C040, 0x2040C0):
        gc = window.create_gc(foreground=colour)
        connection.grab_server()
        for top in range(0, 768, 128):
            window.fill_rectangle(gc, 0, top, 20, 20)
        connection.ungrab_server()
        connection.sync()
        time.sleep(random.uniform(0, 0.01))
"""
"""Draws squares far apart while the X server serves nobody else: nobody can see two that differ."""


def test_a_picture_shows_one_moment_while_the_screen_changes(screen: Screen, painter: Painter, xvfb: Any) -> None:
    painter.point(600, 600)
    with subprocess.Popen([sys.executable, "-c", FLICKER, xvfb.display]) as program:
        try:
            assert wait.until(lambda: pixels(screen)[10, 10].tolist() == list(rgb(GREEN)), timeout=PATIENCE)
            columns = [pixels(screen)[10:768:128, 10] for _ in range(300)]
        finally:
            program.kill()
    seen = [set(map(tuple, column.tolist())) for column in columns]
    assert {len(colours) for colours in seen} == {1}
    assert set.union(*seen) == {rgb(GREEN), rgb(BLUE)}


def test_a_message_to_the_root_is_no_echo(screen: Screen, painter: Painter) -> None:
    """Whoever takes over a selection tells the root so, with a large number (ICCCM 2.8)."""
    from Xlib import X
    from Xlib.protocol import event

    class Silent:
        """A connection through which nothing comes back."""

        def send_event(self, window: int, event: Any) -> None:
            pass

        def flush(self) -> None:
            pass

    root = painter.connection.screen().root
    kind = painter.connection.intern_atom("MANAGER")
    message = event.ClientMessage(window=root, client_type=kind, data=(32, [10**9, 0, 0, 0, 0]))
    root.send_event(message, event_mask=X.StructureNotifyMask)
    painter.connection.sync()
    assert screen.damage.catch_up(painter.connection)
    silent: Any = Silent()
    assert not screen.damage.catch_up(silent, 0.2)


@pytest.fixture
def shrunk(painter: Painter) -> Iterator[Callable[[int, int], None]]:
    """A function that makes the screen smaller, as programs can; afterwards it has its size again."""
    from Xlib.ext import randr

    connection = painter.connection
    root = connection.screen().root
    found = root.xrandr_get_screen_resources()
    crtc, time = found.crtcs[0], found.config_timestamp
    before = randr.get_crtc_info(connection, crtc, time)

    def shrink(width: int, height: int) -> None:
        randr.set_crtc_config(connection, crtc, time, 0, 0, 0, randr.Rotate_0, [])
        root.xrandr_set_screen_size(width, height, 170, 127)
        connection.sync()

    yield shrink
    shrink(*painter.size)
    randr.set_crtc_config(connection, crtc, time, 0, 0, before.mode, randr.Rotate_0, before.outputs)
    connection.sync()


@pytest.mark.parametrize("size", [(640, 480), (1280, 256), (640, 800)])
def test_what_a_smaller_screen_lacks_is_black(
    screen: Screen, painter: Painter, shrunk: Callable[[int, int], None], size: tuple[int, int]
) -> None:
    width, height = size
    painter.point(100, 100)
    wait.until(lambda: pixels(screen)[100, 100].tolist() == list(RED), timeout=PATIENCE)
    shrunk(width, height)
    for at in (100, 200):
        painter.point(at, at)
        screen.catch_up()
        seen = pixels(screen)
        assert seen.shape == (800, 1280, 3) and seen[at, at].tolist() == list(RED)
        assert seen[:height, :width].any(axis=2).all()
        assert not seen[height:].any() and not seen[:, width:].any()
