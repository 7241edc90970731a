"""What OSWorld's layout of results has no place for: deskbench.json, beside a task's traj.jsonl and result.txt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deskbench.agent.base import Decision, Usage
from deskbench.agent.runs.record import EpisodeRecord, FinalRecord, ResultRecord, StepRecord, UsageRecord
from deskbench.envs.types import ActionResult, Observation

KEPT = "deskbench.json"
LARGEST = 64 << 20
"""Bytes of such a file that an import reads."""


class KeptStep(BaseModel):
    """An observation and what was decided then; the last one has no decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: str | None
    cursor: tuple[int, int]
    settled: bool | None = None
    settle_ms: float = 0.0
    act_ms: float = 0.0
    results: list[ResultRecord] = []
    answer: str | None = None
    reply: str | None = None
    thought: str | None = None
    usage: UsageRecord = UsageRecord()
    model_ms: float = 0.0
    attempts: int = 1
    notes: list[dict[str, Any]] = []

    @classmethod
    def of(cls, event: StepRecord | FinalRecord, picture: str | None) -> KeptStep:
        """What to keep of an event; `picture` is the name of its file."""
        seen = event.observation
        looked: dict[str, Any] = {
            "picture": picture, "cursor": seen.cursor, "settled": seen.settled, "settle_ms": seen.settle_ms,
            "act_ms": seen.act_ms, "results": seen.results, "answer": seen.answer,
        }  # fmt: skip
        if isinstance(event, FinalRecord):
            return cls(**looked)
        return cls(
            **looked, reply=event.reply, thought=event.thought, usage=event.usage, model_ms=event.model_ms,
            attempts=event.attempts, notes=event.notes,
        )  # fmt: skip

    def seen(self, observation: Observation) -> Observation:
        """An observation with what was kept of it."""
        return replace(
            observation, cursor=self.cursor, settled=self.settled, settle_ms=self.settle_ms, act_ms=self.act_ms,
            results=tuple(ActionResult(one.ok, one.error, one.output) for one in self.results), answer=self.answer,
        )  # fmt: skip

    def decided(self, decision: Decision) -> Decision:
        """A decision with what was kept of it."""
        usage = Usage(self.usage.input_tokens, self.usage.output_tokens, self.usage.cost_usd)
        return Decision(
            decision.actions, self.reply, self.thought, usage, self.model_ms, self.attempts, notes=tuple(self.notes)
        )


class Kept(BaseModel):
    """deskbench.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    record: EpisodeRecord
    steps: tuple[KeptStep, ...]
    ended: bool
    """Whether the last of `steps` is the end state; else the episode broke off before one was seen."""


def read_kept(folder: Path, where: str, problems: list[str]) -> Kept | None:
    """Read the file of one task; None, and a problem if there is one, where it is missing or cannot be read."""
    path = folder / KEPT
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        return Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        problems.append(f"{where}/{KEPT}: left out: {told}")
        return None
