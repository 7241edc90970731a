"""Two policies on the same screens, with no desktop: how often they do the same, and how far apart they are.

The recorded observations of a run go to both agents. A step is decided from its own screen alone (each agent begins
anew at every step), so that both answer the same question: the steps before belong to whoever was recorded.

Agreement is of first actions. KL divergence is in nats, from P, the first agent and the reference, to Q, the second:
KL(P||Q) = sum over x of P(x) * ln(P(x) / Q(x)). `kl.py` says how P and Q are estimated and smoothed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deskbench.agent.agents.agreement import distance_of, point_of, same_action
from deskbench.agent.agents.tree import Node, nodes
from deskbench.agent.base import Agent, AgentError, Decision, Goal, ModelError
from deskbench.agent.comparing import tree_of
from deskbench.agent.kl import empirical, kl, kl_of_names, kl_of_tokens, tokens_of
from deskbench.agent.record import EpisodeReader, SeenRecord
from deskbench.envs.errors import EnvError, UsageError
from deskbench.envs.types import Action, Observation

RESAMPLES = 2000
Make = Callable[[], Agent]


@dataclass(frozen=True)
class StepComparison:
    """Two agents at one step; None where a thing cannot be said.

    Attributes:
        episode, step: which.
        kinds: of the first actions, P's and Q's; `error` where a reply was no action.
        same_kind: the kinds are the same.
        distance: between the points of both, in pixels.
        same_element: both points are in the same element of the recorded accessibility tree.
        agree: same kind, and the same target (near enough or the same element), text and keys.
        kl_kinds: between the kinds of several replies each, in nats.
        kl_name: at the token that names the action, in nats.
        kl_tokens, tokens: summed over the tokens of P's reply up to the first that differs, and how many those are.
    """

    episode: str
    step: int
    kinds: tuple[str, str]
    same_kind: bool
    distance: float | None = None
    same_element: bool | None = None
    agree: bool = False
    kl_kinds: float | None = None
    kl_name: float | None = None
    kl_tokens: float | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval (percentile bootstrap: episodes are resampled whole; steps where there is one)."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A whole run.

    Attributes:
        steps: each of them.
        totals: means with intervals, by the names of `StepComparison`.
        cost_usd: of both agents, where it is known.
    """

    steps: tuple[StepComparison, ...]
    totals: Mapping[str, Interval] = field(default_factory=dict)
    cost_usd: float | None = None


def maker(name: str, settings: Mapping[str, str]) -> Make:
    """How an agent is made anew, by its name and settings as `deskbench run` takes them.

    Raises:
        UsageError: unknown, or a setting is wrong.
    """
    from deskbench.agent.build import agent_factory

    make = agent_factory(name, settings)
    make().close()
    return make


def compare(
    run: Path, first: Make, second: Make, *, near: float = 14.0, most: int | None = None, samples: int = 1
) -> Comparison:
    """Feed a run's recorded observations to two agents.

    Args:
        run: a run's folder, or an episode's.
        first, second: P, the reference, and Q.
        near: points nearer than so many pixels are the same target (14: half of a small button).
        most: steps at most, spread evenly over the run.
        samples: replies of each agent a step; from two on, the kinds' divergence is estimated.

    Raises:
        UsageError: no episodes there.
        ModelError: an endpoint failed: nothing is made up in its place.
    """
    screens = list(_screens(run))
    if not screens:
        raise UsageError(f"{run} has no finished episodes with screenshots")
    if most is not None and most < len(screens):
        screens = [screens[index * len(screens) // most] for index in range(most)]
    agents = (first(), second())
    try:
        found, costs = [], []
        for screen in screens:
            decided = [[_decide(agent, screen, draw) for draw in range(samples)] for agent in agents]
            found.append(_step(screen, decided[0], decided[1], near))
            costs += [one.usage.cost_usd for each in decided for one in each]
    finally:
        for agent in agents:
            agent.close()
    known = [cost for cost in costs if cost is not None]
    return Comparison(tuple(found), _totals(found), sum(known) if known else None)


@dataclass(frozen=True)
class _Screen:
    episode: str
    step: int
    goal: Goal
    observation: Observation


def _screens(run: Path) -> Iterator[_Screen]:
    """What was seen before each step of every finished episode, in order."""
    found = sorted(path.parent for path in run.rglob("episode.json"))
    for folder in found:
        reader = EpisodeReader(folder)
        for step in reader.steps():
            seen = step.observation
            goal = Goal(reader.episode.instruction, seen.width, seen.height, seed=reader.episode.seed)
            if seen.frame is not None:
                yield _Screen(f"{reader.episode.task}/{reader.episode.attempt}", step.index, goal, _seen(reader, seen))


def _seen(reader: EpisodeReader, seen: SeenRecord) -> Observation:
    return Observation(
        reader.screenshot(seen),
        seen.width,
        seen.height,
        cursor=seen.cursor,
        accessibility=tree_of(reader, seen),
        accessibility_complete=seen.accessibility_complete,
    )


def _decide(agent: Agent, screen: _Screen, draw: int) -> Decision:
    """A decision from this screen alone; no actions where the reply was none."""
    goal = screen.goal
    agent.start(Goal(goal.instruction, goal.width, goal.height, seed=goal.seed + draw))
    try:
        return agent.act(screen.observation)
    except ModelError:
        raise
    except AgentError as error:
        return error.decision or Decision(())


def _step(screen: _Screen, ours: Sequence[Decision], theirs: Sequence[Decision], near: float) -> StepComparison:
    p, q = ours[0], theirs[0]
    one, other = (decision.actions[0] if decision.actions else None for decision in (p, q))
    points = (point_of(one), point_of(other))
    element = _same_element(screen.observation.accessibility, points)
    kinds = (_kind(one), _kind(other))
    counts = [[_kind(d.actions[0] if d.actions else None) for d in each] for each in (ours, theirs)]
    token_kl, tokens = kl_of_tokens(tokens_of(p.notes), tokens_of(q.notes))
    return StepComparison(
        screen.episode,
        screen.step,
        kinds,
        same_kind=kinds[0] == kinds[1],
        distance=distance_of(one, other),
        same_element=element,
        agree=same_action(one, other, near, element),
        kl_kinds=kl(*empirical(*counts)) if len(ours) > 1 else None,
        kl_name=kl_of_names(tokens_of(p.notes), tokens_of(q.notes)),
        kl_tokens=token_kl,
        tokens=tokens,
    )


def _kind(action: Action | None) -> str:
    return "error" if action is None else action.type


def _same_element(tree: str | None, points: tuple[tuple[int, int] | None, tuple[int, int] | None]) -> bool | None:
    """Whether two points are in the same smallest element; None where there is no tree, or no element there."""
    if tree is None or points[0] is None or points[1] is None:
        return None
    try:
        known = list(nodes(tree))
    except EnvError:
        return None
    hits = [_smallest(known, point) for point in points if point is not None]
    return None if hits[0] is None or hits[1] is None else hits[0] == hits[1]


def _smallest(known: Iterable[Node], point: tuple[int, int]) -> Node | None:
    def holds(node: Node) -> bool:
        x, y, width, height = node.box
        return x <= point[0] < x + width and y <= point[1] < y + height

    return min(filter(holds, known), key=lambda node: node.box[2] * node.box[3], default=None)


_MEANS = ("same_kind", "agree", "distance", "same_element", "kl_kinds", "kl_name", "kl_tokens")


def _totals(steps: Sequence[StepComparison]) -> dict[str, Interval]:
    found = {}
    for name in _MEANS:
        by_episode: dict[str, list[float]] = {}
        for step in steps:
            value = getattr(step, name)
            if value is not None:
                by_episode.setdefault(step.episode, []).append(float(value))
        if by_episode:
            found[name] = interval(list(by_episode.values()))
    return found


def interval(groups: Sequence[Sequence[float]]) -> Interval:
    """The mean of all values with its 95 % interval: 2,000 resamples with a fixed seed.

    Steps of one episode hang together, so episodes are drawn whole; where there is one episode, its steps are.
    """
    values = [value for group in groups for value in group]
    units = groups if len(groups) > 1 else [[value] for value in values]
    draw = random.Random(0)
    means = []
    for _ in range(RESAMPLES):
        drawn = [value for group in draw.choices(units, k=len(units)) for value in group]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    return Interval(
        len(values), sum(values) / len(values), means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]
    )


_LINES = {
    "same_kind": ("same kind of action", "{:.1%}"), "agree": ("same action", "{:.1%}"),
    "distance": ("distance of points", "{:.1f} px"), "same_element": ("same element", "{:.1%}"),
    "kl_kinds": ("KL of kinds", "{:.4f} nats"), "kl_name": ("KL at the action's name", "{:.4f} nats"),
    "kl_tokens": ("KL of the next tokens", "{:.4f} nats"),
}  # fmt: skip


def report(found: Comparison, first: str, second: str) -> list[str]:
    """A comparison for people."""
    lines = [f"P (reference): {first}; Q: {second}; {len(found.steps)} steps"]
    for name, total in found.totals.items():
        words, form = _LINES[name]
        low, high = form.format(total.low), form.format(total.high)
        lines.append(f"{words:<24} {form.format(total.mean):>14}  [{low}, {high}]  n={total.n}")
    if "kl_tokens" not in found.totals:
        lines.append("no log-probabilities: set logprobs=20 for both agents, where their endpoints give them")
    return lines
