"""OSWorld's action space `computer_13`: turn JSON objects into canonical actions.

It has thirteen actions and WAIT, FAIL, DONE; parameters are flat or under `parameters`. OSWorld's prompts show a few
names that its own list lacks (MOUSE_MOVE, click_type, KEY, TYPE). Models repeat them, so they work here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.chords import split_chord
from deskbench.agent.replies.computer13_values import POINT, a_button, a_number, a_string, short, taken_apart
from deskbench.envs.types import (
    Action,
    ActionError,
    Click,
    Done,
    Drag,
    Fail,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    Type,
    Wait,
)


def parse_computer13(value: object, screen: tuple[int, int], *, pointer: tuple[int, int] = (0, 0)) -> list[Action]:
    """Turn an action object, or a list of them, into canonical actions.

    Args:
        value: decoded JSON: `{"action_type": "CLICK", "x": 1, "y": 2}`, the name of WAIT, FAIL or DONE, or a list.
        screen: width and height in pixels.
        pointer: where the pointer is at the start; a drag begins there.

    Raises:
        ReplyError: an unknown action or parameter (with the nearest known name), a bad value, a point off the screen.
    """
    items = value if isinstance(value, list) else [value]
    reader = _Reader(screen, pointer)
    for item in items:
        reader.read(item)
    return reader.actions


class _Reader:
    def __init__(self, screen: tuple[int, int], pointer: tuple[int, int]) -> None:
        self.actions: list[Action] = []
        self._screen = screen
        self._pointer = pointer

    def read(self, item: object) -> None:
        name, fields = taken_apart(item)
        try:
            _HANDLERS[name](self, name, fields)
        except ActionError as error:
            raise ReplyError(f"{name}: {error}") from None

    def _point(self, name: str, fields: Mapping[str, Any], *, needed: bool = False) -> dict[str, int]:
        """The fields x and y, to which the pointer moves; empty if neither is given."""
        given = {axis: fields[axis] for axis in POINT if fields.get(axis) is not None}
        if not given and not needed:
            return {}
        if len(given) != 2:
            raise ReplyError(f"{name} needs x and y, both numbers")
        x, y = (a_number(name, axis, given[axis]) for axis in POINT)
        width, height = self._screen
        point = round(x), round(y)
        if not (0 <= point[0] < width and 0 <= point[1] < height):
            raise ReplyError(f"{name}: the point ({x:g}, {y:g}) is off the screen, which is {width}x{height} pixels")
        self._pointer = point
        return {"x": point[0], "y": point[1]}

    def _move(self, name: str, fields: Mapping[str, Any]) -> None:
        self.actions.append(Move(**self._point(name, fields, needed=True)))

    def _click(self, name: str, fields: Mapping[str, Any]) -> None:
        button = fields.get("button") or str(fields.get("click_type") or "left").lower()
        count = fields.get("num_clicks", 1)
        if isinstance(count, (bool, list, dict)) or count not in range(1, 11):
            raise ReplyError(f"{name}: num_clicks is {short(count)}; it is 1 to 3")
        place = self._point(name, fields)
        action = Click(a_button(name, button), int(count), place.get("x"), place.get("y"))
        self.actions.append(action)

    def _drag(self, name: str, fields: Mapping[str, Any]) -> None:
        start = self._pointer
        self._point(name, fields, needed=True)
        if self.actions and isinstance(self.actions[-1], Move):
            self.actions.pop()  # the drag itself starts there
        self.actions.append(Drag((start, self._pointer)))

    def _mouse(self, name: str, fields: Mapping[str, Any]) -> None:
        kind = MouseDown if name == "MOUSE_DOWN" else MouseUp
        self.actions.append(kind(a_button(name, fields.get("button") or "left")))

    def _scroll(self, name: str, fields: Mapping[str, Any]) -> None:
        dx, dy = (round(a_number(name, axis, fields.get(axis) or 0)) for axis in ("dx", "dy"))
        self.actions.append(Scroll(dx=dx, dy=dy))

    def _typing(self, name: str, fields: Mapping[str, Any]) -> None:
        self.actions.append(Type(a_string(name, "text", fields.get("text"))))

    def _press(self, name: str, fields: Mapping[str, Any]) -> None:
        key = a_string(name, "key", fields.get("key"))
        kinds: dict[str, Callable[[str], Action]] = {"KEY_DOWN": KeyDown, "KEY_UP": KeyUp}
        self.actions.append(kinds[name](key) if name in kinds else Key((key,)))

    def _hotkey(self, name: str, fields: Mapping[str, Any]) -> None:
        keys = fields.get("keys")
        if isinstance(keys, str):
            keys = split_chord(keys)
        if not isinstance(keys, list):
            raise ReplyError(f"{name}: keys is {short(keys)}; it is a list of key names")
        self.actions.append(Key(tuple(a_string(name, "keys", key) for key in keys)))


_HANDLERS: Mapping[str, Callable[[_Reader, str, Mapping[str, Any]], None]] = {
    "MOVE_TO": _Reader._move, "CLICK": _Reader._click, "DRAG_TO": _Reader._drag, "SCROLL": _Reader._scroll,
    "MOUSE_DOWN": _Reader._mouse, "MOUSE_UP": _Reader._mouse, "TYPING": _Reader._typing, "HOTKEY": _Reader._hotkey,
    "PRESS": _Reader._press, "KEY_DOWN": _Reader._press, "KEY_UP": _Reader._press,
    "RIGHT_CLICK": lambda reader, name, fields: reader._click(name, {**fields, "button": "right"}),
    "DOUBLE_CLICK": lambda reader, name, fields: reader._click(name, {**fields, "num_clicks": 2}),
    "WAIT": lambda reader, _name, _fields: reader.actions.append(Wait()),
    "FAIL": lambda reader, _name, _fields: reader.actions.append(Fail()),
    "DONE": lambda reader, _name, _fields: reader.actions.append(Done()),
}  # fmt: skip
