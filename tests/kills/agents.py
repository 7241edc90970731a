"""An agent with time to be killed in."""

from deskbench.agent.base import Decision, Goal, Needs
from deskbench.envs import wait
from deskbench.envs.types import Action, Done, Key, Observation, Type


class Writer:
    """Solves the task in four steps of some milliseconds."""

    name = "writer"
    needs = Needs()

    def __init__(self) -> None:
        self._left: list[list[Action]] = [[Type("hel")], [Type("lo")], [Key(("ctrl", "s"))], [Done()]]

    def start(self, goal: Goal) -> None: ...

    def act(self, observation: Observation) -> Decision:
        wait.sleep(0.02)
        return Decision(tuple(self._left.pop(0)))

    def close(self) -> None: ...
