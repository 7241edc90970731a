"""Scores and their protocol as text: the same words in the terminal, in reports and in comparisons."""

from __future__ import annotations

from collections.abc import Iterator

from deskbench.agent.statistics.intervals import Estimate
from deskbench.agent.statistics.protocol import OWN, Protocol
from deskbench.agent.statistics.summary import Summary


def said(found: Estimate) -> str:
    """A score with its interval and sample, such as `0.625 [0.43, 0.79] (24 tasks, 48 episodes)`."""
    if found.mean is None:
        return "no score"
    sample = f"{counted(found.tasks, 'task')}, {counted(found.episodes, 'episode')}"
    note = f"; {found.note}" if found.note else ""
    return f"{found.mean:.3f}{_bracket(found)} ({sample}{note})"


def more_lines(found: Summary) -> Iterator[str]:
    """What belongs with a run's score: pass@k, pass^k and what repeats are worth, if there are any; the protocol."""
    for one in found.attempts:
        left = f"; {counted(len(one.left_out), 'task')} with fewer attempts left out" if one.left_out else ""
        yield f"pass@{one.k} {said(one.any)}, pass^{one.k} {said(one.all)}{left}"
    if found.variance is not None:
        yield found.variance.advice
    yield protocol_line(found.protocol)


def _bracket(found: Estimate) -> str:
    return "" if found.low is None else f" {interval(found)}"


def interval(found: Estimate) -> str:
    """The interval alone, such as `[0.43, 0.79]`; `-` if there is none."""
    return "-" if found.low is None or found.high is None else f"[{found.low:.2f}, {found.high:.2f}]"


def counted(number: int, what: str) -> str:
    """A number with its noun: `1 task`, `2 tasks`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def protocol_line(found: Protocol) -> str:
    """How a score came about, on one line."""
    machine = f"provider {found.provider}" + (f", image {short(found.image)}" if found.image else "")
    harness = "" if found.harness == OWN else f", harness {found.harness}"
    return (
        f"limits {found.steps} steps, {found.seconds} s; observation {found.observation}, {found.policy}, "
        f"{found.screen}; deskbench {found.version}{harness}; {machine}"
    )


def short(digest: str) -> str:
    """A digest cut to what a person can compare: `full sha256:0123456789ab`."""
    name, colon, rest = digest.rpartition("sha256:")
    return f"{name}{colon}{rest[:12]}" if colon and len(rest) > 12 else digest
