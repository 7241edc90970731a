"""The windows and their contents as OSWorld's XML for Windows.

It uses UI Automation, which every current program answers. Where UI Automation is missing (Wine), and for a single
program that does not answer, it uses window handles.
"""

from __future__ import annotations

import threading
import time

from deskbench.envs.server.elements import Element, to_xml
from deskbench.envs.server.win32 import uia
from deskbench.envs.server.win32.controls import Controls
from deskbench.envs.server.win32.windows import Windows

WINDOW_SECONDS = 2.0
"""Seconds that one program may take."""


class Accessibility:
    """Reads the session's windows, one reading at a time. Safe to use from several threads."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._controls = Controls(windows)
        self._lock = threading.Lock()
        self.missing = ""
        """Why UI Automation is not used."""
        try:
            self._automation: uia.Automation | None = uia.connect()
        except uia.UiaError as error:
            self._automation, self.missing = None, str(error)

    def tree(self, timeout: float) -> tuple[str, bool]:
        """The XML, and whether it is complete.

        Args:
            timeout: seconds; after that, returns what has been read.
        """
        deadline = time.monotonic() + timeout
        found: list[Element] = []
        with self._lock:
            uia.join_apartment()
            for handle in self._windows.handles():
                left = deadline - time.monotonic()
                if left <= 0:
                    return to_xml("windows", found), False
                found.append(self._window(handle, min(left, WINDOW_SECONDS)))
        return to_xml("windows", [one for one in found if one.name or one.children]), True

    def _window(self, handle: int, seconds: float) -> Element:
        if self._automation is not None:
            try:
                return self._automation.window(handle, seconds)
            except uia.UiaError:
                pass  # the window is gone or its program hangs: read its handles instead
        return self._controls.window(handle)
