"""Find what has changed in a run folder without reading it: by the times and sizes of its files and folders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deskbench.agent.runs.folder import RunFolder

EVENT_FILES = ("episode.json", "steps.jsonl")
"""An episode's record and its events: one of them is in the folder of every episode that has begun."""
FRESH_SECONDS = 2.0
"""A folder that changed this recently is listed again: the clock of a file system may tick only every few ms."""


@dataclass
class _Listed:
    """A folder as it was last listed."""

    changed: int
    below: list[str]
    episode: bool
    fresh: bool


class Scanner:
    """Finds the episodes of a run; folders that did not change are not listed again."""

    def __init__(self, run: RunFolder) -> None:
        self._root = str(run.path / "episodes")
        self._known: dict[str, _Listed] = {}

    def scan(self) -> Iterator[tuple[str, str]]:
        """The path of each episode that has begun, and a stamp that changes whenever the episode does."""
        known, self._known = self._known, {}
        todo = [self._root]
        while todo:
            path = todo.pop()
            listed = self._list(path, known.get(path))
            if listed is None:
                continue
            self._known[path] = listed
            if listed.episode:
                yield path, self._stamp(path)
            else:
                todo += [f"{path}/{name}" for name in listed.below]

    def _list(self, path: str, before: _Listed | None) -> _Listed | None:
        try:
            changed = os.lstat(path).st_mtime_ns
            if before is not None and before.changed == changed and not before.fresh:
                return before
            with os.scandir(path) as entries:
                names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            return None
        episode = path != self._root and any(name in EVENT_FILES for name, folder in names if not folder)
        fresh = time.time_ns() - changed < FRESH_SECONDS * 1e9
        return _Listed(changed, [] if episode else [name for name, folder in names if folder], episode, fresh)

    @staticmethod
    def _stamp(path: str) -> str:
        for name in EVENT_FILES:
            try:
                seen = os.lstat(f"{path}/{name}")
            except OSError:
                continue
            return f"{name} {seen.st_mtime_ns} {seen.st_size}{Scanner._now(path) if name == EVENT_FILES[1] else ''}"
        return "gone"

    @staticmethod
    def _now(path: str) -> str:
        """When the agent of a running episode was last shown a screen."""
        try:
            return f" {os.lstat(f'{path}/now.json').st_mtime_ns}"
        except OSError:
            return ""


def run_stamp(run: RunFolder) -> str:
    """A text that changes when the manifest or the ledger of a run does; empty if there is neither."""
    found = []
    for path in (run.path / "run.json", run.ledger, Path(f"{run.ledger}-wal")):
        try:
            seen = path.stat()
        except OSError:
            continue
        found.append(f"{seen.st_mtime_ns}.{seen.st_size}")
    return " ".join(found)
