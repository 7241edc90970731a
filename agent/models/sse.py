"""Server-sent events, which a proxy or a vendor sends instead of one document (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Broken(Exception):
    """A stream without its end, which does not count at all."""


def is_stream(headers: Mapping[str, str], body: str) -> bool:
    """Whether an answer is a stream of events."""
    if "text/event-stream" in headers.get("content-type", ""):
        return True
    return body.lstrip()[:6] in ("data: ", "event:")


def read_events(body: str) -> list[dict[str, Any]]:
    """The JSON objects of the events in order; the chat wire's `[DONE]` is {"done": True}. Anything else is left out:
    after half an event the end is missing, and the wire notices that.
    """
    events: list[dict[str, Any]] = []
    for block in body.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        data = "\n".join(lines).strip()
        if data == "[DONE]":
            events.append({"done": True})
            continue
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            events.append(value)
    return events
