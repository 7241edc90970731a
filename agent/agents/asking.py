"""Asking a model until its reply is an action, and keeping account of what that took."""

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
"""Characters of a reply without an action that the model is shown: one that was cut off may fill the context."""
T = TypeVar("T")
Read = Callable[[Answer], T]
Complain = Callable[[Answer | None, str, str], list[Message]]
"""(the answer or None when it was cut off, its text, what to say about it) to turns that say it."""


def complaint(answer: Answer | None, reply: str, again: str) -> list[Message]:
    """The reply, and what was wrong with it, as two turns."""
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
        client: of the endpoint.
        messages: the turns so far.
        read: a reply into what it means; a ReplyError of it is shown to the model.
        spending: every request is booked here, also when this raises.
        retries: how often.
        deadline: `time.monotonic()` value that no back-off goes beyond.
        extra: of this episode's requests.
        complain: turns that tell the model what was wrong.

    Raises:
        AgentError: none of the replies could be read.
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
            raise _given_up(retries - tries_left, last) from None  # with what the model said itself, it is too long
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
    """A decision with what it cost."""
    count = len(spending.exchanges)
    exchanges = tuple(spending.exchanges)
    return Decision(actions, reply, thought, spending.usage, spending.ms, count, exchanges, tuple(notes))


def results_of(observation: Observation) -> list[str]:
    """What the last actions gave back, one line each: what failed, what was printed, what the person answered."""
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
    """The log-probabilities that an endpoint gave, for the record; empty where none were asked for."""
    if not answer.tokens:
        return []
    tokens = [{"text": t.text, "logprob": t.logprob, "top": dict(t.top)} for t in answer.tokens]
    return [{"what": "logprobs", "tokens": tokens}]


def done_by_another(actions: Sequence[Action]) -> str:
    """What a model is told of a step that another agent did in its place."""
    did = json.dumps([action.to_json() for action in actions], ensure_ascii=False)
    return f"(Another agent did this step: {did})"
