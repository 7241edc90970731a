"""Desktops in memory, each in processes of its own: a desktop, and the server in it that answers.

A nursery forks them, so that a start takes milliseconds. All of them end with the process that uses them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
from multiprocessing.connection import Connection
from typing import Any

from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import GuestTimeout, GuestUnreachable, StartError
from deskbench.envs.providers.fake import FakeDesktop
from tests.kills.processes import become

ANSWER_SECONDS = 20.0


def tag() -> str:
    """What the names of all processes of this test begin with."""
    return os.environ.get("DESKBENCH_KILLS", "kills")


class Machine:
    """Passes every call on to a desktop in another process."""

    def __init__(self, name: str, connection: Connection) -> None:
        self.name = name
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **named: self._call(name, args, named)

    def _call(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        try:
            self._connection.send((name, args, named))
            if not self._connection.poll(ANSWER_SECONDS):
                raise GuestTimeout(f"{self.name}: no answer")
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise GuestUnreachable(f"{self.name} is gone: {error!r}") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Hang up: both processes end."""
        self._connection.close()


class Machines:
    """The provider of these desktops."""

    name = "machines"
    capacity: int | None = None
    platform: str | None = "Linux"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._control = _nursery()
        self._running: dict[str, Machine] = {}

    def describe(self) -> dict[str, str]:
        return {}

    def start(self, spec: DesktopSpec) -> Desktop:
        with self._lock:
            mine, its = socket.socketpair()
            name = f"machine-{next(self._numbers)}"
            try:
                socket.send_fds(self._control, [f"{name} {spec.width} {spec.height}\n".encode()], [its.fileno()])
            except OSError as error:
                raise StartError(f"{name}: the nursery is gone") from error
            finally:
                its.close()
            machine = self._running[name] = Machine(name, Connection(mine.detach()))
        return machine

    def stop(self, desktop: Desktop) -> None:
        machine = self._running.pop(desktop.name, None)
        if machine is not None:
            machine.end()

    def close(self) -> None:
        for name in list(self._running):
            self._running.pop(name).end()
        self._control.close()

    def doctor(self) -> list[Check]:
        return []


def _nursery() -> socket.socket:
    """Start the process that forks desktops. It is forked while this process has no threads, so it can fork safely."""
    mine, its = socket.socketpair()
    if os.fork() == 0:
        mine.close()
        become(f"{tag()}-nursery")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        _breed(its)
        os._exit(0)
    its.close()
    return mine


def _breed(control: socket.socket) -> None:
    while True:
        data, fds, _, _ = socket.recv_fds(control, 200, 1)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            _desktop(data.decode(), fds[0])
            os._exit(0)
        os.close(fds[0])


def _desktop(told: str, fd: int) -> None:
    """The desktop's own process: it lives as long as its server."""
    become(f"{tag()}-desktop")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    name, width, height = told.split()
    server = os.fork()
    if server == 0:
        become(f"{tag()}-server")
        _serve(FakeDesktop(name, DesktopSpec(int(width), int(height))), Connection(fd))
        os._exit(0)
    os.close(fd)
    os.waitpid(server, 0)


def _serve(desktop: FakeDesktop, connection: Connection) -> None:
    while True:
        with contextlib.suppress(EOFError, OSError):  # it hung up
            name, args, named = connection.recv()
            try:
                answer = getattr(desktop, name)(*args, **named)
            except Exception as error:  # noqa: BLE001  (it is raised again where the call came from)
                answer = error
            connection.send(answer)
            continue
        return
