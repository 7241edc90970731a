"""`/v1/launch` and `/v1/open`: start a program and answer when its window is there and the screen is quiet."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deskbench.envs import wait
from deskbench.envs.server import commands, files
from deskbench.envs.server.http.server import HttpError, Request, Response, Route, flag, json_response, text
from deskbench.envs.server.x11.activity import LOOK_SECONDS, Rest

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk

LAUNCH_SECONDS = 30.0
"""Seconds that a window may take to appear. A program that is idle without a window counts as having none."""
OPEN_LOOKS = 10
"""If the screen is quiet after an open but no window shows the file: how many looks at idle programs to wait."""
MAX_COMPLAINT = 65536
"""Bytes at the end of a program's stderr that are searched for its last line."""
WIN_PASSING = (1359, 1450)
"""ERROR_INTERNAL_ERROR, ERROR_NO_SYSTEM_RESOURCES (winerror.h): a busy Wine gives the first now and then."""
PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What keeps a program from starting now, but may not the next time (fork(2), execve(2))."""
EARLY_END = 0.3
"""Seconds within which a program's failure counts as a failed launch."""


def routes(desk: Desk) -> list[Route]:
    """The two routes, bound to a desktop."""

    def launch(request: Request) -> Response:
        body = request.json()
        return start(desk, commands.argv(body.get("command"), shell=flag(body, "shell")))

    def open_file(request: Request) -> Response:
        path = commands.expand(text(request.json(), "path"))
        if not path:
            raise HttpError(400, "path is empty")
        there = files.exists(path)
        if not there and not commands.installed(path):
            raise HttpError(404, f"no such file or program: {path}")
        return show(desk, path) if there else start(desk, [path])

    return [
        Route("POST", "/v1/launch", launch, watch=desk.watch),
        Route("POST", "/v1/open", open_file, watch=desk.watch),
    ]


def opening(path: str) -> list[str]:
    """The command that opens a file with its default program."""
    if os.name == "nt":
        return [sys.executable, "-I", "-c", "import os, sys; os.startfile(sys.argv[1])", path]
    return ["open", path] if sys.platform == "darwin" else [commands.system("gio"), "open", path]


def show(desk: Desk, path: str) -> Response:
    """Open a file with its default program; return when a window shows it.

    A program that is about to end may take the file from the one that was just started, and forget it. So if nothing
    appears on the screen, the file is opened once more.

    Raises:
        HttpError: it cannot be opened, or no window shows it.
    """
    before = _titles(desk)

    def shown() -> bool:
        now = _titles(desk)
        return bool(now - before) or any(_names(title, path) for _, title in now)

    until = time.monotonic() + LAUNCH_SECONDS * desk.patience
    for _ in range(2):
        answer = start(desk, opening(path), env=commands.clean())
        _wait_at_work(desk, shown, until)
        if shown():
            return answer
    raise HttpError(500, f"{path} was opened, but no window shows it")


def _wait_at_work(desk: Desk, shown: Callable[[], bool], until: float) -> None:
    """Wait for `shown` while programs are busy, until a moment (monotonic seconds) at the latest."""
    rest = Rest(OPEN_LOOKS, desk.at_work)
    wait.until(lambda: shown() or rest.reached(), timeout=until - time.monotonic(), max_interval=LOOK_SECONDS)


def _titles(desk: Desk) -> set[tuple[str, str]]:
    return {(window["id"], window["title"]) for window in desk.windows.listing()}


def _names(title: str, path: str) -> bool:
    return Path(path).stem.lower() in title.lower()


def _passes(error: OSError) -> bool:
    """Whether a program that could not be started may be the next time."""
    code: int | None = getattr(error, "winerror", None)
    return code in WIN_PASSING if code is not None else error.errno in PASSING


def start(desk: Desk, argv: list[str], env: Mapping[str, str] | None = None) -> Response:
    """Start a program; answer when its window is mapped and quiet, or when it is idle without one.

    Raises:
        HttpError: it cannot be started, or failed; the message has the last line of its stderr.
    """
    settling = desk.begin_settling(launching=True)
    errors = commands.Output(MAX_COMPLAINT)
    try:
        process = commands.spawn(argv, errors, env)
    except OSError as error:
        if _passes(error):
            raise HttpError(503, f"{argv[0]!r} was not started this time: {error.strerror or error}") from None
        raise HttpError(400, f"cannot start {argv[0]!r}: {error.strerror or error}") from None
    errors.leave()
    _watch_early_end(process, argv, errors)
    settling.start = time.monotonic()
    settled = desk.settle(settling, LAUNCH_SECONDS * desk.patience)
    _raise_if_failed(process, argv, errors)
    desk.bring_up(settling)
    errors.taken()  # nobody will ask for it
    return json_response({"pid": process.pid, "settled": settled, "returncode": process.poll()})


def _watch_early_end(process: subprocess.Popen[bytes], argv: list[str], errors: commands.Output) -> None:
    """Wait a moment: a program that ends at once needs no settling, and one that fails at once is an error."""
    wait.until(lambda: process.poll() is not None, timeout=EARLY_END, max_interval=0.02)
    _raise_if_failed(process, argv, errors)


def _raise_if_failed(process: subprocess.Popen[bytes], argv: list[str], errors: commands.Output) -> None:
    if process.poll():
        said = errors.taken().decode("utf-8", "replace").strip().splitlines()
        tail = f": {said[-1]}" if said else ""
        raise HttpError(400, f"{argv[0]} ended with status {process.returncode}{tail}")
