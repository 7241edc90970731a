"""`deskbench run --reuse RUN`: print the plan, and take over the episodes that need not run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from deskbench.agent.build import Prepared, prepare
from deskbench.agent.cli.output import print_json, result, tell
from deskbench.agent.config import Defaults, RunConfig, make_config
from deskbench.agent.replay.reuse import lines, plan_reuse, take_over
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import UsageError


def reuse_config(reuse: Path, file: Path | None, settings: Sequence[str], flags: Mapping[str, Any]) -> RunConfig:
    """The configuration of the run to reuse, with what the user gives now; another agent gets none of its settings.

    It has a value for every setting, so the user's own defaults do not apply.
    """
    base = RunFolder(reuse).config()
    return make_config(file, settings, flags, Defaults(reuse, base))


def show_plan(config: RunConfig, reuse: Path | None, *, as_json: bool) -> None:
    """Print what `--reuse` would do.

    Raises:
        UsageError: there is no run to reuse.
    """
    if reuse is None:
        raise UsageError("--plan shows what --reuse RUN would do: name a run")
    plan = plan_reuse(prepare(config), reuse)
    if as_json:
        print_json({"run": plan.run, **plan.counts, "episodes": list(plan.choices)})
    else:
        result("\n".join(lines(plan)))


def begin(prepared: Prepared, reuse: Path | None, folder: Path, say: Console) -> bool:
    """Print the plan and begin the new run with the episodes to take over; returns whether there is a run to reuse."""
    if reuse is None:
        return False
    plan = plan_reuse(prepared, reuse)
    for text in lines(plan):
        tell(say, text)
    take_over(plan, prepared, folder)
    return True
