"""Files of the desktop: read, written and listed for the controller.

What is there may have been made by an agent: a pipe where a file was wanted, a file without end, a link to a
descriptor of this very process, folders without a bottom. Each has an answer within its time: 404 where there is
nothing of the name, 422 where there is something else, or more than is sent.
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
    """There is something of that name; Path's own raises where we may not look, or the name is too long."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str) -> bool:
    """There is a regular file of that name."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str) -> bool:
    """There is a folder of that name."""
    return os.path.isdir(path)  # noqa: PTH112


def read(path: str) -> bytes:
    """A file's bytes.

    Raises:
        HttpError: 404 no such file; 422 no regular file, too large, or it cannot be read.
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
    """A descriptor; without waiting for whoever might write, and of nothing that is this process's own.

    Links are followed by their text. The kernel would follow /proc/self/fd/3 to what is open here under that number.
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
    """In parts: a read of MAX_FILE bytes takes that much memory at once, which a small machine does not have."""
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
    """Write a file whole or not at all, making its folders; a file that was there keeps its mode, a link its place.

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
    """Give a file its name. Windows refuses for a moment while anybody (a scanner, an indexer) looks at one of them."""
    held = HELD_SECONDS if os.name == "nt" else 0.0
    wait.retry(lambda: temporary.replace(where), PermissionError, timeout=held)


Tree = dict[str, Any]
"""{"type": "directory", "name", "children"} or {"type": "file", "name"}."""


def listing(path: str) -> Tree:
    """OSWorld's tree of a folder: {"type", "name", "children"}; a folder that was entered already is not again.

    Names that are not UTF-8, or hold control characters, have U+FFFD there. What the kernel shows of processes is not
    entered on the way.

    Raises:
        HttpError: 404, there is nothing; 422, it is no folder, or more than is listed.
    """
    where = os.path.realpath(_path(path))
    try:
        status = os.stat(where)  # noqa: PTH116
        if not stat.S_ISDIR(status.st_mode):
            raise HttpError(422, f"{path} is not a folder")
        os.listdir(where)  # noqa: PTH208  (whether we may)
    except OSError as error:
        if error.errno in _NOTHING:
            raise HttpError(404, f"no such folder: {path}") from None
        raise HttpError(422, f"{path} cannot be listed: {error.strerror}") from None
    return _Walk(path).tree(where)


class _Walk:
    """One listing; it does not call itself, since nobody can tell how deep folders are."""

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
        """Put a folder's entries into its tree; the folders among them, with their places."""
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
        return -1, -1  # it has gone, which listing it says
    return status.st_dev, status.st_ino


def _device(folder: str) -> int:
    return _identity(folder)[0] if os.name == "posix" else -2
