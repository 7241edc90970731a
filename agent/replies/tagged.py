"""Calls inside tags: `<tool_call>` with JSON (Qwen and most others) or XML (Qwen3.5, UI-TARS-2, Seed).

Seed's servers add a suffix to every tag (`_never_used_` and a number in hex); a stop sequence may have cut off the
closing tag.
"""

from __future__ import annotations

import re
from typing import Any

from deskbench.agent.replies.calls import Call, Malformed, Truncated, excerpt
from deskbench.agent.replies.loose import decode, decode_first

_SUFFIX = r"(?:_never_used_\w{1,64})?"
_BLOCK = re.compile(
    rf"<(?:\w{{1,20}}:)?tool_call{_SUFFIX}>(?P<inside>.*?)"
    rf"(?P<end></(?:\w{{1,20}}:)?tool_call{_SUFFIX}>|(?=<(?:\w{{1,20}}:)?tool_call{_SUFFIX}>)|\Z)",
    re.DOTALL,
)
_FUNCTION = re.compile(rf"<function{_SUFFIX}=(?P<name>[^<>\n]{{1,200}})>(?P<inside>.*?)"
                       rf"(?P<end></function{_SUFFIX}>|(?=<function{_SUFFIX}=)|\Z)", re.DOTALL)  # fmt: skip
_PARAMETER = re.compile(
    rf"<parameter{_SUFFIX}=(?P<name>[^<>\n]{{1,200}})>(?P<value>.*?)</parameter{_SUFFIX}>", re.DOTALL
)
_MOST = 50
"""Most calls read in one reply."""


def parse_tagged(text: str) -> tuple[list[Call], str]:
    """The calls of a reply without its reasoning, and the prose around them.

    Raises:
        Malformed: the text inside a tag is neither JSON nor functions.
        Truncated: the reply ended inside a call.
    """
    blocks = list(_BLOCK.finditer(text))[:_MOST]
    if not blocks:
        return _functions(text), _FUNCTION.sub("", text).strip()
    calls = [call for block in blocks for call in _block(block["inside"], ended=bool(block["end"]))]
    return calls, _BLOCK.sub("", text).strip()


def _block(inside: str, *, ended: bool) -> list[Call]:
    if _FUNCTION.search(inside):
        return _functions(inside)
    try:
        values = _values(inside)
    except (ValueError, RecursionError) as error:
        if not ended:
            raise Truncated("truncated: the reply ended inside its tool call") from None
        raise Malformed(f"the tool call is not JSON: {excerpt(str(error))}") from None
    return [_call(value) for value in values]


def _values(inside: str) -> list[Any]:
    """The JSON values in a block, in order; code fences around them and surplus brackets are ignored."""
    text = inside.replace("```json", "").replace("```", "").strip()
    values: list[Any] = []
    while text and len(values) < _MOST:
        value, end = decode_first(text)
        values += value if isinstance(value, list) else [value]
        text = text[end:].lstrip(" \t\r\n,}")
    if not values:
        raise ValueError("it is empty")
    return values


def _call(value: Any) -> Call:
    if not isinstance(value, dict):
        raise Malformed('a tool call is a JSON object like {"name": ..., "arguments": {...}}')
    arguments = value.get("arguments", value.get("parameters"))
    name = value.get("name")
    if isinstance(arguments, str):
        try:
            arguments = decode(arguments)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"the arguments of the tool call are not JSON: {excerpt(str(error))}") from None
    if arguments is None and "action" in value:  # only the arguments
        return Call("computer_use", value)
    if not isinstance(name, str) or not isinstance(arguments, (dict, type(None))):
        raise Malformed('a tool call is a JSON object like {"name": ..., "arguments": {...}}')
    return Call(name.strip(), {str(k).strip(): v for k, v in (arguments or {}).items()})


def _functions(text: str) -> list[Call]:
    calls = []
    for found in list(_FUNCTION.finditer(text))[:_MOST]:
        inside = found["inside"]
        given = {p["name"].strip(): _trimmed(p["value"]) for p in _PARAMETER.finditer(inside)}
        left = _PARAMETER.sub("", inside)
        if "<parameter" in left:
            raise Truncated("truncated: the reply ended inside a parameter of its tool call")
        calls.append(Call(found["name"].strip(), given, raw=True))
    return calls


def _trimmed(value: str) -> str:
    """A value without the line ends that the template puts around it."""
    return value.removeprefix("\n").removesuffix("\n")
