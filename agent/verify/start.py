"""What the untouched start state says against a task: rules of `tasks check` that only a desktop can decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord
from deskbench.envs import tree
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import CheckError
from deskbench.tasks import guest
from deskbench.tasks.lint.findings import Finding
from deskbench.tasks.lint.recorded import first_screen, start_files, start_score
from deskbench.tasks.metrics.support.applied import files_in
from deskbench.tasks.scoring.score import judge, recorded
from deskbench.tasks.types import Task

LARGEST = "64M"
"""Files above this size are not compared with what is expected."""


def start_findings(task: Task, record: EpisodeRecord, folder: Path, desktop: Desktop) -> list[str]:
    """Findings of DB006, DB008, DB009 and DB010, a line each, from an episode in which nothing was done.

    Raises:
        EnvError: the desktop broke off.
    """
    if task.is_class or not task.feasible or record.score.value is None:
        return []
    try:
        values = recorded(task, record.state, EpisodeFolder(folder).files)
        alone = [judge(_alone(task, number), [one]).value or 0.0 for number, one in enumerate(values)]
    except CheckError:  # one that cannot be judged has no score either: the trial itself says so
        return []
    found = [
        *start_score(task, alone),
        *_screen(task, folder),
        *_gold(task, [value for _, _, value in values], desktop),
    ]
    return [f"{one.rule} {one.where}: {one.message}" for one in found]


def _alone(task: Task, number: int) -> Task:
    """One check by itself: the whole score ends at the first check that decides it."""
    evaluator = task.evaluator.model_copy(update={"checks": task.evaluator.checks[number : number + 1]})
    return task.model_copy(update={"evaluator": evaluator})


def _screen(task: Task, folder: Path) -> list[Finding]:
    reader = EpisodeReader(folder)
    seen = reader.frames()
    source = reader.tree(seen[0]) if seen else None
    return [] if source is None else first_screen(task, "\n".join(_texts(source)))


def _texts(source: str) -> Iterator[str]:
    for element in tree.elements(source):
        yield from (element.name, element.value)


def _gold(task: Task, expected: Sequence[Any], desktop: Desktop) -> list[Finding]:
    """Files of the user's that have the bytes of one that is expected."""
    gold = {hashlib.sha256(file.read_bytes()).hexdigest() for value in expected for file in files_in(value)}
    if not gold or desktop.health().platform != "Linux":
        return []
    done = guest.ask(desktop, ["sh", "-c", f'find "$HOME" -xdev -type f -size -{LARGEST} -exec sha256sum {{}} +'])
    lines = (line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line)
    return start_files(task, {path: digest for digest, path in lines}, gold)
