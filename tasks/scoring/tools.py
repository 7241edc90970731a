"""Programs that a task's checks run themselves: an image that lacks one cannot score the task.

This is checked before the agent acts, the only moment when a missing program cannot be the agent's doing. If a program
exists then and is gone when the task is scored, the agent removed it, and the check scores 0.

Only programs of a closed list are checked. The program in a check may be the one that the agent must install (`spotify
--version`): without it the task is just not done. No task asks to install a shell, `cat` or `gsettings`, so those
belong to the check. A command that only asks for a program's version tests for that program, even one on the list.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestError, SetupError
from deskbench.tasks import registry
from deskbench.tasks.scoring.probes import PROGRAMS
from deskbench.tasks.types import Call, Task

SHELLS = ("sh", "bash", "dash")
TOOLS = frozenset((
    *SHELLS,
    *"python python3 perl".split(),
    *"awk base64 basename cat cmp cut date df diff dirname du env expr file find gawk getent grep egrep fgrep groups "
     "head hostname id ls md5sum mawk printf ps pgrep pidof pwd readlink realpath sed seq sha256sum sort stat tac tail "
     "tee test timeout tr uname uniq wc which whoami xargs".split(),
    *"gunzip gzip tar unzip zcat zipinfo".split(),
    *"dconf gsettings gio gdbus dbus-send busctl xdg-mime xdg-settings xdg-user-dir xfconf-query".split(),
    *"wmctrl xclip xdotool xdpyinfo xprop xrandr xsel xset xwininfo".split(),
    *"amixer bluetoothctl crontab hostnamectl localectl loginctl nmcli pacmd pactl powerprofilesctl rfkill systemctl "
     "timedatectl".split(),
    *"dpkg dpkg-query exiftool fc-list ffprobe identify jq lpstat pdfinfo pdftotext sqlite3 xmllint".split(),
))  # fmt: skip
"""Interpreters, standard tools, and tools that read settings, windows, the session and files."""
_GOES_ON = ("|", "&&")
"""Operators that join programs that must all run."""
_OPERATORS = "();<>|&\n"
_VERSION = re.compile("-{1,2}v(ersion)?|-V|-h|-{1,2}help|version")
_STARTING = ("execute", "command", "launch")
_PLAIN = re.compile("[A-Za-z0-9_./+-]+")
_LOOK = 'for name do command -v "$name" >/dev/null 2>&1 || echo "$name"; done; echo seen'
_SECONDS = 60.0


def look(task: Task, desktop: Desktop) -> frozenset[str]:
    """The programs in the desktop that scoring runs: the checks' own, and those of the steps before the check.

    Call it before the agent acts. It sends one command or none. Nothing is known of a desktop without a POSIX shell.

    Raises:
        SetupError: permanent; a program of the checks is missing.
    """
    checks = list(dict.fromkeys(programs(task)))
    wanted = [*dict.fromkeys([*checks, *filter(None, map(started, task.evaluator.postconfig))])]
    if not wanted or desktop.health().platform == "Windows":
        return frozenset()
    try:
        lines = desktop.run(["/bin/sh", "-c", _LOOK, "sh", *wanted], timeout=_SECONDS).stdout.split("\n")
    except GuestError:
        return frozenset()
    if "seen" not in lines:
        return frozenset()
    missing = [name for name in checks if name in lines]
    if missing:
        raise SetupError(
            f"the desktop lacks {', '.join(missing)}, which the task's check runs: the task cannot be scored here; "
            "use an image that has it, or write the check with another program",
            permanent=True,
        )
    return frozenset(wanted) - frozenset(lines)


def started(call: Call) -> str | None:
    """The program that a set-up step starts, as written; None if it is not a plain command."""
    words = _words(call.parameters.get("command")) if call.type in _STARTING else []
    return words[0] if words and _PLAIN.fullmatch(words[0]) else None


def programs(task: Task) -> Iterator[str]:
    """The listed programs that a task's checks run, with duplicates."""
    for check in task.evaluator.checks:
        yield from PROGRAMS.get(check.metric, ())
        for call in (check.result, check.expected):
            if call is not None:
                yield from _of_getter(call)


def _of_getter(call: Call) -> Iterator[str]:
    yield from registry.find("getter", call.type).programs
    command = call.parameters.get("command")
    if call.parameters.get("shell") in (True, "true") and isinstance(command, str):
        yield from _of_line(command)
    else:
        yield from _of_words(_words(command))


def _words(command: object) -> list[str]:
    """A command split into words as the server does; empty if it is not a command."""
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError:  # an unclosed quote
        return []
    return [str(word) for word in words] if isinstance(words, list) else []


def _of_words(words: Sequence[str]) -> Iterator[str]:
    """The program of a command, and the programs in a line that it passes to a shell."""
    if not words:
        return
    name = posixpath.basename(words[0])
    asks_for_it = len(words) == 2 and _VERSION.fullmatch(words[1]) is not None
    if name in TOOLS and not asks_for_it:
        yield words[0]
    if name in SHELLS and len(words) > 2 and words[1] == "-c":
        yield from _of_line(words[2])


def _of_line(line: str) -> Iterator[str]:
    """The programs that a shell line is certain to run: those of a pipe, or of a list that stops at a failure.

    A line of another form (`a || b`, `a; b`, `$(a)`) may work without one of its programs.
    """
    lexer = shlex.shlex(line.strip(), posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace, lexer.commenters = " \t\r", ""
    commands: list[list[str]] = [[]]
    try:
        for token in lexer:
            if token in _GOES_ON:
                commands.append([])
            elif set(token) <= set(_OPERATORS) and token not in ("<", ">", ">>", ">&", "&>"):
                return
            else:
                commands[-1].append(token)
    except ValueError:  # an unclosed quote
        return
    for words in commands:
        yield from _of_words(words)
