"""Files of the desktop: read, written and listed for the controller."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import IO

from deskbench.envs import wait
from deskbench.envs.server.commands import expand
from deskbench.envs.server.http import HttpError

MAX_FILE = 2**30
"""Bytes of a file that is sent; a larger one is refused, not cut."""
MAX_LISTED = 100_000
_PART = 1 << 20
HELD_SECONDS = 2.0
_UNFINISHED = "upload-" if os.name == "nt" else ".upload-"
"""How a file's name begins while it is written. Wine hides what begins with a dot, and goes on after a new name."""


def read(path: str) -> bytes:
    """A file's bytes.

    Raises:
        HttpError: 404 no such file, 400 no regular file, 413 too large, 500 it cannot be read.
    """
    where = Path(expand(path))
    try:
        # Without O_NONBLOCK a named pipe would hang us.
        descriptor = os.open(where, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise HttpError(400, f"{path} is not a regular file")
        with os.fdopen(descriptor, "rb") as file:
            if status.st_size > MAX_FILE:
                raise HttpError(413, f"{path} has {status.st_size} bytes; at most {MAX_FILE} are sent")
            return _all(file)
    except (FileNotFoundError, NotADirectoryError):
        raise HttpError(404, f"no such file: {path}") from None
    except OSError as error:
        raise HttpError(500, f"{path} cannot be read: {error.strerror}") from None


def _all(file: IO[bytes]) -> bytes:
    """In parts: a read of MAX_FILE bytes takes that much memory at once, which a small machine does not have."""
    parts, size = [], 0
    while size < MAX_FILE and (part := file.read(_PART)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def write(path: str, data: bytes) -> None:
    """Write a file whole or not at all, making its folders; a file that was there keeps its mode, a link its place.

    Raises:
        HttpError: 500, it cannot be written.
    """
    where = Path(os.path.realpath(expand(path)))
    try:
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
    refused: list[PermissionError] = []

    def renamed() -> bool:
        try:
            temporary.replace(where)
        except PermissionError as error:
            refused.append(error)
            return False
        return True

    if not wait.until(renamed, timeout=HELD_SECONDS if os.name == "nt" else 0.0):
        raise refused[-1]


def listing(path: str) -> dict[str, object]:
    """OSWorld's tree of a folder: {"type", "name", "children"}; a folder that was entered already is not again.

    Raises:
        HttpError: 404, no such folder.
    """
    where = Path(expand(path))
    if not where.is_dir():
        raise HttpError(404, f"no such folder: {path}")
    return _tree(where, set(), [0])


def _tree(folder: Path, entered: set[tuple[int, int]], count: list[int]) -> dict[str, object]:
    status = folder.stat()
    key = (status.st_dev, status.st_ino)
    tree: dict[str, object] = {"type": "directory", "name": folder.name, "children": []}
    if key in entered:
        return tree
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  (names, not paths: surrogates must survive)
    except OSError as error:
        return {**tree, "error": str(error.strerror)}
    children: list[dict[str, object]] = []
    for name in names:
        count[0] += 1
        if count[0] > MAX_LISTED:
            raise HttpError(413, f"more than {MAX_LISTED} files")
        entry = folder / name
        children.append(_tree(entry, entered | {key}, count) if _is_folder(entry) else {"type": "file", "name": name})
    return {**tree, "children": children}


def _is_folder(entry: Path) -> bool:
    return os.path.isdir(entry)  # noqa: PTH112  (Path.is_dir raises where we may not look)
