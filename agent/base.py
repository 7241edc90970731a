"""The interface of an agent. The code in `agents/`, `models/` and `replies/` imports only this module, `envs.types`,
`envs.targets`, `envs.errors` and `envs.wait`, so an agent cannot reach the desktop, the task's checks or the expected
values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from deskbench.envs.errors import (
    AgentCrash,
    AgentError,
    CheckError,
    ModelError,
    ModelFatal,
    RefusalError,
    ReplyError,
    Undecided,
)
from deskbench.envs.types import Action, Observation

__all__ = [
    "Agent", "AgentCrash", "AgentError", "CheckError", "Checked", "Configured", "Decision", "Ending", "Exchange",
    "Goal", "ModelError", "ModelFatal", "Needs", "RefusalError", "ReplyError", "Undecided", "Usage",
]  # fmt: skip


class Ending(StrEnum):
    """How an episode ended; recorded beside the score."""

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
    """deskbench's own code failed; the episode is not scored."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Usage:
    """What a decision cost: tokens, and US dollars (None if no price is known)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """The sum; an unknown cost counts as 0 if the other is known."""
        costs = [c for c in (self.cost_usd, other.cost_usd) if c is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
        )


@dataclass(frozen=True)
class Exchange:
    """One request to a model and its reply, for the record. It has SHA-256 hashes for pictures, and no secrets."""

    request: dict[str, Any]
    reply: str | None
    error: str | None = None
    ms: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What an agent decided at one step.

    Attributes:
        actions: the actions to carry out, in order; empty means look again. The last is Done or Fail when the agent
            has finished.
        reply: the model's text, unchanged, or None.
        thought: the model's reasoning, if the reply separates it.
        usage: the cost of all requests of this step.
        model_ms: wall time spent on the model.
        attempts: number of requests, including those with malformed replies.
        exchanges: these requests and replies.
        notes: other facts to record (a vendor's safety checks, what was cut, which expert answered).
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
    """What an agent gets at the start of an episode.

    Attributes:
        instruction: the task in words.
        width, height: size of the screen in pixels.
        platform: `Linux`, `Windows` or `Darwin`.
        code_allowed: the task and the action space allow `exec`.
        max_steps: the most decisions the agent may make.
        seed: for agents that draw random numbers.
        seconds: wall time limit, or None.
        files: a folder of the episode's record, which an agent may create and fill; None if there is no record.
        hidden: files and folders of this machine with expected values and records; an agent must not read them.
        interrupted: whether the run is to stop; for agents that wait for something else than a model.
    """

    instruction: str
    width: int
    height: int
    platform: str = "Linux"
    code_allowed: bool = False
    max_steps: int = 15
    seed: int = 0
    seconds: float | None = None
    files: Path | None = None
    hidden: tuple[Path, ...] = ()
    interrupted: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Needs:
    """What an agent needs to see at every step, apart from the facts that every observation has."""

    screenshot: bool = True
    accessibility: bool = False
    terminal: bool = False


class Agent(Protocol):
    """One agent in one episode. Every episode makes a new agent, and only one thread uses it."""

    name: str
    needs: Needs

    def start(self, goal: Goal) -> None:
        """Called once, before the first observation."""

    def act(self, observation: Observation) -> Decision:
        """Decide.

        Raises:
            AgentError: the agent cannot continue; the episode counts and its end state is scored.
            ModelError: the agent's endpoint failed; the episode is not scored.
            Undecided: the agent waited until the time was up or the run was stopped.
        """

    def close(self) -> None:
        """Release the agent's resources."""


@runtime_checkable
class Checked(Protocol):
    """An agent that can check before a run whether everything it needs is available."""

    def check(self) -> None:
        """Check; raises the same errors as `Agent.act`."""


@runtime_checkable
class Configured(Protocol):
    """An agent class that accepts a run's settings; every value is text."""

    def from_settings(self, settings: Mapping[str, str]) -> Agent:
        """Make an agent. Raises UsageError if a setting is unknown or wrong."""
