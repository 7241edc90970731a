"""Screenshots by GDI, with the real cursor at its hot-spot."""

from __future__ import annotations

import ctypes
from typing import Any

from deskbench.envs.server import comparing
from deskbench.envs.server.win32 import api

SRCCOPY, CAPTUREBLT = 0x00CC0020, 0x40000000
CURSOR_SHOWING = 1
DI_NORMAL = 3
IDC_ARROW = 32512
SM_CXSCREEN, SM_CYSCREEN = 0, 1


class Screen(comparing.Screen):
    """The primary screen as pictures. Safe to use from several threads."""

    def __init__(self) -> None:
        super().__init__()
        self._user, self._gdi = api.user32(), api.gdi32()
        if hasattr(self._user, "SetProcessDPIAware"):
            self._user.SetProcessDPIAware()  # use real pixels, whatever the text scale
        self.width: int = self._user.GetSystemMetrics(SM_CXSCREEN)
        self.height: int = self._user.GetSystemMetrics(SM_CYSCREEN)
        self._screen = self._user.GetDC(None)
        self._memory = self._gdi.CreateCompatibleDC(self._screen)
        self._bitmap = self._gdi.CreateCompatibleBitmap(self._screen, self.width, self.height)
        self._gdi.SelectObject(self._memory, self._bitmap)

    def cursor(self) -> tuple[int, int]:
        """The pointer's position in pixels."""
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
        if not self._user.GetIconInfo(cursor, ctypes.byref(icon)) and api.is_wine():
            # Under Wine, another program's cursor handle means nothing here.
            cursor = self._user.LoadCursorW(None, ctypes.c_void_p(IDC_ARROW))
            self._user.GetIconInfo(cursor, ctypes.byref(icon))
        for bitmap in (icon.mask, icon.color):  # these are copies, and ours to delete
            if bitmap:
                self._gdi.DeleteObject(bitmap)
        self._user.DrawIconEx(self._memory, info.at.x - icon.x, info.at.y - icon.y, cursor, 0, 0, 0, None, DI_NORMAL)
