"""What the experts of a mixture did in a run, and what the gate saved, read from the notes in its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import StepRecord, read_events
from deskbench.envs.errors import UsageError


@dataclass
class ExpertTotals:
    """One expert over a whole run.

    Attributes:
        asked, chosen, failed: number of steps at which the expert was asked, was chosen, or failed.
        spared: number of steps at which it was not asked.
        input_tokens, output_tokens, cost_usd: tokens and cost of its answers; the cost is None if no price is known.
    """

    name: str
    asked: int = 0
    chosen: int = 0
    failed: int = 0
    spared: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    @property
    def saved_usd(self) -> float | None:
        """The extra cost of asking it at every step too: its mean cost so far times the steps it was spared."""
        return None if self.cost_usd is None or not self.asked else self.cost_usd / self.asked * self.spared

    def add(self, usage: Mapping[str, Any]) -> None:
        """Add the usage of one answer."""
        self.asked += 1
        self.input_tokens += usage["input_tokens"]
        self.output_tokens += usage["output_tokens"]
        if usage["cost_usd"] is not None:
            self.cost_usd = (self.cost_usd or 0.0) + usage["cost_usd"]


@dataclass(frozen=True)
class ExpertsReport:
    """A run of a mixture.

    Attributes:
        steps: number of steps with a note from a mixture.
        experts: the experts.
        own_usd: cost of gates, judges and failed answers in US dollars, or None.
        gates: how often each rule, or the gate's model, decided.
    """

    steps: int
    experts: tuple[ExpertTotals, ...]
    own_usd: float | None
    gates: dict[str, int]


def experts_of(run: Path) -> ExpertsReport:
    """Sum up the notes of a run's steps.

    Raises:
        UsageError: the run has no steps of a mixture.
    """
    experts: dict[str, ExpertTotals] = {}
    gates: dict[str, int] = {}
    own: float | None = None
    steps = 0
    for note in _notes(run):
        steps += 1
        gates[note["gate"]] = gates.get(note["gate"], 0) + 1
        for name in (*note["asked"], *note["failed"], *note["spared"]):
            experts.setdefault(name, ExpertTotals(name))
        for name, usage in note["asked"].items():
            experts[name].add(usage)
        for name in note["failed"]:
            experts[name].failed += 1
        for name in note["spared"]:
            experts[name].spared += 1
        experts[note["chosen"]].chosen += 1
        if note["own"]["cost_usd"] is not None:
            own = (own or 0.0) + note["own"]["cost_usd"]
    if not steps:
        raise UsageError(f"{run} has no steps of a mixture")
    return ExpertsReport(steps, tuple(experts[name] for name in sorted(experts)), own, gates)


def _notes(run: Path) -> Iterator[dict[str, Any]]:
    for episode in EpisodeFolder.below(run):
        for event in read_events(episode):
            if isinstance(event, StepRecord):
                yield from (note for note in event.notes if note.get("what") == "mixture")


HEADERS = ("expert", "asked", "chosen", "failed", "spared", "tokens", "US dollars", "saved about")


def rows(report: ExpertsReport) -> Iterator[tuple[str, ...]]:
    """The experts for people, with the columns HEADERS."""
    for one in report.experts:
        cost, saved = ("-" if value is None else f"{value:.4f}" for value in (one.cost_usd, one.saved_usd))
        tokens = f"{one.input_tokens} + {one.output_tokens}"
        yield (one.name, *map(str, (one.asked, one.chosen, one.failed, one.spared)), tokens, cost, saved)


def conclusion(report: ExpertsReport) -> str:
    """One line for people: the gate's decisions and the whole cost."""
    own = "" if report.own_usd is None else f"; gate, judge and failed answers: {report.own_usd:.4f} US dollars"
    decided = ", ".join(f"{name} {count}" for name, count in sorted(report.gates.items()))
    return f"{report.steps} steps; the gate: {decided}{own}"
