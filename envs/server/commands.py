"""Commands in the desktop's session: run to their end, or started and left running."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.server import identity
from deskbench.envs.server.http.limits import MAX_OUTPUT, MAX_WRITTEN
from deskbench.envs.server.http.server import HttpError

CMD = ("cmd", "/s", "/c")
"""Windows' shell. It gets one line and handles the quotes itself."""
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows, hides the console of commands that the server waits for."""
OOM_SCORE = "500"
"""Makes the kernel kill programs before the desktop when memory is short (proc(5), oom_score_adj)."""
SYSTEM = "/usr/bin:/bin:/usr/local/bin"
"""Folders of the programs that the server itself needs. The desktop's user may have changed the session's PATH."""
_PYTHON = 'python() { python3 "$@"; }\n'


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class CommandTimeout(Exception):
    """The command ran out of time. It and its children have been killed."""


def expand(path: str) -> str:
    """Expand `~` and $VAR in a path, for the session's user."""
    return os.path.expandvars(os.path.expanduser(path))  # noqa: PTH111  (pathlib expands no variables)


def argv(command: object, *, shell: bool) -> list[str]:
    """Turn OSWorld's `command` field into an argument list. Splits a string, and expands a leading `~/`.

    `python` becomes python3 if the system has no `python`: OSWorld's task files say `python`.

    Raises:
        HttpError: 400, it is neither a string nor a list of strings, or it is empty.
    """
    words = _split(command) if isinstance(command, str) and not shell else _list(command)
    if any("\0" in word for word in words):
        raise HttpError(400, "command contains a NUL")
    if shell and os.name == "nt":
        return [*CMD, " ".join(words)]
    if shell:
        text = " ".join(words)
        return ["/bin/bash", "-c", text if shutil.which("python") else _PYTHON + text]
    parts = words
    if not parts or not parts[0]:
        raise HttpError(400, "command is empty")
    parts = [expand(part) if part.startswith("~/") else part for part in parts]
    if parts[0] in ("python", "python3") and os.name == "nt":
        parts[0] = sys.executable
    elif parts[0] == "python" and not shutil.which("python"):
        parts[0] = "python3"
    return parts


def installed(program: str) -> bool:
    """Whether the session's PATH has this program."""
    return shutil.which(program) is not None


def system(program: str) -> str:
    """The path of one of the system's own programs."""
    return shutil.which(program, path=SYSTEM) or program


def clean() -> dict[str, str]:
    """The session's environment for the system's own programs, without variables that load other code into them."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "PYTHON", "BASH_"))}


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise HttpError(400, f"command cannot be split: {error}") from None


def _list(command: object) -> list[str]:
    words = [command] if isinstance(command, str) else command
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, (str, int, float)) for word in words):
        raise HttpError(400, f"command is {json.dumps(command)[:100]}; it must be a string or a list of strings")
    return [str(word) for word in words]


def run(
    parts: Sequence[str],
    *,
    timeout: float,
    cwd: str | None = None,
    merged: bool = False,
    env: Mapping[str, str] | None = None,
) -> Done:
    """Run a command to its end. A child that it leaves behind does not delay the answer.

    Args:
        parts: program and arguments.
        timeout: seconds.
        cwd: its folder; None for the home folder.
        merged: stderr goes where stdout goes, in the order written.
        env: its environment; None for the session's.

    Raises:
        CommandTimeout: it and everything that it started in its group have been killed.
        OSError: it cannot be started.
    """
    out, err = Output(MAX_OUTPUT), None if merged else Output(MAX_OUTPUT)
    process = _start(parts, out, err or out, cwd, flags=NO_WINDOW, env=env)
    try:
        if not _ended(process, [one for one in (out, err) if one], time.monotonic() + timeout):
            _kill_group(process)
            raise CommandTimeout(f"{parts[0]} was still running after {timeout:g} s and has been killed")
    finally:
        said, complained = out.taken(), err.taken() if err else b""
    text = _text(said, MAX_OUTPUT + 2)
    return Done(process.returncode, text, _text(complained, min(MAX_WRITTEN - _written(text), MAX_OUTPUT + 2)))


def _text(data: bytes, room: int) -> str:
    """Decode output, cut so that it takes at most `room` bytes as JSON."""
    text = data.decode("utf-8", "replace")
    return text if len(text) * 6 + 2 <= room or _written(text) <= room else text[: (room - 2) // 6]


def _written(text: str) -> int:
    return len(json.dumps(text))


def _ended(process: subprocess.Popen[bytes], outputs: Sequence[Output], deadline: float) -> bool:
    """Read output until the process ends; False if it is still running at the deadline (monotonic seconds)."""
    if os.name == "nt":
        try:
            process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            return False
        return True
    poll, readers = select.poll(), {one.descriptor: one for one in outputs}
    for descriptor in readers:
        poll.register(descriptor, select.POLLIN)
    with _exit_of(process) as exit_:
        if exit_ is not None:
            poll.register(exit_, select.POLLIN)
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for descriptor, _ in poll.poll(min(left, _LOOK_SECONDS if exit_ is None else left) * 1e3):
                if descriptor in readers and not readers[descriptor].take() and readers[descriptor].over:
                    poll.unregister(descriptor)
    return True


@contextlib.contextmanager
def _exit_of(process: subprocess.Popen[bytes]) -> Iterator[int | None]:
    """A descriptor that becomes ready when the process ends (pidfd_open(2)); None if the system has no such thing."""
    descriptor = None
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.pidfd_open(process.pid)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


class Output:
    """What a program prints into a pipe. Keeps the first bytes, and reads and drops the rest.

    It is read as long as anybody can write: a program that is left behind must neither fill a disk nor block.

    Attributes:
        end: the descriptor that the program writes to; `begin` closes it here.
        descriptor: the descriptor that the server reads.
        over: nobody can write any more.
    """

    def __init__(self, most: int) -> None:
        self._most, self._kept, self._lock = most, bytearray(), threading.Lock()
        self.descriptor, self.end = os.pipe()
        self.over = self._closed = False
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start reading: the program has the pipe now."""
        os.close(self.end)
        if os.name == "nt":  # pipes there do not tell whether there is something to read
            self._thread = threading.Thread(target=self._read_on, daemon=True)
            self._thread.start()
        else:
            os.set_blocking(self.descriptor, False)

    def discard(self) -> None:
        """Close both ends: the program did not start."""
        os.close(self.end)
        os.close(self.descriptor)

    def take(self) -> int:
        """Read what has arrived, if anything; returns the number of bytes."""
        with self._lock:
            if self.over:
                return 0
            try:
                return self._take()
            except BlockingIOError:
                return 0

    def taken(self) -> bytes:
        """What has been printed so far. From now on nothing is kept, and output is read slowly."""
        if self._thread is not None:
            self._thread.join(_NT_SECONDS)
        else:
            left = _PIPE
            while left > 0 and (size := self.take()):
                left -= size
        with self._lock:
            kept, self._kept, self._most = bytes(self._kept), bytearray(), 0
        self.leave()
        return kept

    def leave(self) -> None:
        """Leave the rest to the thread that reads slowly."""
        if self._thread is None:
            _left_behind.add(self)

    def close(self) -> None:
        """Close it: nobody can write, and nobody will read."""
        with self._lock:
            if not self._closed:
                os.close(self.descriptor)
            self._closed = True

    def _take(self) -> int:
        data = os.read(self.descriptor, _PART)
        self._kept += data[: max(self._most - len(self._kept), 0)]
        self.over = not data
        return len(data)

    def _read_on(self) -> None:
        while self._take():
            pass
        self.close()


class _LeftBehind:
    """Reads the output of everything left behind, in one thread, no faster than a program has reason to print."""

    def __init__(self) -> None:
        self._outputs: list[Output] = []
        self._changed = threading.Condition()
        self._runs = False

    def add(self, output: Output) -> None:
        """Read this one, too, until it is over."""
        with self._changed:
            if output in self._outputs:
                return
            if output.over:
                output.close()
                return
            self._outputs.append(output)
            self._changed.notify()
            if not self._runs:
                with contextlib.suppress(RuntimeError):  # no thread is available; the next output may get one
                    threading.Thread(target=self._read, name="left-behind", daemon=True).start()
                    self._runs = True

    def _read(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._outputs)
                outputs = list(self._outputs)
            for output in outputs:
                if not output.take() and output.over:
                    with self._changed:
                        self._outputs.remove(output)
                    output.close()
            wait.sleep(_LATE_PAUSE)


_left_behind = _LeftBehind()
_PART = 1 << 16
_PIPE = 1 << 20
"""The most bytes that a pipe holds, unless root has changed that (pipe(7))."""
_LATE_PAUSE = 0.05
_LOOK_SECONDS = 0.02
_NT_SECONDS = 0.5
"""Seconds by which a child left behind may delay the answer on Windows."""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        from deskbench.envs.server.win32.processes import end_family

        end_family(process.pid)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def spawn(
    parts: Sequence[str], errors: Output | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in its own group and leave it running."""
    return _start(list(parts), None, errors, None, env=env)


def _start(
    parts: Sequence[str],
    out: Output | None,
    err: Output | None,
    cwd: str | None,
    flags: int = 0,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    line = f'{" ".join(CMD)} "{parts[3]}"' if tuple(parts[:3]) == CMD else parts
    outputs = {id(one): one for one in (out, err) if one is not None}.values()
    ends = [subprocess.DEVNULL if one is None else one.end for one in (out, err)]
    try:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=ends[0], stderr=ends[1], cwd=cwd or str(Path.home()),
            start_new_session=True, creationflags=flags, env=env, **identity.popen_options(),
        )  # fmt: skip
    except BaseException:
        for one in outputs:
            one.discard()
        raise
    for one in outputs:
        one.begin()
    with contextlib.suppress(OSError):  # when memory runs out, the kernel kills programs before the desktop
        Path(f"/proc/{process.pid}/oom_score_adj").write_text(OOM_SCORE)
    return process


def run_source(lang: str, source: str, timeout: float, *, cwd: str | None = None, merged: bool = False) -> Done:
    """Run `python` or `bash` source text. It runs from a file, because commands that read stdin would eat a script
    there.

    Raises:
        CommandTimeout, OSError: as in `run`.
    """
    if lang != "python" and os.name == "nt":
        raise OSError(f"{lang} is not installed")
    with tempfile.TemporaryDirectory(prefix="script-") as folder:
        script = Path(folder, "script")
        script.write_bytes(source.encode("utf-8", "surrogateescape"))
        program = (sys.executable if os.name == "nt" else "python3") if lang == "python" else "/bin/bash"
        return run([program, str(script)], timeout=timeout, cwd=cwd, merged=merged)
