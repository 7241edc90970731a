"""Ask a model until its reply is an action, and record what that cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from deskbench.agent.base import Decision
from deskbench.agent.models.answers import Answer, Overflow
from deskbench.agent.models.client import ModelClient, Spending
from deskbench.agent.models.messages import Message
from deskbench.envs.errors import AgentError, ModelError, ReplyError
from deskbench.envs.types import Action, Observation

_REPEATED = 4000
"""How many characters of a reply without an action the model sees again: a cut-off reply may fill the context."""
T = TypeVar("T")
Read = Callable[[Answer], T]
Complain = Callable[[Answer | None, str, str], list[Message]]
"""Takes the answer (None if it was cut off), its text and what is wrong; returns turns that tell the model."""


def complaint(answer: Answer | None, reply: str, again: str) -> list[Message]:
    """Two turns: the reply, and what was wrong with it."""
    return [Message.of("assistant", reply), Message.of("user", again)]


def ask(
    client: ModelClient,
    messages: Sequence[Message],
    read: Read[T],
    spending: Spending,
    *,
    retries: int,
    deadline: float | None = None,
    extra: Mapping[str, Any] | None = None,
    complain: Complain = complaint,
) -> tuple[Answer, T]:
    """Ask until a reply can be read.

    Args:
        client: the endpoint's client.
        messages: the turns so far.
        read: reads a reply; the model is shown its ReplyError.
        spending: records every request, even if this function raises.
        retries: how often to ask again.
        deadline: `envs.wait.now` value that no back-off exceeds.
        extra: fields of this episode's requests.
        complain: makes the turns that tell the model what was wrong.

    Raises:
        AgentError: no reply could be read.
        RefusalError: the model declined.
        ModelError: the endpoint failed.
    """
    turns = list(messages)
    last: ReplyError | None = None
    for tries_left in range(retries, -1, -1):
        answer: Answer | None = None
        before = len(spending.exchanges)
        try:
            answer = client.complete(turns, spending, deadline, extra)
            return answer, read(answer)
        except ModelError as error:
            if last is None or not isinstance(error.__cause__, Overflow):
                raise
            raise _given_up(retries - tries_left, last) from None  # its own reply makes the request too long
        except ReplyError as error:
            if not tries_left:
                raise _given_up(retries + 1, error) from None
            last = error
            said = [exchange.reply for exchange in spending.exchanges[before:] if exchange.reply]
            again = f"That cannot be carried out, and nothing was done. {error}\nAnswer again with the action alone."
            turns += complain(answer, said[-1][:_REPEATED] if said else "(no text)", again)
    raise AssertionError("unreachable: the last try returns or raises")


def _given_up(tries: int, last: ReplyError) -> AgentError:
    return AgentError(f"none of {tries} replies was an action; the last: {last}")


def decision_of(
    spending: Spending,
    actions: tuple[Action, ...] = (),
    reply: str | None = None,
    thought: str | None = None,
    notes: Sequence[Mapping[str, Any]] = (),
) -> Decision:
    """A decision with its cost."""
    count = len(spending.exchanges)
    exchanges = tuple(spending.exchanges)
    return Decision(actions, reply, thought, spending.usage, spending.ms, count, exchanges, tuple(notes))


def results_of(observation: Observation) -> list[str]:
    """The results of the last actions, one line each: errors, output, and the person's answer."""
    lines: list[str] = []
    for number, result in enumerate(observation.results, 1):
        if not result.ok:
            lines.append(f"Action {number} of the last step failed: {result.error}")
        elif result.output:
            lines.append(f"Action {number} of the last step gave: {result.output[:2000]}")
    if observation.answer is not None:
        lines.append(f"The person answers: {observation.answer}")
    return lines


def logprobs_note(answer: Answer) -> list[dict[str, Any]]:
    """The endpoint's log-probabilities, for the record; empty if none were requested."""
    if not answer.tokens:
        return []
    tokens = [{"text": t.text, "logprob": t.logprob, "top": dict(t.top)} for t in answer.tokens]
    return [{"what": "logprobs", "tokens": tokens}]


def done_by_another(actions: Sequence[Action]) -> str:
    """The text that tells a model about a step that another agent did."""
    did = json.dumps([action.to_json() for action in actions], ensure_ascii=False)
    return f"(Another agent did this step: {did})"
