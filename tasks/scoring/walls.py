"""Limits of a process for hostile bytes: its memory, its time, and the one folder that it may write to.

Landlock (Linux 5.13 and newer, docs.kernel.org/userspace-api/landlock.html) enforces the folder, and from 6.7 on blocks
TCP, whatever the process does. Elsewhere only the environment tells the process where its files belong.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

MEMORY = 3 * 2**30
"""Address space of a check in bytes."""
LARGEST = 512 * 2**20
"""Size limit of a file that a check writes, in bytes."""
_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of landlock's system calls, the same on every architecture."""
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_WRITING = sum(1 << bit for bit in (1, *range(4, 13)))
"""Writing to files; creating and removing folders, files, sockets, pipes, devices and links."""
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILES_ONLY = (1 << 1) | _TRUNCATE
_TCP = 0b11
"""Binding and connecting."""


def limit(seconds: float | None, memory: int | None = MEMORY) -> None:
    """Limit this process: processor seconds and bytes of address space; None for no limit."""
    import resource

    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, LARGEST)]
    if memory is not None:
        limits.append((resource.RLIMIT_AS, memory))
    if seconds is not None:
        limits.append((resource.RLIMIT_CPU, int(seconds) + 1))
    for what, most in limits:
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def more_time(seconds: float) -> None:
    """Give this process `seconds` more processor time from now on; the system kills it after that."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def enclose(folders: Sequence[Path], *, network: bool = False) -> bool:
    """Let this process and its children write only to these folders, and open no TCP connection without `network`.

    Returns:
        Whether the kernel enforces it; a kernel without landlock changes nothing.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    writing = _WRITING | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    tcp = _TCP if version >= 4 and not network else 0
    attributes = struct.pack("QQ", writing, tcp) if version >= 4 else struct.pack("Q", writing)
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        for folder in folders:
            _allow(libc, rules, folder, writing)
        _allow(libc, rules, Path("/dev/null"), writing & _FILES_ONLY)
        return bool(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and libc.syscall(_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: Path, access: int) -> None:
    there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        libc.syscall(_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", access, there), 0)
    finally:
        os.close(there)
