"""The task file of a recording."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deskbench.agent.recording.differences import Proposal
from deskbench.agent.recording.reduce import Step
from deskbench.agent.recording.targets import shows_popups, submenus_at, target_at
from deskbench.envs.actions import Action, Drag
from deskbench.envs.errors import UsageError
from deskbench.tasks.taskfile import KEBAB

KEPT = ("config", "requires", "related_apps", "limits", "seeds", "files", "user", "proxy", "snapshot")
"""What a task file has of its start."""
LEAST_STEPS = 15
OPENERS = frozenset({"menu", "combo-box"})
"""Roles of what opens something above the windows when it is clicked."""


def oracle(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as an oracle, each point named as the screen before it allows."""
    named: list[dict[str, Any]] = []
    for step in steps:
        named += _named(step, covered=bool(named) and _opens(named[-1]))
    return named


def _opens(action: Mapping[str, Any]) -> bool:
    """Whether an action opens a menu; moves over an open one keep it open."""
    if action["type"] == "move":
        return True
    target = action.get("target", {})
    return action["type"] == "click" and (action.get("button") == "right" or target.get("role") in OPENERS)


def _brief(action: Action) -> dict[str, Any]:
    """An action without what is so anyway."""
    usual = {field.name: field.default for field in dataclasses.fields(action)}
    return {name: value for name, value in action.to_json().items() if name == "type" or usual[name] != value}


def _named(step: Step, *, covered: bool) -> list[dict[str, Any]]:
    action, state = _brief(step.action), step.state
    points = step.action.points
    if state is None or not points:
        return [action]
    screen, tree = (state.width, state.height), state.tree
    covered = covered and not shows_popups(tree)
    if isinstance(step.action, Drag):
        del action["path"]
        return [{**action, "targets": [target_at(tree, point, screen, exact=True) for point in points]}]
    del action["x"], action["y"]
    ways = step.rests if covered else submenus_at(tree, points[0])
    moves = [{"type": "move", "target": target_at(tree, place, screen, covered=covered)} for place in ways]
    return [*moves, {**action, "target": target_at(tree, points[0], screen, covered=covered)}]


def check_name(path: Path) -> None:
    """That a task can be written to this path.

    Raises:
        UsageError: it is there already, or its name is no id.
    """
    if path.suffix != ".json" or not KEBAB.fullmatch(path.stem):
        raise UsageError(f"{path.name}: a task file's name is its id: lower case, digits and hyphens, then .json")
    if path.exists():
        raise UsageError(f"{path} is there already")


def task_json(
    path: Path, start: Mapping[str, Any], instruction: str, steps: Sequence[Mapping[str, Any]],
    checks: Sequence[Proposal],
) -> dict[str, Any]:  # fmt: skip
    """The task.

    Args:
        path: where it will stand; its name is the id.
        start: the JSON whose set-up and requirements it has.
        instruction: what an agent is told.
        steps: the oracle.
        checks: all of which must hold.
    """
    kept = {key: start[key] for key in KEPT if key in start}
    limits = {"steps": max(LEAST_STEPS, 2 * len(steps)), "seconds": 300, **kept.pop("limits", {})}
    limits["steps"] = max(limits["steps"], len(steps) + 1)
    return {
        "id": path.stem, "instruction": instruction, "source": "recorded", "config": [], **kept,
        "evaluator": _evaluator(checks), "oracle": list(steps), "limits": limits,
    }  # fmt: skip


def _evaluator(checks: Sequence[Proposal]) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {
        "func": [one.metric for one in checks], "result": [one.result for one in checks],
        "expected": [one.expected for one in checks], "options": [one.options for one in checks],
    }  # fmt: skip
    if not any(columns["options"]):
        del columns["options"]
    if len(checks) == 1:
        return {name: column[0] for name, column in columns.items()}
    return {**columns, "conj": "and"}


def write_task(path: Path, task: Mapping[str, Any], checks: Sequence[Proposal]) -> None:
    """Write the task and the files that its checks need.

    Raises:
        UsageError: another file stands where one of them must be.
    """
    files = {path.parent / name: data for one in checks for name, data in one.assets.items()}
    for file, data in files.items():
        if file.exists() and file.read_bytes() != data:
            raise UsageError(f"{file} is there already, and is another file than the task needs")
    for file, data in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    path.write_text(json.dumps(task, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
