"""Agents as people write them, with the mistakes that people make; runs find them by name.

Each solves the usual task, and goes wrong if the instruction says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deskbench.agent.base import Decision, Goal, Needs
from deskbench.envs.types import Action, Done, Fail, Key, Observation, Type
from tests.faults.base import MARK

SAVE = Key(("ctrl", "s"))


class Writer:
    """Writes hello, saves it, and says done."""

    name = "writer"
    needs = Needs()
    text = "hello"

    def start(self, goal: Goal) -> None:
        """Check whether this is the task that must go wrong."""
        self.marked = MARK in goal.instruction
        self.answers: list[Sequence[Action]] = [[Type(self.text if self.marked else "hello")], [SAVE], [Done()]]

    def act(self, observation: Observation) -> Decision:
        """The next step, with a mistake if this is the task that must go wrong."""
        if self.marked:
            self.wrong()
        return Decision(tuple(self.answers.pop(0)))

    def wrong(self) -> None:
        """Nothing goes wrong."""

    def close(self) -> None:
        """Nothing to close."""


class Misspelt(Writer):
    """Uses an undefined name."""

    def wrong(self) -> None:
        self.answers = anwsers  # type: ignore[name-defined]  # noqa: F821


class Unimportable(Writer):
    """Imports a package that is not installed at its first step."""

    def wrong(self) -> None:
        import a_package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401


class FalseStart(Writer):
    """Fails before the first observation."""

    def start(self, goal: Goal) -> None:
        super().start(goal)
        if self.marked:
            raise KeyError("history")


class Untyped(Writer):
    """Returns something that is not a decision."""

    def act(self, observation: Observation) -> Decision:
        return "click 3 4" if self.marked else super().act(observation)  # type: ignore[return-value]


class Sloppy(Writer):
    """Solves the task and fails when it is closed."""

    marked = False

    def close(self) -> None:
        if self.marked:
            raise ValueError("closed twice")


class Unmakeable(Writer):
    """Fails in its constructor."""

    def __init__(self) -> None:
        self.answers = anwsers  # type: ignore[name-defined]  # noqa: F821


class Wrong(Writer):
    """Writes the wrong text."""

    text = "goodbye"


class Stringly(Writer):
    """Returns a decision without an action."""

    def act(self, observation: Observation) -> Decision:
        return Decision(("click",)) if self.marked else super().act(observation)  # type: ignore[arg-type]


class Idle(Writer):
    """Never finishes."""

    def start(self, goal: Goal) -> None:
        super().start(goal)
        if self.marked:
            self.answers = [[]] * 100


class Resigned(Writer):
    """Says that the task cannot be done."""

    def wrong(self) -> None:
        self.answers = [[Fail("there is no editor")]]


class Filler(Writer):
    """Fills the disk that its setting names, as another program may."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Filler:
        """Takes one setting, `folder`."""
        return cls(settings["folder"])

    def wrong(self) -> None:
        with Path(self.folder, "ballast").open("wb", buffering=0) as file:
            free = os.statvfs(self.folder)
            file.write(bytes(free.f_bavail * free.f_frsize))
