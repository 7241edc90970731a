"""Repeats recorded decisions, at the recorded screens where those come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deskbench.agent.base import AgentError, Decision, Goal, Needs
from deskbench.envs import wait
from deskbench.envs.types import Action, Observation, Wait

LOOKS, PAUSE = 4, 0.25
"""A screen that is not as recorded is looked at again so often, after so many seconds: programs are slower on one day
than on another, and a click on a button that is still grey is lost."""
AGAIN = "not as recorded yet: look again"
"""The thought of such a step, which is not one of the recording's."""


class ReplayAgent:
    """Answers the recorded actions of each step, one after the other.

    Args:
        steps: the actions of each step.
        pauses: seconds to think before each: programs go on while an agent thinks, so a replay gives them time too.
        as_recorded: whether what is seen before a step (its index) is what the recording saw.
    """

    name = "replay"
    needs = Needs(screenshot=True, accessibility=True)

    def __init__(
        self,
        steps: Sequence[Sequence[Action]],
        pauses: Sequence[float] = (),
        as_recorded: Callable[[int, Observation], bool] = lambda step, observation: True,
    ) -> None:
        self._steps = [tuple(step) for step in steps]
        self._pauses = list(pauses)
        self._as_recorded = as_recorded
        self._next = self._looks = 0

    def start(self, goal: Goal) -> None:
        """The recording knows the goal."""

    def act(self, observation: Observation) -> Decision:
        """The next recorded actions, or a short wait for the recorded screen.

        Raises:
            AgentError: the recording has no more, since its agent broke off there.
        """
        if self._next >= len(self._steps):
            raise AgentError("the recording ends here")
        if self._looks < LOOKS and not self._as_recorded(self._next, observation):
            self._looks += 1
            return Decision((Wait(PAUSE),), thought=AGAIN)
        wait.sleep(self._pauses[self._next] if self._pauses and not self._looks else 0.0)
        self._looks = 0
        self._next += 1
        return Decision(self._steps[self._next - 1])

    def close(self) -> None:
        """Nothing to let go of."""
