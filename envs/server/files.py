"""Files of the desktop: read, written and listed for the controller.

An agent may have left anything: a pipe instead of a file, an endless file, a link to a descriptor of this very process,
bottomless folders. Every request gets an answer in time: 404 if nothing has that name, 422 if it is something else or
too much to send.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deskbench.envs import wait
from deskbench.envs.server.commands import expand
from deskbench.envs.server.http.limits import (
    LISTING_SECONDS,
    MAX_FILE,
    MAX_FOLDERS,
    MAX_LISTED,
    MAX_LISTING,
    READ_SECONDS,
)
from deskbench.envs.server.http.server import HttpError

_PART = 1 << 20
HELD_SECONDS = 2.0
_UNFINISHED = "upload-" if os.name == "nt" else ".upload-"
"""The prefix of a file's name while it is written. Wine hides files that begin with a dot, even after a rename."""
_OPEN = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_NOFOLLOW", "O_BINARY"))
_NOTHING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, *((errno.EINVAL,) if os.name == "nt" else ())))
"""Errors for a file that does not exist, including Windows' error for a name that no file can have."""
_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFLNK: "a link",
}  # fmt: skip
_CONTROL = re.compile("[\0-\x1f\x7f]")


def exists(path: str) -> bool:
    """Whether something has that name. `Path.exists` raises if the name is too long or we may not look."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str) -> bool:
    """Whether a regular file has that name."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str) -> bool:
    """Whether a folder has that name."""
    return os.path.isdir(path)  # noqa: PTH112


def read(path: str) -> bytes:
    """A file's bytes.

    Raises:
        HttpError: 404, no such file; 422, it is not a regular file, is too large or cannot be read.
    """
    try:
        with _opened(path) as descriptor:
            status = os.fstat(descriptor)
            _check_kind(path, status.st_mode)
            if status.st_size > MAX_FILE:
                raise HttpError(422, f"{path} has {status.st_size} bytes; at most {MAX_FILE} are sent")
            return _all(path, descriptor)
    except OSError as error:
        if error.errno in _NOTHING:
            raise HttpError(404, f"no such file: {path}") from None
        if error.errno == errno.ENXIO:
            raise HttpError(422, f"{path} is a socket, not a regular file") from None
        raise HttpError(422, f"{path} cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    """Open a file for reading, without waiting for a writer, and never one that belongs to this process.

    Links are resolved by their text. The kernel would resolve /proc/self/fd/3 to what this process has open as 3.
    """
    where = os.path.realpath(_path(path))
    if _is_our_own(where):
        raise HttpError(422, f"{path} belongs to the server, not to the desktop")
    descriptor = os.open(where, _OPEN)
    try:
        if os.name == "posix" and _is_our_own(os.path.realpath(f"/proc/self/fd/{descriptor}")):
            raise HttpError(422, f"{path} belongs to the server, not to the desktop")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_our_own(where: str) -> bool:
    return where.startswith(f"/proc/{os.getpid()}/")


def _path(path: str) -> str:
    if "\0" in path:
        raise HttpError(400, "a path cannot contain a NUL")
    return expand(path)


def _check_kind(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise HttpError(422, f"{path} is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file")


def _all(path: str, descriptor: int) -> bytes:
    """Read in parts: one read of MAX_FILE bytes needs that much memory at once, which a small machine lacks."""
    until = time.monotonic() + READ_SECONDS
    parts, size = [], 0
    while part := os.read(descriptor, _PART):
        parts.append(part)
        size += len(part)
        if size > MAX_FILE:
            raise HttpError(422, f"{path} does not end within {MAX_FILE} bytes")
        if time.monotonic() > until:
            raise HttpError(422, f"{path} does not end within {READ_SECONDS:g} s")
    return b"".join(parts)


def write(path: str, data: bytes) -> None:
    """Write a file completely or not at all, making its folders. An existing file keeps its mode, a link stays in
    place.

    Raises:
        HttpError: 422, something else is there; 500, it cannot be written.
    """
    where = Path(os.path.realpath(_path(path)))
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            _check_kind(path, where.lstat().st_mode)
        where.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=where.parent, prefix=_UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).chmod(stat.S_IMODE(where.stat().st_mode) if where.exists() else 0o644)
            _rename(Path(temporary), where)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise HttpError(500, f"{path} cannot be written: {error.strerror}") from None


def _rename(temporary: Path, where: Path) -> None:
    """Give a file its name. Windows refuses while anybody (a scanner, an indexer) briefly has one of the two files
    open.
    """
    held = HELD_SECONDS if os.name == "nt" else 0.0
    wait.retry(lambda: temporary.replace(where), PermissionError, timeout=held)


Tree = dict[str, Any]
"""{"type": "directory", "name", "children"} or {"type": "file", "name"}."""


def listing(path: str) -> Tree:
    """OSWorld's tree of a folder: {"type", "name", "children"}. A folder that contains itself is not entered again.

    In names, bytes that are not UTF-8 and control characters become U+FFFD. Folders of /proc are not entered along the
    way.

    Raises:
        HttpError: 404, nothing has that name; 422, it is not a folder, or has more than can be listed.
    """
    where = os.path.realpath(_path(path))
    try:
        status = os.stat(where)  # noqa: PTH116
        if not stat.S_ISDIR(status.st_mode):
            raise HttpError(422, f"{path} is not a folder")
        os.listdir(where)  # noqa: PTH208  (fails if we may not list it)
    except OSError as error:
        if error.errno in _NOTHING:
            raise HttpError(404, f"no such folder: {path}") from None
        raise HttpError(422, f"{path} cannot be listed: {error.strerror}") from None
    return _Walk(path).tree(where)


class _Walk:
    """One listing. It uses a stack instead of recursion, because folders may be nested to any depth."""

    def __init__(self, path: str) -> None:
        self._path, self._until = path, time.monotonic() + LISTING_SECONDS
        self._count = self._size = 0
        self._processes = _device("/proc")

    def tree(self, top: str) -> Tree:
        made = self._folder(os.path.basename(top))  # noqa: PTH119
        waiting: list[tuple[str, Tree, frozenset[tuple[int, int]]]] = [(top, made, frozenset())]
        while waiting:
            folder, tree, entered = waiting.pop()
            key = _identity(folder)
            if key in entered or (entered and key[0] == self._processes):
                continue
            if len(entered) >= MAX_FOLDERS:
                raise HttpError(422, f"{self._path} has folders nested more than {MAX_FOLDERS} deep")
            inner = self._list(folder, tree)
            waiting += [(place, child, entered | {key}) for place, child in inner]
        return made

    def _list(self, folder: str, tree: Tree) -> list[tuple[str, Tree]]:
        """Add a folder's entries to its tree; returns the folders among them, with their paths."""
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208  (names, not paths: surrogates must survive)
        except OSError as error:
            tree["error"] = str(error.strerror)
            return []
        inner = []
        for name in names:
            place = os.path.join(folder, name)  # noqa: PTH118
            child = self._folder(name) if is_folder(place) else self._entry("file", name)
            tree["children"].append(child)
            if "children" in child:
                inner.append((place, child))
        return inner

    def _folder(self, name: str) -> Tree:
        return {**self._entry("directory", name), "children": []}

    def _entry(self, kind: str, name: str) -> Tree:
        shown = _CONTROL.sub("\ufffd", os.fsencode(name).decode("utf-8", "replace"))
        self._count += 1
        self._size += 40 + 6 * len(shown) - 5 * shown.isascii() * len(shown)
        if self._count > MAX_LISTED or self._size > MAX_LISTING:
            raise HttpError(422, f"{self._path} has more than {MAX_LISTED} files, or {MAX_LISTING} bytes of names")
        if time.monotonic() > self._until:
            raise HttpError(422, f"{self._path} could not be listed within {LISTING_SECONDS:g} s")
        return {"type": kind, "name": shown}


def _identity(folder: str) -> tuple[int, int]:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return -1, -1  # it is gone; listing it will say so
    return status.st_dev, status.st_ino


def _device(folder: str) -> int:
    return _identity(folder)[0] if os.name == "posix" else -2
