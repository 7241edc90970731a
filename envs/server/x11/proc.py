"""Small files of /proc (proc(5)), read at little cost: while the screen settles, thousands are read each second."""

from __future__ import annotations

import os

GONE = (FileNotFoundError, ProcessLookupError)
"""What reading raises when a process or thread has ended."""
MOST = 4096
"""Bytes; what is read here is shorter."""


def read(which: str) -> bytes:
    """A file's bytes.

    Args:
        which: its path below /proc.

    Raises:
        OSError: it cannot be read; one of `GONE` if its process or thread has ended.
    """
    file = os.open(f"/proc/{which}", os.O_RDONLY | os.O_CLOEXEC)  # a fifth of the cost of Path.read_bytes
    try:
        return os.read(file, MOST)
    finally:
        os.close(file)


def numbers(folder: str) -> list[int]:
    """The numbers among the names in a folder of /proc: processes in "", a process's threads in "PID/task"."""
    return [int(name) for name in os.listdir(f"/proc/{folder}") if name.isdigit()]  # noqa: PTH208  (a fifth of iterdir's)


def name(which: str) -> str:
    """The name of a process, or of a thread ("PID/task/TID"), as the kernel has it: up to 15 characters."""
    return read(f"{which}/comm").decode("latin-1").rstrip("\n")


def stat(which: str) -> tuple[str, list[str]]:
    """The name of a process or thread, and the fields behind it: the first is the state (`state`)."""
    before, _, behind = read(f"{which}/stat").decode("latin-1").rpartition(")")
    return before.partition("(")[2], behind.split()


def state(which: str) -> str:
    """The state of a process or thread: R runs or waits for a core, D waits for a disk, S sleeps."""
    return stat(which)[1][0]
