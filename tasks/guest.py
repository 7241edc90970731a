"""Getters' own commands in the desktop, run by absolute paths that the agent cannot have changed.

Commands from a task file run as written. The output of either comes from programs of the desktop.
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
"""Variables that can load foreign code into a program."""
_NOT_STARTED = (126, 127)
"""Exit statuses of `env` when it cannot start a program (POSIX, env)."""
_TIMED_OUT, _CANNOT_RUN = 504, 400


class Lacking(CheckError):
    """The desktop lacks a program that a getter needs.

    Attributes:
        program: the program's name.
    """

    def __init__(self, program: str, said: str) -> None:
        super().__init__(f"the desktop lacks a program that the check needs: {said}")
        self.program = program


def clean(command: Sequence[str], platform: str = "Linux", **variables: str) -> list[str]:
    """A command with a clean PATH and environment; `env` finds the program. Windows commands stay as they are."""
    if platform == "Windows":
        return list(command)
    cleared = [part for name in _CLEARED for part in ("-u", name)]
    return ["/usr/bin/env", *cleared, f"PATH={PATH}", *(f"{k}={v}" for k, v in variables.items()), *command]


def ask(desktop: Desktop, command: Sequence[str], *, timeout: float = 30.0, **variables: str) -> CommandResult:
    """Run one of our own commands (`clean`).

    Raises:
        Lacking: the desktop has no such program in the folders that only an administrator can write to.
        Unfit: as in `told`.
    """
    done = told(desktop, clean(command, desktop.health().platform, **variables), timeout=timeout)
    if done.returncode in _NOT_STARTED and done.stderr.startswith("/usr/bin/env:"):
        raise Lacking(command[0], done.stderr.strip()[:300])
    return done


def told(
    desktop: Desktop, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0
) -> CommandResult:
    """Run a command that reads the end state.

    Raises:
        Unfit: the command timed out and was killed, or cannot be started; the agent left the desktop in that state.
        EnvError: the desktop failed.
    """
    try:
        return desktop.run(command, shell=shell, timeout=timeout)
    except GuestError as error:
        if ended_it(error):
            raise Unfit(f"the command that asks for it failed: {error}") from error
        raise


def ended_it(error: GuestError) -> bool:
    """Whether the server killed the command at its timeout or could not start it."""
    return error.status == _TIMED_OUT or (error.status == _CANNOT_RUN and "cannot run" in str(error))


def cannot_start(error: GuestError) -> bool:
    """Whether the server or the shell could not start a program: it is missing or not executable."""
    return (
        error.status == _CANNOT_RUN and re.search("cannot (run|start) |ended with status 127", str(error)) is not None
    )
