"""An episode on disk: what is written, and how it is read back.

episode.json   written last, atomically: without it the episode did not finish
steps.jsonl    one line per event: a step before it is carried out, its outcome after, the final observation
frames/<sha256>.png   files/<sha256>   recording.mp4   log.jsonl
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deskbench.agent.base import Ending


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeenRecord(_Record):
    """An observation without its bytes: `frame` names frames/<frame>.png, `accessibility` names files/<sha256>."""

    frame: str | None
    width: int
    height: int
    cursor: tuple[int, int]
    settled: bool | None = None
    settle_ms: float = 0.0
    capture_ms: float = 0.0
    act_ms: float = 0.0
    roundtrip_ms: float = 0.0
    accessibility: str | None = None
    accessibility_complete: bool = True
    terminal: str | None = None
    results: list[tuple[bool, str | None, str | None]] = Field(default_factory=list)
    answer: str | None = None
    problems: list[str] = Field(default_factory=list)


class UsageRecord(_Record):
    """Tokens and cost of a step or an episode."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


class ExchangeRecord(_Record):
    """One request to a model: pictures are {"image": sha256}, no secrets."""

    request: dict[str, Any]
    reply: str | None
    error: str | None = None
    ms: float = 0.0


class StepRecord(_Record):
    """What the agent saw and decided; on disk before it is carried out."""

    kind: Literal["step"] = "step"
    index: int
    time: float
    observation: SeenRecord
    actions: list[dict[str, Any]]
    reply: str | None = None
    thought: str | None = None
    usage: UsageRecord = UsageRecord()
    model_ms: float = 0.0
    attempts: int = 1
    exchanges: list[ExchangeRecord] = Field(default_factory=list)


class FinalRecord(_Record):
    """The last observation, after the last actions; what was scored looked like this."""

    kind: Literal["final"] = "final"
    time: float
    observation: SeenRecord


class NoteRecord(_Record):
    """An event worth keeping: an error with its traceback, a retry, a set-up step's time."""

    kind: Literal["note"] = "note"
    time: float
    what: str
    detail: dict[str, Any] = Field(default_factory=dict)


class ScoreRecord(_Record):
    """`tasks.types.Score` as recorded."""

    value: float | None
    reason: str
    checks: list[dict[str, Any]] = Field(default_factory=list)
    seconds: float = 0.0


class Totals(_Record):
    """Where the time and the money went, over the whole episode, in milliseconds."""

    steps: int = 0
    actions: int = 0
    model_ms: float = 0.0
    act_ms: float = 0.0
    settle_ms: float = 0.0
    roundtrip_ms: float = 0.0
    reset_ms: float = 0.0
    setup_ms: float = 0.0
    score_ms: float = 0.0
    wall_ms: float = 0.0
    usage: UsageRecord = UsageRecord()


class EpisodeRecord(_Record):
    """episode.json."""

    version: Literal[1] = 1
    task: str
    task_id: str
    suite: str
    instruction: str
    task_sha256: str
    feasible: bool
    attempt: int
    repeat: int = 0
    agent: str
    provider: str
    seed: int
    width: int
    height: int
    policy: str
    started: float
    finished: float
    ending: Ending
    score: ScoreRecord
    error: str | None = None
    answer: str | None = None
    totals: Totals = Totals()
    task_json: dict[str, Any] = Field(default_factory=dict)
    state: dict[str, Any] = Field(default_factory=dict)
    """Values and files (by SHA-256) that the getters read, for `rescore`."""
