"""Windows' processes: lists them, and ends a process with its descendants."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from deskbench.envs.server.win32 import api

SNAPSHOT_PROCESSES = 2
TERMINATE = 0x0001
ROUNDS = 5
"""A family may grow while it is being ended."""


def parents() -> dict[int, int]:
    """Every process, with the process that started it (which may be gone)."""
    kernel = api.kernel32()
    snapshot = kernel.CreateToolhelp32Snapshot(SNAPSHOT_PROCESSES, 0)
    entry = api.ProcessEntry(size=ctypes.sizeof(api.ProcessEntry))
    found: dict[int, int] = {}
    try:
        more = kernel.Process32FirstW(snapshot, ctypes.byref(entry))
        while more:
            found[int(entry.id)] = int(entry.parent)
            more = kernel.Process32NextW(snapshot, ctypes.byref(entry))
    finally:
        kernel.CloseHandle(snapshot)
    return found


def family(root: int, known: dict[int, int]) -> set[int]:
    """A process and all its descendants, according to `parents`."""
    found = {root}
    while more := {child for child, parent in known.items() if parent in found} - found:
        found |= more
    return found


def end_family(root: int) -> None:
    """End a process and all its descendants."""
    ended: set[int] = set()
    for _ in range(ROUNDS):
        left = family(root, parents()) - ended
        if not left:
            return
        _end(left)
        ended |= left


def _end(processes: Iterable[int]) -> None:
    kernel = api.kernel32()
    for process in processes:
        handle = kernel.OpenProcess(TERMINATE, False, process)
        if handle:  # otherwise it has ended by itself
            kernel.TerminateProcess(handle, 1)
            kernel.CloseHandle(handle)
