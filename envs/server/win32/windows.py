"""Top-level windows of Windows: listing, activating and closing them, and checking the result."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import wintypes
from typing import Any

from deskbench.envs import wait
from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.win32 import api

PROOF_SECONDS = 5.0
WM_NULL, WM_CLOSE, WM_GETTEXT = 0x0000, 0x0010, 0x000D
SW_RESTORE = 9
GW_OWNER = 4
GWL_EXSTYLE, WS_EX_TOOLWINDOW = -20, 0x80
SMTO_ABORTIFHUNG = 2
TEXT_SECONDS = 0.2
MAX_TEXT = 32768
SHELL = frozenset({"Progman", "WorkerW", "Shell_TrayWnd", "#32769"})
"""Window classes of the desktop itself."""
KEYEVENTF_KEYUP, VK_MENU = 2, 0x12


class Windows:
    """The session's windows. Safe to use from several threads."""

    def __init__(self) -> None:
        self._user = api.user32()

    def listing(self) -> list[dict[str, Any]]:
        """The programs' windows, bottom to top, as JSON of `envs.desktop.Window`."""
        active = self._user.GetForegroundWindow()
        return [self._describe(handle, active) for handle in reversed(self.handles()) if self._is_a_programs(handle)]

    def handles(self) -> list[int]:
        """Visible top-level windows, top to bottom."""
        return [handle for handle in _collected(self._user.EnumWindows) if self._user.IsWindowVisible(handle)]

    def children(self, handle: int) -> list[int]:
        """A window's controls, including nested ones."""
        return _collected(lambda callback, data: self._user.EnumChildWindows(wintypes.HANDLE(handle), callback, data))

    def text(self, handle: int) -> str:
        """A window's title or a control's text; empty if its program hangs."""
        room = ctypes.create_unicode_buffer(MAX_TEXT)
        self._user.SendMessageTimeoutW(
            handle, WM_GETTEXT, MAX_TEXT, room, SMTO_ABORTIFHUNG, int(TEXT_SECONDS * 1e3), None
        )
        return room.value

    def class_name(self, handle: int) -> str:
        """The name of a window's class."""
        room = ctypes.create_unicode_buffer(256)
        self._user.GetClassNameW(handle, room, 256)
        return room.value

    def rectangle(self, handle: int) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels."""
        found = wintypes.RECT()
        self._user.GetWindowRect(handle, ctypes.byref(found))
        return found.left, found.top, found.right - found.left, found.bottom - found.top

    def active(self) -> int:
        """The handle of the window in front, or 0."""
        return int(self._user.GetForegroundWindow() or 0)

    def answers(self, handle: int, milliseconds: int) -> bool:
        """Whether the window's program takes messages now; also True if there is no window."""
        return not handle or bool(
            self._user.SendMessageTimeoutW(handle, WM_NULL, 0, None, SMTO_ABORTIFHUNG, milliseconds, None)
        )

    def enabled(self, handle: int) -> bool:
        """Whether a control takes input."""
        return bool(self._user.IsWindowEnabled(handle))

    def visible(self, handle: int) -> bool:
        """Whether a control is shown."""
        return bool(self._user.IsWindowVisible(handle))

    def activate(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Raise and focus the topmost match, and wait until it is the active window.

        Raises:
            HttpError: 404, no such window; 500, it did not become active.
        """
        handle = self._match(name, strict, by_class)

        def raised() -> bool:
            if self._user.IsIconic(handle):
                self._user.ShowWindow(handle, SW_RESTORE)
            # A background program may take the foreground only after input of its own.
            self._user.keybd_event(VK_MENU, 0, 0, 0)
            self._user.SetForegroundWindow(handle)
            self._user.keybd_event(VK_MENU, 0, KEYEVENTF_KEYUP, 0)
            return self.active() == handle

        if not wait.until(raised, timeout=PROOF_SECONDS, interval=0.05):
            raise HttpError(500, f"the window {name!r} did not become active")

    def close(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Ask the topmost match to close.

        Raises:
            HttpError: 404, no such window.
        """
        self._user.PostMessageW(self._match(name, strict, by_class), WM_CLOSE, 0, 0)

    def _match(self, name: str, strict: bool, by_class: bool) -> int:
        windows = self.listing()
        key = "wm_class" if by_class else "title"
        for window in reversed(windows):
            whole = window[key]
            if whole == name if strict else name.lower() in whole.lower():
                return int(window["id"], 16)
        raise HttpError(404, f"no window {name!r}; there are: {', '.join(repr(w[key]) for w in windows) or 'none'}")

    def _is_a_programs(self, handle: int) -> bool:
        if self._user.GetWindow(handle, GW_OWNER) and not self.text(handle):
            return False
        if self._user.GetWindowLongW(handle, GWL_EXSTYLE) & WS_EX_TOOLWINDOW:
            return False
        return self.class_name(handle) not in SHELL and bool(self.text(handle))

    def _describe(self, handle: int, active: int | None) -> dict[str, Any]:
        x, y, width, height = self.rectangle(handle)
        return {
            "id": hex(handle),
            "title": self.text(handle),
            "wm_class": self.class_name(handle),
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "active": handle == active,
        }


def _collected(enumerate_into: Callable[[Any, int], object]) -> list[int]:
    found: list[int] = []

    def take(handle: int, _: int) -> bool:
        found.append(handle)
        return True

    kind = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HANDLE, wintypes.LPARAM)  # type: ignore[attr-defined,unused-ignore]
    enumerate_into(kind(take), 0)
    return found
