"""What a fault is, what must become of it, and the list of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.agent.models.endpoint import Say

FAKE, LOCAL = "fake", "local"
PLACES = (FAKE, LOCAL)
"""A desktop in memory, and a real one on this machine."""
MARK = "This one goes wrong."
"""Stands in the instruction of the task that is to go wrong, and of no other."""


class Whose(StrEnum):
    """Whose fault it is."""

    DESKTOP = "desktop"
    TASK = "task"
    CHECK = "check"
    MODEL = "model"
    ENDPOINT = "endpoint"
    AGENT = "agent's code"
    DESKBENCH = "deskbench"
    DISK = "disk"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Becomes:
    """What must become of a fault.

    Attributes:
        ending: of the last attempt of the task that goes wrong; None where no attempt is recorded.
        value: its score; None for no score.
        attempts: how many are recorded.
        goes_on: whether the run goes on to the task behind it, which is then solved.
        status: the command's exit status; None for what follows from the others.
        said: what the record must say of it, as a regular expression: reason, error, notes.
        told: what the terminal must say.
        tampered: the desktop counts as ended by the agent.
        stays: nothing more can be recorded, and what is recorded stays.
    """

    ending: str | None
    value: float | None = None
    attempts: int = 1
    goes_on: bool = True
    status: int | None = None
    said: str = ""
    told: str = ""
    tampered: bool = False
    stays: bool = False

    @property
    def begins(self) -> bool:
        """Whether there is a run at all."""
        return self.goes_on or self.stays or self.ending is not None

    @property
    def exit(self) -> int:
        """The command's exit status: 0 when every planned episode has a score."""
        if self.status is not None:
            return self.status
        return 0 if self.goes_on and self.value is not None else 1


Reply = Callable[[int], Say | None]
"""What an endpoint says to the n-th request (from 0) of the task that goes wrong; None for what a good one says."""


@dataclass(frozen=True)
class Scene:
    """A run with the fault in it.

    Attributes:
        task: what differs from the usual task, in the task that is to go wrong; None takes a key away.
        written: that task's file as it stands, in place of JSON that is made.
        agent: a real agent's name; empty for one that solves the task.
        wire, reply: where a model is asked, over which wire, and how its endpoint goes wrong.
        settings: of the agent.
        harm: what happens to the desktop (`providers.HARMS`); empty for nothing.
        times: how often it happens.
        config: of the run.
        command: run the command in a process of its own.
        behind: the task that goes wrong is the second one.
        disk: the run's folder is on a small disk of its own.
        beside: files beside the task, by name.
    """

    task: Mapping[str, Any] = field(default_factory=dict)
    written: str | None = None
    agent: str = ""
    wire: str | None = None
    reply: Reply | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    harm: str = ""
    times: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    command: bool = False
    behind: bool = False
    disk: bool = False
    beside: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        id: a name, unique.
        title: what happens, in a few words.
        whose: fault it is.
        becomes: what must become of it.
        scene: the run that it is injected into.
        places: where it can be.
    """

    id: str
    title: str
    whose: Whose
    becomes: Becomes
    scene: Scene = field(repr=False)
    places: tuple[str, ...] = PLACES


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, title: str, whose: Whose, becomes: Becomes, scene: Scene, places: tuple[str, ...] = PLACES
) -> None:
    """Add one to the list."""
    assert name not in FAULTS, name
    FAULTS[name] = Fault(name, title, whose, becomes, scene, places)
