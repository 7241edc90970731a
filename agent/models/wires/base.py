"""The interface of a wire: the format in which one kind of endpoint accepts turns and returns replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deskbench.agent.models.answers import Answer, Counts
from deskbench.agent.models.messages import Message


@dataclass(frozen=True)
class Request:
    """A request for the next turn, independent of the wire.

    Attributes:
        model: the model's name at the endpoint.
        messages: the turns so far.
        settings: `max_tokens`, `temperature`, `top_p`, `seed`, if set.
        detail: detail of pictures (`high`, `low`, `auto`, `original`), if the wire has this field.
        extra: merged into the body last, objects into objects.
        stream: request a stream of events.
        logprobs: request this many log-probabilities per token, if the wire has them.
    """

    model: str
    messages: Sequence[Message]
    settings: Mapping[str, Any] = field(default_factory=dict)
    detail: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    logprobs: int = 0


class Wire(Protocol):
    """One kind of endpoint. Pure functions: the client handles the connection, the key and the retries."""

    name: str

    def path(self, model: str, stream: bool) -> str:
        """The path of a request, after the base URL."""

    def headers(self, secret: str) -> dict[str, str]:
        """The header with the key, and the other headers that every request needs."""

    def body(self, request: Request) -> dict[str, Any]:
        """The request's JSON; pictures are `messages.Shown`."""

    def read(self, document: Mapping[str, Any]) -> Answer:
        """The reply in an answer's document.

        Raises:
            Again: the document has the wrong shape, or is empty.
            CutOff: the token limit ended the reply.
            Overflow: the context ended the reply.
            RefusalError: the model or a filter declined.
            ReplyError: the endpoint itself says that the model's call is malformed.
        """

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """The numbers of tokens in an answer's document."""

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """A stream's events as one document.

        Raises:
            sse.Broken: the end is missing.
        """


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A body merged with more fields: objects are merged into objects, and everything else is replaced."""
    out = dict(base)
    for name, value in extra.items():
        old = out.get(name)
        out[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
