"""Processes for what comes from a desktop: one for each piece of work, with limits, a folder of its own and no secrets.

A request and its answer are JSON, so that nothing the process says is ever unpickled. Its other end is `work`.
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
"""Processor seconds for one check. A check that imports everything, also for sound and film, takes 15."""
PATIENCE = 4.0
"""Wall-clock time that a process may take, in multiples of its processor time: the machine may be busy."""
MAX_ANSWER = 8 * 2**20
"""Bytes of an answer."""
_SAID = 4096
"""Bytes of the end of what it said on stderr that are looked at."""
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV", "PLAYWRIGHT_BROWSERS_PATH")
_HOMES = ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
          "XDG_RUNTIME_DIR", "MPLCONFIGDIR", "USERPROFILE")  # fmt: skip
NUMBA = "numba"
"""The folder in a process's own where machine code is."""


@dataclass(frozen=True)
class Limits:
    """What a process may use: seconds of the processor, bytes of address space (None: no limit), TCP connections."""

    seconds: float = SECONDS
    memory: int | None = MEMORY
    network: bool = False


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        answer: what it said, an object; None where it came to no answer.
        spent: why it came to none: it ran out of time, memory or stack, was killed or crashed, or said too much.
        seconds: how long it took, by the clock.
    """

    answer: dict[str, Any] | None
    spent: str
    seconds: float


def run(request: Mapping[str, Any], limits: Limits, into: Path | None = None, code: Path | None = None) -> Ended:
    """Have a process of its own work on a request (`work.main`); it and all that it started are gone afterwards.

    Args:
        request: what it is to do.
        limits: what it may use.
        into: another folder that it may write to, in addition to its own.
        code: a folder of machine code (`compiled`), of which it gets a copy.
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
    """What a process for checks knows of the person's environment: no secrets, and a folder for its own files."""
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
    """What tells programs and libraries that a folder is where their own files belong."""
    return {**dict.fromkeys(_HOMES, folder), "NUMBA_CACHE_DIR": str(Path(folder, NUMBA))}


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """Wait for the end, and end what is left; why there is no answer, if there is none."""
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
    """End the process and all that it started in its group."""
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
    """How a request names a file."""
    return str(path.resolve())
