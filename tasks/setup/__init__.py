"""Set-up steps: each is one decorated function and is found by importing this folder."""

from __future__ import annotations

import time
from collections.abc import Sequence

from deskbench.envs.errors import EnvError, SetupError
from deskbench.tasks import registry
from deskbench.tasks.types import Call
from deskbench.tasks.world import Context


def run_steps(calls: Sequence[Call], context: Context) -> None:
    """Run set-up steps in order; each proves itself.

    Raises:
        SetupError: naming the step and what was last seen.
        EnvError: the desktop broke off.
    """
    for call in calls:
        began = time.monotonic()
        entry = registry.find("setup", call.type)
        try:
            entry.function(context, **registry.check_parameters(entry, call.parameters))
        except EnvError as error:
            raise type(error)(f"{call.where}: {call.type}: {error}") from error
        except Exception as error:  # the boundary to the steps, users' own among them
            raise SetupError(f"{call.where}: {call.type}: {type(error).__name__}: {error}") from error
        context.note("setup", {"step": call.type, "where": call.where, "ms": (time.monotonic() - began) * 1e3})
