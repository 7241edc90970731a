"""One process for many requests that are all of one origin: copies of one task's evidence, which are made and judged.

It is as walled in as a process for one request (`sandbox.run`). What it is brought to do by one request can tell in the
answers to the next, so that it is for bytes of one kind of trust only: never for the episodes of a run that are scored.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

from deskbench.tasks.scoring import sandbox
from deskbench.tasks.scoring.sandbox import MAX_ANSWER, Ended, Limits
from deskbench.tasks.scoring.walls import MEMORY

_current: ContextVar[Session | None] = ContextVar("session", default=None)


class Session:
    """A process that answers one request after another; where one ends it, the next starts another.

    `folder` is its own: it may write there and nowhere else, and the folder is gone when the session is closed.
    """

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="deskbench-session-", ignore_cleanup_errors=True)
        self.folder = Path(self._scratch.name)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._scratch.cleanup()

    def run(self, request: Mapping[str, Any], limits: Limits) -> Ended:
        """As `sandbox.run`; the request's files may stand in `folder`."""
        began = time.monotonic()
        sent = {**request, "seconds": limits.seconds, "memory": limits.memory, "network": False, "into": None}
        process = self._process or self._start()
        asked = self.folder / "request.json"
        asked.write_text(json.dumps(sent), encoding="utf-8")
        spent, line = self._exchange(process, f"{asked}\n".encode(), limits)
        seconds = time.monotonic() - began
        try:
            answer = json.loads(line) if not spent else None
        except (ValueError, RecursionError):
            spent = "its process said what is no answer"
        if spent or not isinstance(answer, dict):
            self._end()
            return Ended(None, spent or "its process said what is no answer", seconds)
        return Ended(None, str(answer["spent"]), seconds) if "spent" in answer else Ended(answer, "", seconds)

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "deskbench.tasks.scoring.work", "session"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=sandbox.environment(self._scratch.name),
            cwd=self.folder, start_new_session=True, bufsize=0,
        )  # fmt: skip
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], asked: bytes, limits: Limits) -> tuple[str, bytes]:
        """Why there is no answer, and the answer's line."""
        assert process.stdin is not None and process.stdout is not None
        until = time.monotonic() + limits.seconds * sandbox.PATIENCE
        found = bytearray()
        try:
            process.stdin.write(asked)  # far less than a pipe holds, and one request at a time
        except BrokenPipeError:
            return "its process ended before it was asked", b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            while not found.endswith(b"\n"):
                if not waiting.select(max(0.0, until - time.monotonic())):
                    return f"it took more than {limits.seconds * sandbox.PATIENCE:g} s", b""
                part = process.stdout.read(2**16)
                if not part:
                    return "its process ended", b""
                found += part
                if len(found) > MAX_ANSWER + 1:
                    return f"it gives more than {MAX_ANSWER} bytes", b""
        return "", bytes(found)

    def _end(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            sandbox.end(self._process)
        self._process = None


@contextmanager
def one_process() -> Iterator[Session]:
    """Inside, checks and readings that can be are worked out in one process (`worker.evaluate`, `worker.read`)."""
    with Session() as session:
        before = _current.set(session)
        try:
            yield session
        finally:
            _current.reset(before)


def run(request: Mapping[str, Any], limits: Limits, into: Path | None = None, code: Path | None = None) -> Ended:
    """As `sandbox.run`, by the session where there is one; what needs another folder or the network has its own."""
    session = _current.get()
    if session is None or code is not None or limits.network or (limits.memory or MEMORY) > MEMORY:
        return sandbox.run(request, limits, into, code)
    if into is not None and not into.is_relative_to(session.folder):
        return sandbox.run(request, limits, into, code)
    return session.run(request, limits)
