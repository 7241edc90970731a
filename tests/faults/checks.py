"""A user's own metrics and set-up steps, with the mistakes that people make."""

from __future__ import annotations

from typing import Any

from deskbench.tasks.world import Context, World


def raises(result: Any, expected: Any) -> float:
    """A metric that always fails."""
    raise ValueError("no such column")


def says_two(result: Any, expected: Any) -> float:
    """A metric whose value is not a score."""
    return 2.0


def reads_wrong(world: World) -> str:
    """A getter that fails."""
    raise KeyError("settings")


def steps_wrong(context: Context) -> None:
    """A set-up step that fails."""
    raise IndexError("no window")
