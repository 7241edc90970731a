"""Let one agent's model read another agent's reply: the log-probabilities of both for the same tokens."""

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
    """An agent whose model can say how likely it finds another agent's reply."""

    def likelihood(self, observation: Observation, reply: str, spending: Spending) -> Prompt:
        """Read the reply as if it were the agent's own. Raises NotGiven if the endpoint does not return this."""


class Reading:
    """Lets one agent's model read replies. If the endpoint cannot do this for the first reply, it is not asked again.

    Attributes:
        spending: what the reading costs.
        failed: why replies could not be read, and how many.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._prompts = 0
        self.spending = Spending()
        self.failed: Counter[str] = Counter()

    def tokens(self, observation: Observation, said: Decision) -> tuple[Sequence[Token], Sequence[Token]]:
        """The tokens of a reply with the log-probabilities of both agents; empty if they are not known.

        Args:
            observation: what the reply answers. The agent has started and has seen nothing before it.
            said: the other agent's decision.

        Raises:
            ModelFatal: no request of this run can succeed.
        """
        reply, inside, end = parts(said, said_at_once(said))
        if not inside or (self.failed and not self._prompts):
            return (), ()
        try:
            if not isinstance(self._agent, Reader):
                raise NotGiven("it has no model that can read a reply")
            prompt = self._agent.likelihood(observation, reply, self.spending)
            self._prompts += 1
            theirs = along(prompt, [token.text for token in inside], end.text if end else None)
        except NotGiven as reason:
            self.failed[str(reason)] += 1
            return (), ()
        return [*inside, *([end] if end else [])][: len(theirs)], theirs


def said_at_once(decision: Decision) -> list[Token]:
    """The tokens of a first reply; empty for a later reply, which answers a longer prompt."""
    replies = [exchange for exchange in decision.exchanges if exchange.reply is not None]
    return tokens_of(decision.notes) if len(replies) == 1 else []


def parts(decision: Decision, tokens: Sequence[Token]) -> tuple[str, list[Token], Token | None]:
    """A reply's text, its tokens, and its end token, which servers return but do not write into the text.

    If the server has removed something from the reply (reasoning, calls), the text is that of its tokens.
    """
    said = decision.exchanges[-1].reply if decision.exchanges else None
    if said and said == "".join(token.text for token in tokens[:-1]):
        return said, list(tokens[:-1]), tokens[-1]
    return "".join(token.text for token in tokens), list(tokens), None
