"""Removes what killed controllers left on this machine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from deskbench.envs.providers import limits

PREFIX = "deskbench-"
"""The start of the names of desktops' folders and control groups."""


def sweep() -> None:
    """Remove the folders of controllers that have ended."""
    limits.sweep(PREFIX)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            owner = int((folder / "owner").read_text())
        except (OSError, ValueError):
            continue
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
