"""The controller's side of a task class: starts its process, sends requests, answers its questions."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError, DeskbenchError, SetupError
from deskbench.envs.wait import now
from deskbench.tasks.classes.serve import Answers, Refusal
from deskbench.tasks.metrics.support.differences import Revision
from deskbench.tasks.scoring.sandbox import environment

SECONDS = 3600.0
"""Seconds for one request. OSWorld-V2's tasks train networks in their checks, and wait 20 minutes for one command."""
LOADING = 60.0
"""Seconds for loading a file."""
_KEPT = ("OSWORLD_FILE_BASE_URL", "WEBSITE_HOST_SUFFIX")
"""Environment variables that configure OSWorld-V2. A class may read them."""


class ClassFailed(DeskbenchError):
    """The task's own code raised an exception; one line."""


@dataclass(frozen=True)
class PhaseFacts:
    """The attributes of a phase (`base.Phase`)."""

    name: str
    instruction: str
    weight: float
    gate_min_score: float | None


class TaskProcess:
    """A task class in a separate process."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._scratch = tempfile.TemporaryDirectory(prefix="deskbench-class-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed in close)
        extra = {key: os.environ[key] for key in _KEPT if key in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deskbench.tasks.classes.child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            env={**environment(self._scratch.name), **extra},
        )  # fmt: skip
        self._buffer = b""
        self._facts: dict[str, Any] = {}

    def describe(self, path: Path) -> dict[str, Any]:
        """Load a file and return the attributes of its class (`base.FIELDS`, and whether it has phases).

        Raises:
            ClassFailed: it cannot be loaded.
            CheckError: the process ended, or did not finish.
        """
        self._facts = self._do({"do": "describe", "path": str(path)}, None, LOADING)
        return self._facts

    def setup(self, answers: Answers, phase: int | None = None) -> None:
        """Prepare the desktop.

        Raises:
            SetupError, EnvError: it failed.
        """
        try:
            self._do({"do": "setup", "phase": phase, "use_proxy": False}, answers, self._seconds)
        except (ClassFailed, CheckError) as error:
            raise SetupError(f"setup(): {error}") from error

    def phases(self) -> list[PhaseFacts]:
        """The phases; empty for a task without phases.

        Raises:
            SetupError: the task's own code failed.
        """
        if not self._facts["phases"]:
            return []
        try:
            return [PhaseFacts(**one) for one in self._do({"do": "phases"}, None, LOADING)]
        except (ClassFailed, CheckError) as error:
            raise SetupError(f"get_phases(): {error}") from error

    def evaluate(self, answers: Answers, phase: int | None = None, *, strict: Revision | None = None) -> Any:
        """The value that `evaluate` returned: a number or a dictionary.

        Raises:
            ClassFailed: it raised an exception.
            EnvError, CheckError: one of its questions failed.
        """
        return self._do({"do": "evaluate", "phase": phase, "strict": strict}, answers, self._seconds)

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._scratch.cleanup()

    def _do(self, request: Mapping[str, Any], answers: Answers | None, seconds: float) -> Any:
        deadline = now() + seconds
        self._tell(request)
        while True:
            message = self._read(deadline)
            if "done" in message:
                return message["done"]
            if "failed" in message:
                raise ClassFailed(str(message["failed"]))
            if answers is None:
                self._tell({"raise": "there is no desktop yet"})
                continue
            try:
                value = answers.answer(message["ask"], message["name"], message["arguments"], message["keywords"])
                self._tell({"value": {"": base64.b64encode(value).decode()} if isinstance(value, bytes) else value})
            except Refusal as error:
                self._tell({"raise": str(error)})

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the next read finds out why
            self._process.stdin.write(json.dumps(message, default=str).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self, deadline: float) -> dict[str, Any]:
        """The next line from the process."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - now())):
                    self.close()
                    raise CheckError("the task's own code did not finish in time")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise CheckError(f"the process that runs the task's own code ended: {self._last_words()}")
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _last_words(self) -> str:
        self._process.kill()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 65536))
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return said[-1] if said else f"status {self._process.wait()}"


def describe(paths: Iterable[Path]) -> dict[Path, dict[str, Any] | str]:
    """The attributes of the classes in some files; for a file that cannot be loaded, the reason as text."""
    found: dict[Path, dict[str, Any] | str] = {}
    process: TaskProcess | None = None
    for path in paths:
        process = process or TaskProcess()
        try:
            found[path] = process.describe(path)
        except DeskbenchError as error:
            found[path] = str(error)
            process.close()
            process = None
    if process is not None:
        process.close()
    return found
