"""Commands in the desktop's session: run to their end, or started and left alone."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deskbench.envs.server import identity
from deskbench.envs.server.http import HttpError

MAX_OUTPUT = 16 * 2**20
"""Bytes kept of each of stdout and stderr; a command that prints more is cut, not refused."""

CMD = ("cmd", "/s", "/c")
"""Windows' shell; what follows is a line, in which quotes are its own affair."""
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows: a command that is run to its end shows no console."""
OOM_SCORE = "500"
"""What makes the kernel choose programs first (proc(5), oom_score_adj)."""
_PYTHON = 'python() { python3 "$@"; }\n'


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


class CommandTimeout(Exception):
    """The command was still running when its time was over; it and its children have been killed."""


def expand(path: str) -> str:
    """`~` and $VAR in a path, as the session's user has them."""
    return os.path.expandvars(os.path.expanduser(path))  # noqa: PTH111  (pathlib expands no variables)


def argv(command: object, *, shell: bool) -> list[str]:
    """OSWorld's `command` field to an argument list: a string is split, a leading `~/` expanded.

    `python` becomes python3 where the system has no `python`: OSWorld's task files say `python`.

    Raises:
        HttpError: 400, it is neither a string nor a list of strings, or it is empty.
    """
    if shell and os.name == "nt":
        return [*CMD, command if isinstance(command, str) else " ".join(str(part) for part in _list(command))]
    if shell:
        text = command if isinstance(command, str) else " ".join(str(part) for part in _list(command))
        return ["/bin/bash", "-c", text if shutil.which("python") else _PYTHON + text]
    parts = shlex.split(command) if isinstance(command, str) else [str(part) for part in _list(command)]
    if not parts:
        raise HttpError(400, "command is empty")
    parts = [expand(part) if part.startswith("~/") else part for part in parts]
    if parts[0] in ("python", "python3") and os.name == "nt":
        parts[0] = sys.executable
    elif parts[0] == "python" and not shutil.which("python"):
        parts[0] = "python3"
    return parts


def installed(program: str) -> bool:
    """The session's PATH has such a program."""
    return shutil.which(program) is not None


def _list(command: object) -> Sequence[object]:
    if not isinstance(command, (list, tuple)):
        raise HttpError(400, f"command is {command!r}; it must be a string or a list of strings")
    return command


def run(parts: Sequence[str], *, timeout: float, cwd: str | None = None, merged: bool = False) -> Done:
    """Run to the end; output goes through files, so that a child left behind cannot hold the answer up.

    Args:
        parts: program and arguments.
        timeout: seconds.
        cwd: its folder; the home folder when None.
        merged: stderr goes where stdout goes, in the order written.

    Raises:
        CommandTimeout: it and all that it started in its group have been killed.
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _start(parts, out, subprocess.STDOUT if merged else err, cwd, flags=NO_WINDOW)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            raise CommandTimeout(f"{parts[0]} was still running after {timeout:g} s and has been killed") from None
        return Done(process.returncode, _read(out), _read(err))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        from deskbench.envs.server.win32.processes import end_family

        end_family(process.pid)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MAX_OUTPUT).decode("utf-8", "replace")


def spawn(parts: Sequence[str], errors: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own and leave it alone."""
    return _start(list(parts), subprocess.DEVNULL, errors or subprocess.DEVNULL, None)


def _start(
    parts: Sequence[str], out: int | IO[bytes], err: int | IO[bytes], cwd: str | None, flags: int = 0
) -> subprocess.Popen[bytes]:
    line = f'{" ".join(CMD)} "{parts[3]}"' if tuple(parts[:3]) == CMD else parts
    process = subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd or str(Path.home()), start_new_session=True,
        creationflags=flags, **identity.popen_options(),
    )  # fmt: skip
    with contextlib.suppress(OSError):  # where memory ends, a program is ended before the desktop
        Path(f"/proc/{process.pid}/oom_score_adj").write_text(OOM_SCORE)
    return process


def run_source(lang: str, source: str, timeout: float, *, cwd: str | None = None, merged: bool = False) -> Done:
    """Run source text, `python` or `bash`; from a file, since a script on stdin is eaten by commands that read it.

    Raises:
        CommandTimeout, OSError: as `run`.
    """
    if lang != "python" and os.name == "nt":
        raise OSError(f"there is no {lang} here")
    with tempfile.TemporaryDirectory(prefix="script-") as folder:
        script = Path(folder, "script")
        script.write_bytes(source.encode("utf-8", "surrogateescape"))
        program = (sys.executable if os.name == "nt" else "python3") if lang == "python" else "/bin/bash"
        return run([program, str(script)], timeout=timeout, cwd=cwd, merged=merged)
