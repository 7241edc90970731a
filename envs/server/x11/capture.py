"""Screenshots of the X screen: lossless, with the real cursor at its hot-spot, and free if nothing has changed.

Where little has changed, only that is captured. A capture in parts counts only if the X server says that nothing has
changed meanwhile, so the pixels of every picture are those of one moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from deskbench.envs.server.desk import Frame
from deskbench.envs.server.png import BAND, Encoder
from deskbench.envs.server.x11.damage import DamageWatch

RESIZED_TRIES = 3
"""How often to try again when the screen's size changes during a capture."""
PART, PART_TRIES, PART_SECONDS = 0.5, 2, 0.05
"""The part of the screen up to which only what has changed is captured; how often that is tried while the screen
changes; and seconds to wait each time for the X server to say whether it has.
"""


class _Moment(NamedTuple):
    """How often the screen and the cursor have changed, and the pointer's position in pixels."""

    changes: int
    cursors: int
    pointer: tuple[int, int]


class _Cursor(NamedTuple):
    """A cursor's picture, premultiplied BGRA of shape (height, width, 4), and the pixel of the screen at its corner."""

    picture: Any
    left: int
    top: int

    @property
    def bands(self) -> set[int]:
        """The bands of the screen that it covers."""
        return set(range(max(self.top, 0) // BAND, (self.top + len(self.picture) - 1) // BAND + 1))


class Screen:
    """The X screen as pictures. Safe to use from several threads."""

    def __init__(self, display_name: str | None = None) -> None:
        from Xlib import display

        self._display = display.Display(display_name)
        self._display.xfixes_query_version()
        self._root = self._display.screen().root
        self.width: int = self._display.screen().width_in_pixels
        self.height: int = self._display.screen().height_in_pixels
        self._grabber = _open_grabber(display_name)
        self._encoder = Encoder()
        self.damage = DamageWatch(display_name)
        self._lock = threading.Lock()
        self._shape: tuple[int, Any, tuple[int, int]] | None = None
        self._drawn: set[int] = set()
        self._moment: _Moment | None = None
        self._frame: Frame | None = None

    @property
    def compressor(self) -> str:
        """`isal` or `zlib`, for `health`."""
        return self._encoder.compressor

    def capture(self) -> Frame:
        """The current screen. Returns the last frame again if neither the screen nor the cursor has changed."""
        with self._lock:
            moment, bands = self._now()
            if self._frame is not None and moment == self._moment:
                return self._frame
            last, self._moment = self._moment, None  # if this fails, the next capture is of the whole screen
            parts = self._parts(last, moment, bands) if last else None
            if parts:
                moment, pieces = parts
                cursor = self._cursor(moment)
                png = self._encoder.update([(top, _with_cursor(rows, cursor, top)) for top, rows in pieces])
            else:
                (moment, _), self._shape = self._now(), None  # nothing checks this cursor: read it anew
                cursor = self._cursor(moment)
                png = self._encoder.encode(_with_cursor(self._grab(), cursor))
            self._frame = Frame(png, hashlib.sha256(png).hexdigest(), moment.pointer)
            self._moment, self._drawn = moment, cursor.bands
            return self._frame

    def _now(self) -> tuple[_Moment, set[int]]:
        """What a picture of the screen would show, and the bands that have changed since this was last asked.

        Ask before capturing: if something changes in between, the next capture looks again.
        """
        pointer = self._pointer()  # this may fail, and what is taken must not get lost
        count, bands = self.damage.take()
        return _Moment(count, self.damage.cursors, pointer), bands

    def _parts(self, last: _Moment, moment: _Moment, bands: set[int]) -> tuple[_Moment, list[tuple[int, Any]]] | None:
        """Capture only what has changed since `last`; None if that is much, or if the screen goes on changing.

        Returns:
            What the pixels show, and each part's first row and pixels, without the cursor.
        """
        from mss.exception import ScreenShotError

        for _ in range(PART_TRIES):
            wanted = bands if moment[1:] == last[1:] else bands | self._drawn | self._cursor(moment).bands
            if len(wanted) > PART * self.height / BAND:
                return None
            try:
                pieces = [(top, self._pixels(self.width, end - top, top)) for top, end in _rows(wanted, self.height)]
            except ScreenShotError:  # a program has made the screen smaller
                return None
            if not self.damage.catch_up(self._display, PART_SECONDS):
                return None
            now, more = self._now()
            if now == moment:
                return moment, pieces
            moment, bands = now, bands | more
        return None

    def _cursor(self, moment: _Moment) -> _Cursor:
        """The cursor at a moment. Its picture is read only once until the X server tells of another one."""
        import numpy as np

        if self._shape is None or self._shape[0] != moment.cursors:
            found = self._display.xfixes_get_cursor_image(self._root)
            argb = np.array(found.cursor_image, np.uint64).astype("<u4").view(np.uint8)
            self._shape = (moment.cursors, argb.reshape(found.height, found.width, 4), (found.xhot, found.yhot))
        _, picture, (across, down) = self._shape
        return _Cursor(picture, moment.pointer[0] - across, moment.pointer[1] - down)

    def catch_up(self) -> None:
        """Wait until every change that the X server has told of is counted: the next capture shows it."""
        with self._lock:
            self.damage.catch_up(self._display)

    def cursor(self) -> tuple[int, int]:
        """The pointer's position in pixels."""
        with self._lock:
            return self._pointer()

    def _pointer(self) -> tuple[int, int]:
        at = self._root.query_pointer()
        return at.root_x, at.root_y

    def _grab(self) -> Any:
        from mss.exception import ScreenShotError

        for _ in range(RESIZED_TRIES):
            try:
                return self._pixels(self.width, self.height)
            except ScreenShotError:
                with contextlib.suppress(ScreenShotError):
                    return self._fitted()
        return self._pixels(self.width, self.height)

    def _fitted(self) -> Any:
        """Capture a screen that a program has made smaller, with black where it has no pixels."""
        import numpy as np

        shape = self._root.get_geometry()
        width, height = min(shape.width, self.width), min(shape.height, self.height)
        whole: Any = np.zeros((self.height, self.width, 4), np.uint8)
        whole[:height, :width] = self._pixels(width, height)
        return whole

    def _pixels(self, width: int, height: int, top: int = 0) -> Any:
        import numpy as np

        shot = self._grabber.grab({"left": 0, "top": top, "width": width, "height": height})
        return np.frombuffer(shot.raw, np.uint8).reshape(height, width, 4)


def _open_grabber(display_name: str | None) -> Any:
    """Open mss with shared memory, or over the socket if parts of libxcb are missing."""
    import mss
    from mss.exception import ScreenShotError

    try:
        return mss.MSS(display=display_name)
    except (ScreenShotError, OSError):
        return mss.MSS(display=display_name, backend="xlib")


def _rows(bands: set[int], height: int) -> Iterator[tuple[int, int]]:
    """The first row of each group of neighbouring bands on the screen, and the row after its last."""
    tops = sorted(band * BAND for band in bands if 0 <= band * BAND < height)
    for _, group in itertools.groupby(enumerate(tops), lambda pair: pair[1] - pair[0] * BAND):
        run = [top for _, top in group]
        yield run[0], min(run[-1] + BAND, height)


def _with_cursor(frame: Any, cursor: _Cursor, first: int = 0) -> Any:
    """Draw the cursor over BGRX pixels of the screen, the first row of which is given."""
    import numpy as np

    height, width = frame.shape[:2]
    left, top = cursor.left, cursor.top - first
    rows, columns = cursor.picture.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + columns, width), min(top + rows, height)
    if x0 >= x1 or y0 >= y1:
        return frame
    picture = cursor.picture[y0 - top : y1 - top, x0 - left : x1 - left]
    frame = frame if frame.flags.writeable else frame.copy()
    under = frame[y0:y1, x0:x1, :3].astype(np.uint16)
    keep = 255 - picture[:, :, 3:].astype(np.uint16)
    over = (under * keep + 127) // 255 + picture[:, :, :3]
    frame[y0:y1, x0:x1, :3] = np.minimum(over, 255)
    return frame
