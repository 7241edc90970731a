"""Removes what killed controllers left on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from deskbench.envs.providers import limits

PREFIX = "deskbench-"
"""The start of the names of desktops' folders and control groups."""


def own(folder: Path) -> None:
    """Note that a folder belongs to this process; its name begins with PREFIX."""
    (folder / "owner").write_text(str(os.getpid()))


def sweep() -> None:
    """Remove the folders of controllers that have ended."""
    limits.sweep(PREFIX)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            owner = _owner(folder)
        except (OSError, ValueError):
            continue
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _owner(folder: Path) -> int:
    """Who noted that the folder is its own. A program under test may have put anything there, even a named pipe."""
    file = os.open(folder / "owner", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return int(os.read(file, 32))
    finally:
        os.close(file)
