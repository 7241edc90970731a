"""Screenshots by GDI, with the real cursor at its hot-spot; and changes, found by comparing pictures."""

from __future__ import annotations

import ctypes
import hashlib
import io
import threading
import time
from collections import deque
from typing import Any

from deskbench.envs.server.capture import Frame
from deskbench.envs.server.damage import Change
from deskbench.envs.server.win32 import api

SRCCOPY, CAPTUREBLT = 0x00CC0020, 0x40000000
CURSOR_SHOWING = 1
DI_NORMAL = 3
IDC_ARROW = 32512
SM_CXSCREEN, SM_CYSCREEN = 0, 1
REMEMBERED = 500


class Screen:
    """The primary screen as pictures. Safe to use from several threads."""

    compressor = "pillow"

    def __init__(self) -> None:
        self._user, self._gdi = api.user32(), api.gdi32()
        if hasattr(self._user, "SetProcessDPIAware"):
            self._user.SetProcessDPIAware()  # pixels are pixels, whatever the scale of texts
        self.width: int = self._user.GetSystemMetrics(SM_CXSCREEN)
        self.height: int = self._user.GetSystemMetrics(SM_CYSCREEN)
        self._lock = threading.Lock()
        self._screen = self._user.GetDC(None)
        self._memory = self._gdi.CreateCompatibleDC(self._screen)
        self._bitmap = self._gdi.CreateCompatibleBitmap(self._screen, self.width, self.height)
        self._gdi.SelectObject(self._memory, self._bitmap)
        self._last: tuple[bytes, Frame] | None = None
        self._seen: bytes | None = None
        self._changes: deque[Change] = deque(maxlen=REMEMBERED)

    def capture(self) -> Frame:
        """The screen now; the last frame again when nothing has changed."""
        from PIL import Image

        with self._lock:
            pixels = self._grab(cursor=True)
            if self._last is not None and self._last[0] == pixels:
                return self._last[1]
            picture = Image.frombuffer("RGB", (self.width, self.height), pixels, "raw", "BGRX", 0, 1)
            made = io.BytesIO()
            picture.save(made, "PNG", compress_level=1)
            png = made.getvalue()
            frame = Frame(png, hashlib.sha256(png).hexdigest(), self._position())
            self._last = pixels, frame
            return frame

    def cursor(self) -> tuple[int, int]:
        """The pointer's position in pixels."""
        return self._position()

    def look(self) -> None:
        """Note what has changed since the last look."""
        with self._lock:
            pixels = self._grab(cursor=False)
            if self._seen is not None and self._seen != pixels:
                self._changes.append(self._difference(self._seen, pixels))
            self._seen = pixels

    def since(self, moment: float) -> list[Change]:
        """Changes since a moment (monotonic seconds), oldest first."""
        with self._lock:
            return [change for change in self._changes if change.time >= moment]

    def _difference(self, before: bytes, after: bytes) -> Change:
        from PIL import Image, ImageChops

        size = (self.width, self.height)
        pictures = [Image.frombuffer("RGB", size, pixels, "raw", "BGRX", 0, 1) for pixels in (before, after)]
        left, top, right, bottom = ImageChops.difference(*pictures).getbbox() or (0, 0, 0, 0)
        return Change(time.monotonic(), left, top, right - left, bottom - top)

    def _position(self) -> tuple[int, int]:
        info = self._cursor_info()
        return info.at.x, info.at.y

    def _cursor_info(self) -> api.CursorInfo:
        info = api.CursorInfo(size=ctypes.sizeof(api.CursorInfo))
        self._user.GetCursorInfo(ctypes.byref(info))
        return info

    def _grab(self, *, cursor: bool) -> bytes:
        size = (self.width, self.height)
        self._gdi.BitBlt(self._memory, 0, 0, *size, self._screen, 0, 0, SRCCOPY | CAPTUREBLT)
        if cursor:
            self._draw_cursor()
        header = api.BitmapHeader(
            size=ctypes.sizeof(api.BitmapHeader), width=self.width, height=-self.height, planes=1, bits=32
        )
        room: Any = ctypes.create_string_buffer(self.width * self.height * 4)
        self._gdi.GetDIBits(self._memory, self._bitmap, 0, self.height, room, ctypes.byref(header), 0)
        return bytes(room.raw)

    def _draw_cursor(self) -> None:
        info = self._cursor_info()
        if not info.flags & CURSOR_SHOWING:
            return
        icon = api.IconInfo()
        cursor = info.cursor
        if not self._user.GetIconInfo(cursor, ctypes.byref(icon)) and _is_wine():
            # There, another program's cursor is a number that means nothing here.
            cursor = self._user.LoadCursorW(None, ctypes.c_void_p(IDC_ARROW))
            self._user.GetIconInfo(cursor, ctypes.byref(icon))
        for bitmap in (icon.mask, icon.color):  # they are copies, and ours to delete
            if bitmap:
                self._gdi.DeleteObject(bitmap)
        self._user.DrawIconEx(self._memory, info.at.x - icon.x, info.at.y - icon.y, cursor, 0, 0, 0, None, DI_NORMAL)


def _is_wine() -> bool:
    """This Windows is Wine, whose ntdll says so."""
    return hasattr(ctypes.CDLL("ntdll"), "wine_get_version")
