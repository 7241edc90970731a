"""Which programs of the session run, and which windows there are: the evidence that settling needs beside damage."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from deskbench.envs.server.settle import Sample

INFRASTRUCTURE = frozenset(
    """
    Xvfb Xorg Xvnc bwrap dbus-daemon dbus-launch dbus-broker at-spi-bus-laun at-spi2-registr openbox tint2 ffmpeg
    dconf-service gvfsd xsettingsd slirp4netns
    """.split()
)
"""Processes of the desktop itself (first 15 characters, as the kernel keeps them): their work is nobody's reaction."""


class Activity:
    """Looks at /proc and at the root window's client list; one connection to X of its own."""

    def __init__(self, display_name: str | None = None) -> None:
        from Xlib import X, display

        self._display = display.Display(display_name)
        self._root = self._display.screen().root
        self._clients = self._display.intern_atom("_NET_CLIENT_LIST")
        self._any = X.AnyPropertyType
        self._own = os.getpid()
        self._lock = threading.Lock()

    def sample(self) -> Sample:
        """The session now."""
        programs, running = self._programs()
        with self._lock:
            windows = self._windows()
        return Sample(time.monotonic(), windows, frozenset(programs), running)

    def _windows(self) -> frozenset[int]:
        found = self._root.get_full_property(self._clients, self._any)
        return frozenset(found.value) if found is not None else frozenset()

    def _programs(self) -> tuple[list[int], int]:
        programs, running = [], 0
        for entry in os.listdir("/proc"):  # noqa: PTH208  (a fifth of iterdir's cost, fifty times a second)
            if not entry.isdigit() or int(entry) == self._own:
                continue
            try:
                text = Path(f"/proc/{entry}/stat").read_text(encoding="latin-1")
            except OSError:
                continue  # it ended while we looked
            name, _, rest = text.partition("(")[2].rpartition(")")
            if name in INFRASTRUCTURE or rest[1] in "ZX":
                continue
            programs.append(int(entry))
            running += rest[1] in "RD"
        return programs, running
