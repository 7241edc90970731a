"""Runs each piece of work on data from a desktop in a process with limits, its own folder and no secrets.

Requests and answers are JSON, so nothing from the process is ever unpickled. `work` is the other end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deskbench.tasks.scoring.walls import MEMORY

SECONDS = 60.0
"""Processor seconds for one check. A check that imports everything, including sound and film, takes 15."""
PATIENCE = 4.0
"""Wall-clock time that a process may take, as a multiple of its processor time: the machine may be busy."""
MAX_ANSWER = 8 * 2**20
"""Maximum size of an answer in bytes."""
_SAID = 4096
"""How many bytes at the end of its stderr are read."""
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV", "PLAYWRIGHT_BROWSERS_PATH")
_HOMES = ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
          "XDG_RUNTIME_DIR", "MPLCONFIGDIR", "USERPROFILE")  # fmt: skip
NUMBA = "numba"
"""The folder for machine code inside a process's own folder."""


@dataclass(frozen=True)
class Limits:
    """Limits of a process: processor seconds, bytes of address space (None: no limit), TCP connections."""

    seconds: float = SECONDS
    memory: int | None = MEMORY
    network: bool = False


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        answer: its answer, an object; None if it gave no answer.
        spent: why it gave no answer: it ran out of time, memory or stack, was killed, crashed, or wrote too much.
        seconds: the wall-clock time it took.
    """

    answer: dict[str, Any] | None
    spent: str
    seconds: float


def run(request: Mapping[str, Any], limits: Limits, into: Path | None = None, code: Path | None = None) -> Ended:
    """Run a request in a process of its own (`work.main`). The process and all its children are gone afterwards.

    Args:
        request: what to do.
        limits: what the process may use.
        into: another folder that it may write to, in addition to its own.
        code: a folder of machine code (`compiled`); the process gets a copy.
    """
    more = {"seconds": limits.seconds, "memory": limits.memory, "network": limits.network}
    sent = {**request, **more, "into": None if into is None else named(into)}
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="deskbench-check-", ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as errors,
    ):
        if code is not None:
            shutil.copytree(code, Path(scratch, NUMBA))
        asked.write(json.dumps(sent).encode())
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "deskbench.tasks.scoring.work"], stdin=asked, stdout=said, stderr=errors,
            env=environment(scratch), cwd=scratch, start_new_session=True,
        )  # fmt: skip
        spent = _wait(process, limits)
        answer = {"spent": spent} if spent else _answer(said)
        if answer is None:
            answer = {"spent": f"its process ended with status {process.returncode}; last said: {_last(errors)}"}
    seconds = time.monotonic() - began
    return Ended(None, str(answer["spent"]), seconds) if "spent" in answer else Ended(answer, "", seconds)


def environment(scratch: str) -> dict[str, str]:
    """The environment of a process for checks: no secrets, and a folder for its own files."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return {
        **kept,
        **homes(scratch),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # each thread's buffers count as address space
        "OMP_NUM_THREADS": "1",
    }


def homes(folder: str) -> dict[str, str]:
    """Variables that make programs and libraries keep their own files in a folder."""
    return {**dict.fromkeys(_HOMES, folder), "NUMBA_CACHE_DIR": str(Path(folder, NUMBA))}


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """Wait for the process to end and kill what is left of it; returns why there is no answer, or an empty string."""
    wall = limits.seconds * PATIENCE
    try:
        status = process.wait(wall)
    except subprocess.TimeoutExpired:
        return f"it took more than {wall:g} s"
    finally:
        end(process)
    if status == -getattr(signal, "SIGXCPU", 0):
        return f"it used more than {limits.seconds:g} s of processor time"
    if status < 0:
        return f"its process was ended by signal {-status}"
    return ""


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and everything in its process group."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _answer(said: IO[bytes]) -> dict[str, Any] | None:
    said.seek(0)
    data = said.read(MAX_ANSWER + 1)
    if len(data) > MAX_ANSWER:
        return {"spent": f"its answer has more than {MAX_ANSWER} bytes"}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _last(errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _SAID))
    return (errors.read().decode("utf-8", "replace").strip().splitlines() or ["nothing"])[-1]


def named(path: Path) -> str:
    """A file's name in a request."""
    return str(path.resolve())
