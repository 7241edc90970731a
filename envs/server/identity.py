"""The user who owns the desktop's programs and files, if the server itself runs as root.

With `--user NAME`, programs cannot reach the server: they can neither end it nor read its memory. The server acts for
the desktop as that user. Programs start with the user's ids, and each thread that answers a request touches files with
the user's rights, so a program's link cannot lead it to root's files. Without `--user`, all of this does nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class User:
    """The desktop's user: ids, home folder and name."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    name: str


CAPABILITY_VERSION = 0x20080522
"""linux/capability.h: version 3, with 64 bits in two parts."""
SYS_SETRESUID = {"x86_64": 117, "aarch64": 147}.get(platform.machine(), -1)

_user: User | None = None
_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def serve(name: str) -> None:
    """Make the desktop this user's from now on.

    Raises:
        SystemExit: there is no such user, or this process may not act for it.
    """
    global _user  # noqa: PLW0603  (set once, before any thread starts)
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SystemExit(f"--user: there is no user {name!r}") from None
    if os.geteuid() != 0:
        raise SystemExit("--user: only root can serve another user")
    groups = os.getgrouplist(name, entry.pw_gid)
    _bequeath_nothing()
    os.setgroups([])  # a thread with the user's rights must not keep root's groups
    _user = User(entry.pw_uid, entry.pw_gid, tuple(groups), entry.pw_dir, name)
    for path in (Path(entry.pw_dir), Path(os.environ.get("XDG_RUNTIME_DIR", entry.pw_dir))):
        if path.exists() and path.stat().st_uid == 0:
            give(path)  # a sandbox makes these folders for its root only
    os.environ.update(HOME=entry.pw_dir, USER=name, LOGNAME=name, SHELL=entry.pw_shell or "/bin/sh")


class _Rights(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _bequeath_nothing() -> None:
    """Empty the set of capabilities that programs inherit (capset(2)); this process keeps its own.

    Raises:
        PermissionError: the kernel refused.
    """
    assert _libc is not None
    head, rights = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (_Rights * 2)()
    refused = _libc.capget(head, rights)
    for part in rights:
        part.inheritable = 0
    if refused or _libc.capset(head, rights) != 0:
        raise PermissionError(ctypes.get_errno(), "cannot drop the capabilities that programs inherit")


def give(path: Path) -> None:
    """Make the user the owner of a folder."""
    if _user is not None:
        os.chown(path, _user.uid, _user.gid)


def popen_options() -> dict[str, Any]:
    """Options for subprocess that make a program run as the user."""
    if _user is None:
        return {}
    return {"user": _user.uid, "group": _user.gid, "extra_groups": list(_user.groups)}


def take_rights() -> None:
    """Let this thread, from now on, touch files with the user's rights only.

    Raises:
        PermissionError: the kernel refused.
    """
    if _user is not None:
        _set(_user.uid, _user.gid)


@contextlib.contextmanager
def rights() -> Iterator[None]:
    """Take the user's rights while the block runs. Threads that start inside it keep them."""
    take_rights()
    try:
        yield
    finally:
        if _user is not None:
            _set(0, 0)


@contextlib.contextmanager
def acting() -> Iterator[None]:
    """While the block runs, connect as the user, for programs that check who connects (SO_PEERCRED).

    Only the effective id changes: with the real one, programs could signal this process.
    """
    if _user is None:
        yield
        return
    _set_effective(_user.uid)
    try:
        yield
    finally:
        _set_effective(0)
        take_rights()  # they changed with the effective id


def _set_effective(uid: int) -> None:
    """Set one thread's effective id with the kernel's own setresuid(2); the C library's changes all threads."""
    assert _libc is not None
    if _libc.syscall(SYS_SETRESUID, -1, uid, -1) != 0:
        raise PermissionError(ctypes.get_errno(), f"cannot act as user {uid}")


def _set(uid: int, gid: int) -> None:
    """Set one thread's ids for file access. setfsuid(2) returns the old id, so a second call verifies the new one."""
    assert _libc is not None
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    if _libc.setfsuid(-1) != uid or _libc.setfsgid(-1) != gid:
        raise PermissionError(f"cannot take the rights of user {uid}")
