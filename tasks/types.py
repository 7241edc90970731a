"""A task, once read: frozen, typed, closed. `deskbench.tasks.load` makes tasks from OSWorld's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from deskbench.envs.clients.relay import parse
from deskbench.envs.errors import CheckError, UsageError
from deskbench.envs.targets import OracleStep
from deskbench.tasks.user import User

SOURCE = "python"
"""The key of a task class's source in `Task.written`, which holds a task file's JSON otherwise."""


class Outside(CheckError):
    """A task names a file of this machine outside its own folder, and nobody has allowed that."""


class Frozen(BaseModel):
    """Frozen and closed; an unknown key in the JSON is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Limits(Frozen):
    """Limits of an episode; None for the run's own limit."""

    steps: int | None = Field(default=None, ge=1, strict=True)
    seconds: float | None = Field(default=None, gt=0, strict=True)


class Requires(Frozen):
    """What the desktop must have; a task without it is skipped, with the reason.

    `apps` are executables on the desktop's PATH; `network` is `off`, `full`, or a list of reachable names
    (`envs.relay`); `code` allows `exec` actions.
    """

    os: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    network: str | tuple[str, ...] = "off"
    code: bool = Field(default=False, strict=True)

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
    """A set-up step, getter or metric by name, with its parameters and its JSON path in the file."""

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
    """How the end state is judged; `infeasible` tasks have no checks and only `fail` passes them."""

    checks: tuple[Check, ...] = ()
    conj: Literal["and", "or"] = "and"
    postconfig: tuple[Call, ...] = ()
    infeasible: bool = False


class Mutant(Frozen):
    """An end state that looks almost right and must score 0: set-up steps that run instead of an agent."""

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
    deskbench does not have. `written` is the file's JSON as read, for the record; `host_files` allows assets outside
    the file's folder. `neutral` are changes to the solved desktop that a person might make as well: the score stays 1.
    `allowed` gives reasons for mutants that may score, `noqa` for exceptions from rules of `tasks check`.
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
        """Whether it is a Python class (`tasks.classes`) and not a JSON file."""
        return self.path.suffix == ".py"

    @property
    def key(self) -> str:
        """`suite/id`."""
        return f"{self.suite}/{self.id}"

    @property
    def folder(self) -> Path:
        """The folder of the assets, which is the file's."""
        return self.path.parent

    def asset(self, name: str) -> Path:
        """The path of a file that the task names relative to its own; the file need not exist.

        Raises:
            Outside: it is neither next to nor below the task file, with links resolved.
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
    """One check's part of a score, with the values that it saw, to explain every 0.

    `result` and `expected` are short printable forms of the compared values; files appear as their SHA-256. `source`
    says where the judged value comes from (`registry.Source`): a `program` or a `page` of the desktop is only as honest
    as that program, which an agent could have replaced.
    """

    metric: str
    value: float
    result: str = ""
    expected: str = ""
    note: str = ""
    source: str = ""


class PartScore(Frozen):
    """One checkpoint or phase of a task, with its score and weight, for tasks that give partial scores."""

    name: str
    score: float
    weight: float = 1.0
    description: str = ""


class Score(Frozen):
    """The score of an end state. A `value` of None means not scored, and never becomes 0."""

    value: float | None
    reason: str
    checks: tuple[CheckOutcome, ...] = ()
    parts: tuple[PartScore, ...] = ()
    seconds: float = 0.0

    @classmethod
    def none(cls, reason: str) -> Score:
        """A task that was not scored, with the reason."""
        return cls(value=None, reason=reason)
