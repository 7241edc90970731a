"""The trials of a task: which agent acts, what else is set up, and which score the end state must get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.agents.simple import FailAgent, NullAgent, RandomAgent
from deskbench.agent.base import Agent, Decision, Goal, Needs
from deskbench.agent.verify.cells import Column
from deskbench.envs.desktop import Desktop
from deskbench.envs.targets import OracleStep
from deskbench.envs.types import Action, Observation, Wait
from deskbench.tasks import registry
from deskbench.tasks.types import Call, Limits, Task

RANDOM_STEPS = 8
"""Random actions of one trial: enough to close, press and type into the open windows."""
MAX_PREFIXES = 12
"""Most prefixes to try on separate desktops, spread evenly; a single episode that shows them all has no limit."""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        column, name: the kind of trial, and which of several.
        task: the task with the set-up of this trial.
        agent: makes the agent that acts on a desktop.
        want: the score that the end state must get; None if the trial is only measured.
        partial: any score below 1 will do where `want` is 0.
        after: set-up steps to run after the agent has finished, before the end state is scored again.
        seed: for an agent that draws random numbers.
    """

    column: Column
    name: str
    task: Task
    agent: Callable[[Desktop], Agent]
    want: float | None
    partial: bool = False
    after: tuple[Call, ...] = ()
    seed: int = 0


class StillAgent:
    """Does nothing and says nothing; the episode ends at its step limit."""

    name = "still"
    needs = Needs(accessibility=True)

    def start(self, goal: Goal) -> None:
        """Nothing to remember."""

    def act(self, observation: Observation) -> Decision:
        """Wait."""
        return Decision((Wait(0.5),))

    def close(self) -> None:
        """Nothing to release."""


class BlindAgent(StillAgent):
    """Repeats recorded actions by their coordinates, whatever the screen shows."""

    name = "blind"

    def __init__(self, decisions: Sequence[tuple[Action, ...]]) -> None:
        self._left = list(decisions)

    def act(self, observation: Observation) -> Decision:
        """The next recorded decision."""
        return Decision(self._left.pop(0)) if self._left else super().act(observation)


class WatchedOracle(OracleAgent):
    """The oracle, with a look at the end state after each of its steps.

    Args:
        steps: the oracle's steps.
        look: called with the number of steps that are left.
    """

    def __init__(self, steps: Sequence[OracleStep], look: Callable[[int], None]) -> None:
        super().__init__(steps)
        self._look, self._looked = look, len(steps)

    def act(self, observation: Observation) -> Decision:
        """Look once after each finished step, then take the next one."""
        if self.left < self._looked:
            self._looked = self.left
            self._look(self.left)
        return super().act(observation)


def solving(task: Task, k: int) -> list[Trial]:
    """Trials that must score 1: the oracle k times, other solutions, and the oracle with a neutral change."""
    trials = [_oracle("oracle", str(number + 1), task) for number in range(k if task.oracle else 0)]
    trials += [_oracle("solution", one.name, task, one.steps) for one in task.solutions if one.steps]
    if task.oracle:
        trials += [_oracle("neutral", one.name, task, after=one.steps) for one in task.neutral]
    return trials


def failing(task: Task) -> list[Trial]:
    """Trials that must score 0, except that Fail is the right answer to an infeasible task."""
    trials = [
        Trial("nothing", "", _prepared(task, limit=1), lambda desktop: StillAgent(), 0.0),
        *only_saying(task),
        Trial("random", "", _prepared(task, limit=RANDOM_STEPS), lambda desktop: RandomAgent(), 0.0),
    ]
    trials += [
        Trial("mutant", one.name, _prepared(task, one.steps), lambda desktop: NullAgent(), 0.0) for one in task.mutants
    ]
    return trials


def only_saying(task: Task) -> list[Trial]:
    """Trials whose agent does nothing but say that it is done, or that the task cannot be done."""
    return [
        Trial("done", "", task, lambda desktop: NullAgent(), 0.0),
        Trial("fail", "", task, lambda desktop: FailAgent(), 0.0 if task.feasible else 1.0),
    ]


def scripts(task: Task) -> list[Trial]:
    """Scripts that need no screen. Whether one passes is a fact about the task, not a fault."""
    return [
        Trial("shell", one.name, _prepared(task, [_script(one.script)]), lambda desktop: NullAgent(), None)
        for one in task.solutions
        if one.script
    ]


def prefixes(task: Task) -> list[Trial]:
    """The oracle without its last steps, each prefix on a separate desktop."""
    lefts = range(1, len(task.oracle))
    return [
        _oracle("prefix", last(left), task, task.oracle[:-left], want=0.0) for left in lefts[:: _stride(len(lefts))]
    ]


def blind(task: Task, other: str, decisions: Sequence[tuple[Action, ...]]) -> Trial:
    """A trial that repeats another seed's actions."""
    limited = _prepared(task, limit=max(1, len(decisions)))
    return Trial("blind", f"actions of {other}", limited, lambda desktop: BlindAgent(decisions), 0.0, partial=True)


def last(count: int) -> str:
    """The name of a prefix."""
    return f"without the last {count}"


def looks_only(task: Task) -> bool:
    """Whether scoring does not change the desktop, so that it is possible in the middle of an episode."""
    if task.is_class or task.evaluator.postconfig:
        return False
    calls = [call for check in task.evaluator.checks for call in (check.result, check.expected) if call is not None]
    return all(registry.find("getter", call.type).source != "page" for call in calls)


def _stride(count: int) -> int:
    return max(1, -(-count // MAX_PREFIXES))


def _oracle(
    column: Column, name: str, task: Task, steps: Sequence[OracleStep] | None = None, *,
    after: tuple[Call, ...] = (), want: float = 1.0,
) -> Trial:  # fmt: skip
    chosen = task.oracle if steps is None else steps
    return Trial(column, name, task, lambda desktop: OracleAgent(chosen), want, partial=want == 0.0, after=after)


def _prepared(task: Task, steps: Sequence[Call] = (), *, limit: int | None = None) -> Task:
    """The task with more set-up steps after its own, and with this limit of decisions."""
    limits = task.limits if limit is None else Limits(steps=limit, seconds=task.limits.seconds)
    return task.model_copy(update={"config": (*task.config, *steps), "limits": limits})


def _script(script: str) -> Call:
    return Call(type="execute", parameters={"command": script, "shell": True, "check": True}, where="$.solutions")
