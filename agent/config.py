"""A run's frozen configuration: defaults, the user's file, `--config`, `--set key=value` and flags, the later first."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import first_fault, read_toml
from deskbench.envs.redact import names_secret
from deskbench.envs.wire import WireError, parse_policy
from deskbench.tasks.metrics.support.fidelity import Strict

MAX_STEPS, MAX_SECONDS = 15, 600.0
"""Limits of an episode, in steps and seconds, unless the task or the user sets others; the first is OSWorld's."""

USER_FILE = "DESKBENCH_CONFIG"
"""The environment variable that names another file than the user's own; empty for none."""

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
    parallel: int = Field(default=1, ge=1, le=1024)
    engine: Literal["threads", "ray"] = "threads"
    """Where the desktops are: in threads of this process, or on the nodes of a Ray cluster (docs/scale.md)."""
    ray_address: str | None = None
    """The Ray cluster to join, HOST:PORT; None starts one on this machine for the run."""
    desktop_mb: int | None = Field(default=None, ge=1)
    """Memory in MB (2**20 bytes) that a desktop with its agent needs on a node; None asks for none."""
    results_url: str | None = None
    """Where the nodes of a cluster put results for this machine to fetch, as fsspec writes it; None if they share the
    disk of the run's folder."""
    repeats: int = Field(default=1, ge=1)
    seed: int = 0
    policy: str = "settled"
    """When to observe: settled, quiet, immediate or fixed:SECONDS."""
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
    step_seconds: float | None = Field(default=None, gt=0)
    """Most seconds that a step may take before its worker counts as hung and is replaced; None for what the episode has
    left, and 900 more."""
    lease_seconds: float = Field(default=120.0, ge=1.0)
    """An episode runs again if the run stood still for this long (suspended or stopped) while it ran."""
    on_tamper: Literal["zero", "unscored"] = "zero"
    """The score of an episode whose desktop died twice while the agent acted."""
    budget_usd: float | None = Field(default=None, gt=0)
    """Cost of the whole run in US dollars at which no new episode begins."""
    episode_budget_usd: float | None = Field(default=None, gt=0)
    video: bool = False
    """Film the screen of each episode."""
    take_over: bool = False
    """A person may take over desktops with noVNC while their episodes run."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> dict[str, str]:
        """Where each setting that is not a default comes from: a flag, `--set`, or a file's path."""
        return self._origins

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
            raise ValueError("an agent must see something: use settled, quiet, immediate or fixed:SECONDS")
        return value


@dataclass(frozen=True)
class Defaults:
    """Settings that a run has unless the user gives others: the user's own, or those of a run to reuse.

    Attributes:
        path: where they come from: a file or a run's folder, or None.
        values: settings of `RunConfig`; the agent's settings are for the agent that is named there.
    """

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def for_agent(self, agent: str | None) -> dict[str, Any]:
        """The settings for a run of this agent (None: the user did not name one)."""
        own = self.values.get("agent", RunConfig.model_fields["agent"].default)
        if agent in (None, own):
            return dict(self.values)
        return {name: value for name, value in self.values.items() if name != "agent_settings"}


def user_file() -> Path | None:
    """The file with the user's defaults, or None if there is none."""
    named = os.environ.get(USER_FILE)
    path = user_config_path("deskbench") / "config.toml" if named is None else Path(named)
    return path if named or (named is None and path.is_file()) else None


def user_defaults(path: Path | None) -> Defaults:
    """Read the user's defaults.

    Raises:
        UsageError: the file is not usable, others may write it, a key is unknown, or a value is wrong.
    """
    if path is None:
        return Defaults()
    _check_writers(path)
    values = read_toml(path, str(path))
    for name in values:
        if name not in RunConfig.model_fields:
            raise UsageError(f"{path}: unknown setting {name!r}{nearest(name, RunConfig.model_fields)}")
    try:
        RunConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_fault(error, RunConfig.model_fields)}") from None
    secret = next(filter(names_secret, values.get("agent_settings", {})), None)
    if secret is not None:
        raise UsageError(f"{path}: agent_settings.{secret}: put keys in environment variables and set api_key_env")
    return Defaults(path, values)


def _check_writers(path: Path) -> None:
    """Refuse a file that another user may write: it can name code to run.

    Raises:
        UsageError: says how to repair it.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if found.st_mode & stat.S_IWOTH:
        raise UsageError(f"{path}: every user may write it; chmod o-w {path}")
    if hasattr(os, "getuid") and found.st_uid not in (0, os.getuid()):
        raise UsageError(f"{path}: it belongs to another user")


def make_config(
    file: Path | None, settings: Sequence[str], flags: Mapping[str, Any], defaults: Defaults | None = None
) -> RunConfig:
    """Build a configuration; flags that are None are ignored.

    Raises:
        UsageError: names the key, the bad value and the nearest known name.
    """
    given = {k: v for k, v in flags.items() if v is not None}
    named: dict[str, Any] = read_toml(file, str(file)) if file is not None else {}
    put: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write key=value")
        _put(put, key, value)
    own = defaults or Defaults()
    agent = next((str(layer["agent"]) for layer in (given, put, named) if "agent" in layer), None)
    layers = {str(own.path): own.for_agent(agent), str(file): named, "--set": put, "flag": given}
    values, origins = _merged(layers)
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, RunConfig.model_fields)
        raise UsageError(fault if fault.startswith("unknown") else f"setting {fault}") from None
    config._origins.update(origins)
    return config


def _merged(layers: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of all layers, and where each comes from; a later layer wins, the agent's settings one by one."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers.items():
        for name, value in layer.items():
            if name == "agent_settings" and isinstance(value, dict):
                values[name] = {**values.get(name, {}), **value}
                origins |= {f"{name}.{key}": origin for key in value}
            else:
                values[name] = value
                origins[name] = origin
    return values, origins


def _put(values: dict[str, Any], key: str, value: str) -> None:
    """Store a setting: a key that the run does not have, such as `model=x`, belongs to the agent."""
    if key in RunConfig.model_fields:
        values[key] = value
    else:
        values.setdefault("agent_settings", {})[key.removeprefix("agent.")] = value
