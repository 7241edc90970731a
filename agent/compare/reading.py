"""What one agent said, read by another's model: the log-probabilities of both for the same tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from deskbench.agent.base import Agent, Decision
from deskbench.agent.compare.kl import tokens_of
from deskbench.agent.models.answers import Token
from deskbench.agent.models.client import Spending
from deskbench.agent.models.likelihood import NotGiven, Prompt, along
from deskbench.envs.types import Observation


@runtime_checkable
class Reader(Protocol):
    """An agent whose model can say how likely it finds a reply that another has given."""

    def likelihood(self, observation: Observation, reply: str, spending: Spending) -> Prompt:
        """Read it in place of an own one. Raises NotGiven where the endpoint does not say."""


class Reading:
    """Lets one agent's model read replies; an endpoint that does not say what it finds of the first is asked once.

    Attributes:
        spending: on it.
        failed: why replies could not be read, and how many.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._prompts = 0
        self.spending = Spending()
        self.failed: Counter[str] = Counter()

    def tokens(self, observation: Observation, said: Decision) -> tuple[Sequence[Token], Sequence[Token]]:
        """The tokens of a reply as both have them; none where that is not known.

        Args:
            observation: that the reply is to. The agent has begun, and seen nothing before it.
            said: by the other.

        Raises:
            ModelFatal: no request of this run can succeed.
        """
        reply, inside, end = parts(said, said_at_once(said))
        if not inside or (self.failed and not self._prompts):
            return (), ()
        try:
            if not isinstance(self._agent, Reader):
                raise NotGiven("it has no model that reads")
            prompt = self._agent.likelihood(observation, reply, self.spending)
            self._prompts += 1
            theirs = along(prompt, [token.text for token in inside], end.text if end else None)
        except NotGiven as reason:
            self.failed[str(reason)] += 1
            return (), ()
        return [*inside, *([end] if end else [])][: len(theirs)], theirs


def said_at_once(decision: Decision) -> list[Token]:
    """The tokens of a reply that was the first; those of later ones answer to a longer prompt, and count as none."""
    replies = [exchange for exchange in decision.exchanges if exchange.reply is not None]
    return tokens_of(decision.notes) if len(replies) == 1 else []


def parts(decision: Decision, tokens: Sequence[Token]) -> tuple[str, list[Token], Token | None]:
    """A reply's text, its tokens, and the one that ended it, which servers give and do not write.

    A reply from which the server has taken something (reasoning, calls) has the text that its tokens make.
    """
    said = decision.exchanges[-1].reply if decision.exchanges else None
    if said and said == "".join(token.text for token in tokens[:-1]):
        return said, list(tokens[:-1]), tokens[-1]
    return "".join(token.text for token in tokens), list(tokens), None
