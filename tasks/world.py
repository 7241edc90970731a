"""What set-up steps and getters work on."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deskbench.envs.desktop import Desktop
from deskbench.tasks.types import Task

CLIENT_PASSWORD = "password"
"""OSWorld's password of the session's user."""


@dataclass
class Context:
    """What a set-up step gets.

    Attributes:
        desktop: the machine.
        task: whose set-up it is.
        cache: a folder of this episode on the controller.
        assets: a folder of downloads shared by all episodes, addressed by content.
        screen: width and height in pixels, for placeholders.
        note: called with (what, detail) for the record.
        window_seconds: how long a window that a step brings to the front may take to come.
        closing: what `close` ends.
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
        """End what was started for the task on the controller."""
        self.closing.close()

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
        """`fill` over a command."""
        return self.fill(command) if isinstance(command, str) else [self.fill(part) for part in command]


@dataclass
class World:
    """What a getter gets: the end state, and how the episode ended.

    Attributes:
        desktop: the machine.
        task: whose end state it is.
        cache: a folder of this episode on the controller; files from the desktop go there under names of ours.
        assets: as in `Context`.
        answer: what the agent answered with `done`, or None.
        state: what was read, for `rescore`: getter calls' keys to values or files.
    """

    desktop: Desktop
    task: Task
    cache: Path
    assets: Path
    answer: str | None = None
    state: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, data: bytes) -> Path:
        """Store bytes from the desktop under their hash, with the ending of `name`, and return the path."""
        suffix = re.sub(r"[^A-Za-z0-9.]", "", Path(name).suffix)[:12]
        path = self.cache / f"{hashlib.sha256(data).hexdigest()[:32]}{suffix}"
        self.cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def keep_together(self, files: Mapping[str, bytes | Path]) -> list[Path]:
        """Store files from the desktop, or from here, in a folder of their own under names that the task gives.

        Some metrics find one file by another's name. The folder is named by what is in it.
        """
        names = [_plain_name(name) for name in files]
        digest = hashlib.sha256()
        for name, data in zip(names, files.values(), strict=True):
            digest.update(f"{name}\0".encode())
            digest.update(data if isinstance(data, bytes) else data.read_bytes())
        folder = self.cache / digest.hexdigest()[:32]
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in zip(names, files.values(), strict=True):
            _put(folder / name, data)
        return [folder / name for name in names]


def _plain_name(name: str) -> str:
    """The last part of a path, without what a file system might stumble over."""
    plain = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name.rstrip("/").rpartition("/")[2])
    stem, dot, suffix = plain.rpartition(".")
    short = f"{stem[:100]}{dot}{suffix[:12]}" if dot else plain[:112]
    return short if short.strip(". ") else "file"


def _put(path: Path, data: bytes | Path) -> None:
    if path.exists():
        return
    if isinstance(data, bytes):
        path.write_bytes(data)
        return
    try:
        os.link(data, path)
    except OSError:  # another disk
        shutil.copyfile(data, path)
