"""A task's start state, for a person to look at or to work in."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deskbench.agent.build import ASSETS, Prepared, prepare
from deskbench.agent.config import RunConfig
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import SetupError, Unfit, UsageError
from deskbench.tasks.load import load
from deskbench.tasks.scoring import parts
from deskbench.tasks.types import Task
from deskbench.tasks.world import Context, World


def provider_for(source: str, *, host_files: bool = False) -> str:
    """The provider whose desktops a file's tasks are for: wine for tasks of Windows, local for all others.

    Raises:
        UsageError: the file cannot be used.
    """
    tasks = load(source, host_files=host_files)
    return "wine" if all("windows" in task.requires.os for task in tasks) else "local"


def only_task(source: str, provider: str, *, network: bool = False, host_files: bool = False) -> Prepared:
    """The task of a file, ready for a desktop; of a file with seeds, the first.

    Raises:
        UsageError: the file cannot be used, there are several, or its task cannot be set up here.
    """
    found = prepare(
        RunConfig(source=source, agent="null", provider=provider, network=network, host_files=host_files)
    )  # fmt: skip
    paths = {task.path for task in (*found.tasks, *(task for task, _ in found.skipped))}
    if len(paths) != 1:
        raise UsageError(f"{source} has {len(paths)} task files: name one of them")
    if not found.tasks:
        task, reason = found.skipped[0]
        raise UsageError(f"{task.key} cannot be set up here: {reason}")
    return dataclasses.replace(found, tasks=found.tasks[:1])


@contextmanager
def at_start(task: Task, desktop: Desktop) -> Iterator[None]:
    """The desktop as an agent finds it when the task begins, until the end of the block.

    Raises:
        SetupError: a set-up step did not take effect.
        EnvError: the desktop broke off.
    """
    with tempfile.TemporaryDirectory(prefix="deskbench-start-") as folder:
        cache = Path(folder)
        context = Context(desktop, task, cache, ASSETS, desktop.health().screen)
        try:
            parts.prepare(context, World(desktop, task, cache, ASSETS))[0].begin()
        except Unfit as error:
            raise SetupError(str(error)) from error
        else:
            yield
        finally:
            context.close()
