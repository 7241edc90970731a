"""The trials of a task and their outcomes."""

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
    "neutral": "a harmless change that a person might make does not change the score",
    "nothing": "the agent does nothing and says nothing",
    "done": "the agent says Done at once",
    "fail": "the agent says Fail at once",
    "random": "random clicks and keys",
    "mutant": "the file's own wrong end states",
    "prefix": "the oracle stops before its last steps",
    "blind": "another seed's recorded actions, by coordinates and without looking",
    "shell": "a script without the screen: only measured, to show whether the task needs the screen",
}
"""The kinds of trials, in the order in which they are printed, and their meaning."""


class Outcome(StrEnum):
    """The outcome of one trial. A timeout says nothing about the task, so it is never "not as it must be"."""

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
        task: the task's key.
        column: the kind of trial.
        name: which of several: a number, a seed, a mutant's name.
        outcome: its outcome.
        score: the score of the end state; None if it was not scored.
        reason: the reason, in one line.
        seconds: wall time.
        steps: number of the agent's steps.
        folder: the episode's folder, relative to the run's folder; empty if there is no episode.
        notes: what rules of `tasks check` say about the untouched start state.
        key: hash of everything that the result depends on (`verify.Found.depends`).
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
        """Identifies the trial: a later result with the same place replaces this one."""
        return self.task, self.column, self.name
