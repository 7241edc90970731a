"""Screenshots of the X screen: lossless, with the real cursor at its hot-spot, and free if nothing has changed."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import Any

from deskbench.envs.server.desk import Frame
from deskbench.envs.server.png import Encoder
from deskbench.envs.server.x11.damage import DamageWatch

RESIZED_TRIES = 3
"""How often to try again when the screen's size changes during a capture."""


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
        self._state: tuple[object, ...] | None = None
        self._frame: Frame | None = None

    @property
    def compressor(self) -> str:
        """`isal` or `zlib`, for `health`."""
        return self._encoder.compressor

    def capture(self) -> Frame:
        """The current screen. Returns the last frame again if neither the screen nor the cursor has changed."""
        with self._lock:
            # Read the counts before the pixels, so that a change in between makes the next capture look again.
            state = (self.damage.count, self.damage.cursors, *self._pointer())
            if self._frame is not None and state == self._state:
                return self._frame
            cursor = self._display.xfixes_get_cursor_image(self._root)
            png = self._encoder.encode(_with_cursor(self._grab(), cursor))
            self._frame = Frame(png, hashlib.sha256(png).hexdigest(), (cursor.x, cursor.y))
            self._state = state
            return self._frame

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

    def _pixels(self, width: int, height: int) -> Any:
        import numpy as np

        shot = self._grabber.grab({"left": 0, "top": 0, "width": width, "height": height})
        return np.frombuffer(shot.raw, np.uint8).reshape(height, width, 4)


def _open_grabber(display_name: str | None) -> Any:
    """Open mss with shared memory, or over the socket if parts of libxcb are missing."""
    import mss
    from mss.exception import ScreenShotError

    try:
        return mss.MSS(display=display_name)
    except (ScreenShotError, OSError):
        return mss.MSS(display=display_name, backend="xlib")


def _with_cursor(frame: Any, cursor: Any) -> Any:
    """Draw the cursor (premultiplied ARGB) over a BGRX frame, with its hot-spot at the pointer."""
    import numpy as np

    height, width = frame.shape[:2]
    left, top = cursor.x - cursor.xhot, cursor.y - cursor.yhot
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + cursor.width, width), min(top + cursor.height, height)
    if x0 >= x1 or y0 >= y1:
        return frame
    argb = np.array(cursor.cursor_image, np.uint64).astype("<u4")
    picture = argb.view(np.uint8).reshape(cursor.height, cursor.width, 4)[y0 - top : y1 - top, x0 - left : x1 - left]
    frame = frame if frame.flags.writeable else frame.copy()
    under = frame[y0:y1, x0:x1, :3].astype(np.uint16)
    keep = 255 - picture[:, :, 3:].astype(np.uint16)
    over = (under * keep + 127) // 255 + picture[:, :, :3]
    frame[y0:y1, x0:x1, :3] = np.minimum(over, 255)
    return frame
