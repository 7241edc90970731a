"""Replies that are one JSON object (Holo), or lines of `key:value` between tabs (Step-GUI)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deskbench.agent.replies.calls import Call, Malformed, NoAction, Truncated, excerpt
from deskbench.agent.replies.loose import decode_first

_PAIR = re.compile(r"(\w{1,40})\s*[:：]\s*(.*)", re.DOTALL)
_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)


def parse_object(text: str) -> tuple[list[Call], str]:
    """The call in a JSON object, and the thought beside it.

    `{"thought": ..., "tool_call": {"tool_name": "click", "x": 1, "y": 2}}` of Holo3, or an object that is the call
    itself: `{"action": "click_absolute", "x": 1, "y": 2}` of Holo1.5 and Holo2.

    Raises:
        NoAction: there is no JSON object.
        Malformed: the object is broken, or has no call.
        Truncated: the object has no end.
    """
    value = _object(text)
    call = value.get("tool_call", value.get("action", value) if isinstance(value.get("action"), dict) else value)
    calls = call if isinstance(call, list) else [call]
    thought = "\n".join(str(value[k]) for k in ("note", "thought") if value.get(k))
    return [_call(one) for one in calls], thought


def _object(text: str) -> Mapping[str, Any]:
    fenced = _FENCE.search(text)
    text = fenced[1] if fenced else text
    start = text.find("{")
    if start < 0:
        raise NoAction("the reply holds no JSON object with an action")
    try:
        value, _ = decode_first(text[start:])
    except json.JSONDecodeError as error:
        if error.pos >= len(text[start:].rstrip()) - 1:
            raise Truncated("truncated: the JSON object has no end") from None
        raise Malformed(f"the reply is not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the reply is not JSON: {excerpt(str(error))}") from None
    return value if isinstance(value, dict) else {}


def _call(value: Any) -> Call:
    if isinstance(value, dict):
        for key in ("tool_name", "name", "action", "type"):
            name = value.get(key)
            if isinstance(name, str):
                given = value.get("arguments", value.get("args", value.get("parameters")))
                rest = given if isinstance(given, dict) else {k: v for k, v in value.items() if k != key}
                return Call(name.strip(), {str(k): v for k, v in rest.items()})
    raise Malformed('the JSON object has no call; it needs "tool_call" with "tool_name"')


def parse_pairs(text: str) -> tuple[list[Call], str]:
    """The call in `key:value` fields separated by tabs: explain, `action:CLICK`, `point:500,250`, summary.

    Raises:
        NoAction: there is no field `action`.
    """
    pairs = dict(_pairs(text))
    name = pairs.pop("action", "").strip()
    if not name:
        raise NoAction("the reply has no field action:")
    thought = "\n".join(pairs.pop(key) for key in ("explain", "summary") if pairs.get(key))
    return [Call(name, pairs)], thought


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for field in re.split(r"\t+|\n(?=\w{1,40}\s*[:：])", text):
        found = _PAIR.fullmatch(field.strip())
        if found:
            yield found[1].lower(), found[2].strip()
