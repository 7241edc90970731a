"""Our own commands in the desktop, for getters: by absolute paths, out of reach of what an agent may have changed.

A command that a task file gives is run as it stands there. What either says comes from programs of the desktop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deskbench.envs.desktop import CommandResult, Desktop
from deskbench.envs.errors import CheckError, GuestError, Unfit

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin"
"""Folders that only an administrator can write to."""
_CLEARED = ("BASH_ENV", "ENV", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "PYTHONHOME",
            "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT")  # fmt: skip
"""Variables by which other code gets into a program."""
_NOT_STARTED = (126, 127)
"""Exit statuses of `env` for a program that it cannot start (POSIX, env)."""
_TIMED_OUT, _CANNOT_RUN = 504, 400


class Lacking(CheckError):
    """The desktop lacks a program that a getter needs.

    Attributes:
        program: its name.
    """

    def __init__(self, program: str, said: str) -> None:
        super().__init__(f"the desktop lacks a program that the check needs: {said}")
        self.program = program


def clean(command: Sequence[str], platform: str = "Linux", **variables: str) -> list[str]:
    """A command with a clean PATH and environment; `env` finds the program. On Windows as it is."""
    if platform == "Windows":
        return list(command)
    cleared = [part for name in _CLEARED for part in ("-u", name)]
    return ["/usr/bin/env", *cleared, f"PATH={PATH}", *(f"{k}={v}" for k, v in variables.items()), *command]


def ask(desktop: Desktop, command: Sequence[str], *, timeout: float = 30.0, **variables: str) -> CommandResult:
    """Run a command of ours (`clean`).

    Raises:
        Lacking: the desktop has no such program in folders that only an administrator writes to.
        Unfit: as in `told`.
    """
    done = told(desktop, clean(command, desktop.health().platform, **variables), timeout=timeout)
    if done.returncode in _NOT_STARTED and done.stderr.startswith("/usr/bin/env:"):
        raise Lacking(command[0], done.stderr.strip()[:300])
    return done


def told(
    desktop: Desktop, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0
) -> CommandResult:
    """What a command says of the end state.

    Raises:
        Unfit: it did not end in its time and has been killed, or cannot be started: so the agent has left the desktop.
        EnvError: the desktop broke off.
    """
    try:
        return desktop.run(command, shell=shell, timeout=timeout)
    except GuestError as error:
        if ended_it(error):
            raise Unfit(f"the command that asks for it failed: {error}") from error
        raise


def ended_it(error: GuestError) -> bool:
    """Whether the server says of a command that it was killed after its time, or that it cannot be started."""
    return error.status == _TIMED_OUT or (error.status == _CANNOT_RUN and "cannot run" in str(error))


def cannot_start(error: GuestError) -> bool:
    """Whether the server says that it, or the shell, cannot start a program: it is missing, or not a program."""
    return (
        error.status == _CANNOT_RUN and re.search("cannot (run|start) |ended with status 127", str(error)) is not None
    )
