"""`deskbench export`: write a run in the form that another program reads."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from deskbench.agent.exports.reading import Source, Written, name_of
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import whole
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError

FORMATS = {
    "osworld": "deskbench.agent.osworld.export",
    "atif": "deskbench.agent.exports.atif",
    "agentnet": "deskbench.agent.exports.agentnet",
    "hf": "deskbench.agent.exports.rows",
    "lerobot": "deskbench.agent.exports.lerobot",
    "otlp": "deskbench.agent.exports.otlp",
    "csv": "deskbench.agent.exports.tables",
}
"""The module of each format; its function `write` takes a `Source` and the output folder."""
EXTRA = "exports"
"""The extra with the packages that some formats need."""


@dataclass(frozen=True)
class Exported:
    """What was written: the folder, the episodes with and without a score, and what was left out, one line each."""

    folder: Path
    scored: int
    not_scored: int
    left_out: tuple[str, ...] = ()


def export(run: Path, out: Path, name: str = "osworld", *, success_only: bool = False, frames: bool = True) -> Exported:
    """Write a run's final attempts.

    Args:
        run: the run's folder.
        out: the folder to write into.
        name: one of `FORMATS`.
        success_only: only the episodes with score 1.
        frames: write the pictures, too.

    Raises:
        UsageError: `run` is not a run, it has nothing to export, `out` already has something, or a package is missing.
    """
    write = _writer(name)
    folder = RunFolder(run)
    manifest = folder.manifest() | {"config": folder.config()}
    found = [one for one in folder.final() if not success_only or one.episode.score.value == 1.0]
    if not found:
        raise UsageError(f"{run} has no finished episode" + (" with score 1" if success_only else ""))
    done = write(Source(whole(run.resolve().name), manifest, found, frames), out)
    written = [one.episode for one in found if name_of(one.episode) not in done.left_out]
    scored = sum(one.score.value is not None for one in written)
    left_out = tuple(f"{name}: {why}" for name, why in done.left_out.items())
    return Exported(done.folder, scored, len(written) - scored, left_out)


def _writer(name: str) -> Callable[[Source, Path], Written]:
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}{nearest(name, FORMATS)}")
    try:
        module = importlib.import_module(FORMATS[name])
    except ModuleNotFoundError as error:
        raise UsageError(f"--format {name} needs the package {error.name}: pip install 'deskbench[{EXTRA}]'") from None
    return cast("Callable[[Source, Path], Written]", module.write)
