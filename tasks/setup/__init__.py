"""Set-up steps: each is a decorated function, found by importing this folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from deskbench.envs.errors import EnvError, GuestError, NotThere, SetupError, Unfit
from deskbench.tasks import registry
from deskbench.tasks.guest import cannot_start, ended_it
from deskbench.tasks.types import Call, Outside
from deskbench.tasks.world import Context


def run_steps(calls: Sequence[Call], context: Context) -> None:
    """Run set-up steps in order. Each step proves that it took effect.

    Raises:
        SetupError: a step failed. The message names the step and the last state seen.
        EnvError: the desktop failed.
    """
    for call in calls:
        _run(call, context)


def run_before_check(
    calls: Sequence[Call], context: Context, removed: Callable[[Call], bool] = lambda call: False
) -> list[str]:
    """Run the steps between the agent's work and the check; returns what could not be done, one line each.

    The agent may have closed the window that a step raises, replaced a file with a folder, made a command hang, or
    removed a program (`removed`: it existed when the agent began). That is not the machine's fault; the check decides
    what it means.

    Raises:
        SetupError, EnvError: as `run_steps`, for any other reason.
    """
    missed = []
    after = dataclasses.replace(context, window_seconds=0.0)
    for call in calls:
        try:
            _run(call, after)
        except EnvError as error:
            gone = isinstance(error, GuestError) and cannot_start(error) and removed(call)
            if not gone and not _of_the_end_state(error):
                raise
            missed.append(str(error))
            context.note("setup", {"step": call.type, "where": call.where, "missed": str(error)})
    return missed


def _of_the_end_state(error: EnvError) -> bool:
    """Whether a step failed because of how the agent left the desktop."""
    unfit = isinstance(error, SetupError) and isinstance(error.__cause__, Unfit)
    return isinstance(error, NotThere) or unfit or (isinstance(error, GuestError) and ended_it(error))


def _run(call: Call, context: Context) -> None:
    began = time.monotonic()
    entry = registry.find("setup", call.type)
    try:
        entry.function(context, **registry.check_parameters(entry, call.parameters))
    except EnvError as error:
        error.args = (f"{call.where}: {call.type}: {error}",)
        error.permanent = error.permanent or (isinstance(error, GuestError) and cannot_start(error))
        raise
    except (Unfit, Outside) as error:
        raise SetupError(f"{call.where}: {call.type}: {error}", permanent=isinstance(error, Outside)) from error
    except Exception as error:  # the boundary to steps, including users' own
        raise SetupError(f"{call.where}: {call.type}: {type(error).__name__}: {error}") from error
    context.note("setup", {"step": call.type, "where": call.where, "ms": (time.monotonic() - began) * 1e3})
