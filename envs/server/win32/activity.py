"""Which programs are running, from the Tool Help library and their CPU time: evidence for settling."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import threading
import time
from collections.abc import Iterable
from ctypes import wintypes

from deskbench.envs.server.settle import Sample
from deskbench.envs.server.win32 import api
from deskbench.envs.server.win32.processes import parents
from deskbench.envs.server.win32.windows import Windows

QUERY_LIMITED = 0x1000
WINE_PORT, WINE_SECONDS = 5001, 10.0
"""Where `envs.server.wine` reports running programs, and how many seconds it may take to come up."""
ANSWER_MS = 30
"""A front window that takes longer than this to answer is busy: it may be loading what its next dialog needs."""
BUSY_SHARE = 0.2
"""A program that has used at least this share of a core since the last look counts as running."""


class Activity:
    """Tracks the programs that started after this object was made, and the windows."""

    def __init__(self, windows: Windows) -> None:
        self._kernel = api.kernel32()
        self._windows = windows
        self._lock = threading.Lock()
        self._told = _Told() if api.is_wine() else None
        self._before: frozenset[int] = frozenset()
        self._times: dict[int, float] = {}
        self._looked = time.monotonic()
        self._before = frozenset(self._now(None)[0])

    def sample(self, launched_after: Sample | None = None) -> Sample:
        """The session's current state. Every thread of a program that is not in `launched_after` counts."""
        with self._lock:
            found, running = self._now(launched_after)
        running += not self._windows.answers(self._windows.active(), ANSWER_MS)
        return Sample(time.monotonic(), frozenset(self._windows.handles()), frozenset(found) - self._before, running)

    def _now(self, launched_after: Sample | None) -> tuple[Iterable[int], int]:
        if self._told is None:
            return self._measured()
        known = launched_after.programs | self._before if launched_after else None
        return self._told.ask(known)

    def _measured(self) -> tuple[set[int], int]:
        programs = set(parents()) - {os.getpid()}
        times = {number: self._seconds(number) for number in programs - self._before}
        now = time.monotonic()
        passed = max(now - self._looked, 1e-3)
        running = sum(t - self._times.get(n, 0.0) >= BUSY_SHARE * passed for n, t in times.items())
        self._times, self._looked = times, now
        return programs, running

    def _seconds(self, number: int) -> float:
        """CPU seconds of a process; 0 if it has ended or we may not look."""
        handle = self._kernel.OpenProcess(QUERY_LIMITED, False, number)
        if not handle:
            return 0.0
        times = [wintypes.FILETIME() for _ in range(4)]
        try:
            if not self._kernel.GetProcessTimes(handle, *(ctypes.byref(one) for one in times)):
                return 0.0
        finally:
            self._kernel.CloseHandle(handle)
        return sum((one.dwHighDateTime << 32 | one.dwLowDateTime) / 1e7 for one in times[2:])


class _Told:
    """Linux's view of the programs under Wine. Wine reports the caller's own CPU time for every process."""

    def __init__(self) -> None:
        self._stream = socket.create_connection(("127.0.0.1", WINE_PORT), WINE_SECONDS).makefile("rw", encoding="ascii")

    def ask(self, known: frozenset[int] | None) -> tuple[list[int], int]:
        """The sandbox's processes, and how many of them are running (`envs.server.x11.activity.programs`)."""
        self._stream.write(json.dumps(sorted(known) if known is not None else None) + "\n")
        self._stream.flush()
        found, running = json.loads(self._stream.readline())
        return found, running
