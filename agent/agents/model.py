"""What agents that ask one model share: a step is a turn, the turn is asked about, and both are remembered."""

from __future__ import annotations

import time
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
from deskbench.envs.errors import AgentError
from deskbench.envs.types import Action, Observation, Zoom

Shown = TypeVar("Shown")
Past = TypeVar("Past")


@dataclass(frozen=True)
class Turn(Generic[Shown]):
    """A request about one observation.

    Attributes:
        observation: it.
        scale: from the screen to the picture that is sent.
        shown: what the model is shown of it.
        messages: all turns of the request.
        extra: what else goes into the request's body.
    """

    observation: Observation
    scale: Scale
    shown: Shown
    messages: list[Message]
    extra: Mapping[str, Any] | None = None


class ModelAgent(ABC, Generic[Shown, Past]):
    """Shows a model what the desktop shows, reads its reply, and asks again when the reply is not an action.

    A kind of agent says what a turn is (`turn`), how a reply is read (`_read`), and what is remembered of a step.

    Args:
        name: of the agent.
        needs: what it is shown.
        client: of its endpoint.
        retries: how often a reply that is not an action is shown to the model and asked for again.
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
        """The request about an observation, after the steps that are remembered."""

    @abstractmethod
    def _read(self, answer: Answer, turn: Turn[Shown], spending: Spending) -> Reading:
        """What a reply means. Raises ReplyError where it is not an action."""

    @abstractmethod
    def _remember(self, turn: Turn[Shown], answer: Answer, read: Reading) -> None:
        """Keep a step of its own."""

    @abstractmethod
    def _remember_other(self, turn: Turn[Shown], did: str) -> None:
        """Keep a step that another agent did; `did` stands in place of a reply."""

    def _complain(self, answer: Answer | None, reply: str, again: str, turn: Turn[Shown]) -> list[Message]:
        """Turns that tell the model what was wrong (`asking.Complain`)."""
        return complaint(answer, reply, again)

    def _notes(self, answer: Answer, turn: Turn[Shown]) -> Sequence[Mapping[str, object]]:
        """What else goes on the record. Raises AgentError where the answer must not be followed."""
        return ()

    def _text(self, answer: Answer) -> str:
        """A reply as it is recorded."""
        return answer.text

    def check(self) -> None:
        """Find out, before a run, whether its endpoints are there.

        Raises:
            ModelError: one cannot be reached, or does not take the key.
        """
        self._client.check()

    def start(self, goal: Goal) -> None:
        """Begin an episode: nothing of an earlier one is remembered."""
        self._goal = goal
        self._past = []
        self._zooms = ()
        self._deadline = time.monotonic() + goal.seconds if goal.seconds is not None else None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def act(self, observation: Observation) -> Decision:
        """Show the observation and return the model's actions, in pixels of the screen.

        Raises:
            AgentError: no reply was an action, after all retries; its `decision` holds what was spent.
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
        """How likely its model finds a reply that another has given in its place.

        Raises:
            NotGiven: its endpoint does not say.
            ModelFatal: no request of this run can succeed.
        """
        turn = self.turn(observation)
        return self._client.likelihood(turn.messages, reply, spending, turn.extra)

    def witness(self, observation: Observation, actions: Sequence[Action], *, asked: bool) -> None:
        """Another agent did this step: what was seen and done is remembered in place of its own reply, if any."""
        if asked and self._past:
            self._past.pop()
        self._remember_other(self.turn(observation), done_by_another(actions))
        self._zooms = _zooms(actions)


def _zooms(actions: Sequence[Action]) -> tuple[Zoom, ...]:
    return tuple(action for action in actions if isinstance(action, Zoom))
