"""The keys that an agent needs on another node: the variables that its settings name, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deskbench.agent.agents.mixture_config import load_mixture
from deskbench.agent.config import RunConfig
from deskbench.envs.redact import KNOWN


def keys_of(config: RunConfig) -> dict[str, str]:
    """The environment variables that a run's settings name, with their values; those that are not set are left out."""
    return {name: os.environ[name] for name in _names(config) if name in os.environ}


def take_keys(keys: Mapping[str, str]) -> None:
    """Put keys into the environment of this process; from now on they are cut out of everything that is written."""
    KNOWN.add(*keys.values())
    os.environ.update(keys)


def _names(config: RunConfig) -> Iterator[str]:
    yield from _named(config.model_dump(include={"agent_settings", "user_api_key_env"}))
    if config.agent == "mixture":
        yield from _named(load_mixture(Path(config.agent_settings["mixture"])).model_dump())
    if config.agent == "program":
        yield from config.agent_settings.get("env", "").replace(",", " ").split()


def _named(value: Any) -> Iterator[str]:
    """The names of variables in settings: the values of all keys that end with `_env`."""
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and str(name).endswith("_env"):
                yield item
            else:
                yield from _named(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _named(item)
