"""A score that says why it is not 1."""

from __future__ import annotations


class Told(float):
    """A score with a one-line reason for people; a float for everything else."""

    note: str

    def __new__(cls, value: float, note: str = "") -> Told:
        """The score `value`; `note` says what did not match."""
        self = super().__new__(cls, value)
        self.note = note
        return self


def verdict(problem: str | None) -> Told:
    """1 without a problem, else 0 with the problem as its note."""
    return Told(1.0) if problem is None else Told(0.0, problem)
