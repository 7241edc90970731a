"""What is tried on a task, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Column = Literal[
    "oracle", "solution", "again", "neutral", "nothing", "done", "fail", "random", "mutant", "prefix", "blind", "shell"
]
COLUMNS: dict[Column, str] = {
    "oracle": "the task's own solution passes, every time",
    "solution": "another way to the same end passes",
    "again": "the same end state, scored twice, gets the same score",
    "neutral": "what a person may do as well changes nothing",
    "nothing": "nothing is done, and nothing said",
    "done": "Done is said at once",
    "fail": "Fail is said at once",
    "random": "random clicks and keys",
    "mutant": "the file's own wrong end states",
    "prefix": "the oracle stops before its last steps",
    "blind": "another seed's recorded actions, by coordinates and without looking",
    "shell": "a script without the screen: measured, since it tells whether the task needs the screen",
}
"""What is tried, in the order in which it is printed, and what it means."""


class Outcome(StrEnum):
    """What came of one trial. A timeout says nothing of the task, and is never "not as it must be"."""

    RIGHT = "as it must be"
    WRONG = "not as it must be"
    ERROR = "error"
    TIMEOUT = "timeout"
    NONE = "not applicable"


DECIDED = (Outcome.RIGHT, Outcome.WRONG, Outcome.NONE)
"""Outcomes that a resumed run does not try again."""


class Cell(BaseModel):
    """One trial of one task.

    Attributes:
        task: its key.
        column: what was tried.
        name: which of several: a number, a seed, a mutant's name.
        outcome: what came of it.
        score: what the end state scored; None where it was not scored.
        reason: why, in one line.
        seconds: wall time.
        steps: what the agent did.
        folder: the episode, below the run's folder; empty where there is none.
        notes: what rules of `tasks check` say of the untouched start state.
        key: hash of everything that the result rests on (`record.key_of`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    column: Column
    name: str = ""
    outcome: Outcome
    score: float | None = None
    reason: str = ""
    seconds: float = 0.0
    steps: int = 0
    folder: str = ""
    notes: tuple[str, ...] = ()
    key: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """What a later result of the same trial replaces."""
        return self.task, self.column, self.name
