"""Agents without a model: baselines that a suite must tell apart from a real solver."""

from __future__ import annotations

import random

from deskbench.agent.base import Decision, Goal, Needs
from deskbench.envs.types import (
    Action,
    Click,
    Done,
    Drag,
    Fail,
    Key,
    Observation,
    Scroll,
    Type,
)


class _Agent:
    """The base of these agents: they see screenshots and hold no resources."""

    name = "agent"
    needs = Needs()

    def start(self, goal: Goal) -> None:
        """Remember the goal."""
        self.goal = goal

    def act(self, observation: Observation) -> Decision:
        """Decide."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to release."""


class NullAgent(_Agent):
    """Does nothing and says Done: the score that a suite gives for free."""

    name = "null"

    def act(self, observation: Observation) -> Decision:
        """Done."""
        return Decision((Done(),))


class FailAgent(_Agent):
    """Says at once that the task cannot be done."""

    name = "fail"

    def act(self, observation: Observation) -> Decision:
        """Fail."""
        return Decision((Fail("this agent always says so"),))


class RandomAgent(_Agent):
    """Random clicks, keys, words, drags and wheel turns; the same seed gives the same actions."""

    name = "random"

    def start(self, goal: Goal) -> None:
        """Seed the generator from the goal."""
        super().start(goal)
        self._draw = random.Random(goal.seed)
        self._steps = 0

    def act(self, observation: Observation) -> Decision:
        """One random action, or Done after the last step."""
        self._steps += 1
        if self._steps >= self.goal.max_steps:
            return Decision((Done(),))
        return Decision((self._action(),))

    def _point(self) -> tuple[int, int]:
        return self._draw.randrange(self.goal.width), self._draw.randrange(self.goal.height)

    def _action(self) -> Action:
        x, y = self._point()
        kind = self._draw.randrange(6)
        if kind <= 1:
            return Click(x=x, y=y, button=self._draw.choice(("left", "left", "right")), count=self._draw.choice((1, 2)))
        if kind == 2:
            return Key((self._draw.choice(("enter", "esc", "tab", "down", "up", "backspace")),))
        if kind == 3:
            return Type("".join(self._draw.choices("abcdefghij ", k=6)))
        if kind == 4:
            return Scroll(dy=self._draw.randint(-5, 5), x=x, y=y)
        return Drag((self._point(), (x, y)))
