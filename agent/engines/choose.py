"""Make the engine that a run's settings name; only the one that is named is imported."""

from __future__ import annotations

from deskbench.agent.build import Prepared
from deskbench.agent.engines.base import Engine
from deskbench.agent.engines.threads import Threads


def engine_for(prepared: Prepared, end_seconds: float) -> Engine:
    """The engine of a run; `end_seconds` is how long the end of a desktop may take."""
    return Threads(prepared, end_seconds)
