"""`runs/latest`, and the short names of runs.

`latest` in the folder `runs` is a symbolic link to the run there that was started last or, where links are not
possible, a text file with its name. Wherever a run's folder is wanted, `latest` and a path below `runs` are enough.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RUNS = Path("runs")
"""Where runs are written unless the user names another folder, below the working directory."""
LATEST = "latest"
LONGEST_NAME = 4096
"""Bytes of the text file."""


def find(path: str | Path) -> Path:
    """The folder that a user means: the path itself, else the path below `runs`; `latest` becomes the run's own name.

    A path that does not exist anywhere is returned as it is, for the error message.
    """
    for base in (Path(path), RUNS / path):
        found = _followed(base)
        if found.exists():
            return found
    return RUNS / LATEST if str(path) == LATEST else Path(path)


def mark_latest(folder: Path) -> None:
    """Let `runs/latest` mean this run, if it is below `runs`. A folder or a link of the user's with this name stays."""
    link = RUNS / LATEST
    below = os.path.relpath(folder, RUNS)
    if below.startswith(os.pardir) or below in (os.curdir, LATEST):
        return
    if link.is_dir() and not link.is_symlink():
        return
    with contextlib.suppress(OSError):  # it is a convenience, so that no run fails for it
        _point(link, below)


def repair_latest() -> None:
    """Remove `runs/latest` if the run is gone."""
    link = RUNS / LATEST
    if (link.is_symlink() or link.is_file()) and not _followed(link).exists():
        with contextlib.suppress(OSError):
            link.unlink()


def _point(link: Path, name: str) -> None:
    new = link.with_name(f".{LATEST}.{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        new.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError):
        new.write_text(name + "\n", encoding="utf-8")
    new.replace(link)


def _followed(path: Path) -> Path:
    """The path, with what `latest` stands for in its place."""
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        here = found / part
        if part == LATEST and here.is_symlink():
            here = found / here.readlink()
        elif part == LATEST and here.is_file() and here.stat().st_size <= LONGEST_NAME:
            here = found / here.read_text(encoding="utf-8", errors="replace").strip()
        found = here
    return found
