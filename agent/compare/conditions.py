"""What must be the same for two runs' scores to be comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from deskbench.agent.compare.loading import Key, Run
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.statistics.protocol import NOTHING, UNKNOWN, harness_of, image_of, observation_of
from deskbench.agent.statistics.words import counted, short

APART = ("oracle", "solutions", "mutants", "neutral", "allowed", "noqa", "tags")
"""Keys of a task file that no episode depends on."""
NAMED = 3
"""Tasks to name in a message; `--json` has all."""


@dataclass(frozen=True)
class Conflict:
    """Something that differs between two runs and changes scores.

    Attributes:
        what: what differs.
        first, second: the values, of the first task where they differ.
        tasks: the tasks where they differ; all of them for a fact about the whole run.
    """

    what: str
    first: str
    second: str
    tasks: tuple[str, ...]

    def __str__(self) -> str:
        more = ", ..." if len(self.tasks) > NAMED else ""
        listed = f"{', '.join(self.tasks[:NAMED])}{more}"
        return f"{self.what} {self.first} against {self.second} ({counted(len(self.tasks), 'task')}: {listed})"


def version_of_task(record: EpisodeRecord) -> str:
    """A hash of the parts of a task that an episode depends on."""
    if not record.task_json:
        return record.task_sha256[:12] or UNKNOWN
    parts = {name: value for name, value in record.task_json.items() if name not in APART}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _limit(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:g}"


OF_EPISODES: dict[str, Callable[[EpisodeRecord], str]] = {
    "task version": version_of_task,
    "step limit": lambda record: _limit(record.max_steps),
    "time limit in seconds": lambda record: _limit(record.max_seconds),
    "observation policy": lambda record: record.policy,
    "screen": lambda record: f"{record.width}x{record.height}",
    "provider": lambda record: record.provider.partition(":")[0],
    "harness": harness_of,
}


def conflicts(first: Run, second: Run, keys: Sequence[Key]) -> list[Conflict]:
    """What differs between two runs over these pairs of episodes."""
    return [*_of_episodes(first, second, keys), *_of_runs(first, second, keys)]


def _of_episodes(first: Run, second: Run, keys: Sequence[Key]) -> Iterator[Conflict]:
    for what, fact in OF_EPISODES.items():
        both = {key: (fact(first.episodes[key].record), fact(second.episodes[key].record)) for key in keys}
        differing = [key for key, (one, other) in both.items() if one != other]
        if differing:
            yield Conflict(what, *both[differing[0]], _tasks(differing))


def _of_runs(first: Run, second: Run, keys: Sequence[Key]) -> Iterator[Conflict]:
    seen = observation_of(first.manifest), observation_of(second.manifest)
    if not {UNKNOWN, NOTHING} & set(seen) and seen[0] != seen[1]:
        yield Conflict("observation", *seen, _tasks(keys))
    images = short(image_of(first.manifest)), short(image_of(second.manifest))
    if image_of(first.manifest) != image_of(second.manifest):
        yield Conflict("image", images[0] or "none", images[1] or "none", _tasks(keys))


def _tasks(keys: Sequence[Key]) -> tuple[str, ...]:
    return tuple(sorted({task for task, _ in keys}))
