"""What may wake a program besides its own calls: timers that are files, and the other end of a connection."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from deskbench.envs.server.x11.proc import GONE
from deskbench.envs.server.x11.waits import FOREVER

TALKING = frozenset(("01", "02", "03"))
"""States of a connection in /proc/net/tcp whose other end may still say something (net/tcp_states.h)."""
_TIMER, _SOCKET = "anon_inode:[timerfd]", "socket:["


class Outside:
    """Looks at the open files of programs.

    The kernel takes milliseconds to list the connections of a machine, because it goes through a table for all that
    could be. So it is asked only if a program has a socket that is not known to be local. Numbers of sockets are not
    used again, so that a socket once known stays what it is.
    """

    def __init__(self) -> None:
        self._local: frozenset[str] = frozenset()
        self._foreign: set[str] = set()

    def look(self, programs: Iterable[int]) -> tuple[dict[int, float], set[int]]:
        """Look at programs' files; those that have ended meanwhile are left out.

        Returns:
            When the next timer of each program that has one is due (monotonic seconds); and the programs that something
            else may wake: they have a connection into the network, even if its other end is on this machine, or their
            files cannot be seen.
        """
        wakes: dict[int, float] = {}
        sockets: dict[str, set[int]] = {}
        hidden: set[int] = set()
        for process in programs:
            try:
                for number, kind in _files(process):
                    if kind == _TIMER:
                        wakes[process] = min(wakes.get(process, FOREVER), _due(process, number))
                    elif kind.startswith(_SOCKET):
                        sockets.setdefault(kind[len(_SOCKET) : -1], set()).add(process)
            except GONE:
                continue
            except OSError:
                hidden.add(process)
        hidden.update(*(sockets[number] for number in self._talking(sockets.keys())))
        return {process: wake for process, wake in wakes.items() if wake < FOREVER}, hidden

    def _talking(self, sockets: Set[str]) -> Set[str]:
        """Those of the sockets that have another end in the network."""
        new = sockets - self._local - self._foreign
        if new:
            self._local = frozenset((*_column("unix", 6), *_column("netlink", 9)))
            self._foreign = (self._foreign & sockets) | (new - self._local)
        return sockets & _connected() if sockets - self._local else frozenset()


def _files(process: int) -> Iterator[tuple[int, str]]:
    """A process's open files: number and kind."""
    folder = f"/proc/{process}/fd"
    for number in os.listdir(folder):  # noqa: PTH208  (a fifth of iterdir's cost)
        with contextlib.suppress(*GONE):
            yield int(number), os.readlink(f"{folder}/{number}")  # noqa: PTH115  (a third of readlink()'s cost)


def _due(process: int, number: int) -> float:
    """When a timer that is a file is due, monotonic seconds (timerfd_create(2), `it_value`)."""
    for line in Path(f"/proc/{process}/fdinfo/{number}").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(": ")
        if name == "it_value":
            seconds, nanoseconds = map(int, value.strip("()").split(","))
            return time.monotonic() + seconds + nanoseconds / 1e9 if seconds or nanoseconds else FOREVER
    return FOREVER


def _column(table: str, number: int) -> Iterator[str]:
    """A column of a table in /proc/net, without its heading; nothing if this kernel does not have it.

    Lines that are too short are left out: a program can give a socket a name with line breaks in it.
    """
    try:
        lines = Path("/proc/net", table).read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except FileNotFoundError:
        return
    for line in lines:
        yield from line.split(None, number + 1)[number : number + 1]


def _connected() -> set[str]:
    """The sockets (inodes) that have another end in the network."""
    found: set[str] = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        try:
            lines = Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:  # no IPv6
            continue
        for _, _, _, state, *rest in map(str.split, lines):
            if state in TALKING:
                found.add(rest[5])
    return found
