"""The oracle, which carries out a task's own solution through the GUI, as any agent would."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from deskbench.agent.base import CheckError, Decision, Goal, Needs
from deskbench.envs.actions import ENDS_EPISODE
from deskbench.envs.errors import EnvError
from deskbench.envs.targets import OracleStep, Target, find_point
from deskbench.envs.tree import elements
from deskbench.envs.types import Done, Observation, Wait

LOOKS = 8
"""How often to look for a target."""
PAUSES = (0.25, 0.5, 1.0, 2.0)
"""Seconds between two looks, and then again the last one: 10 s in all, as a busy machine may need for a dialog, and few
steps. After each pause the screen must also become quiet."""
NEAREST = 8
"""Names that an error tells of what is on the screen."""
LONGEST = 80
"""Characters of a name that are compared and told."""


class OracleAgent:
    """Follows oracle steps and waits for targets that are not on the screen yet."""

    name = "oracle"

    def __init__(self, steps: Sequence[OracleStep]) -> None:
        self._steps = list(steps)
        self._looks = 0
        self.needs = Needs(accessibility=any(step.targets for step in steps))

    @property
    def left(self) -> int:
        """The number of steps that are left."""
        return len(self._steps)

    def start(self, goal: Goal) -> None:
        """Nothing to do: the steps already contain the goal."""

    def act(self, observation: Observation) -> Decision:
        """The next step, or a wait for its target.

        Raises:
            CheckError: the target did not appear, so the task's own solution is broken; the message names the target
                and what is on the screen.
            EnvError: the desktop has no accessibility tree to search.
        """
        if not self._steps:
            return Decision((Done(),))
        step = self._steps[0]
        action = step.resolve(observation.accessibility, (observation.width, observation.height))
        if action is not None:
            self._looks = 0
            del self._steps[0]
            ended = not self._steps and not isinstance(action, ENDS_EPISODE)
            return Decision((action, Done()) if ended and not step.targets else (action,))
        self._looks += 1
        if self._looks >= LOOKS:
            raise _missing(step, observation)
        return Decision((Wait(PAUSES[min(self._looks, len(PAUSES)) - 1]),))

    def close(self) -> None:
        """Nothing to release."""


def _missing(step: OracleStep, observation: Observation) -> CheckError | EnvError:
    """The error for a missing target: the task's fault, unless the desktop has no tree to search."""
    if observation.accessibility is None:
        return EnvError(f"the desktop gave no accessibility tree: {'; '.join(observation.problems)}")
    screen = (observation.width, observation.height)
    lost = next(one for one in step.targets if find_point(observation.accessibility, one, screen) is None)
    return CheckError(f"oracle: no {_named(lost)} on the screen; nearest: {_nearest(observation.accessibility, lost)}")


def _named(target: Target) -> str:
    return str({k: v for k, v in vars(target).items() if v != getattr(Target(), k)})


def _nearest(tree: str, target: Target) -> str:
    """What is there and is most like the target, with roles; those of its role first where names are as like."""
    wanted = (target.name or target.name_re or target.text or target.text_re or "").casefold()
    names = {(one.tag, one.name or one.text) for one in elements(tree) if one.box and (one.name or one.text)}

    def likeness(named: tuple[str, str]) -> tuple[float, bool, tuple[str, str]]:
        like = difflib.SequenceMatcher(None, wanted, named[1][:LONGEST].casefold()).ratio() if wanted else 0.0
        same = named[0] == target.role
        return -like if wanted or not same else -1.0, not same, named

    best = sorted(names, key=likeness)[:NEAREST]
    return ", ".join(f"{role} {name[:LONGEST]!r}" for role, name in best) or "nothing that has a name"
