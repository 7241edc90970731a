"""The turns of a conversation with a model, independent of the wire: texts, pictures and results of calls.

Pictures keep the name of the frame they were made from, so that a record can refer to the frame instead of copying it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

LEFT_OUT = "[left out to make room]"
CHARS_PER_TOKEN = 4
"""English text has about four characters per token (OpenAI's help page on counting tokens)."""
PIXELS_PER_TOKEN = 750
"""A picture costs about width x height / 750 tokens (Anthropic's vision guide); others are in the same range."""


@dataclass(frozen=True)
class Text:
    """A text; if `droppable`, it may be left out of an older turn to make room (a tree, a terminal)."""

    text: str
    droppable: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG for the model.

    Attributes:
        png: the bytes.
        sha256: hash of the recorded frame that the picture was made from, in hex.
        width, height: size of the picture in pixels.
        note: how the frame was changed (`marks`, `region ...`), or None.
    """

    png: bytes
    sha256: str
    width: int
    height: int
    note: str | None = None

    @property
    def base64(self) -> str:
        """The bytes in base64, for JSON."""
        return base64.b64encode(self.png).decode("ascii")

    @property
    def record(self) -> dict[str, Any]:
        """The object that replaces the picture in a record."""
        record = {"image": self.sha256, "width": self.width, "height": self.height}
        return {**record, "note": self.note} if self.note else record


@dataclass(frozen=True)
class Result:
    """The result of one of the model's native calls.

    Attributes:
        call_id, name: id and name of the call.
        parts: texts and pictures for the model.
        ok: False if the call could not be carried out.
        extra: other fields that the wire needs back (a toolset's name, acknowledged safety checks).
        inside: chat completions put its pictures into the tool's turn.
    """

    call_id: str
    name: str
    parts: tuple[Text | Picture, ...]
    ok: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    inside: bool = False


@dataclass(frozen=True)
class Native:
    """An assistant's turn from the endpoint, sent back unchanged because parts of it are signed or encrypted.

    `response_id` is the endpoint's own name for the stored turn, or None.
    """

    content: Any
    response_id: str | None = None


Part = Text | Picture | Result | Native


@dataclass(frozen=True)
class Message:
    """One turn: `system`, `user`, `assistant`, or `tool` (an observation as a tool's answer)."""

    role: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: str, *parts: str | Part) -> Message:
        """Make a turn from parts; plain strings become texts that are never dropped."""
        return cls(role, tuple(Text(p) if isinstance(p, str) else p for p in parts))


class Shown(dict[str, Any]):
    """A picture in a wire's shape; `recorded` replaces it with the picture's name."""

    def __init__(self, picture: Picture, shape: Mapping[str, Any]) -> None:
        super().__init__(shape)
        self.picture = picture


def recorded(body: Any) -> Any:
    """A request's body for the record, with {"image": sha256, "width", "height"} for each picture."""
    if isinstance(body, Shown):
        return body.picture.record
    if isinstance(body, Mapping):
        return {name: recorded(value) for name, value in body.items()}
    return [recorded(value) for value in body] if isinstance(body, (list, tuple)) else body


def plain(message: Message) -> str:
    """The texts of a turn, one below the other."""
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))


def shrink(messages: Sequence[Message]) -> list[Message] | None:
    """Leave pictures and droppable texts out of all turns except the last that has any; None if there are none."""
    last = max((i for i, m in enumerate(messages) if any(map(_can_go, m.parts))), default=-1)
    shrunk = [m if i == last else without_pictures(m) for i, m in enumerate(messages)]
    return None if shrunk == list(messages) else shrunk


def without_pictures(message: Message, placeholder: str = LEFT_OUT) -> Message:
    """A turn with a text in place of each picture and droppable text."""

    def without(part: Part) -> Part:
        if isinstance(part, Result):
            kept = tuple(Text(placeholder) if _can_go(p) else p for p in part.parts)
            return replace(part, parts=kept)
        return Text(placeholder) if _can_go(part) else part

    return replace(message, parts=tuple(map(without, message.parts)))


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Estimate the number of tokens of the turns, for endpoints that do not count."""
    return sum(_part_tokens(part) for message in messages for part in message.parts)


def text_tokens(text: str) -> int:
    """Estimate the number of tokens of a text: at least one unless it is empty."""
    return -(-len(text) // CHARS_PER_TOKEN)


def _part_tokens(part: Part) -> int:
    if isinstance(part, Text):
        return text_tokens(part.text)
    if isinstance(part, Picture):
        return -(-part.width * part.height // PIXELS_PER_TOKEN)
    if isinstance(part, Result):
        return sum(map(_part_tokens, part.parts))
    return text_tokens(str(part.content))


def _can_go(part: Part) -> bool:
    if isinstance(part, Result):
        return any(map(_can_go, part.parts))
    return isinstance(part, Picture) or (isinstance(part, Text) and part.droppable)


def shapes(parts: Sequence[Part], text: Callable[[str], Any], picture: Callable[[Picture], Any]) -> list[Any]:
    """Texts and pictures in a wire's shape, in order; the wire handles other parts itself."""
    return [text(p.text) if isinstance(p, Text) else picture(p) for p in parts if isinstance(p, (Text, Picture))]
