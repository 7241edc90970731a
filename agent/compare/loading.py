"""Read a run for a comparison: its final episodes, and what is missing from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.runs.folder import RunFolder, final_attempts
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeRecord, read_record

Key = tuple[str, int]
"""Task and repeat."""


@dataclass(frozen=True)
class Episode:
    """A finished episode and its folder."""

    record: EpisodeRecord
    folder: EpisodeFolder

    @property
    def score(self) -> float | None:
        """Its score; None if it has none."""
        return self.record.score.value


@dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        folder: of the run.
        manifest: run.json.
        episodes: the last attempt of each finished episode.
        unreadable: tasks of the episodes whose records cannot be read.
    """

    folder: RunFolder
    manifest: Mapping[str, Any]
    episodes: Mapping[Key, Episode]
    unreadable: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.path.resolve().name

    @property
    def agent(self) -> str:
        """The agent, with its model."""
        return str(self.manifest.get("agent", "unknown agent"))

    @property
    def planned(self) -> int:
        """The number of planned episodes."""
        planned = self.manifest.get("planned")
        return planned if isinstance(planned, int) else len(self.episodes)

    @property
    def records(self) -> list[EpisodeRecord]:
        """The records of the final attempts."""
        return [episode.record for episode in self.episodes.values()]


def load_run(path: Path) -> Run:
    """Read a run; it may still be in progress, and records that cannot be read are named.

    Raises:
        UsageError: the folder is not a run.
    """
    folder = RunFolder(path)
    manifest = folder.manifest()
    found, unreadable = [], []
    for place in folder.episodes():
        if not place.finished:
            continue
        try:
            found.append(Episode(read_record(place), place))
        except (OSError, ValueError):  # damaged, or of another version
            unreadable.append(folder.task_of(place))
    final = final_attempts(found, lambda one: one.record)
    episodes = {(one.record.task, one.record.repeat): one for one in final}
    return Run(folder, manifest, episodes, tuple(unreadable))
