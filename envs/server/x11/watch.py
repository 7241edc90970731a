"""Watches the X server: if it is stopped, has ended, or is held by a client, every request to it hangs.

Xlib has no time limits, and neither does an X server that a client has grabbed. So handlers may hang. This watch then
answers their requests.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

from deskbench.envs.server.http.exchange import Watch
from deskbench.envs.server.x11 import proc

LOOK_SECONDS = 0.25
ASK_SECONDS = 1.0
"""Seconds that a handler may work before the server checks whether X answers, and the interval of the checks."""
SILENT_SECONDS = 15.0
"""Seconds that X may take to answer. A window manager may grab it for a moment, and the machine may be busy."""
STOPPED, ENDED, SILENT = "the X server is stopped", "the X server has ended", "the X server does not answer"


class XServer(Watch):
    """Watches one X server from its own threads, over its own connection.

    Args:
        display_name: such as `:0`, or None for $DISPLAY.
        patience: how many times slower the machine is.
    """

    def __init__(self, display_name: str | None = None, patience: float = 1.0) -> None:
        from Xlib import display

        self._display = display.Display(display_name)
        self._process = server_process(self._display.display.socket)
        self._silent_seconds = SILENT_SECONDS * patience
        self._trouble = ""
        self._lock = threading.Lock()
        self._handlers: dict[object, tuple[float, Callable[[str], None]]] = {}
        self._wanted = threading.Event()
        self._asked = self._answered = time.monotonic()
        self._ended = False
        for work in (self._watch, self._ask):
            threading.Thread(target=work, name="x-watch", daemon=True).start()

    @property
    def process(self) -> int:
        """The X server's process; 0 if it cannot be seen from here."""
        return self._process[0] if self._process else 0

    def trouble(self) -> str:
        """Why X cannot answer now; empty if it can."""
        return self._trouble

    def enter(self, abandon: Callable[[str], None]) -> object:
        """A handler starts to use X."""
        token = object()
        with self._lock:
            self._handlers[token] = (time.monotonic(), abandon)
        return token

    def leave(self, token: object) -> None:
        """The handler has ended."""
        with self._lock:
            self._handlers.pop(token, None)

    def _watch(self) -> None:
        before = ""
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            found = self._look()
            # A debugger may stop a process for a moment, so report it only if two looks in a row find it.
            self._trouble = found if found in (before, ENDED, SILENT) else ""
            before = found
            if self._trouble:
                self._abandon(self._trouble)

    def _look(self) -> str:
        state = "?" if self._process is None else _state(*self._process)
        if self._ended or state in ("", "Z", "X"):
            return ENDED
        if state in ("T", "t"):
            return STOPPED
        now = time.monotonic()
        if self._asked > self._answered:
            return SILENT if now - self._asked > self._silent_seconds else ""
        with self._lock:
            oldest = min((began for began, _ in self._handlers.values()), default=now)
        if now - max(oldest, self._answered) > ASK_SECONDS:
            self._asked = now
            self._wanted.set()
        return ""

    def _ask(self) -> None:
        from Xlib.error import ConnectionClosedError

        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._display.sync()
            except (ConnectionClosedError, OSError):
                self._ended = True
                return
            self._answered = time.monotonic()

    def _abandon(self, why: str) -> None:
        with self._lock:
            waiting = [abandon for _, abandon in self._handlers.values()]
            self._handlers.clear()
        for abandon in waiting:
            abandon(why)


def server_process(connection: socket.socket) -> tuple[int, str] | None:
    """Id and start time of the process at the other end of a Unix socket; None if it is not visible from here."""
    if connection.family != socket.AF_UNIX:
        return None
    room = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid = struct.unpack("3i", room)[0]
    fields = _fields(pid) if pid else None
    return (pid, fields[19]) if fields else None


def _state(pid: int, started: str) -> str:
    """A process's state as in proc(5); empty if it is gone."""
    fields = _fields(pid)
    return fields[0] if fields and fields[19] == started else ""


def _fields(pid: int) -> list[str] | None:
    """The fields after the name in a process's `stat`: the first is the state, the twentieth the start time."""
    try:
        return proc.stat(f"{pid}")[1]
    except OSError:
        return None
