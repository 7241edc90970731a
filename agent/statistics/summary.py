"""The numbers of a run, for the terminal, `--json` and reports: scores with intervals, endings, time, cost, protocol.

Unscored episodes (value None) are counted and listed. They never become 0 and are never part of a mean; a separate
number (`Summary.all_planned`) says what the mean would be if they were 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.statistics.attempts import AtK, every_k
from deskbench.agent.statistics.intervals import RESAMPLES, Estimate, estimate, families
from deskbench.agent.statistics.protocol import Protocol, protocol_of
from deskbench.agent.statistics.variance import Variance, variance_of


@dataclass(frozen=True)
class Summary:
    """The numbers of a run.

    Attributes:
        planned: number of planned episodes, without those of skipped tasks; the denominator for completeness.
        scored, unscored: finished episodes with and without a score; planned - scored - unscored are missing.
        all, feasible, infeasible: mean scores.
        all_planned: the mean over every planned episode, with 0 for unscored and missing ones, so that an episode
            without a score gains nothing.
        deaths: attempts whose desktop died while the agent acted.
        tampered: tasks of the episodes where this happened twice; the run's `on_tamper` sets their score.
        passed: episodes with score 1.
        endings: number of episodes by ending.
        model_ms, act_ms, settle_ms, other_ms: sums over the scored and unscored episodes, in milliseconds; `other` is
            the rest of the wall time (reset, set-up, scoring, wire).
        steps: number of all decisions.
        input_tokens, output_tokens, cost_usd: totals of all requests; the cost is None if no price is known.
        attempts: pass@k and pass^k; empty unless a task has two scored episodes. An episode passes with score 1.
        variance: within and between tasks; None unless a task has two scored episodes.
        groups: mean scores by `suite`, `domain` and `tag`, each by name.
        protocol: how the scores came about.
        reused: episodes that were taken over from another run (`run --reuse`).
    """

    planned: int
    scored: int
    unscored: int
    passed: int
    all: Estimate
    feasible: Estimate
    infeasible: Estimate
    all_planned: Estimate
    deaths: int
    tampered: tuple[str, ...]
    endings: dict[str, int]
    model_ms: float
    act_ms: float
    settle_ms: float
    other_ms: float
    steps: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    attempts: tuple[AtK, ...]
    variance: Variance | None
    groups: dict[str, dict[str, Estimate]]
    protocol: Protocol
    reused: int = 0


def summarize(
    episodes: Sequence[EpisodeRecord],
    planned: int | None = None,
    manifest: Mapping[str, Any] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> Summary:
    """Sum up the final attempts of a run (`RunFolder.final`).

    Args:
        episodes: the final attempts.
        planned: number of planned episodes; None for those that are there.
        manifest: the run's, for what the records do not say about its protocol.
        resamples: of each bootstrap; 0 for numbers that are computed again and again, as in a live view.
    """
    values = [(e, e.score.value) for e in episodes if e.score.value is not None]
    by_task = _by_task(values)
    totals = [e.totals for e in episodes]
    model, act, settle = (sum(getattr(t, name) for t in totals) for name in ("model_ms", "act_ms", "settle_ms"))
    costs = [t.usage.cost_usd for t in totals if t.usage.cost_usd is not None]
    return Summary(
        planned=len(episodes) if planned is None else planned,
        scored=len(values),
        unscored=len(episodes) - len(values),
        passed=sum(value == 1.0 for _, value in values),
        all=estimate(families(by_task), resamples=resamples),
        feasible=_part(values, lambda e: e.feasible, resamples),
        infeasible=_part(values, lambda e: not e.feasible, resamples),
        all_planned=estimate(families(_with_zeros(episodes, planned or 0, manifest or {})), resamples=resamples),
        deaths=sum(e.deaths for e in episodes),
        tampered=tuple(sorted(e.task for e in episodes if e.tampered)),
        endings=dict(Counter(e.ending.value for e in episodes)),
        model_ms=model,
        act_ms=act,
        settle_ms=settle,
        other_ms=max(0.0, sum(t.wall_ms for t in totals) - model - act - settle),
        steps=sum(t.steps for t in totals),
        input_tokens=sum(t.usage.input_tokens for t in totals),
        output_tokens=sum(t.usage.output_tokens for t in totals),
        cost_usd=sum(costs) if costs else None,
        attempts=every_k({task: [v == 1.0 for v in found] for task, found in by_task.items()}, resamples=resamples),
        variance=variance_of(by_task),
        groups=_groups(values, resamples),
        protocol=protocol_of(episodes, manifest),
        reused=sum(e.origin is not None for e in episodes),
    )


Values = Sequence[tuple[EpisodeRecord, float]]


def _part(values: Values, wanted: Callable[[EpisodeRecord], bool], resamples: int) -> Estimate:
    return estimate(families(_by_task([(e, v) for e, v in values if wanted(e)])), resamples=resamples)


def labels_of(episode: EpisodeRecord) -> tuple[tuple[str, str], ...]:
    """The groups that an episode's task is in, as (`suite`, `domain` or `tag`; name).

    The domain is the program that the task names in `related_apps`, or `several programs`.
    """
    apps = [str(app) for app in _list(episode.task_json.get("related_apps"))]
    domain = [("domain", apps[0] if len(apps) == 1 else "several programs")] if apps else []
    tags = [("tag", str(tag)) for tag in _list(episode.task_json.get("tags"))]
    return ("suite", episode.suite), *domain, *tags


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _groups(values: Values, resamples: int) -> dict[str, dict[str, Estimate]]:
    found: dict[tuple[str, str], list[tuple[EpisodeRecord, float]]] = {}
    for episode, value in values:
        for label in labels_of(episode):
            found.setdefault(label, []).append((episode, value))
    kinds: dict[str, dict[str, Estimate]] = {"suite": {}, "domain": {}, "tag": {}}
    for kind, name in sorted(found):
        kinds[kind][name] = estimate(families(_by_task(found[kind, name])), resamples=resamples)
    return kinds


def _by_task(values: Values) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for episode, value in values:
        found.setdefault(episode.task, []).append(value)
    return found


def _with_zeros(episodes: Sequence[EpisodeRecord], planned: int, manifest: Mapping[str, Any]) -> dict[str, list[float]]:
    """The scores by task, with 0 for every planned episode without a score.

    Tasks without a record are those of the manifest, or get a name if it does not list what was planned.
    """
    found = _by_task([(e, e.score.value or 0.0) for e in episodes])
    repeats = max((len(values) for values in found.values()), default=1)
    missing = planned - len(episodes)
    tasks = {str(task) for task in _list(manifest.get("tasks"))}
    if tasks and planned % len(tasks) == 0 and tasks.issuperset(found):
        repeats = max(repeats, planned // len(tasks))
        found.update({task: [] for task in sorted(tasks - set(found))})
    for values in found.values():
        zeros = min(missing, repeats - len(values))
        values.extend([0.0] * zeros)
        missing -= zeros
    for number in range(0, missing, repeats):
        found[f"missing {number}"] = [0.0] * min(repeats, missing - number)
    return found
