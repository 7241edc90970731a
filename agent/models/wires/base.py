"""What a wire is: the shape in which one kind of endpoint takes turns and gives replies. The client does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deskbench.agent.models.answers import Answer, Counts
from deskbench.agent.models.messages import Message


@dataclass(frozen=True)
class Request:
    """A turn to be asked for, before it has a wire's shape.

    Attributes:
        model: its name at the endpoint.
        messages: the turns so far.
        settings: `max_tokens`, `temperature`, `top_p`, `seed`, as far as they are given.
        detail: of pictures (`high`, `low`, `auto`, `original`), where the wire has it.
        extra: merged into the body last, objects into objects.
        stream: ask for a stream of events.
        logprobs: ask for so many log-probabilities a token, where the wire has them.
    """

    model: str
    messages: Sequence[Message]
    settings: Mapping[str, Any] = field(default_factory=dict)
    detail: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    logprobs: int = 0


class Wire(Protocol):
    """One kind of endpoint. Pure functions: the client owns the connection, the key and the retries."""

    name: str

    def path(self, model: str, stream: bool) -> str:
        """Where a request goes, after the base URL."""

    def headers(self, secret: str) -> dict[str, str]:
        """The key in its header, and what else every request must carry."""

    def body(self, request: Request) -> dict[str, Any]:
        """The request's JSON; pictures are `messages.Shown`."""

    def read(self, document: Mapping[str, Any]) -> Answer:
        """The reply in an answer's document.

        Raises:
            Again: the document has not the right shape, or is empty.
            CutOff: the reply was ended by the token limit.
            Overflow: by the context.
            RefusalError: the model or a filter declined.
            ReplyError: the endpoint itself says that the model's call is malformed.
        """

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """The tokens that an answer's document says were used."""

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """A stream's events as one document.

        Raises:
            sse.Broken: the end is missing.
        """


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A body with more put into it: objects go into objects, everything else replaces."""
    out = dict(base)
    for name, value in extra.items():
        old = out.get(name)
        out[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
