"""One item of OSWorld's computer_13: its name, its fields, and the allowed values of each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deskbench.agent.base import ReplyError
from deskbench.envs.actions import nearest

POINT = ("x", "y")
_CLICK = (*POINT, "button", "num_clicks", "click_type")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "MOVE_TO": POINT, "CLICK": _CLICK, "MOUSE_DOWN": ("button",), "MOUSE_UP": ("button",), "RIGHT_CLICK": POINT,
    "DOUBLE_CLICK": POINT, "DRAG_TO": POINT, "SCROLL": ("dx", "dy"), "TYPING": ("text",), "PRESS": ("key",),
    "KEY_DOWN": ("key",), "KEY_UP": ("key",), "HOTKEY": ("keys",), "WAIT": (), "FAIL": (), "DONE": (),
}  # fmt: skip
"""The actions with their parameters."""

ALIASES = {
    "MOUSE_MOVE": "MOVE_TO", "MOVE": "MOVE_TO", "TYPE": "TYPING", "TYPE_TEXT": "TYPING", "KEY": "PRESS",
    "KEY_PRESS": "PRESS", "DRAG": "DRAG_TO", "LEFT_CLICK": "CLICK", "HOT_KEY": "HOTKEY",
}  # fmt: skip
_LOW = -1e9
_BUTTONS = ("left", "middle", "right")


def taken_apart(item: object) -> tuple[str, dict[str, Any]]:
    """The name of an action and its parameters."""
    if isinstance(item, str) and item.strip().upper() in ("WAIT", "FAIL", "DONE"):
        return item.strip().upper(), {}
    if not isinstance(item, Mapping):
        raise ReplyError(
            f'an action is a JSON object like {{"action_type": "CLICK", "x": 1, "y": 2}}, not {short(item)}'
        )
    given = item.get("action_type")
    if not isinstance(given, str):
        raise ReplyError(f'the action has no "action_type"{nearest("", FIELDS) if given is None else ""}')
    name = given.strip().upper()
    name = ALIASES.get(name, name)
    if name not in FIELDS:
        raise ReplyError(f"unknown action_type {short(given)}{nearest(name, FIELDS)}")
    nested = item.get("parameters") or {}
    if not isinstance(nested, Mapping):
        raise ReplyError(f"{name}: parameters is {short(nested)}; it is a JSON object")
    fields = {str(k): v for k, v in item.items() if k not in ("action_type", "parameters")} | dict(nested)
    for field in fields:
        if field not in FIELDS[name]:
            raise ReplyError(f"{name}: unknown parameter {short(field)}{nearest(field, FIELDS[name])}")
    return name, fields


def short(value: object) -> str:
    """The model's value, cut to fit into a message."""
    if isinstance(value, int) and abs(value) > 10**20:
        return "a huge number"
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'JSON object'}"
    return repr(value)[:60]


def a_number(name: str, field: str, value: object) -> float:
    """A field that is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _LOW < value < -_LOW:
        raise ReplyError(f"{name}: {field} is {short(value)}; it must be a number")
    return float(value)


def a_button(name: str, value: object) -> str:
    """A field that names a button."""
    if not isinstance(value, str) or value not in _BUTTONS:
        raise ReplyError(f"{name}: button is {short(value)}; it is left, middle or right")
    return str(value)


def a_string(name: str, field: str, value: object) -> str:
    """A field that is a non-empty text."""
    if not isinstance(value, str) or not value:
        raise ReplyError(f"{name}: {field} is {short(value)}; it must be a string")
    return value
