"""The base of agents that ask one model: each step is a turn that the agent sends and remembers with its reply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deskbench.agent.agents.asking import ask, complaint, decision_of, done_by_another, logprobs_note
from deskbench.agent.base import Decision, Goal, Needs
from deskbench.agent.models.answers import Answer
from deskbench.agent.models.client import ModelClient, Spending
from deskbench.agent.models.likelihood import Prompt
from deskbench.agent.models.messages import Message
from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.replies.grammar import Reading
from deskbench.envs import wait
from deskbench.envs.errors import AgentError
from deskbench.envs.types import Action, Observation, Zoom

Shown = TypeVar("Shown")
Past = TypeVar("Past")


@dataclass(frozen=True)
class Turn(Generic[Shown]):
    """A request about one observation.

    Attributes:
        observation: the observation.
        scale: the scale from the screen to the picture that is sent.
        shown: the parts of the observation that the model sees.
        messages: all turns of the request.
        extra: other fields of the request's body.
    """

    observation: Observation
    scale: Scale
    shown: Shown
    messages: list[Message]
    extra: Mapping[str, Any] | None = None


class ModelAgent(ABC, Generic[Shown, Past]):
    """Shows the desktop to a model, reads its reply, and asks again if the reply is not an action.

    A subclass defines how to make a turn (`turn`), how to read a reply (`_read`), and what to remember of a step.

    Args:
        name: the agent's name.
        needs: what the agent must see.
        client: the client of its endpoint.
        retries: how often to ask again after a reply that is not an action.
    """

    def __init__(self, name: str, needs: Needs, client: ModelClient, retries: int) -> None:
        self.name = name
        self.needs = needs
        self._client = client
        self._retries = retries
        self._goal = Goal("", 0, 0)
        self._past: list[Past] = []
        self._zooms: tuple[Zoom, ...] = ()
        self._deadline: float | None = None

    @abstractmethod
    def turn(self, observation: Observation) -> Turn[Shown]:
        """The request about an observation, which includes the remembered steps."""

    @abstractmethod
    def _read(self, answer: Answer, turn: Turn[Shown], spending: Spending) -> Reading:
        """Read a reply. Raises ReplyError if it is not an action."""

    @abstractmethod
    def _remember(self, turn: Turn[Shown], answer: Answer, read: Reading) -> None:
        """Remember one of the agent's own steps."""

    @abstractmethod
    def _remember_other(self, turn: Turn[Shown], did: str) -> None:
        """Remember a step that another agent did; `did` replaces the reply."""

    def _complain(self, answer: Answer | None, reply: str, again: str, turn: Turn[Shown]) -> list[Message]:
        """Turns that tell the model what was wrong (`asking.Complain`)."""
        return complaint(answer, reply, again)

    def _notes(self, answer: Answer, turn: Turn[Shown]) -> Sequence[Mapping[str, object]]:
        """Other facts to record. Raises AgentError if the answer must not be followed."""
        return ()

    def _text(self, answer: Answer) -> str:
        """The text of a reply, for the record."""
        return answer.text

    def check(self) -> None:
        """Check before a run that the agent's endpoints can be reached.

        Raises:
            ModelError: an endpoint cannot be reached, or does not accept the key.
        """
        self._client.check()

    def start(self, goal: Goal) -> None:
        """Start an episode and forget earlier ones."""
        self._goal = goal
        self._past = []
        self._zooms = ()
        self._deadline = wait.now() + goal.seconds if goal.seconds is not None else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def act(self, observation: Observation) -> Decision:
        """Show the observation and return the model's actions, in pixels of the screen.

        Raises:
            AgentError: no reply was an action, after all retries; its `decision` has the cost.
            RefusalError: the model declined.
            ModelError: an endpoint failed.
        """
        turn = self.turn(observation)
        spending = Spending()
        try:
            answer, read = ask(
                self._client,
                turn.messages,
                lambda answer: self._read(answer, turn, spending),
                spending,
                retries=self._retries,
                deadline=self._deadline,
                extra=turn.extra,
                complain=lambda answer, reply, again: self._complain(answer, reply, again, turn),
            )
            notes = [*self._notes(answer, turn), *logprobs_note(answer)]
        except AgentError as error:
            error.decision = decision_of(spending)
            raise
        self._remember(turn, answer, read)
        self._zooms = _zooms(read.actions)
        thoughts = [part for part in (answer.reasoning, read.thought) if part]
        return decision_of(spending, read.actions, self._text(answer), "\n".join(thoughts) or None, notes)

    def likelihood(self, observation: Observation, reply: str, spending: Spending) -> Prompt:
        """How likely the agent's model finds another agent's reply.

        Raises:
            NotGiven: the endpoint does not return this.
            ModelFatal: no request of this run can succeed.
        """
        turn = self.turn(observation)
        return self._client.likelihood(turn.messages, reply, spending, turn.extra)

    def hear(self, observation: Observation, reply: str) -> Reading:
        """Read and remember a reply to `turn` that another program got; sends nothing except a grounder's requests.

        Raises:
            ReplyError: the reply is not an action, and is not remembered.
        """
        turn, answer = self.turn(observation), Answer(reply)
        read = self._read(answer, turn, Spending())
        self._remember(turn, answer, read)
        self._zooms = _zooms(read.actions)
        return read

    def witness(self, observation: Observation, actions: Sequence[Action], *, asked: bool) -> None:
        """Remember a step that another agent did, in place of the agent's own reply if it was asked."""
        if asked and self._past:
            self._past.pop()
        self._remember_other(self.turn(observation), done_by_another(actions))
        self._zooms = _zooms(actions)


def _zooms(actions: Sequence[Action]) -> tuple[Zoom, ...]:
    return tuple(action for action in actions if isinstance(action, Zoom))
