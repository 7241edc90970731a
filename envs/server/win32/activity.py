"""Which programs run, by the Tool Help library and their processor time: evidence for settling."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from ctypes import wintypes

from deskbench.envs.server.settle import Sample
from deskbench.envs.server.win32 import api
from deskbench.envs.server.win32.windows import Windows

SNAPSHOT_PROCESSES = 2
QUERY_LIMITED = 0x1000
BUSY_SHARE = 0.2
"""A program that has used at least this share of a core since the last look is running."""


class Activity:
    """The programs that were started since this was made, and the windows."""

    def __init__(self, windows: Windows) -> None:
        self._kernel = api.kernel32()
        self._windows = windows
        self._lock = threading.Lock()
        self._before = self._ids()
        self._times: dict[int, float] = {}
        self._looked = time.monotonic()

    def sample(self) -> Sample:
        """The session now."""
        with self._lock:
            programs = self._ids() - self._before - {os.getpid()}
            now = time.monotonic()
            times = {number: self._seconds(number) for number in programs}
            passed = max(now - self._looked, 1e-3)
            running = sum(t - self._times.get(n, 0.0) >= BUSY_SHARE * passed for n, t in times.items())
            self._times, self._looked = times, now
        return Sample(now, frozenset(self._windows.handles()), frozenset(programs), running)

    def _ids(self) -> set[int]:
        snapshot = self._kernel.CreateToolhelp32Snapshot(SNAPSHOT_PROCESSES, 0)
        entry = api.ProcessEntry(size=ctypes.sizeof(api.ProcessEntry))
        found: set[int] = set()
        try:
            more = self._kernel.Process32FirstW(snapshot, ctypes.byref(entry))
            while more:
                found.add(int(entry.id))
                more = self._kernel.Process32NextW(snapshot, ctypes.byref(entry))
        finally:
            self._kernel.CloseHandle(snapshot)
        return found

    def _seconds(self, number: int) -> float:
        """Processor time of a process; 0 of one that has ended or is not ours to look at."""
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
