"""Repeat recorded decisions, and wait for the recorded screens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deskbench.agent.base import AgentError, Decision, Goal, Needs
from deskbench.envs import wait
from deskbench.envs.types import Action, Observation, Wait

LOOKS, PAUSE = 4, 0.25
"""How often to look again at a screen that differs from the recording, and after how many seconds: programs are not
always equally fast, and a click on a button that is still disabled is lost."""
AGAIN = "not as recorded yet: look again"
"""The thought of such a step, which is not part of the recording."""


class ReplayAgent:
    """Answers with the recorded actions of each step, in order.

    Args:
        steps: the actions of each step.
        pauses: seconds to wait before each step: programs run on while an agent thinks, so a replay needs time, too.
        as_recorded: whether an observation before a step (by index) matches the recording.
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
            AgentError: the recording has no further actions because its agent stopped there.
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
        """Nothing to release."""
