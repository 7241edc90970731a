"""One process for many requests of the same origin: it makes and judges copies of one task's evidence.

It is confined like a process for one request (`sandbox.run`). One request may affect the answers to later ones, so all
its bytes must be equally trusted: it never handles the scored episodes of a run. It starts fast, as a copy (`os.fork`)
of a process that has loaded what checks need and has seen nothing of a desktop (`Nursery`): in some milliseconds
instead of a third of a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

from deskbench.envs.wait import now
from deskbench.tasks.scoring import sandbox
from deskbench.tasks.scoring.sandbox import MAX_ANSWER, Ended, Limits
from deskbench.tasks.scoring.walls import MEMORY

FORKS = hasattr(os, "fork")
"""Where a process cannot fork, each request gets a process of its own."""
STARTING = 60.0
"""Seconds that a process may take to load what checks need, on a busy machine."""
_current: ContextVar[Session | None] = ContextVar("session", default=None)


class Nursery:
    """The process that sessions' processes are forked from; safe for several threads."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="deskbench-nursery-", ignore_cleanup_errors=True)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._link is not None:
            self._link.close()
        if self._process is not None:
            sandbox.end(self._process)
        self._scratch.cleanup()

    @contextmanager
    def one_process(self) -> Iterator[Session]:
        """Use one process for all checks and readings that allow it (`worker.evaluate`, `worker.read`)."""
        with tempfile.TemporaryDirectory(prefix="deskbench-session-", ignore_cleanup_errors=True) as folder:
            session = Session(self, Path(folder))
            before = _current.set(session)
            try:
                yield session
            finally:
                _current.reset(before)
                session.end()

    def copied(self, folder: Path) -> Child:
        """A new process that may write to this folder.

        Raises:
            OSError: no process could be started.
        """
        asked, asks = os.pipe()
        answers, said = os.pipe()
        try:
            with self._lock:
                link = self._link or self._started()
                socket.send_fds(link, [str(folder).encode()], [asked, said])
                number = link.recv(32)
            if not number:
                raise ChildProcessError("the process that the checkers are copied from has ended")
        except OSError:
            os.close(asks)
            os.close(answers)
            raise
        finally:
            os.close(asked)
            os.close(said)
        return Child(int(number), asks, answers)

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(STARTING)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "deskbench.tasks.scoring.work", "nursery"], stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=sandbox.environment(self._scratch.name),
                cwd=self._scratch.name, start_new_session=True,
            )  # fmt: skip
        self._link = ours
        return ours


class Child:
    """A session's process: its number, and our ends of its two pipes."""

    def __init__(self, number: int, asks: int, answers: int) -> None:
        self.number = number
        self._asks, self._answers = asks, answers

    def exchange(self, line: bytes, seconds: float) -> tuple[str, bytes]:
        """Send a line: returns why there is no answer, and the answer."""
        until = now() + seconds
        found = bytearray()
        try:
            os.write(self._asks, line)  # far less than a pipe holds, and one request at a time
        except BrokenPipeError:
            return "its process ended before it got the request", b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._answers, selectors.EVENT_READ)
            while not found.endswith(b"\n"):
                if not waiting.select(max(0.0, until - now())):
                    return f"it took more than {seconds:g} s", b""
                part = os.read(self._answers, 2**16)
                if not part:
                    return "its process ended: it ran out of time or memory, or crashed", b""
                found += part
                if len(found) > MAX_ANSWER + 1:
                    return f"its answer has more than {MAX_ANSWER} bytes", b""
        return "", bytes(found)

    def end(self) -> None:
        """Kill it and what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.number, signal.SIGKILL)
        os.close(self._asks)
        os.close(self._answers)


class Session:
    """Answers one request after another.

    If a request ends the process, the next gets a new one. `folder` is its own.
    """

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.folder = folder
        self._nursery = nursery
        self._child: Child | None = None

    def run(self, request: Mapping[str, Any], limits: Limits) -> Ended:
        """As `sandbox.run`; the request's files may be in `folder`."""
        if not FORKS:
            return sandbox.run(request, limits, self.folder)
        began = time.monotonic()
        sent = {**request, "seconds": limits.seconds, "memory": limits.memory, "network": False, "into": None}
        asked = self.folder / "request.json"
        asked.write_text(json.dumps(sent), encoding="utf-8")
        self._child = self._child or self._nursery.copied(self.folder)
        spent, line = self._child.exchange(f"{asked}\n".encode(), limits.seconds * sandbox.PATIENCE)
        answer = None if spent else _object(line)
        if answer is None:
            self.end()
            answer = {"spent": spent or "its process sent a malformed answer"}
        seconds = time.monotonic() - began
        return Ended(None, str(answer["spent"]), seconds) if "spent" in answer else Ended(answer, "", seconds)

    def end(self) -> None:
        """End its process, if it has one."""
        if self._child is not None:
            self._child.end()
        self._child = None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def run(request: Mapping[str, Any], limits: Limits, into: Path | None = None, code: Path | None = None) -> Ended:
    """As `sandbox.run`, in the current session if there is one. Another folder or the network needs a new process."""
    session = _current.get()
    if session is None or code is not None or limits.network or (limits.memory or MEMORY) > MEMORY:
        return sandbox.run(request, limits, into, code)
    if into is not None and not into.is_relative_to(session.folder):
        return sandbox.run(request, limits, into, code)
    return session.run(request, limits)
