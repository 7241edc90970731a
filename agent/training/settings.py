"""The settings of an environment, and the tasks and desktops behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Literal, TypedDict

from pydantic import ValidationError

from deskbench.agent.base import Needs
from deskbench.agent.build import Prepared, prepare
from deskbench.agent.config import CODE, RunConfig
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import first_fault
from deskbench.tasks.load import LIBRARY

OnFailure = Literal["raise", "mask"]


class Settings(TypedDict, total=False):
    """Settings of an environment; those that are not given have the defaults of `deskbench run`.

    Attributes:
        provider: where desktops come from: `local` (the default), `docker`, ..., or `package.module:Class`.
        grammar: a family of models (`deskbench models`) or the path of a profile, so that `step` takes replies as text.
        needs: what observations show; a screenshot unless told otherwise.
        record: a run folder for the episodes; a folder that exists is continued. Without it nothing is kept.
        name: the name of what acts, for the record.
        on_failure: what to do with an episode that has no score because the desktop or the task failed: `raise` its
            error (the default), or `mask` it: the step returns the reward None, and `info["masked"]` is true.
        partial_scores: also score the desktop after every step, in `info["score"]`.
        retries: how many more desktops to try if one fails before the first observation (2).
        warm: how many desktops to start ahead of time (1).
        max_steps, max_seconds: limits of an episode, instead of the task's.
        width, height: of the screen in pixels.
        network: tasks that require the network get it.
        isolated: False runs the local provider's desktops without a sandbox.
        policy: when to observe: settled, quiet, immediate or fixed:SECONDS.
        host_files: tasks may use files of this machine that are outside their own folder.
        code: `exec` actions are carried out in tasks that allow code.
    """

    provider: str
    grammar: str | None
    needs: Needs
    record: str | Path | None
    name: str
    on_failure: OnFailure
    partial_scores: bool
    retries: int
    warm: int
    max_steps: int | None
    max_seconds: float | None
    width: int
    height: int
    network: bool
    isolated: bool
    policy: str
    host_files: bool
    code: bool


OF_A_RUN = (
    "provider", "retries", "max_steps", "max_seconds", "width", "height", "network", "isolated", "policy", "host_files",
)  # fmt: skip
"""Settings that a run has, too."""
OF_AN_ENVIRONMENT: dict[str, tuple[type | tuple[type, ...], str]] = {
    "grammar": ((str, NoneType), "the name of a family, or None"),
    "needs": (Needs, "a deskbench.agent.base.Needs"),
    "record": ((str, Path, NoneType), "a folder, or None"),
    "name": (str, "a text"),
    "on_failure": (str, "raise or mask"),
    "partial_scores": (bool, "True or False"),
    "warm": (int, "a whole number of at least 0"),
    "code": (bool, "True or False"),
}
"""The types of the others, and how a message names them."""
NO_CODE = "computer_13"
"""An action space without code."""


def prepared_for(task: str | Path, settings: Settings) -> Prepared:
    """Read the tasks and check the settings, before a desktop starts.

    Raises:
        UsageError: a setting or task is unknown or wrong, or no task can run here; the message is one line.
    """
    _check(settings)
    if not isinstance(task, (str, Path)):
        raise UsageError(f"the task is {task!r}; it must be a name or a path")
    source, only = _source_of(task)
    given = {name: value for name, value in settings.items() if name in OF_A_RUN}
    try:
        # the null agent needs nothing, and leaves the choice of tasks to the desktop
        config = RunConfig.model_validate({"source": source, "only": only, "agent": "null", **given})
    except ValidationError as error:
        raise UsageError(f"setting {first_fault(error, RunConfig.model_fields)}") from None
    found = prepare(config)
    if not found.tasks:
        raise UsageError(_nothing_to_do(found))
    acting = {
        "agent": settings.get("name", "env"),
        "agent_settings": {"action_space": CODE if settings.get("code") else NO_CODE},
    }
    return replace(found, config=config.model_copy(update=acting))


def _check(settings: Settings) -> None:
    """Check the settings that a run does not have.

    Raises:
        UsageError: names the setting.
    """
    for name, value in settings.items():
        if name not in Settings.__annotations__:
            raise UsageError(f"unknown setting {name!r}{nearest(name, Settings.__annotations__)}")
        kinds, wanted = OF_AN_ENVIRONMENT.get(name, (object, ""))
        wrong = not isinstance(value, kinds) or (isinstance(value, bool) and kinds is int)
        if wrong or (name == "on_failure" and value not in ("raise", "mask")) or (name == "warm" and value < 0):  # type: ignore[operator]
            raise UsageError(f"setting {name} is {value!r}; it must be {wanted}")


def _nothing_to_do(found: Prepared) -> str:
    """Why none of the tasks can run."""
    first, why = found.skipped[0]
    others = len(found.skipped) - 1
    return f"{first.key} {why}" + (f" (and {others} more tasks cannot run here)" if others else "")


def _source_of(task: str | Path) -> tuple[str, tuple[str, ...]]:
    """The source of a task, as `deskbench run` takes it, and the ids to keep (none for all)."""
    path = Path(task)
    if path.exists() or (LIBRARY / str(task)).is_dir():
        return str(task), ()
    suite, _, name = str(task).rpartition("/")
    folder = Path(suite) if suite and Path(suite).is_dir() else LIBRARY / suite
    if not suite or not folder.is_dir():
        return str(task), ()  # reading it says what there is
    file = folder / f"{name.partition('@')[0]}.json"
    return str(file if file.is_file() else folder), (name,) if "@" in name or not file.is_file() else ()
