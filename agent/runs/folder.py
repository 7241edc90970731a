"""The folder of a run. Only this module knows the names of the files in it.

run.json        the manifest: what defined the run, and how it ended
ledger.sqlite   which episodes were planned, started and finished
episodes/<suite>/<task>/<attempt>/   one episode each (`layout`)
report.html     the report; a replay also has difference-<step>.png and task/

The folder of the replays of a whole run is no run: it has replay.json, and a run for each replay below.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deskbench.agent.runs.latest import RUNS
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, whole, write_atomic
from deskbench.envs.errors import UsageError

Found = TypeVar("Found")
REPLAYS = "replay.json"
"""The results of the replays of a whole run."""


@dataclass(frozen=True)
class RunFolder:
    """A run on disk; the folder need not exist yet."""

    path: Path

    @property
    def exists(self) -> bool:
        """Whether a run has begun in this folder: its manifest exists."""
        return self._manifest.exists()

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises:
            UsageError: the folder is not a run.
        """
        try:
            manifest = whole(json.loads(self._manifest.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.path} is not a run folder: {self._manifest.name}: {error}") from None
        if not isinstance(manifest, dict):
            raise UsageError(f"{self.path} is not a run folder: {self._manifest.name} is not a JSON object")
        return manifest

    def config(self) -> dict[str, Any]:
        """The settings in the manifest; raises the same error as `manifest`, also if they are not an object."""
        config = self.manifest().get("config", {})
        if not isinstance(config, dict):
            raise UsageError(f"{self.path} cannot be used: in {self._manifest.name}, config is not a JSON object")
        return config

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest atomically.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        write_atomic(self._manifest, json.dumps(manifest, indent=1).encode())

    def touch(self) -> None:
        """Show who keeps what it read of a run (`scan.run_stamp`) that a record in it was written again.

        Raises:
            StorageError: the folder cannot be written.
        """
        self.write_manifest(self.manifest())

    @property
    def begun(self) -> bool:
        """Whether anything of a run is here, though perhaps not the manifest."""
        return self.exists or self.ledger.is_file() or self._episodes.is_dir()

    def size(self) -> int:
        """Bytes of all files in the folder."""
        return folder_size(self.path)

    @property
    def _manifest(self) -> Path:
        return self.path / "run.json"

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.path / "ledger.sqlite"

    @property
    def report(self) -> Path:
        """The report's file, unless the user names another."""
        return self.path / "report.html"

    @property
    def task(self) -> Path:
        """The folder where a replay puts a recorded task file if the file itself is gone or has changed."""
        return self.path / "task"

    def difference(self, step: int) -> Path:
        """The picture of both screens where a replay first differs."""
        return self.path / f"difference-{step:03}.png"

    def episode(self, task: str, attempt: int) -> EpisodeFolder:
        """The folder of an attempt; the numbers of attempts count on over all repeats of a task."""
        return EpisodeFolder(self.attempts(task) / str(attempt))

    def attempts(self, task: str) -> Path:
        """The folder of a task's attempts."""
        return self._episodes / task

    def task_of(self, episode: EpisodeFolder) -> str:
        """The task of an episode, read from its path; `.` if it is not in the folder of a task."""
        folder = episode.path.parent
        return folder.relative_to(self._episodes).as_posix() if folder.is_relative_to(self._episodes) else "."

    @property
    def _episodes(self) -> Path:
        return self.path / "episodes"

    def episodes(self) -> list[EpisodeFolder]:
        """Every attempt that has begun: finished, running, or killed before its end."""
        return EpisodeFolder.below(self._episodes)

    def finished(self) -> list[EpisodeReader]:
        """Every finished attempt.

        Raises:
            UsageError: a record cannot be read.
        """
        return [EpisodeReader(episode.path) for episode in self.episodes() if episode.finished]

    def records(self) -> list[EpisodeRecord]:
        """The records of the finished attempts; raises the same errors as `finished`."""
        return [reader.episode for reader in self.finished()]

    def final(self) -> list[EpisodeReader]:
        """The last attempt of every finished episode; raises the same errors as `finished`."""
        return final_attempts(self.finished(), lambda reader: reader.episode)


def new_folder(name: str) -> Path:
    """A new path runs/<time>-<name>; a second run in the same second gets another name."""
    base = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    names = [base, *(f"{base}-{n}" for n in range(2, 100))]
    return next(RUNS / name for name in names if not (RUNS / name).exists())


def folder_size(path: str | Path) -> int:
    """Bytes of all files in a folder; files that vanish meanwhile count nothing, and links are not followed."""
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total


def final_attempts(found: Iterable[Found], record: Callable[[Found], EpisodeRecord]) -> list[Found]:
    """The last attempt of each (task, repeat); earlier ones were cut short or failed through no fault of the agent."""
    last = {(record(one).task, record(one).repeat): one for one in sorted(found, key=lambda one: record(one).attempt)}
    return [last[key] for key in sorted(last)]
