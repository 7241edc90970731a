"""Make the engine that a run's settings name; only the one that is named is imported."""

from __future__ import annotations

from deskbench.agent.build import Prepared
from deskbench.agent.engines.base import Engine
from deskbench.agent.engines.threads import Threads
from deskbench.envs.errors import UsageError


def engine_for(prepared: Prepared, end_seconds: float) -> Engine:
    """The engine of a run; `end_seconds` is how long the end of a desktop may take.

    Raises:
        UsageError: its settings do not fit, or its package is missing.
    """
    if prepared.config.engine == "threads":
        if prepared.config.ray_address is not None:
            raise UsageError("--address names a Ray cluster: leave it out, or use --engine ray")
        return Threads(prepared, end_seconds)
    from deskbench.agent.engines.ray import Ray

    return Ray(prepared, end_seconds)
