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
    dconf-service gvfsd xsettingsd slirp4netns docker-init socat xfwm4 xfce4-panel xfdesktop xfsettingsd xfconfd
    wrapper-2.0 tumblerd
    """.split()
)
"""Processes of the desktop itself (first 15 characters, as the kernel keeps them): their work is nobody's reaction."""


class Activity:
    """Looks at /proc and at the root window's client list; one connection to X of its own."""

    def __init__(self, display_name: str | None = None) -> None:
        from Xlib import X, display
        from Xlib.ext import res

        self._display = display.Display(display_name)
        self._root = self._display.screen().root
        self._clients = self._display.intern_atom("_NET_CLIENT_LIST")
        self._any = X.AnyPropertyType
        self._resources = res
        self._own = os.getpid()
        self._lock = threading.Lock()

    def sample(self, launched_after: Sample | None = None) -> Sample:
        """The session now; of programs that were not there in `launched_after`, every thread counts."""
        found, running = programs(self._own, launched_after.programs if launched_after else None)
        with self._lock:
            windows, clients = self._windows(), self._clients_now()
        return Sample(time.monotonic(), windows, frozenset(found), running, clients)

    def _windows(self) -> frozenset[int]:
        found = self._root.get_full_property(self._clients, self._any)
        return frozenset(found.value) if found is not None else frozenset()

    def _clients_now(self) -> frozenset[int]:
        found = self._resources.query_clients(self._display).clients
        return frozenset(client.resource_base for client in found)


def programs(own: int, known: frozenset[int] | None = None) -> tuple[list[int], int]:
    """The session's processes other than the desktop's own and `own`, and how many of them are running.

    Args:
        own: the asking process.
        known: of processes that are not among these, every thread counts; None for no such difference.
    """
    found, running = [], 0
    for entry in os.listdir("/proc"):  # noqa: PTH208  (a fifth of iterdir's cost, fifty times a second)
        if not entry.isdigit() or int(entry) == own:
            continue
        name, state = _look(Path("/proc", entry))
        if name in INFRASTRUCTURE or state in "ZX":
            continue
        found.append(int(entry))
        if state in "SI" and known is not None and int(entry) not in known:
            running += _any_thread_runs(Path("/proc", entry))
        else:
            running += state in "RD"
    return found, running


def _look(entry: Path) -> tuple[str, str]:
    """Name and state of a process or thread; state X of one that ended while we looked."""
    try:
        text = (entry / "stat").read_text(encoding="latin-1")
    except OSError:
        return "", "X"
    name, _, rest = text.partition("(")[2].rpartition(")")
    return name, rest[1]


def _any_thread_runs(process: Path) -> bool:
    """A program that starts often reads its files in another thread than its first."""
    try:
        return any(_look(thread)[1] in "RD" for thread in (process / "task").iterdir())
    except OSError:
        return False
