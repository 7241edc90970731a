"""Compare two policies on the same screens, without a desktop: how often they agree, and how far apart they are.

Both agents get the recorded observations of a run. They decide each step from its own screen alone (each agent starts
anew at every step), so that both answer the same question: the earlier steps are those of the recorded agent.

Agreement is about first actions. KL divergence is in nats, from P, the first agent and the reference, to Q, the second:
KL(P||Q) = sum over x of P(x) * ln(P(x) / Q(x)). `kl.py` describes how P and Q are estimated and smoothed, and what
each number means.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deskbench.agent.agents.agreement import distance_of, same_action
from deskbench.agent.base import Agent, AgentError, Decision, Goal, ModelError
from deskbench.agent.compare.kl import drawn_otherwise, empirical, kl, kl_of_names, kl_of_reply, kl_of_tokens
from deskbench.agent.compare.reading import Reading, said_at_once
from deskbench.agent.prompting.tree import Node, nodes
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader, SeenRecord
from deskbench.agent.statistics.clusters import cluster_interval, share_interval
from deskbench.envs.errors import EnvError, UsageError
from deskbench.envs.types import Action, Observation

FEW = 10
"""With fewer episodes an interval is only a hint: they show too little of the variance between episodes."""
Make = Callable[[], Agent]


@dataclass(frozen=True)
class StepComparison:
    """Two agents at one step; a value is None if it is not known.

    Attributes:
        episode, step: the episode and the step.
        kinds: kinds of the first actions of P and Q; `error` if a reply was not an action.
        same_kind: whether the kinds are the same.
        distance: distance between the two points, in pixels.
        same_element: whether both points are in the same element of the recorded accessibility tree.
        agree: whether kind, target (near enough or the same element), text and keys are the same.
        kl_kinds: divergence between the kinds of several replies each, in nats.
        kl_name: divergence at the token that names the action, in nats.
        kl_tokens, tokens: divergence in nats per token over the tokens that both replies begin with and the first that
            differs; and the number of these tokens.
        kl_reply, ratio, reply_tokens: divergence in nats per token over all tokens of P's reply, which Q has read; the
            same from ln(P(reply) / Q(reply)); and the number of these tokens.
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
    kl_reply: float | None = None
    ratio: float | None = None
    reply_tokens: int = 0


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval (`clusters.py`: Student's t over episodes).

    Attributes:
        n: number of steps.
        episodes: number of episodes of these steps.
        mean: the mean over steps, or over tokens for numbers per token.
        low, high: ends of the interval; None for a single episode, which says nothing about others.
    """

    n: int
    episodes: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """The comparison of a whole run.

    Attributes:
        steps: all compared steps.
        totals: means with intervals, by the names of `StepComparison`.
        cost_usd: cost of both agents in US dollars, or None if unknown.
        notes: limits of what the numbers mean, one sentence each.
    """

    steps: tuple[StepComparison, ...]
    totals: Mapping[str, Interval] = field(default_factory=dict)
    cost_usd: float | None = None
    notes: tuple[str, ...] = ()


def maker(name: str, settings: Mapping[str, str]) -> Make:
    """A function that makes a new agent from a name and settings, as `deskbench run` does.

    Raises:
        UsageError: the agent is unknown, a setting is wrong, or the agent needs a task.
    """
    from deskbench.agent.build import agent_factory

    make = agent_factory(name, settings)
    try:
        inspect.signature(make).bind()
    except TypeError:
        raise UsageError(f"agent {name!r} needs a task: it has no policy of its own to compare") from None
    make().close()
    return make


def compare(
    run: Path, first: Make, second: Make, *, near: float = 14.0, most: int | None = None, samples: int = 1
) -> Comparison:
    """Show a run's recorded observations to two agents and compare their decisions.

    Args:
        run: the folder of a run or of an episode.
        first, second: P, the reference, and Q.
        near: points less than this many pixels apart are the same target (14: half of a small button).
        most: the most steps to compare, spread evenly over the run.
        samples: replies per agent and step; with two or more, the divergence of kinds is estimated.

    Raises:
        UsageError: the folder has no episodes, or `most` or `samples` is below 1.
        ModelError: an endpoint failed; no value is made up in its place.
    """
    if samples < 1 or (most is not None and most < 1):
        raise UsageError("compare at least one step, with at least one sample")
    screens = list(_screens(run))
    if not screens:
        raise UsageError(f"{run} has no finished episodes with screenshots")
    if most is not None and most < len(screens):
        screens = [screens[index * len(screens) // most] for index in range(most)]
    agents = (first(), second())
    try:
        pairing = _Pairing(*agents, near, samples)
        found = [pairing.step(screen) for screen in screens]
    finally:
        for agent in agents:
            agent.close()
    return Comparison(tuple(found), _totals(found), pairing.cost(), tuple(_notes(found, pairing)))


@dataclass(frozen=True)
class _Screen:
    episode: str
    step: int
    goal: Goal
    observation: Observation


def _screens(run: Path) -> Iterator[_Screen]:
    """The screen before each step of every finished episode, in order."""
    for folder in EpisodeFolder.below(run):
        if not folder.finished:
            continue
        reader = EpisodeReader(folder.path)
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
        accessibility=reader.tree(seen),
        accessibility_complete=seen.accessibility_complete,
    )


def _begin(agent: Agent, screen: _Screen, draw: int) -> None:
    goal = screen.goal
    agent.start(Goal(goal.instruction, goal.width, goal.height, seed=goal.seed + draw))


def _decide(agent: Agent, screen: _Screen, draw: int) -> Decision:
    """A decision from this screen alone; it has no actions if the reply was not an action."""
    _begin(agent, screen, draw)
    try:
        return agent.act(screen.observation)
    except ModelError:
        raise
    except AgentError as error:
        return error.decision or Decision(())


class _Pairing:
    """Both agents, and facts gathered while they run.

    Attributes:
        reading: lets Q's model read P's replies.
        drawn: why some of P's replies were not sampled from its model's own distribution, and how many.
        again: number of steps at which P's first reply was not an action, so that its tokens are not recorded.
        costs: costs in US dollars; None if unknown.
    """

    def __init__(self, first: Agent, second: Agent, near: float, samples: int) -> None:
        self._agents = (first, second)
        self._near = near
        self._samples = samples
        self.reading = Reading(second)
        self.drawn: Counter[str] = Counter()
        self.again = 0
        self.costs: list[float | None] = []

    def step(self, screen: _Screen) -> StepComparison:
        """Ask both agents, let Q read P's reply, and compare."""
        ours, theirs = ([_decide(agent, screen, draw) for draw in range(self._samples)] for agent in self._agents)
        self.costs += [one.usage.cost_usd for one in (*ours, *theirs)]
        said = ours[0]
        found = _step(screen, ours, theirs, self._near)
        if not said_at_once(said):
            self.again += 1
            return found
        otherwise = drawn_otherwise(said.exchanges[-1].request)
        if otherwise is not None:
            self.drawn[otherwise] += 1
        _begin(self._agents[1], screen, 0)
        each, ratio, count = kl_of_reply(*self.reading.tokens(screen.observation, said))
        return replace(found, kl_reply=each, ratio=ratio, reply_tokens=count)

    def cost(self) -> float | None:
        """The known cost in US dollars, or None."""
        known = [cost for cost in (*self.costs, self.reading.spending.usage.cost_usd) if cost is not None]
        return sum(known) if known else None


def _step(screen: _Screen, ours: Sequence[Decision], theirs: Sequence[Decision], near: float) -> StepComparison:
    p, q = ours[0], theirs[0]
    one, other = (decision.actions[0] if decision.actions else None for decision in (p, q))
    points = (one.end if one else None, other.end if other else None)
    element = _same_element(screen.observation.accessibility, points)
    kinds = (_kind(one), _kind(other))
    counts = [[_kind(d.actions[0] if d.actions else None) for d in each] for each in (ours, theirs)]
    said = said_at_once(p), said_at_once(q)
    token_kl, tokens = kl_of_tokens(*said)
    return StepComparison(
        screen.episode,
        screen.step,
        kinds,
        same_kind=kinds[0] == kinds[1],
        distance=distance_of(one, other),
        same_element=element,
        agree=same_action(one, other, near, element),
        kl_kinds=kl(*empirical(*counts)) if len(ours) > 1 else None,
        kl_name=kl_of_names(*said),
        kl_tokens=token_kl,
        tokens=tokens,
    )


def _kind(action: Action | None) -> str:
    return "error" if action is None else action.type


def _same_element(tree: str | None, points: tuple[tuple[int, int] | None, tuple[int, int] | None]) -> bool | None:
    """Whether two points are in the same smallest element; None if there is no tree or no element there."""
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


_TOKENS = {"kl_tokens": "tokens", "kl_reply": "reply_tokens", "ratio": "reply_tokens"}
"""Numbers per token, and the attribute that counts their tokens."""
_SHARES = ("same_kind", "agree", "same_element")


def _totals(steps: Sequence[StepComparison]) -> dict[str, Interval]:
    return {name: found for name in _LINES if (found := _total(steps, name)) is not None}


def _total(steps: Sequence[StepComparison], name: str) -> Interval | None:
    """The mean of one number over all steps that have it, or over the tokens of these steps."""
    clusters: dict[str, tuple[float, float]] = {}
    known = [(step, float(value)) for step in steps if (value := getattr(step, name)) is not None]
    for step, value in known:
        weight = getattr(step, _TOKENS[name]) if name in _TOKENS else 1
        total, weights = clusters.get(step.episode, (0.0, 0.0))
        clusters[step.episode] = (total + weight * value, weights + weight)
    if not known:
        return None
    sums = list(clusters.values())
    if name in _SHARES:
        mean, ends = share_interval(sums)
    else:
        mean, ends = cluster_interval(sums, lowest=-math.inf if name == "ratio" else 0.0)
    return Interval(len(known), len(clusters), mean, *(ends or (None, None)))


def _notes(steps: Sequence[StepComparison], pairing: _Pairing) -> Iterator[str]:
    """The limits of what the numbers mean."""
    episodes = len({step.episode for step in steps})
    if episodes == 1:
        yield "warning: 1 episode: an interval needs at least 2"
    elif episodes < FEW:
        yield f"warning: {episodes} episodes, fewer than {FEW}: intervals are wide and hold only if episodes are alike"
    if all(step.kl_tokens is None for step in steps):
        yield "note: no log-probabilities: set logprobs=20 for both agents if their endpoints return them"
        return
    for reason, count in pairing.reading.failed.items():
        yield f"note: Q could not read P's reply ({_of(count, steps)}): {reason}"
    if pairing.again:
        yield f"note: P's first reply was not an action ({_of(pairing.again, steps)}): numbers per token leave it out"
    for reason, count in pairing.drawn.items():
        yield f"warning: P's replies may not follow its model's distribution ({_of(count, steps)}): {reason}. {_ALONG}"


_ALONG = (
    "So the numbers per token describe only these replies: they neither estimate the divergence of whole replies nor "
    "give a lower bound of it. Set temperature=1 for P"
)


def _of(count: int, steps: Sequence[StepComparison]) -> str:
    return f"{count} of {len(steps)} steps"


_LINES = {
    "same_kind": ("same kind of action", "{:.1%}"), "agree": ("same action", "{:.1%}"),
    "distance": ("distance of points", "{:.1f} px"), "same_element": ("same element", "{:.1%}"),
    "kl_kinds": ("KL of kinds", "{:.4f} nats"), "kl_name": ("KL at the action's name", "{:.4f} nats"),
    "kl_tokens": ("KL of shared beginnings", "{:.4f} nats/token"),
    "kl_reply": ("KL along P's replies", "{:.4f} nats/token"),
    "ratio": ("ln P/Q of P's replies", "{:.4f} nats/token"),
}  # fmt: skip


HEADERS = ("", "mean", "95 % interval", "over")


def rows(found: Comparison) -> Iterator[tuple[str, ...]]:
    """The totals of a comparison for people, with the columns HEADERS."""
    for name, total in found.totals.items():
        words, form = _LINES[name]
        ends = "no interval"
        if total.low is not None and total.high is not None:
            ends = f"[{form.format(total.low)}, {form.format(total.high)}]"
        yield words, form.format(total.mean), ends, f"n={total.n} of {total.episodes} episodes"
