"""A run's frozen configuration, from a TOML file, `--set key=value` and flags, in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import first_fault, read_toml
from deskbench.envs.wire import WireError, parse_policy
from deskbench.tasks.metrics.support.fidelity import Strict

MAX_STEPS, MAX_SECONDS = 15, 600.0
"""Limits of an episode, in steps and seconds, unless the task or the user sets others; the first is OSWorld's."""

CODE = "pyautogui"
"""The action space in which an agent may write code; the default."""


class RunConfig(BaseModel):
    """The settings of a run. It holds no secrets: it names the environment variables that hold keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "basics"
    """Task file, folder, suite or OSWorld checkout."""
    split: str | None = None
    """Split of an OSWorld checkout."""
    host_files: bool = False
    """Tasks may use files of this machine that are outside their own folder."""
    only: tuple[str, ...] = ()
    """Task ids or keys; empty for all."""
    agent: str = "vlm"
    """Agent's name, or package.module:Class."""
    agent_settings: dict[str, str] = Field(default_factory=dict)
    """The agent's own settings (base_url, model, ...)."""
    provider: str = "local"
    """Provider's name, or package.module:Class."""
    width: int = Field(default=1280, ge=320, le=7680)
    height: int = Field(default=800, ge=240, le=4320)
    network: bool = False
    """Tasks that require the network get it."""
    isolated: bool = True
    """False runs the local provider's desktops without a sandbox."""
    parallel: int = Field(default=1, ge=1, le=256)
    repeats: int = Field(default=1, ge=1)
    seed: int = 0
    policy: str = "settled"
    """When to observe: settled, immediate or fixed:SECONDS."""
    osworld_strict: Strict = None
    """Repeat the mistakes of this revision of OSWorld's evaluators, for comparison with published scores."""
    user_base_url: str | None = None
    """Chat-completions endpoint of the model that plays the user, for tasks with a user played by a model."""
    user_model: str | None = None
    user_api_key_env: str | None = None
    max_steps: int | None = Field(default=None, ge=1)
    """Most decisions per episode, whatever the task says; None for the task's own limit, or MAX_STEPS."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Most seconds per episode, in the same way; None for the task's own limit, or MAX_SECONDS."""
    retries: int = Field(default=2, ge=0)
    """New attempts after the infrastructure fails."""
    on_tamper: Literal["zero", "unscored"] = "zero"
    """The score of an episode whose desktop died twice while the agent acted."""
    budget_usd: float | None = Field(default=None, gt=0)
    """Cost of the whole run in US dollars at which no new episode begins."""
    episode_budget_usd: float | None = Field(default=None, gt=0)

    @property
    def code_allowed(self) -> bool:
        """Whether the agent's action space has code; a task must allow code, too."""
        return self.agent_settings.get("action_space", CODE) == CODE

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        try:
            name, _ = parse_policy(value)
        except WireError as error:
            raise ValueError(str(error)) from None
        if name == "none":
            raise ValueError("an agent must see something: use settled, immediate or fixed:SECONDS")
        return value


def make_config(file: Path | None, settings: Sequence[str], flags: Mapping[str, Any]) -> RunConfig:
    """Build a configuration; flags that are None are ignored.

    Raises:
        UsageError: names the key, the bad value and the nearest known name.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values.update(read_toml(file, str(file)))
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write key=value")
        _put(values, key, value)
    values.update({k: v for k, v in flags.items() if v is not None})
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, RunConfig.model_fields)
        raise UsageError(fault if fault.startswith("unknown") else f"setting {fault}") from None


def _put(values: dict[str, Any], key: str, value: str) -> None:
    """Store a setting: a key that the run does not have, such as `model=x`, belongs to the agent."""
    if key in RunConfig.model_fields:
        values[key] = value
    else:
        values.setdefault("agent_settings", {})[key.removeprefix("agent.")] = value
