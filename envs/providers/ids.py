"""The user ids of a sandbox: ids that own nothing on this machine, one for the server and one for the programs.

Inside the sandbox, the server is 0 and has a few capabilities (`sandbox.RIGHTS`). Programs are 1000 and have none:
they can neither end the server nor read its memory. Outside, both are ids without a name, a file or a right. Root may
choose any ids and takes two from a range that no distribution assigns. An ordinary user takes one of the subordinate
ids in /etc/subuid (subuid(5)) for the programs, and the server runs under the user's own id. Without subordinate ids,
server and programs share the user's id, and the kernel separates them only as far as processes of one user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deskbench.envs.errors import StartError, UsageError

SERVER, PROGRAMS = 0, 1000
"""The two ids as seen inside."""
FREE = range(0x7000_0000, 0x7FFF_0000)
"""Ids that nothing uses: systemd's list of id ranges (UIDS-GIDS) marks them as unused."""
MACHINES = FREE.stop
"""The group of virtual machines that root starts. It may open the files that hold their memory."""
MEND = "apt-get install uidmap, and a line NAME:100000:65536 in /etc/subuid and /etc/subgid"
_ENTER = """
import ctypes, os, sys
tell, hear, uid = map(int, sys.argv[1:4])
libc = ctypes.CDLL(None, use_errno=True)
if uid >= 0:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: else /proc's files of this process stay root's
if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER
    sys.exit("bwrap: no user namespace: " + os.strerror(ctypes.get_errno()))
os.write(tell, b"1")
if os.read(hear, 1) != b"1":
    sys.exit(1)
if uid >= 0:
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
try:
    with open("/proc/sys/user/max_user_namespaces", "w") as limit:
        limit.write("0")
except OSError:  # read-only in a container; the filter of system calls forbids them, too
    pass
try:
    os.execv(sys.argv[4], sys.argv[4:])  # from here on, Python may not be able to read its own modules
except OSError as error:
    sys.exit(sys.argv[4] + ": " + error.strerror)
"""
"""Takes the ids, makes a user namespace, waits until its ids are mapped, and forbids further namespaces in it.

Arguments: two file descriptors, the id to take or -1, and the command.
"""


@dataclass(frozen=True)
class Ids:
    """Ids on this machine: of a sandbox's server, of its programs, and of their group if it differs."""

    server: int
    programs: int
    group: int | None = None


def allocate() -> Ids | None:
    """Two ids for a new sandbox; None if this user has only one.

    Raises:
        UsageError: this is root without other ids, and a desktop would run as root.
    """
    if os.geteuid() == 0:
        first = _free_id()
        return Ids(first, first + 1)
    lent = _subordinate()
    return None if lent is None else Ids(os.geteuid(), lent)


def _free_id() -> int:
    """The first of two unused ids. In a container, takes them from the end of its range."""
    lines = [line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    for start, _, count in ((int(part) for part in line) for line in lines):
        if start <= FREE.start and start + count >= FREE.stop:
            return random.SystemRandom().randrange(FREE.start, FREE.stop, 2)
    start, count = max(((int(line[0]), int(line[2])) for line in lines), key=lambda one: one[1])
    spare = [uid for uid in range(start + count - 2, max(start, start + count - 2000), -2) if not _named(uid)]
    if count < 10_000 or not spare:
        raise UsageError("root has no other ids here (/proc/self/uid_map): run as an ordinary user")
    return random.SystemRandom().choice(spare)


def _named(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


@cache
def _subordinate() -> int | None:
    """The first id that /etc/subuid and /etc/subgid lend this user, if the programs that map it are installed."""
    if shutil.which("newuidmap") is None or shutil.which("newgidmap") is None:
        return None
    found = [_lent(Path("/etc", name)) for name in ("subuid", "subgid")]
    return found[0] if found[0] == found[1] else None


def _lent(table: Path) -> int | None:
    names = {str(os.geteuid())}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(os.geteuid()).pw_name)
    with contextlib.suppress(OSError, ValueError):
        for line in table.read_text(encoding="utf-8").splitlines():
            name, start, count = line.split(":")
            if name in names and int(count) > 0:
                return int(start)
    return None


class Entry:
    """How one sandbox gets its ids: `command` starts it, and `map` lets it continue.

    Args:
        ids: the ids to take, or None to change nothing.
    """

    def __init__(self, ids: Ids | None) -> None:
        self._ids = ids
        self._heard, self._tell = os.pipe() if ids else (-1, -1)
        self._hear, self._say = os.pipe() if ids else (-1, -1)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The file descriptors that the command inherits."""
        return (self._tell, self._hear) if self._ids else ()

    def command(self, inside: Sequence[str]) -> list[str]:
        """The command that runs another under the ids."""
        if self._ids is None:
            return list(inside)
        taken = str(self._ids.server if os.geteuid() == 0 else -1)
        program = shutil.which(inside[0]) or inside[0]
        entering = [sys.executable, "-I", "-S", "-c", _ENTER, str(self._tell), str(self._hear), taken]
        return [*entering, program, *inside[1:]]

    def map(self, process: subprocess.Popen[bytes]) -> None:
        """Map the ids of a process that `command` has started, and let it continue.

        Raises:
            StartError: the kernel or newuidmap(1) refuses.
        """
        if self._ids is None:
            return
        for end in (self._tell, self._hear):
            os.close(end)
        self._tell = self._hear = -1
        if os.read(self._heard, 1) == b"1":  # otherwise it has ended and said why
            _write_maps(process.pid, self._ids)
            os.write(self._say, b"1")

    def close(self) -> None:
        """Close the descriptors that are still open."""
        for end in (self._heard, self._tell, self._hear, self._say):
            if end >= 0:
                os.close(end)
        self._heard = self._tell = self._hear = self._say = -1


@contextlib.contextmanager
def entry(ids: Ids | None) -> Iterator[Entry]:
    """An `Entry` that is closed at the end of the block."""
    made = Entry(ids)
    try:
        yield made
    finally:
        made.close()


def _write_maps(pid: int, ids: Ids) -> None:
    users = ((SERVER, ids.server, 1), (PROGRAMS, ids.programs, 1))
    first = ids.server if os.geteuid() == 0 else os.getegid()
    groups = ((SERVER, first, 1), (PROGRAMS, ids.programs if ids.group is None else ids.group, 1))
    try:
        if os.geteuid() == 0:
            for name, table in (("gid_map", groups), ("uid_map", users)):
                text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in table)
                Path("/proc", str(pid), name).write_text(text, encoding="ascii")
            return
        for program, table in (("newgidmap", groups), ("newuidmap", users)):
            numbers = [str(number) for line in table for number in line]
            subprocess.run([program, str(pid), *numbers], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or b""
        raise StartError(f"cannot map the desktop's ids: {said.decode(errors='replace').strip() or error}") from None


def why_not() -> str:
    """Why a desktop's server and programs share an id on this machine; empty if they do not."""
    if os.geteuid() == 0 or _subordinate() is not None:
        return ""
    return f"no subordinate ids: programs run under your own id, like the server; {MEND}"
