"""Pointer actions of models: clicks, drags, the wheel."""

from __future__ import annotations

from collections.abc import Sequence

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.vocabulary import POINTS, Handler
from deskbench.envs.actions import nearest
from deskbench.envs.types import (
    Action,
    Click,
    Drag,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    Wait,
)

WAYS = {"up": (0, 1), "down": (0, -1), "left": (-1, 0), "right": (1, 0)}
HELD = ("modifiers", "modifier", "modifier_keys", "hold_keys", "keys", "text")


def at_point(point: tuple[int, int] | None) -> dict[str, int]:
    """The fields x and y of an action, empty if it has no point."""
    return {} if point is None else {"x": point[0], "y": point[1]}


def click(button: str | None = None, count: int | None = None) -> Handler:
    """Click; the function's name fixes button and count, or they are arguments."""
    names = {"left": "left", "right": "right", "middle": "middle", "wheel": "middle", "back": "back",
             "forward": "forward", "primary": "left", "secondary": "right"}  # fmt: skip

    def run(a: Arguments) -> list[Action]:
        given = (a.text("button", "button_type") or "left").lower()
        if given not in names:
            raise a.wrong(f"button is {given[:40]!r}{nearest(given, names)}")
        times = a.number("num_clicks", "clicks", default=1) or 1
        place = at_point(a.point(*POINTS))
        held = a.modifiers(*HELD)
        which = names[given] if button is None else button
        return [Click(which, int(times) if count is None else count, **place, modifiers=held)]

    return run


def move(a: Arguments) -> list[Action]:
    """Move the pointer."""
    point = a.point(*POINTS)
    if point is None:
        raise a.wrong("a point is missing")
    return holding(a.modifiers("keys", "hold_keys", "modifiers"), [Move(*point)])


def holding(held: Sequence[str], actions: list[Action]) -> list[Action]:
    """Actions while holding keys."""
    down: list[Action] = [KeyDown(key) for key in held]
    return [*down, *actions, *(KeyUp(key) for key in reversed(held))]


def mouse_down(a: Arguments) -> list[Action]:
    """Press a button and keep it down."""
    return [MouseDown(a.text("button") or "left", **at_point(a.point(*POINTS)))]


def mouse_up(a: Arguments) -> list[Action]:
    """Release a button."""
    return [MouseUp(a.text("button") or "left", **at_point(a.point(*POINTS)))]


_ENDS = (("end_x", "end_y"), ("destination_x", "destination_y"), ("x2", "y2"), ("to_x", "to_y"))
_STARTS = (("start_x", "start_y"), ("x1", "y1"), ("from_x", "from_y"))
"""Names for the ends of a drag whose two numbers are separate arguments."""
_FIRSTS = ("start_coordinate", "start_coordinates", "start_box", "start_point", "point1", "drag_from_coordinate")
_LASTS = ("coordinate2", "end_box", "end_point", "end_coordinate", "point2", "drop_on_coordinate")
"""Names for the ends of a drag that are points."""


def _either(a: Arguments, names: Sequence[tuple[str, str]]) -> tuple[int, int] | None:
    points = [a.point(xy=pair) for pair in names]
    return next((point for point in points if point is not None), None)


def drag(a: Arguments) -> list[Action]:
    """Drag along a path, between two points, or from the pointer to a point."""
    path = a.path("path")
    if not path:
        end = a.point(*_LASTS, xy=None) or _either(a, _ENDS)
        start = a.point(*_FIRSTS, xy=None) or _either(a, _STARTS)
        other = a.point("coordinate", "coordinates", "point")
        if end is None:
            start, end = start or a.pointer, other
        elif start is None:
            start = other or a.pointer
        if end is None or start is None:
            raise a.wrong("the point to drag to is missing")
        path = (start, end)
    held = a.modifiers(*HELD)
    return [Drag(path, (a.text("button") or "left").lower(), held)]


def long_press(a: Arguments) -> list[Action]:
    """Hold the button down for a while."""
    place = at_point(a.point(*POINTS))
    seconds = a.number("time", "duration", "value", default=1.0)
    return holding(a.modifiers("text"), [MouseDown("left", **place), Wait(seconds), MouseUp()])


def swipe(a: Arguments) -> list[Action]:
    """Swipe like a finger: a drag between two points, or the wheel in the opposite direction."""
    way = (a.text("direction") or "").strip().lower()
    if way not in WAYS:
        return drag(a)
    dx, dy = WAYS[way]
    point = a.point(*POINTS)
    return [Scroll(-5 * dx, -5 * dy, *(point or (None, None)))]
