"""A task, once read: frozen, typed, closed. `deskbench.tasks.load` makes them from OSWorld's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from deskbench.envs.clients.relay import parse
from deskbench.envs.errors import CheckError, UsageError
from deskbench.envs.targets import OracleStep
from deskbench.tasks.user import User

SOURCE = "python"
"""The key under which a task class's source stands in `Task.written`, in place of a task file's JSON."""


class Outside(CheckError):
    """A task names a file of this machine that does not stand beside it, and nobody has allowed that."""


class Frozen(BaseModel):
    """Frozen and closed; what the JSON may not hold is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Limits(Frozen):
    """How long an episode may be; None for the run's own limit."""

    steps: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)


class Requires(Frozen):
    """What the desktop must have, else the task is listed as skipped with the reason.

    `apps` are executables on the desktop's PATH; `network` is `off`, `full`, or the names that may be reached
    (`envs.relay`); `code` allows `exec` actions.
    """

    os: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    network: str | tuple[str, ...] = "off"
    code: bool = False

    @field_validator("network", mode="before")
    @classmethod
    def _readable(cls, value: object) -> object:
        if value in ("off", "full"):
            return value
        if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
            raise ValueError("it must be 'off', 'full' or a list of names")
        try:
            parse(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return tuple(value)


class Call(Frozen):
    """A set-up step, getter or metric by name with its parameters, and where in the file it stands."""

    type: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    where: str = ""


class Check(Frozen):
    """One whole check: metric(result, expected, **options)."""

    metric: str
    result: Call | None = None
    expected: Call | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    where: str = ""


class Evaluator(Frozen):
    """How the end state is judged; `infeasible` tasks have no checks and are passed by `fail` alone."""

    checks: tuple[Check, ...] = ()
    conj: Literal["and", "or"] = "and"
    postconfig: tuple[Call, ...] = ()
    infeasible: bool = False


class Mutant(Frozen):
    """An end state that looks almost right and must score 0: set-up steps run instead of an agent."""

    name: str
    steps: tuple[Call, ...]


class Solution(Frozen):
    """Another way to the end state than the oracle's: actions, or a shell script that needs no screen."""

    name: str
    steps: tuple[OracleStep, ...] = ()
    script: str = ""


class Task(Frozen):
    """One task.

    `key` is `suite/id`, unique in a run; `path` is the file that it came from; `folder` is where its assets are; `user`
    answers the agent's questions; `files` are addresses that a task class fetches; `lacks` is what it needs and
    deskbench has not. `written` is the file's JSON as it was read, for the record; `host_files` allows assets that
    stand elsewhere than beside the file. `neutral` are changes of the solved desktop that a person might make as well:
    the score stays 1. `allowed` says of mutants that score, `noqa` of rules of `tasks check`, why that is right.
    """

    id: str
    suite: str
    instruction: str
    path: Path
    config: tuple[Call, ...] = ()
    evaluator: Evaluator
    oracle: tuple[OracleStep, ...] = ()
    limits: Limits = Limits()
    requires: Requires = Requires()
    related_apps: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    mutants: tuple[Mutant, ...] = ()
    neutral: tuple[Mutant, ...] = ()
    solutions: tuple[Solution, ...] = ()
    allowed: dict[str, str] = Field(default_factory=dict)
    noqa: dict[str, str] = Field(default_factory=dict)
    proxy: bool = False
    source: str = ""
    sha256: str = ""
    user: User | None = None
    files: tuple[str, ...] = ()
    lacks: str = ""
    written: dict[str, Any] = Field(default_factory=dict, repr=False)
    host_files: bool = False

    @property
    def is_class(self) -> bool:
        """It is a Python class (`tasks.classes`), not a JSON file."""
        return self.path.suffix == ".py"

    @property
    def key(self) -> str:
        """`suite/id`."""
        return f"{self.suite}/{self.id}"

    @property
    def folder(self) -> Path:
        """Where the assets stand: beside the file."""
        return self.path.parent

    def asset(self, name: str) -> Path:
        """The path of a file that the task names, relative to its own; whether it is there is not asked.

        Raises:
            Outside: it stands elsewhere than beside or below the task file, links followed.
        """
        found = self.folder / name
        if not self.host_files and not found.resolve().is_relative_to(self.folder.resolve()):
            raise Outside(f"{name} is a file on this machine outside the task's folder; --host-files allows it")
        return found

    @property
    def feasible(self) -> bool:
        """False for tasks that only `fail` passes."""
        return not self.evaluator.infeasible


class CheckOutcome(Frozen):
    """One check's part of a score, with what it saw, so that every 0 can be explained.

    `result` and `expected` are short printable forms of the values compared; files are named by their SHA-256.
    `source` is where what was judged is from (`registry.Source`): what a `program` or a `page` of the desktop says is
    as honest as that program, which an agent could have replaced.
    """

    metric: str
    value: float
    result: str = ""
    expected: str = ""
    note: str = ""
    source: str = ""


class PartScore(Frozen):
    """One checkpoint or phase of a task: what it earned of what it weighs, for tasks that give partial scores."""

    name: str
    score: float
    weight: float = 1.0
    description: str = ""


class Score(Frozen):
    """The score of an end state. `value` None means not scored, and is never turned into 0."""

    value: float | None
    reason: str
    checks: tuple[CheckOutcome, ...] = ()
    parts: tuple[PartScore, ...] = ()
    seconds: float = 0.0

    @classmethod
    def none(cls, reason: str) -> Score:
        """Not scored, and why."""
        return cls(value=None, reason=reason)
