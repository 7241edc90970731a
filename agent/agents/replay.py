"""Repeats recorded decisions, whatever the screen shows."""

from __future__ import annotations

from collections.abc import Sequence

from deskbench.agent.base import AgentError, Decision, Goal, Needs
from deskbench.envs import wait
from deskbench.envs.types import Action, Observation


class ReplayAgent:
    """Answers the recorded actions of each step, one after the other.

    Args:
        steps: the actions of each step.
        pauses: seconds to think before each: programs go on while an agent thinks, so a replay gives them time too.
        needs: what is to be seen and recorded.
    """

    name = "replay"

    def __init__(
        self, steps: Sequence[Sequence[Action]], pauses: Sequence[float] = (), needs: Needs | None = None
    ) -> None:
        self._steps = [tuple(step) for step in steps]
        self._pauses = list(pauses)
        self.needs = needs or Needs()

    def start(self, goal: Goal) -> None:
        """The recording knows the goal."""

    def act(self, observation: Observation) -> Decision:
        """The next recorded actions.

        Raises:
            AgentError: the recording has no more, since its agent broke off there.
        """
        if not self._steps:
            raise AgentError("the recording ends here")
        wait.sleep(self._pauses.pop(0) if self._pauses else 0.0)
        return Decision(self._steps.pop(0))

    def close(self) -> None:
        """Nothing to let go of."""
