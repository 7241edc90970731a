"""The oracle, which carries out a task's own solution through the GUI, as any agent would."""

from __future__ import annotations

from collections.abc import Sequence

from deskbench.agent.base import CheckError, Decision, Goal, Needs
from deskbench.envs.actions import ENDS_EPISODE
from deskbench.envs.errors import EnvError
from deskbench.envs.targets import OracleStep, Target
from deskbench.envs.tree import elements
from deskbench.envs.types import Done, Observation, Wait

LOOKS = 8
"""How often to look for a target, waiting between two looks until the screen is quiet."""
PAUSE = 0.25
"""Seconds of that wait."""


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
        return Decision((Wait(PAUSE),))

    def close(self) -> None:
        """Nothing to release."""


def _missing(step: OracleStep, observation: Observation) -> CheckError | EnvError:
    """The error for a missing target: the task's fault, unless the desktop has no tree to search."""
    if observation.accessibility is None:
        return EnvError(f"the desktop gave no accessibility tree: {'; '.join(observation.problems)}")
    return CheckError(f"oracle: no {_named(step)} on the screen; there are {_seen(observation.accessibility, step)}")


def _named(step: OracleStep) -> str:
    return ", ".join(str({k: v for k, v in vars(t).items() if v != getattr(Target(), k)}) for t in step.targets)


def _seen(tree: str, step: OracleStep) -> str:
    """The names on the screen with the target's role, for the error."""
    role = step.targets[0].role
    names = sorted({element.name for element in elements(tree) if role in (None, element.tag)} - {""})
    return ", ".join(map(repr, names[:40])) or f"no {role}"
