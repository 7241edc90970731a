"""Where the episodes of an environment are written: a run folder, or a folder that is removed."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent import manifest
from deskbench.agent.base import Decision
from deskbench.agent.build import Prepared
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.latest import mark_latest
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter, Written
from deskbench.agent.runs.recovery import recover
from deskbench.envs.errors import StorageError
from deskbench.envs.types import Observation


@dataclass(frozen=True)
class Attempt:
    """One attempt of an episode: which one, its number, the folder that it is written to, and its token."""

    episode: Planned
    number: int
    folder: Path
    token: int = 0


class Recorder:
    """Writes episodes into a run folder; safe to use from several threads.

    An episode is a task and a seed. If it has no score yet, because it was cut short or failed, then a new attempt of
    it takes its place; if it has one, it is played and recorded once more.

    Raises:
        UsageError: another process works on the folder, or it holds a run with other tasks or settings.
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, prepared: Prepared) -> None:
        self.folder = folder
        self._run = RunFolder(folder)
        self._lock = threading.Lock()
        self._playing: set[tuple[str, int]] = set()
        if self._run.exists:
            manifest.check_same(self._run, prepared)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot create {folder}: {error.strerror}") from error
        if not self._run.exists:
            facts = manifest.manifest(prepared)
            self._run.write_manifest({name: value for name, value in facts.items() if name != "planned"})
        self._ledger = Ledger(self._run.ledger)
        recover(self._ledger, self._run)
        self._next = self._counted()
        mark_latest(folder)

    def _counted(self) -> dict[str, int]:
        """The first free repeat of each task."""
        taken = [(one.task, one.repeat) for one in self._run.records()]
        taken += [(one.task, one.repeat) for one in self._ledger.unscored()]
        return {task: max(repeat for name, repeat in taken if name == task) + 1 for task, _ in taken}

    def records(self) -> list[EpisodeRecord]:
        """The episodes that have ended, each by its last attempt."""
        return [reader.episode for reader in self._run.final()]

    def begin(self, task: str, seed: int) -> Attempt:
        """Begin an attempt."""
        with self._lock:
            episode = self._open(task, seed)
            self._playing.add((task, episode.repeat))
            lease = self._ledger.lease_of(episode, "environment", FOREVER)
            self._ledger.start(lease)
        return Attempt(episode, lease.number, self._run.episode(task, lease.number).path, lease.token)

    def writer(self, attempt: Attempt) -> EpisodeWriter:
        """Writes an attempt; its record counts if the attempt still holds the episode."""

        def hand_in(record: EpisodeRecord, written: Written) -> bool:
            return self._ledger.accept(attempt.token, Result.of(record), written.publish).counts

        return EpisodeWriter(attempt.folder, hand_in)

    def _open(self, task: str, seed: int) -> Planned:
        for one in self._ledger.unscored():
            if (one.task, one.seed) == (task, seed) and (task, one.repeat) not in self._playing:
                return one
        episode = Planned(task, self._next.get(task, 0), seed)
        self._next[task] = episode.repeat + 1
        self._ledger.plan([episode])
        return episode

    def end(self, attempt: Attempt, record: EpisodeRecord | None) -> None:
        """End an attempt; without a record it is lost."""
        with self._lock:
            self._playing.discard((attempt.episode.task, attempt.episode.repeat))
            if record is None:
                self._ledger.supersede(attempt.token, "the episode was left before its end")

    def close(self) -> None:
        """Say in the manifest that nobody works on the folder any more."""
        planned = self._ledger.count()
        self._ledger.close()
        manifest.update(self._run, state="done", planned=planned, bytes=self._run.size())


class Unkept(EpisodeWriter):
    """A writer that keeps nothing; it has a folder for the files that checks read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._place = EpisodeFolder(folder)
        self._place.files.mkdir(parents=True)

    def close(self) -> None:
        """Nothing is open."""

    def step(self, index: int, observation: Observation, decision: Decision) -> None:
        """Keep nothing."""

    def final(self, observation: Observation) -> None:
        """Keep nothing."""

    def note(self, what: str, detail: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def finish(self, record: EpisodeRecord) -> None:
        """Keep nothing."""


class Scratch:
    """Episodes that nobody keeps: each one's folder is removed when it has ended."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="deskbench-env-", ignore_cleanup_errors=True)
        self._lock = threading.Lock()
        self._count = 0

    def records(self) -> list[EpisodeRecord]:
        """Nothing."""
        return []

    def begin(self, task: str, seed: int) -> Attempt:
        """Begin an attempt."""
        with self._lock:
            self._count += 1
            return Attempt(Planned(task, self._count - 1, seed), 1, Path(self._folder.name) / str(self._count))

    def writer(self, attempt: Attempt) -> EpisodeWriter:
        """Keeps nothing of an attempt."""
        return Unkept(attempt.folder)

    def end(self, attempt: Attempt, record: EpisodeRecord | None) -> None:
        """Remove its folder."""
        shutil.rmtree(attempt.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        self._folder.cleanup()
