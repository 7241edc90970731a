"""What an agent is. Everything in `agents/`, `models/` and `replies/` sees only this, `envs.types`, `envs.targets`,
`envs.errors` and `envs.wait`: an agent cannot reach the desktop, the task's checks or the expected values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from deskbench.envs.errors import AgentCrash, AgentError, CheckError, ModelError, ModelFatal, RefusalError, ReplyError
from deskbench.envs.types import Action, Observation

__all__ = [
    "Agent", "AgentCrash", "AgentError", "CheckError", "Checked", "Configured", "Decision", "Ending", "Exchange",
    "Goal", "ModelError", "ModelFatal", "Needs", "RefusalError", "ReplyError", "Usage",
]  # fmt: skip


class Ending(StrEnum):
    """How an episode ended; kept beside the score."""

    DONE = "done"
    FAILED = "failed"
    STEP_LIMIT = "step_limit"
    TIME_LIMIT = "time_limit"
    BUDGET = "budget"
    AGENT_ERROR = "agent_error"
    AGENT_CRASH = "agent_crash"
    REFUSED = "refused"
    ENV_ERROR = "env_error"
    CRASHED = "crashed"
    """deskbench's own code failed; nobody's score is made of it."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Usage:
    """What a decision cost: tokens, and US dollars where prices are known (None where not)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """The sum; unknown prices count as nothing when the other is known."""
        costs = [c for c in (self.cost_usd, other.cost_usd) if c is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
        )


@dataclass(frozen=True)
class Exchange:
    """One request to a model and its reply, for the record: pictures are named by SHA-256, secrets are not in it."""

    request: dict[str, Any]
    reply: str | None
    error: str | None = None
    ms: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What an agent decided at one step.

    Attributes:
        actions: carried out in order; empty means look again. Ends with Done or Fail when the agent is finished.
        reply: the model's text as it came, or None.
        thought: its reasoning, where it is told apart.
        usage: of all requests of this step.
        model_ms: wall time spent on the model.
        attempts: requests made, malformed replies included.
        exchanges: those requests and replies.
        notes: what else belongs on the record (a vendor's safety checks, what was cut, which expert answered).
    """

    actions: tuple[Action, ...]
    reply: str | None = None
    thought: str | None = None
    usage: Usage = field(default_factory=Usage)
    model_ms: float = 0.0
    attempts: int = 1
    exchanges: tuple[Exchange, ...] = ()
    notes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Goal:
    """What an agent is told at the start of an episode.

    Attributes:
        instruction: the task in words.
        width, height: of the screen in pixels.
        platform: `Linux`, `Windows` or `Darwin`.
        code_allowed: the task and the action space allow `exec`.
        max_steps: decisions it has.
        seed: for agents that draw random numbers.
        seconds: wall time it has, or None.
    """

    instruction: str
    width: int
    height: int
    platform: str = "Linux"
    code_allowed: bool = False
    max_steps: int = 15
    seed: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Needs:
    """What an agent must see besides the facts: asked of the desktop at every step."""

    screenshot: bool = True
    accessibility: bool = False
    terminal: bool = False


class Agent(Protocol):
    """One agent in one episode: made fresh for each, used by one thread."""

    name: str
    needs: Needs

    def start(self, goal: Goal) -> None:
        """Called once, before the first observation."""

    def act(self, observation: Observation) -> Decision:
        """Decide.

        Raises:
            AgentError: it cannot go on; counts, and the end state is scored.
            ModelError: its endpoint failed; the episode is unscored.
        """

    def close(self) -> None:
        """Let go of what it holds."""


@runtime_checkable
class Checked(Protocol):
    """An agent that can find out, before a run, whether what it needs is there."""

    def check(self) -> None:
        """Raises what `Agent.act` would raise."""


@runtime_checkable
class Configured(Protocol):
    """An agent's class that takes a run's settings; all of them are text."""

    def from_settings(self, settings: Mapping[str, str]) -> Agent:
        """Make an agent. Raises UsageError where a setting is unknown or wrong."""
