"""What became of every planned episode of a run, read from its folder: score, ending, time, cost and the reason.

Only the records are read, not the steps, so that this is fast for thousands of episodes. A record that cannot be read
is an outcome too.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.agent.report.reading import CUT_OFF, DAMAGE, RUNNING, domain_of, why
from deskbench.agent.runs.folder import RunFolder, final_attempts
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import read_causes
from deskbench.agent.runs.record import EpisodeRecord, read_record

SKIPPED, NOT_RUN, UNREADABLE, LOST = "skipped", "not run", "unreadable", "lost"
"""Endings of what has no record, beside `RUNNING`, `CUT_OFF` and those of `base.Ending`."""
MOST_DOMAINS = 25
"""More groups than this are no overview."""


@dataclass(frozen=True)
class Outcome:
    """One episode, or a task that was skipped.

    Attributes:
        task: the task's key.
        repeat: its repeat, from 0.
        score: from 0 to 1, or None.
        ending: a value of `base.Ending`, or one of this module's.
        reason: why the score is what it is, or why there is none.
        error: the last error of the episode, or None.
        attempt: the number of the last attempt, 0 if there was none.
        steps, actions: numbers of decisions and of actions.
        seconds: wall time of the attempt, with reset, set-up and scoring.
        model_seconds: the part of it that the agent's model took.
        cost_usd: cost in US dollars; None if no price is known.
        input_tokens, output_tokens: tokens of all requests.
        deaths, tampered: see `EpisodeRecord`.
        folder: the episode's folder, or None.
        domain: the program that the task is about, or its suite; empty if no record says it.
    """

    task: str
    repeat: int
    score: float | None
    ending: str
    reason: str
    error: str | None = None
    attempt: int = 0
    steps: int = 0
    actions: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0
    cost_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    deaths: int = 0
    tampered: bool = False
    folder: str | None = None
    domain: str = ""


def outcome_of(record: EpisodeRecord, folder: str | None = None) -> Outcome:
    """The outcome of a finished episode."""
    totals = record.totals
    return Outcome(
        task=record.task, repeat=record.repeat, score=record.score.value, ending=record.ending.value,
        reason=record.score.reason, error=record.error, attempt=record.attempt, steps=totals.steps,
        actions=totals.actions, seconds=totals.wall_ms / 1e3, model_seconds=totals.model_ms / 1e3,
        cost_usd=totals.usage.cost_usd, input_tokens=totals.usage.input_tokens,
        output_tokens=totals.usage.output_tokens, deaths=record.deaths, tampered=record.tampered, folder=folder,
        domain=domain_of(record),
    )  # fmt: skip


@dataclass(frozen=True)
class Outcomes:
    """All outcomes of a run.

    Attributes:
        episodes: one for each planned episode, in the order of tasks and repeats, then the skipped tasks.
        records: the records of the episodes that have one, each the last attempt.
    """

    episodes: tuple[Outcome, ...]
    records: tuple[EpisodeRecord, ...]


def outcomes(run: RunFolder, *, live: bool = False) -> Outcomes:
    """Read the outcomes of a run.

    Args:
        run: the run's folder.
        live: whether the run goes on, so that an episode without a record is running and was not cut off.

    Raises:
        UsageError: the folder is not a run.
    """
    manifest = run.manifest()
    finished, unread, begun = _read(run)
    last = final_attempts(finished, lambda one: one[0])
    found = {(record.task, record.repeat): outcome_of(record, str(folder.path)) for record, folder in last}
    causes = {} if live else read_causes(run.ledger)
    for outcome in [*unread, *_missing(manifest, found, begun, live, causes)]:
        found.setdefault((outcome.task, outcome.repeat), outcome)
    episodes = [found[key] for key in sorted(found)]
    return Outcomes((*episodes, *_skipped(manifest)), tuple(record for record, _ in last))


def _read(
    run: RunFolder,
) -> tuple[list[tuple[EpisodeRecord, EpisodeFolder]], list[Outcome], dict[str, list[EpisodeFolder]]]:
    """The records, the outcomes of those that cannot be read, and by task the attempts without a record."""
    finished, unread, begun = [], [], dict[str, list[EpisodeFolder]]()
    for folder in run.episodes():
        task = run.task_of(folder)
        if not folder.finished:
            if not folder.superseded:
                begun.setdefault(task, []).append(folder)
            continue
        try:
            finished.append((read_record(folder), folder))
        except DAMAGE as error:
            unread.append(Outcome(task, 0, None, UNREADABLE, why(error), folder=str(folder.path)))
    return finished, unread, begun


def _missing(
    manifest: Mapping[str, Any],
    found: Mapping[tuple[str, int], Outcome],
    begun: Mapping[str, list[EpisodeFolder]],
    live: bool,
    causes: Mapping[tuple[str, int], str],
) -> Iterator[Outcome]:
    """The planned episodes without a record; the record of an attempt that was cut off does not name its repeat."""
    for task in _texts(manifest.get("tasks")):
        attempts = iter(begun.get(task, ()))
        for repeat in range(_repeats(manifest)):
            if (task, repeat) in found:
                continue
            folder = next(attempts, None)
            if (task, repeat) in causes:
                yield Outcome(
                    task, repeat, None, LOST, causes[task, repeat], folder=str(folder.path) if folder else None
                )
            elif folder is None:
                reason = "has not begun" if live else "the run ended before it began"
                yield Outcome(task, repeat, None, NOT_RUN, reason)
            else:
                ending, reason = (RUNNING, "is running") if live else (CUT_OFF, "the run ended before it did")
                yield Outcome(task, repeat, None, ending, reason, folder=str(folder.path))


def _skipped(manifest: Mapping[str, Any]) -> Iterator[Outcome]:
    skipped = manifest.get("skipped")
    for one in skipped if isinstance(skipped, list) else ():
        if isinstance(one, dict):
            yield Outcome(str(one.get("task")), 0, None, SKIPPED, str(one.get("reason")))


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _repeats(manifest: Mapping[str, Any]) -> int:
    config = manifest.get("config")
    repeats = config.get("repeats") if isinstance(config, dict) else None
    return repeats if isinstance(repeats, int) and 0 < repeats <= 10_000 else 1


@dataclass(frozen=True)
class TaskOutcome:
    """One task with all its repeats."""

    task: str
    episodes: tuple[Outcome, ...]

    @property
    def suite(self) -> str:
        """The part of the key before the task's id."""
        return self.task.rpartition("/")[0]

    @property
    def domain(self) -> str:
        """The program that the task is about, or its suite: as the pages group tasks."""
        return next((one.domain for one in self.episodes if one.domain), self.suite)

    @property
    def scores(self) -> list[float]:
        """The scores of the repeats that have one."""
        return [one.score for one in self.episodes if one.score is not None]

    @property
    def score(self) -> float | None:
        """The mean of the scores, or None if there is none."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def missing(self) -> int:
        """Number of repeats without a score."""
        return len(self.episodes) - len(self.scores)

    @property
    def solved(self) -> bool:
        """Whether every repeat scored 1."""
        return all(one.score == 1.0 for one in self.episodes)

    @property
    def cost_usd(self) -> float | None:
        """The cost of all repeats."""
        costs = [one.cost_usd for one in self.episodes if one.cost_usd is not None]
        return sum(costs) if costs else None

    @property
    def reason(self) -> str:
        """Why the task does not have the full score: the most frequent reason, and how many others there are."""
        counts = Counter(one.reason for one in self.episodes if one.score != 1.0)
        if not counts:
            return ""
        first, number = counts.most_common(1)[0]
        times = f"{number} times: " if number > 1 else ""
        more = len(counts) - 1
        others = f" (and {more} other reason{'s' if more > 1 else ''})" if more else ""
        return f"{times}{first}{others}"


def by_task(episodes: Sequence[Outcome]) -> list[TaskOutcome]:
    """The tasks, the ones that failed first: no score, then the lowest mean score; skipped tasks are left out."""
    tasks: dict[str, list[Outcome]] = {}
    for one in episodes:
        if one.ending != SKIPPED:
            tasks.setdefault(one.task, []).append(one)
    found = [TaskOutcome(task, tuple(ones)) for task, ones in tasks.items()]
    return sorted(found, key=lambda one: (one.solved, -1.0 if one.score is None else one.score, one.task))


def by_domain(tasks: Sequence[TaskOutcome]) -> dict[str, list[TaskOutcome]]:
    """The tasks by domain, or by the first word of their ids if all have the same domain."""
    same = len({one.domain for one in tasks}) == 1
    way = _word if same and len(set(map(_word, tasks))) <= MOST_DOMAINS else _domain
    found: dict[str, list[TaskOutcome]] = {}
    for one in sorted(tasks, key=lambda one: one.task):
        found.setdefault(way(one), []).append(one)
    return found


def _domain(one: TaskOutcome) -> str:
    return one.domain


def _word(one: TaskOutcome) -> str:
    return one.task.rpartition("/")[2].partition("-")[0]
