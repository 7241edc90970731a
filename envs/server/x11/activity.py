"""The session's running programs and windows: evidence that settling needs in addition to damage."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from deskbench.envs.server.settle import Sample
from deskbench.envs.server.x11 import proc

SERVICES = frozenset("dbus-daemon dbus-broker at-spi-bus-laun at-spi2-registr dconf-service gvfsd xfconfd".split())
"""Processes of the desktop that programs query and wait for, by name as below."""
INFRASTRUCTURE = SERVICES | frozenset(
    """
    Xvfb Xorg Xvnc bwrap dbus-launch openbox tint2 ffmpeg xsettingsd slirp4netns docker-init socat xfwm4 xfce4-panel
    xfdesktop xfsettingsd wrapper-2.0 tumblerd
    """.split()
)
"""The desktop's own processes (first 15 characters, as the kernel keeps them). Their work is not a reaction."""


class Activity:
    """Reads /proc and the root window's client list; has its own connection to X."""

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
        """The session's current state. Every thread of a program that is not in `launched_after` counts."""
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
        own: the calling process.
        known: for processes not among these, every thread counts; None makes no such difference.
    """
    found, running = [], 0
    for process in proc.numbers(""):
        if process == own:
            continue
        name, state = _look(f"{process}")
        if name in INFRASTRUCTURE or state in "ZX":
            continue
        found.append(process)
        if state in "SI" and known is not None and process not in known:
            running += _any_thread_runs(process)
        else:
            running += state in "RD"
    return found, running


LOOK_SECONDS = 0.05
"""The longest pause between two looks of a `Rest`."""


class Rest:
    """Programs at rest: in several looks in a row, none of their threads ran or waited for a core.

    It counts looks, not seconds. On a busy machine, a program may be kept from running for any length of time. It looks
    idle only while it waits for somebody who is also kept from running.

    Args:
        looks: how many in a row are enough.
        working: looks at the programs, as `at_work` does.
    """

    def __init__(self, looks: int, working: Callable[[], bool]) -> None:
        self._looks, self._working, self._idle = looks, working, 0

    def reached(self) -> bool:
        """Look once more; returns whether that was enough."""
        self._idle = 0 if self._working() else self._idle + 1
        return self._idle >= self._looks


def at_work(program: int | None = None, services: frozenset[str] = SERVICES) -> bool:
    """Whether a program (any program, if None), or a service that it may wait for, runs or waits for a core."""
    for process in proc.numbers(""):
        if process == os.getpid():
            continue
        name, state = _look(f"{process}")
        meant = name not in INFRASTRUCTURE if program is None else process == program
        if (meant or name in services) and (state in "RD" or _any_thread_runs(process)):
            return True
    return False


def goes_on(program: int) -> bool:
    """Whether a process still exists.

    A process that has ended but is not yet reaped still appears in process lists. It counts as existing only if the
    first process will reap it, which happens soon. Other parents reap when they like; this one does so when it next
    starts a program.
    """
    try:
        _, (state, parent, *_) = proc.stat(f"{program}")
    except OSError:
        return False
    return state != "Z" or (parent == "1" and os.getpid() != 1)


def _look(which: str) -> tuple[str, str]:
    """Name and state of a process or thread; state X if it ended while we looked."""
    try:
        name, fields = proc.stat(which)
    except OSError:
        return "", "X"
    return name, fields[0]


def _any_thread_runs(process: int) -> bool:
    """Whether any thread runs: a starting program often reads its files in a thread other than its first."""
    try:
        return any(_look(f"{process}/task/{thread}")[1] in "RD" for thread in proc.numbers(f"{process}/task"))
    except OSError:
        return False
