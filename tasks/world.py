"""The objects that set-up steps and getters work with."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import Unfit
from deskbench.tasks.types import Task

CLIENT_PASSWORD = "password"
"""The password of the desktop's user in OSWorld."""
MAX_FILE = 128 * 2**20
"""Size limit in bytes of a file that is read from the desktop; the controller holds it in memory once or twice."""
MAX_TEXT = 8 * 2**20
"""Size limit in bytes of a file or an output that is read as text."""
MAX_KEPT = 2**30
"""How many bytes of the desktop's files are kept for one episode."""


@dataclass
class Context:
    """The environment of a set-up step.

    Attributes:
        desktop: the machine.
        task: the task that is being set up.
        cache: this episode's folder on the controller.
        assets: a folder of downloads that all episodes share, stored by content.
        screen: width and height in pixels, for placeholders.
        note: called with (what, detail) for the record.
        window_seconds: how long a step waits for a window that it brings to the front.
        closing: resources that `close` releases.
    """

    desktop: Desktop
    task: Task
    cache: Path
    assets: Path
    screen: tuple[int, int]
    note: Callable[[str, dict[str, Any]], None] = lambda what, detail: None
    window_seconds: float = 20.0
    closing: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Stop what was started on the controller for the task."""
        self.closing.close()

    @contextmanager
    def room(self) -> Iterator[Path]:
        """As `World.room`."""
        with _room(self.cache) as path:
            yield path

    def fill(self, text: str) -> str:
        """Replace OSWorld's placeholders; other braces stay."""
        width, height = self.screen
        values = {
            "CLIENT_PASSWORD": CLIENT_PASSWORD,
            "SCREEN_WIDTH_HALF": str(width // 2),
            "SCREEN_HEIGHT_HALF": str(height // 2),
            "SCREEN_WIDTH": str(width),
            "SCREEN_HEIGHT": str(height),
        }
        return re.sub(r"\{(" + "|".join(values) + r")\}", lambda m: values[m[1]], text)

    def fill_command(self, command: str | list[str]) -> str | list[str]:
        """Apply `fill` to a command."""
        return self.fill(command) if isinstance(command, str) else [self.fill(part) for part in command]


@dataclass
class World:
    """The environment of a getter: the end state, and how the episode ended.

    Attributes:
        desktop: the machine.
        task: the task that is being scored.
        cache: this episode's folder on the controller; files from the desktop go there under names of our own.
        assets: as in `Context`.
        answer: the agent's answer with `done`, or None.
        state: the values read, for `rescore`: a getter call's key to a value or file.
        kept: bytes of the desktop's files in the cache.
        programs: programs that scoring runs and that existed when the agent began (`tasks.scoring.tools`).
    """

    desktop: Desktop
    task: Task
    cache: Path
    assets: Path
    answer: str | None = None
    state: dict[str, Any] = field(default_factory=dict)
    kept: int = 0
    programs: frozenset[str] = frozenset()

    def read(self, path: str, *, max_bytes: int = MAX_FILE) -> bytes | None:
        """A file of the desktop; None if there is no such file.

        Raises:
            Unfit: it is not a readable file, or it is too large.
            EnvError: the desktop failed.
        """
        try:
            return self.desktop.read_file(path, max_bytes=max_bytes)
        except FileNotFoundError:
            return None

    def keep(self, name: str, data: bytes) -> Path:
        """Store bytes from the desktop under their hash, with the suffix of `name`, and return the path."""
        suffix = re.sub(r"[^A-Za-z0-9.]", "", Path(name).suffix)[:12]
        path = self.cache / f"{hashlib.sha256(data).hexdigest()[:32]}{suffix}"
        self._put(path, data)
        return path

    def keep_together(self, files: Mapping[str, bytes | Path]) -> list[Path]:
        """Store files from the desktop, or from here, in a separate folder under the names that the task gives.

        Some metrics find one file by another's name. The folder is named by its content.

        Raises:
            Unfit: the episode's files now exceed MAX_KEPT bytes.
        """
        names = [_plain_name(name) for name in files]
        digest = hashlib.sha256()
        for name, data in zip(names, files.values(), strict=True):
            digest.update(f"{name}\0{_hash(data)}\0".encode())
        folder = self.cache / digest.hexdigest()[:32]
        for name, data in zip(names, files.values(), strict=True):
            self._put(folder / name, data)
        return [folder / name for name in names]

    @contextmanager
    def room(self) -> Iterator[Path]:
        """The path of a file that another process may write during the block, in a separate folder."""
        with _room(self.cache) as path:
            yield path

    def count(self, size: int) -> None:
        """Count bytes of the desktop before they are kept.

        Raises:
            Unfit: the total would exceed MAX_KEPT.
        """
        if self.kept + size > MAX_KEPT:
            raise Unfit(f"the files that the checks read have more than {MAX_KEPT // 2**20} MiB together")
        self.kept += size

    def _put(self, path: Path, data: bytes | Path) -> None:
        """Write a file unless it exists; bytes from the desktop count."""
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, bytes):
            self.count(len(data))
            path.write_bytes(data)
            return
        try:
            os.link(data, path)
        except OSError:  # a different disk
            shutil.copyfile(data, path)


@contextmanager
def _room(cache: Path) -> Iterator[Path]:
    folder = cache / f"new-{secrets.token_hex(8)}"
    folder.mkdir(parents=True)
    try:
        yield folder / "file"
    finally:
        shutil.rmtree(folder)


def _hash(data: bytes | Path) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain_name(name: str) -> str:
    """The last part of a path, without characters that a file system may reject, at most 255 bytes."""
    plain = re.sub(r"[\x00-\x1f\x7f/\\\ud800-\udfff]", "_", name.rstrip("/").rpartition("/")[2])
    stem, dot, suffix = plain.rpartition(".")
    if not dot:
        stem, suffix = plain, ""
    short = _cut(stem, 180) + dot + _cut(suffix, 48)
    return short if short.strip(". ") else "file"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")
