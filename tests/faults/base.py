"""Faults, their expected results, and the list of all faults."""

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
"""Marks the instruction of the task that must go wrong; no other contains it."""


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
    """The expected result of a fault.

    Attributes:
        ending: of the last attempt at the task that goes wrong; None if no attempt is recorded.
        value: its score; None for no score.
        attempts: the number of recorded attempts.
        goes_on: whether the run continues with the next task, which is then solved.
        status: the command's exit status; None if the other attributes determine it.
        said: a regular expression for the record: reason, error, notes.
        told: a regular expression for the terminal.
        tampered: whether the desktop counts as killed by the agent.
        stays: whether nothing more can be recorded, and the existing record stays.
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
        """Whether the run starts at all."""
        return self.goes_on or self.stays or self.ending is not None

    @property
    def exit(self) -> int:
        """The command's exit status: 0 if every planned episode has a score."""
        if self.status is not None:
            return self.status
        return 0 if self.goes_on and self.value is not None else 1


Reply = Callable[[int], Say | None]
"""An endpoint's reply to the n-th request (from 0) of the task that goes wrong; None for a good one."""


@dataclass(frozen=True)
class Scene:
    """A run with a fault in it.

    Attributes:
        task: how the task that must go wrong differs from the usual one; None removes a key.
        written: the text of that task's file, instead of generated JSON.
        agent: a real agent's name; empty for one that solves the task.
        wire, reply: the wire on which the agent asks a model, and how the endpoint goes wrong.
        settings: the agent's settings.
        harm: what happens to the desktop (`providers.HARMS`); empty for nothing.
        times: how often it happens.
        config: the run's configuration.
        command: whether the command runs in a separate process.
        behind: whether the task that goes wrong is the second one.
        disk: whether the run's folder is on a separate small disk.
        beside: files next to the task, by name.
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
        id: a unique name.
        title: what happens, in a few words.
        whose: whose fault it is.
        becomes: the expected result.
        scene: the run that it is injected into.
        places: the desktops that it applies to.
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
    """Add a fault to the list."""
    assert name not in FAULTS, name
    FAULTS[name] = Fault(name, title, whose, becomes, scene, places)
