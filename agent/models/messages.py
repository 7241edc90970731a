"""What is said to a model, before it has a wire's shape: texts and pictures in turns.

Pictures keep the name of the frame they were made from, so that a record can point at it instead of repeating it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

LEFT_OUT = "[left out to make room]"
CHARS_PER_TOKEN = 4
"""English text has about four characters a token (OpenAI's help page on counting tokens)."""
PIXELS_PER_TOKEN = 750
"""A picture costs about width x height / 750 tokens (Anthropic's vision guide); others are in the same range."""


@dataclass(frozen=True)
class Text:
    """A text; `droppable` when it may be left out of an older turn to make room (a tree, a terminal)."""

    text: str
    droppable: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG as it is sent.

    Attributes:
        png: the bytes.
        sha256: of the recorded frame that it was made from, in hex.
        width, height: as sent, in pixels.
        note: what was done to the frame (`marks`, `region ...`), or None.
    """

    png: bytes
    sha256: str
    width: int
    height: int
    note: str | None = None


@dataclass(frozen=True)
class Message:
    """One turn: `system`, `user` or `assistant`."""

    role: str
    parts: tuple[Text | Picture, ...]

    @classmethod
    def of(cls, role: str, *parts: str | Text | Picture) -> Message:
        """A turn of texts and pictures; plain strings are texts that are never dropped."""
        return cls(role, tuple(Text(p) if isinstance(p, str) else p for p in parts))


def to_wire(messages: Sequence[Message], detail: str | None) -> list[dict[str, Any]]:
    """The `messages` array of chat completions, pictures as data URLs.

    Args:
        messages: the turns.
        detail: `high`, `low`, `auto`, `original`, or None to leave the field out.
    """
    return [{"role": m.role, "content": _content(m, lambda p: _image_url(p, detail))} for m in messages]


def to_record(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The same turns for the record: a picture is {"image": sha256, "width", "height"}."""
    return [{"role": m.role, "content": _content(m, _image_record)} for m in messages]


def shrink(messages: Sequence[Message]) -> list[Message] | None:
    """Leave pictures and droppable texts out of all turns but the last that has any; None when nothing would go."""
    last = max((i for i, m in enumerate(messages) if any(_can_go(p) for p in m.parts)), default=-1)
    shrunk = [m if i == last else replace(m, parts=tuple(map(_without, m.parts))) for i, m in enumerate(messages)]
    return None if shrunk == list(messages) else shrunk


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Roughly how many tokens the turns are, for endpoints that do not say."""
    return sum(_part_tokens(part) for message in messages for part in message.parts)


def text_tokens(text: str) -> int:
    """Roughly how many tokens a text is, at least one when there is any."""
    return -(-len(text) // CHARS_PER_TOKEN)


def _part_tokens(part: Text | Picture) -> int:
    if isinstance(part, Text):
        return text_tokens(part.text)
    return -(-part.width * part.height // PIXELS_PER_TOKEN)


def _can_go(part: Text | Picture) -> bool:
    return isinstance(part, Picture) or part.droppable


def _without(part: Text | Picture) -> Text | Picture:
    return Text(LEFT_OUT) if _can_go(part) else part


def _content(message: Message, picture: Any) -> Any:
    """One text alone is a plain string, as the strictest servers want it."""
    if len(message.parts) == 1 and isinstance(message.parts[0], Text):
        return message.parts[0].text
    return [{"type": "text", "text": p.text} if isinstance(p, Text) else picture(p) for p in message.parts]


def _image_url(picture: Picture, detail: str | None) -> dict[str, Any]:
    url = {"url": "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")}
    return {"type": "image_url", "image_url": {**url, "detail": detail} if detail else url}


def _image_record(picture: Picture) -> dict[str, Any]:
    record = {"image": picture.sha256, "width": picture.width, "height": picture.height}
    return {**record, "note": picture.note} if picture.note else record
