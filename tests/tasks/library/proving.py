"""Proves a library task on fresh desktops: every trial of `tasks verify`, once."""

from pathlib import Path

from deskbench.agent.build import prepare
from deskbench.agent.config import RunConfig
from deskbench.agent.verify.cells import Cell, Outcome
from deskbench.agent.verify.verify import Verification
from deskbench.tasks.types import Task


def tried(task: Task, provider: str, folder: Path) -> list[Cell]:
    """The results of every trial, with each episode below `folder`."""
    one = Verification(prepare(RunConfig(source=str(task.path), agent="null", provider=provider)), folder, k=1)
    one.run()
    return list(one.found[task.key].cells.values())


def faults(cells: list[Cell]) -> list[str]:
    """The trials with unexpected results, in words."""
    return [
        f"{cell.column} {cell.name}: {cell.outcome}: {cell.score}: {cell.reason}"
        for cell in cells
        if cell.outcome not in (Outcome.RIGHT, Outcome.NONE)
    ]


def solution(task: Task, cells: list[Cell]) -> Cell:
    """The oracle's trial."""
    [found] = [cell for cell in cells if cell.column == "oracle"]
    assert found.score == 1.0
    return found
