"""Compare runs over the tasks that they share: `deskbench compare`.

Every later run is compared with the first. Episodes are paired by task and repeat; what has no score in one of the runs
is left out and named. The p values of several comparisons are adjusted by Holm's method: over the later runs, and
within each over its suites, domains and tags.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deskbench.agent.compare.conditions import Conflict, conflicts
from deskbench.agent.compare.loading import Episode, Key, Run, load_run
from deskbench.agent.runs.names import address
from deskbench.agent.statistics.intervals import RESAMPLES, Estimate, estimate, family_of
from deskbench.agent.statistics.paired import Difference, holm, paired
from deskbench.agent.statistics.power import Plan, plan
from deskbench.agent.statistics.protocol import Protocol, protocol_of
from deskbench.agent.statistics.summary import labels_of
from deskbench.agent.statistics.variance import variance_of
from deskbench.agent.statistics.words import counted
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN

MOST_RUNS = 26
"""As many as there are letters."""


@dataclass(frozen=True)
class Side:
    """One run of a comparison.

    Attributes:
        letter: A for the first run, then B, C, ...
        name, folder: of the run's folder.
        agent: with its model.
        planned: number of its planned episodes.
        score: over all of its scored episodes, paired or not.
        unscored: its finished episodes without a score, as `task` or `task #repeat`.
        unreadable: tasks of the episodes whose records cannot be read.
        protocol: how its scores came about.
    """

    letter: str
    name: str
    folder: str
    agent: str
    planned: int
    score: Estimate
    unscored: tuple[str, ...]
    unreadable: tuple[str, ...]
    protocol: Protocol


@dataclass(frozen=True)
class Played:
    """An episode of a pair.

    Attributes:
        score, ending, reason, steps, seconds, cost_usd: what became of it.
        folder: of the episode.
        address: what follows `#` in the address of the episode in its run's report, or in `view`.
    """

    score: float
    ending: str
    reason: str
    steps: int
    seconds: float
    cost_usd: float | None
    folder: str
    address: str


@dataclass(frozen=True)
class Flip:
    """A task with another score in the second run.

    Attributes:
        task: its key.
        first, second: its means over the paired repeats.
        pairs: the repeats whose scores differ, as (repeat, episode of the first run, of the second).
    """

    task: str
    first: float
    second: float
    pairs: tuple[tuple[int, Played, Played], ...]


@dataclass(frozen=True)
class Group:
    """A suite, domain or tag (`kind`) and the difference over its tasks."""

    kind: str
    name: str
    difference: Difference


@dataclass(frozen=True)
class Effort:
    """What an episode takes on average: steps, seconds or US dollars (`what`).

    Attributes:
        over: `all pairs`, or `passed by both`.
        pairs: number of pairs where it is known for both runs.
        first, second: the means; None if there are no such pairs.
    """

    what: str
    over: str
    pairs: int
    first: float | None
    second: float | None


@dataclass(frozen=True)
class Versus:
    """The first run against a later one.

    Attributes:
        first, second: letters of the runs.
        all: the difference over all pairs.
        groups: the same by suite, domain and tag; kinds with a single group are left out.
        flips: the tasks whose scores differ, those that changed most first.
        efforts: steps, time and cost side by side.
        unpaired: episodes with a score in one run only, with the letter of that run.
        conflicts: what differs between the runs apart from the agent.
        chance: part of the variance of the pairs' differences that is within tasks; None without repeats.
    """

    first: str
    second: str
    all: Difference
    groups: tuple[Group, ...]
    flips: tuple[Flip, ...]
    efforts: tuple[Effort, ...]
    unpaired: tuple[tuple[str, str], ...]
    conflicts: tuple[Conflict, ...]
    chance: float | None


@dataclass(frozen=True)
class Comparison:
    """The comparison of two or more runs, for the terminal, `--json` and the page."""

    runs: tuple[Side, ...]
    against: tuple[Versus, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The whole comparison as JSON values."""
        found: dict[str, Any] = KNOWN.value(dataclasses.asdict(self))
        return found


def compare_runs(folders: Sequence[Path], *, anyway: bool = False, resamples: int = RESAMPLES) -> Comparison:
    """Compare runs.

    Args:
        folders: of two runs or more.
        anyway: compare runs whose scores are not comparable, too.
        resamples: of bootstraps and permutations.

    Raises:
        UsageError: too few or too many runs, a folder that is not a run, no task in common, or runs that differ in what
            changes scores; the message says in what and for which tasks.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise UsageError(f"name from two to {MOST_RUNS} runs to compare")
    runs = [load_run(folder) for folder in folders]
    first, *others = runs
    found = [_against(first, other, chr(ord("A") + n), resamples) for n, other in enumerate(others, 1)]
    differing = [f"{versus.second}: {conflict}" for versus in found for conflict in versus.conflicts]
    if differing and not anyway:
        raise UsageError(f"scores are not comparable (--anyway compares them): {'; '.join(differing)}")
    adjusted = holm([versus.all.p for versus in found if versus.all.p is not None])
    against = [_adjusted(versus, p) for versus, p in zip(found, adjusted, strict=True)]
    sides = tuple(_side(run, chr(ord("A") + n), resamples) for n, run in enumerate(runs))
    return Comparison(sides, tuple(against), tuple(_notes(sides, runs)))


def plan_from(
    difference: float, comparison: Comparison | None, *, tasks: int | None = None, repeats: int | None = None
) -> Plan:
    """A plan with the discordance that two runs have, or with a usual one.

    Args:
        difference: of the true scores, to be shown.
        comparison: of the runs to learn from.
        tasks, repeats: what there is.
    """
    if comparison is None:
        return plan(difference, tasks=tasks, repeats=repeats)
    versus = comparison.against[0]
    differ = (versus.all.only_first + versus.all.only_second) / versus.all.pairs
    return plan(difference, tasks=tasks, repeats=repeats, discordant=differ, chance=versus.chance)


def _side(run: Run, letter: str, resamples: int) -> Side:
    scores: dict[str, list[float]] = {}
    for (task, _), episode in run.episodes.items():
        if episode.score is not None:
            scores.setdefault(family_of(task), []).append(episode.score)
    return Side(
        letter, run.name, str(run.folder.path), run.agent, run.planned, estimate(scores, resamples=resamples),
        tuple(_named(key) for key, one in run.episodes.items() if one.score is None), run.unreadable,
        protocol_of(run.records, run.manifest),
    )  # fmt: skip


def _named(key: Key) -> str:
    return key[0] if key[1] == 0 else f"{key[0]} #{key[1] + 1}"


def _notes(sides: Sequence[Side], runs: Sequence[Run]) -> Iterator[str]:
    for side, run in zip(sides, runs, strict=True):
        if len(run.episodes) < side.planned:
            going = "; it may still be running" if run.manifest.get("state") == "running" else ""
            yield f"{side.letter} has {len(run.episodes)} of its {side.planned} planned episodes{going}"
        if side.unscored:
            named = ", ".join(side.unscored)
            yield f"{side.letter} has {counted(len(side.unscored), 'episode')} without a score: {named}"
        if side.unreadable:
            named = ", ".join(side.unreadable)
            yield f"{side.letter} has {counted(len(side.unreadable), 'record')} that cannot be read: {named}"


Paired = Mapping[Key, tuple[Episode, Episode]]


def _against(first: Run, second: Run, letter: str, resamples: int) -> Versus:
    """Compare two runs; p values are not adjusted for other runs."""
    both = [key for key in first.episodes if key in second.episodes]
    if not both:
        raise UsageError(f"{first.folder.path} and {second.folder.path} have no episode of the same task and repeat")
    pairs: Paired = {
        key: (first.episodes[key], second.episodes[key])
        for key in both
        if first.episodes[key].score is not None and second.episodes[key].score is not None
    }
    if not pairs:
        raise UsageError(f"{first.folder.path} and {second.folder.path} have no task that has a score in both")
    unpaired = [
        (_named(key), name)
        for name, run in (("A", first), (letter, second))
        for key, one in run.episodes.items()
        if one.score is not None and key not in pairs
    ]
    return Versus(
        "A", letter, paired(_scores(pairs), resamples=resamples), tuple(_groups(pairs, resamples)),
        tuple(_flips(pairs, first, second)), tuple(_efforts(pairs)), tuple(unpaired),
        tuple(conflicts(first, second, both)), _chance(pairs),
    )  # fmt: skip


def _chance(pairs: Paired) -> float | None:
    found = variance_of({task: [b - a for a, b in values] for task, values in _scores(pairs).items()})
    return None if found is None else 1 - found.correlation


def _scores(pairs: Paired) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for (task, _), (one, other) in pairs.items():
        found.setdefault(family_of(task), []).append((one.score or 0.0, other.score or 0.0))
    return found


def _groups(pairs: Paired, resamples: int) -> Iterator[Group]:
    inside: dict[tuple[str, str], dict[Key, tuple[Episode, Episode]]] = {}
    for key, both in pairs.items():
        for label in labels_of(both[0].record):
            inside.setdefault(label, {})[key] = both
    for kind in ("suite", "domain", "tag"):
        names = sorted(name for one, name in inside if one == kind)
        found = [paired(_scores(inside[kind, name]), resamples=resamples) for name in names]
        adjusted = holm([one.p if one.p is not None else 1.0 for one in found])
        if len(names) > 1:
            for name, one, p in zip(names, found, adjusted, strict=True):
                yield Group(kind, name, replace(one, adjusted=p))


def _flips(pairs: Paired, first: Run, second: Run) -> list[Flip]:
    by_task: dict[str, list[tuple[int, Episode, Episode]]] = {}
    for (task, repeat), both in pairs.items():
        by_task.setdefault(task, []).append((repeat, *both))
    found = []
    for task, played in by_task.items():
        sides = [one for _, one, _ in played], [other for _, _, other in played]
        means = [statistics.fmean(one.score or 0.0 for one in side) for side in sides]
        differing = [
            (repeat, _played(one, first), _played(other, second))
            for repeat, one, other in played
            if one.score != other.score
        ]
        if differing:
            found.append(Flip(task, means[0], means[1], tuple(differing)))
    return sorted(found, key=lambda flip: (-abs(flip.second - flip.first), flip.second > flip.first, flip.task))


def _played(episode: Episode, run: Run) -> Played:
    record = episode.record
    return Played(
        score=record.score.value or 0.0, ending=record.ending.value, reason=record.error or record.score.reason,
        steps=record.totals.steps, seconds=record.totals.wall_ms / 1e3, cost_usd=record.totals.usage.cost_usd,
        folder=str(episode.folder.path), address=address(run.folder.path, episode.folder.path),
    )  # fmt: skip


def _efforts(pairs: Paired) -> Iterator[Effort]:
    passed = [both for both in pairs.values() if all(one.score == 1.0 for one in both)]
    for over, chosen in (("all pairs", list(pairs.values())), ("passed by both", passed)):
        for what in ("steps", "seconds", "US dollars"):
            known = [(a, b) for one, other in chosen if (a := _effort(one, what)) is not None
                     and (b := _effort(other, what)) is not None]  # fmt: skip
            means = [statistics.fmean(side) for side in zip(*known, strict=True)] if known else [None, None]
            yield Effort(what, over, len(known), means[0], means[1])


def _effort(episode: Episode, what: str) -> float | None:
    totals = episode.record.totals
    return {"steps": totals.steps, "seconds": totals.wall_ms / 1e3, "US dollars": totals.usage.cost_usd}[what]


def _adjusted(versus: Versus, p: float) -> Versus:
    return replace(versus, all=replace(versus.all, adjusted=p))
