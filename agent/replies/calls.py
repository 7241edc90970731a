"""A model's call before its meaning is known, and the errors that a reply can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.chords import as_list


class NoAction(ReplyError):
    """The reply is complete but has no action."""


class Malformed(ReplyError):
    """The reply has an action that cannot be read or carried out."""


class Truncated(ReplyError):
    """The reply ended inside its reasoning or inside a call."""


@dataclass(frozen=True)
class Call:
    """A name and its arguments, as the model wrote them.

    Attributes:
        name: name of the function; `computer` and similar ones have the action's name in their argument `action`.
        arguments: arguments by name; positional ones are named `0`, `1`, ...
        id: the wire's id for the result, or None for a call written as text.
        problem: why the arguments could not be read, or None.
        extra: fields that the wire needs back with the result.
        raw: the arguments are unchanged, with unresolved escapes.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    problem: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    raw: bool = False


WRAPPERS = frozenset(
    "computer_use computer mobile_use computer_use_tool gui computer_batch computer.computer computer_computer".split()
)
"""Functions with the action's name in an argument `action` (or a list of such objects in `actions`).

Members of Navigator n2's `computer_batch` are `{"name": ..., "arguments": {...}}`, too (yutori 0.9.36,
n2_actions.flatten_batch_member).
"""
_SOMETIMES = frozenset({"computer_action"})
"""Functions that do so only in some servers' schemas."""


def unwrapped(calls: Sequence[Call]) -> list[Call]:
    """Calls by the names of their actions.

    Raises:
        Malformed: a call has no action's name, or its arguments could not be read.
    """
    return [inner for call in calls for inner in _unwrap(call)]


def _unwrap(call: Call) -> list[Call]:
    if call.problem is not None:
        raise Malformed(f"{call.name}: {call.problem}")
    if call.name not in WRAPPERS and not (call.name in _SOMETIMES and {"action", "actions"} & set(call.arguments)):
        return [call]
    arguments = dict(call.arguments)
    many = arguments.pop("actions", None)
    if isinstance(many, str):  # in XML, a list is JSON, and so already without its escapes
        many, call = as_list(many), replace(call, raw=False)
    if not isinstance(many, list):
        return [_named(call, arguments)]
    if not many:
        raise Malformed(f"{call.name}: the list of actions is empty")
    return [_named(call, _flat(item)) for item in many]


def _flat(value: object) -> object:
    """`{"name": ..., "arguments": {...}}` as one object with the name in `action`; any other value stays as it is."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str) or set(value) - {"name", "arguments"}:
        return value
    inner = value.get("arguments")
    return {**(inner if isinstance(inner, Mapping) else {}), "action": value["name"]}


def _named(call: Call, value: object) -> Call:
    name = value.get("action", value.get("type")) if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(name, str):
        raise Malformed(f'{call.name}: the argument "action" with the name of the action is missing')
    rest = {str(k): v for k, v in value.items() if v is not name or k not in ("action", "type")}
    return Call(name.strip(), rest, call.id, extra=call.extra, raw=call.raw)


def excerpt(text: str, most: int = 200) -> str:
    """The beginning of a model's text, on one line, for a message to the model."""
    line = " ".join(text.split())
    return line[:most] + "..." if len(line) > most else line
