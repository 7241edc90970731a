"""Names of runs and episodes in the addresses of report and view."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def name_of(*parts: str | os.PathLike[str]) -> str:
    """A name for a page: a hash of a path, so that no text of a client ever becomes a path."""
    return hashlib.sha256(b"\0".join(map(os.fsencode, parts))).hexdigest()[:16]


def run_name(run: Path) -> str:
    """The name of a run's folder."""
    return name_of(run.resolve())


def episode_name(run: Path, episode: Path) -> str:
    """The name of an episode's folder, which is inside the run's."""
    return name_of(os.path.relpath(episode, run))


def address(run: Path, episode: Path) -> str:
    """The part after `#` of an episode's address in a report or in `view`."""
    return f"/run/{run_name(run)}/episode/{episode_name(run, episode)}"
