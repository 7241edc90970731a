"""Oracle steps: actions whose points may be named instead of numbered.

An oracle step is an action's JSON with `"target"` in place of x and y (or `"targets"` in place of a drag's path):
`{"type": "click", "target": {"role": "push-button", "name": "Save"}}`. A target is looked up in the accessibility tree
of the current observation, so an oracle works through the GUI as any agent does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from deskbench.envs.actions import Action, ActionError, parse_action, read_fields
from deskbench.envs.server.accessibility.constants import CONTROL_TYPES, ROLES
from deskbench.envs.tree import Element, elements

SCREEN = "screen"


@dataclass(frozen=True)
class Target:
    r"""Something on the screen, described by what it is.

    Attributes:
        role: accessibility role as in the tree's tags (`push-button`, `menu-item`); None for any. `screen` is the
            whole screen, for what accessibility does not show: `{"role": "screen", "at": [0, 1], "dx": 9, "dy": -9}`.
        name: its whole name; None for any.
        name_re: a regular expression found in its name.
        text: its whole text.
        text_re: a regular expression found in its text, such as `[$#%] \n*$` for a terminal that shows its prompt.
        within: name of a window (frame or dialog) or application that holds it.
        index: which of several matches, in the tree's order; negative from the end.
        dx, dy: pixels added to the centre.
        at: the point in its box, as fractions (0.5, 0.5 is the centre).
    """

    role: str | None = None
    name: str | None = None
    name_re: str | None = None
    text: str | None = None
    text_re: str | None = None
    within: str | None = None
    index: int = 0
    dx: int = 0
    dy: int = 0
    at: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class OracleStep:
    """One future action: its JSON without points, and the targets that supply the points."""

    action: Mapping[str, Any]
    targets: tuple[Target, ...] = ()

    def resolve(self, tree: str | None, screen: tuple[int, int]) -> Action | None:
        """The action with its points, or None while a target is not on the screen (`screen`: width and height in
        pixels).

        Raises:
            EnvError: the tree cannot be read.
        """
        if not self.targets:
            return parse_action(dict(self.action))
        points = [find_point(tree, target, screen) if tree else None for target in self.targets]
        if any(point is None for point in points):
            return None
        return parse_action({**self.action, **_with_points(self.action, [p for p in points if p is not None])})


def _with_points(action: Mapping[str, Any], points: list[tuple[int, int]]) -> dict[str, Any]:
    if action.get("type") == "drag":
        return {"path": [list(p) for p in points]}
    return {"x": points[0][0], "y": points[0][1]}


def parse_oracle(value: object) -> tuple[OracleStep, ...]:
    """Read and check a task's oracle.

    Raises:
        ActionError: names the step, the field and the bad value.
    """
    if not isinstance(value, list):
        raise ActionError(f"oracle must be a JSON array of actions, not {type(value).__name__}")
    steps = []
    for index, item in enumerate(value):
        try:
            steps.append(parse_oracle_step(item))
        except ActionError as error:
            raise ActionError(f"oracle[{index}]: {error}") from None
    return tuple(steps)


def parse_oracle_step(item: object) -> OracleStep:
    """Read and check one step.

    Raises:
        ActionError: names the field and the bad value.
    """
    if not isinstance(item, Mapping):
        raise ActionError(f"a step must be a JSON object, not {type(item).__name__}")
    action = {k: v for k, v in item.items() if k not in ("target", "targets")}
    raw = item.get("targets", [item["target"]] if "target" in item else [])
    if not isinstance(raw, list):
        raise ActionError("targets must be a list")
    targets = tuple(_parse_target(t) for t in raw)
    step = OracleStep(action, targets)
    if targets:  # any points will do to check the rest of the action
        parse_action({**action, **_with_points(action, [(0, 0)] * len(targets))})
    else:
        parse_action(action)
    return step


def _parse_target(value: object) -> Target:
    if not isinstance(value, Mapping):
        raise ActionError(f"a target must be a JSON object, not {value!r}")
    fields = read_fields(Target, "target", value)
    if not any(fields.get(key) for key in ("role", "name", "name_re", "text", "text_re")):
        raise ActionError("a target needs a role, a name, a name_re, a text or a text_re")
    for key in ("name_re", "text_re"):
        _check_pattern(key, fields.get(key) or "")
    return Target(**fields)


def _check_pattern(key: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ActionError(f"target: {key} is {pattern[:80]!r}, which is not a regular expression: {error}") from None


def roles(systems: Set[str]) -> frozenset[str] | None:
    """Every role that a target can have in the accessibility trees of these systems (`Linux`, `Windows`).

    None if the roles are unknown: macOS describes them in the user's language.
    """
    known = {"Linux": (role.replace(" ", "-") for role in ROLES), "Windows": map(str.lower, CONTROL_TYPES)}
    if not systems <= known.keys():
        return None
    return frozenset({SCREEN, "application"}.union(*(known[system] for system in systems)))


def find_point(tree: str, target: Target, screen: tuple[int, int] = (0, 0)) -> tuple[int, int] | None:
    """The point of a target in pixels, or None if it is not on the screen (`screen`: width and height).

    Raises:
        EnvError: the tree cannot be read.
    """
    found = [(0, 0, *screen)] if target.role == SCREEN else list(boxes(tree, target))
    try:
        x, y, width, height = found[target.index]
    except IndexError:
        return None
    return x + int(width * target.at[0]) + target.dx, y + int(height * target.at[1]) + target.dy


def boxes(tree: str, target: Target) -> Iterator[tuple[int, int, int, int]]:
    """The boxes of everything that a target may mean, in the tree's order: x, y, width and height in pixels.

    Raises:
        EnvError: the tree cannot be read.
    """
    for element in elements(tree):
        if not _matches(element, target) or not (element.has("sensitive") or element.has("enabled")):
            continue  # greyed out: whoever looks for it must wait
        if box := element.box:
            x, y, width, height = box
            if x + width > 0 and y + height > 0:
                yield box


def _matches(element: Element, target: Target) -> bool:
    return (
        (target.role is None or element.tag == target.role)
        and (target.name is None or element.name == target.name)
        and (target.name_re is None or re.search(target.name_re, element.name) is not None)
        and (target.text is None or element.text == target.text)
        and (target.text_re is None or re.search(target.text_re, element.text) is not None)
        and (target.within is None or any(target.within in holder.name for holder in element.above()))
    )
