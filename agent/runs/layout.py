"""The folder of one episode and the names of its files.

episode.json   written last, atomically; without it the episode did not finish
superseded.json   a record that does not count: it came after the ledger had given the episode to another worker
steps.jsonl    one line per event: a step before it is carried out, its outcome after, the final observation
frames/<sha256>.png   a screenshot
files/<sha256>        an accessibility tree, or a file that a getter read
now.json       while the episode runs: the screenshot that the agent looks at
video.mp4      the film of the screen, with `run --video`
agent/                what an agent left: the output of a program
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EpisodeFolder:
    """One attempt of an episode on disk; `path` is <run>/episodes/<suite>/<task>/<attempt>."""

    path: Path

    @classmethod
    def below(cls, folder: Path) -> list[EpisodeFolder]:
        """Every episode that has begun, in `folder` or anywhere below it, in the order of their paths."""
        return [cls(path) for path in sorted(_begun(folder))]

    @property
    def record(self) -> Path:
        """The record of the whole episode."""
        return self.path / "episode.json"

    @property
    def late(self) -> Path:
        """The record of an attempt whose result does not count."""
        return self.path / "superseded.json"

    @property
    def steps(self) -> Path:
        """The events, one per line."""
        return self.path / "steps.jsonl"

    @property
    def now(self) -> Path:
        """What the agent looks at while the episode runs."""
        return self.path / "now.json"

    @property
    def video(self) -> Path:
        """The film of the screen."""
        return self.path / "video.mp4"

    @property
    def frames(self) -> Path:
        """The folder of the screenshots."""
        return self.path / "frames"

    @property
    def files(self) -> Path:
        """The folder of the trees and of the files that getters read."""
        return self.path / "files"

    @property
    def agent(self) -> Path:
        """The folder for what an agent leaves; most leave nothing, and then it does not exist."""
        return self.path / "agent"

    def frame(self, sha256: str) -> Path:
        """A screenshot. Only the last part of the name is used, so no name leads out of the folder."""
        return self.frames / f"{Path(sha256).name}.png"

    def file(self, sha256: str) -> Path:
        """A tree or a file. Only the last part of the name is used, so no name leads out of the folder."""
        return self.files / Path(sha256).name

    @property
    def finished(self) -> bool:
        """Whether the episode finished: its record exists."""
        return self.record.is_file()

    @property
    def superseded(self) -> bool:
        """Whether the task has a later attempt; if so, an unfinished attempt was killed."""
        later = [int(other.name) for other in self.path.parent.iterdir() if other.name.isdigit()]
        return self.path.name.isdigit() and max(later) > int(self.path.name)


def _begun(folder: Path) -> Iterator[Path]:
    for path, below, _ in os.walk(folder):
        episode = EpisodeFolder(Path(path))
        if episode.finished or episode.steps.is_file():
            below.clear()
            yield episode.path
