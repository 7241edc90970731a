"""A program's process: its command, its environment and folder, its output, and its end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deskbench.agent.programs import act, keeper
from deskbench.agent.programs.output import Bill, Kept
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError

START_SECONDS, END_SECONDS = 30.0, 10.0
PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
"""Variables of the controller's environment that every program gets, apart from those that the user names."""
PLACEHOLDERS = ("instruction", "prompt", "mcp_config", "mcp_stdio_config", "url", "token", "folder", "python")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def read_command(command: str) -> list[str]:
    """The words of a command; there is no shell.

    Raises:
        UsageError: the command has no words, an open quote or an unknown placeholder.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"program: the setting command cannot be read: {str(error).lower()}: {command}") from None
    if not words:
        raise UsageError("program: name the program: --set command='claude -p {prompt} …' (docs/programs.md)")
    for name in _PLACEHOLDER.findall(command):
        if name not in PLACEHOLDERS:
            raise UsageError(f"program: the command has an unknown placeholder {{{name}}}{nearest(name, PLACEHOLDERS)}")
    return words


def find_program(words: Sequence[str]) -> str:
    """The path of a command's program.

    Raises:
        UsageError: there is no such program.
    """
    found = shutil.which(words[0])
    if found is None:
        raise UsageError(f"program: {words[0]!r} is not installed: no program of this name is in PATH")
    return str(Path(found).absolute())


def named_variables(names: Sequence[str]) -> dict[str, str]:
    """Variables of this environment.

    Raises:
        UsageError: one of them is not set.
    """
    for name in names:
        if name not in os.environ:
            raise UsageError(f"program: the setting env names {name!r}, which is not set")
    return {name: os.environ[name] for name in names}


def mcp_config(url: str, token: str) -> dict[str, Any]:
    """The configuration of an MCP client for streamable HTTP, in the form that most programs read."""
    server = {"type": "http", "url": f"{url}/mcp", "headers": {"Authorization": f"Bearer {token}"}}
    return {"mcpServers": {"desktop": server}}


def mcp_stdio_config(url: str, token: str) -> dict[str, Any]:
    """The configuration of an MCP client that starts our bridge and talks to it by standard input and output."""
    path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    server = {
        "command": sys.executable,
        "args": ["-P", "-m", "deskbench.agent.programs.bridge"],
        "env": {act.URL: url, act.TOKEN: token, **path},
    }
    return {"mcpServers": {"desktop": server}}


class Place:
    """A program's folder: where it works, its home, its scratch files, and what configures it.

    Args:
        url, token: of the episode's server.
        variables: the variables that the user names.
    """

    def __init__(self, url: str, token: str, variables: Mapping[str, str]) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="deskbench-program-", ignore_cleanup_errors=True)
        self.path = Path(self._scratch.name)
        self._write("owner", str(os.getpid()))  # so that what a killed run leaves goes with what it left of desktops
        for name in ("work", "home", "tmp", "bin"):
            (self.path / name).mkdir()
        self._files = {"mcp_config": mcp_config(url, token), "mcp_stdio_config": mcp_stdio_config(url, token)}
        for name, value in self._files.items():
            self._write(f"{name}.json", json.dumps(value, indent=1))
        command = shlex.join([sys.executable, "-P", str(Path(act.__file__).absolute())])
        self._write("bin/act", f'#!/bin/sh\nexec {command} "$@"\n').chmod(0o700)
        self._values = {"url": f"{url}/mcp", "token": token, "folder": str(self.work), "python": sys.executable}
        self._values |= {name: str(self.path / f"{name}.json") for name in self._files}
        self._variables = {act.URL: url, act.TOKEN: token, **variables}

    @property
    def work(self) -> Path:
        """The folder that the program starts in."""
        return self.path / "work"

    def environment(self) -> dict[str, str]:
        """The program's whole environment."""
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        path = os.pathsep.join([str(self.path / "bin"), passed.get("PATH", os.defpath)])
        own = {"PATH": path, "HOME": str(self.path / "home"), "TMPDIR": str(self.path / "tmp"), "TERM": "dumb"}
        return {**passed, **own, **self._variables}

    def words(self, words: Sequence[str], told: Mapping[str, str]) -> list[str]:
        """A command with its placeholders filled in; `told` has the texts of this episode."""
        values = {**self._values, **told}
        return [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words]

    def close(self) -> None:
        """Remove the folder."""
        self._scratch.cleanup()

    def _write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path


class Program:
    """A running program.

    Args:
        words: its command.
        place: its folder and environment.
        within: what comes before its command: the walls around it.
        told: what it reads from standard input.
        keep: the folder that gets its output, or None.

    Raises:
        UsageError: it cannot be started.
    """

    def __init__(self, words: Sequence[str], place: Place, within: Sequence[str], told: str, keep: Path | None) -> None:
        self.bill = Bill()
        self._control, theirs = socket.socketpair()
        if keep is not None:
            keep.mkdir(exist_ok=True)
        with tempfile.TemporaryFile() as said, theirs:
            said.write(told.encode("utf-8", "replace"))
            said.seek(0)
            self._keeper = subprocess.Popen(
                [*within, sys.executable, "-I", str(Path(keeper.__file__).absolute()), str(theirs.fileno()), *words],
                stdin=said, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[theirs.fileno()],
                cwd=place.work, env=place.environment(), start_new_session=True,
            )  # fmt: skip
        assert isinstance(self._keeper.stdout, io.BufferedReader)
        assert isinstance(self._keeper.stderr, io.BufferedReader)
        self._outputs = (
            Kept(self._keeper.stdout, keep / "stdout.txt" if keep else None, self.bill.read),
            Kept(self._keeper.stderr, keep / "stderr.txt" if keep else None),
        )
        problem = self._problem()
        if problem:
            self.end()
            raise UsageError(f"program: {words[0]} cannot be started: {problem}")

    def _problem(self) -> str:
        """Why the program has not started, or an empty text."""
        self._control.settimeout(START_SECONDS)
        line = b""
        with contextlib.suppress(OSError):
            while not line.endswith(b"\n") and (more := self._control.recv(4096)):
                line += more
        return "" if line == b"\n" else line.decode("utf-8", "replace").strip() or self._end_of_output() or "no answer"

    @property
    def status(self) -> int | None:
        """Exit status, or None while it runs; 128 and the signal's number if a signal ended it."""
        return self._keeper.poll()

    def told(self) -> str:
        """How it ended, in words, with the end of its output."""
        self._read_out()
        said = self._end_of_output()
        return f"exit status {self.status}" + (f"; its output ends: {said}" if said else "")

    def wait(self, timeout: float) -> None:
        """Wait for its end, at most `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(max(0.0, timeout))
        if self.status is not None:
            self._read_out()

    def end(self) -> None:
        """End it, with everything that it has started."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(END_SECONDS)
        with contextlib.suppress(OSError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.wait()
        self._read_out()

    def _read_out(self) -> None:
        for output in self._outputs:
            output.close(END_SECONDS)

    def _end_of_output(self) -> str:
        out, err = (output.end for output in self._outputs)
        return " ".join((err or out).split())
