"""The oracle: carries out a task's own solution through the GUI, as any agent would."""

from __future__ import annotations

from collections.abc import Sequence

from deskbench.agent.base import CheckError, Decision, Goal, Needs
from deskbench.envs.actions import ENDS_EPISODE
from deskbench.envs.errors import EnvError
from deskbench.envs.targets import OracleStep, Target
from deskbench.envs.tree import elements
from deskbench.envs.types import Done, Observation, Wait

LOOKS = 8
"""How often a target is looked for, with a wait until the screen is quiet in between."""
PAUSE = 0.25
"""Seconds of that wait."""


class OracleAgent:
    """Follows oracle steps; a target that is not there yet is waited for."""

    name = "oracle"

    def __init__(self, steps: Sequence[OracleStep]) -> None:
        self._steps = list(steps)
        self._looks = 0
        self.needs = Needs(accessibility=any(step.targets for step in steps))

    @property
    def left(self) -> int:
        """Steps that are still to come."""
        return len(self._steps)

    def start(self, goal: Goal) -> None:
        """The steps know what they want."""

    def act(self, observation: Observation) -> Decision:
        """The next step, or a wait for its target.

        Raises:
            CheckError: the target did not come, so the task's own solution is broken; names what was looked for and
                what is there.
            EnvError: the desktop shows no tree to look for it in.
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
        """Nothing to let go of."""


def _missing(step: OracleStep, observation: Observation) -> CheckError | EnvError:
    """Why a step's target is not there: the task's fault, but for a desktop that shows nothing to look for it in."""
    if observation.accessibility is None:
        return EnvError(f"the desktop gave no accessibility tree: {'; '.join(observation.problems)}")
    return CheckError(f"oracle: no {_named(step)} on the screen; there are {_seen(observation.accessibility, step)}")


def _named(step: OracleStep) -> str:
    return ", ".join(str({k: v for k, v in vars(t).items() if v != getattr(Target(), k)}) for t in step.targets)


def _seen(tree: str, step: OracleStep) -> str:
    """Names on the screen of the target's role, for the error."""
    role = step.targets[0].role
    names = sorted({element.name for element in elements(tree) if role in (None, element.tag)} - {""})
    return ", ".join(map(repr, names[:40])) or f"no {role}"
