"""OSWorld's computer_13 becomes canonical actions."""

import pytest

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.computer13 import parse_computer13
from deskbench.agent.replies.computer13_values import FIELDS
from deskbench.envs.actions import (
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

SCREEN = (1920, 1080)
AT = {"x": 10, "y": 20}
EVERY = [
    ({"action_type": "MOVE_TO", **AT}, Move(10, 20)),
    ({"action_type": "CLICK"}, Click()),
    ({"action_type": "CLICK", "button": "right", **AT, "num_clicks": 2}, Click("right", 2, 10, 20)),
    ({"action_type": "CLICK", "click_type": "RIGHT", **AT}, Click("right", 1, 10, 20)),
    ({"action_type": "MOUSE_DOWN", "button": "middle"}, MouseDown("middle")),
    ({"action_type": "MOUSE_UP"}, MouseUp()),
    ({"action_type": "RIGHT_CLICK", **AT}, Click("right", 1, 10, 20)),
    ({"action_type": "DOUBLE_CLICK", **AT}, Click("left", 2, 10, 20)),
    ({"action_type": "DRAG_TO", **AT}, Drag(((3, 4), (10, 20)))),
    ({"action_type": "SCROLL", "dx": 1, "dy": -2}, Scroll(1, -2)),
    ({"action_type": "SCROLL", "dy": 5}, Scroll(0, 5)),
    ({"action_type": "TYPING", "text": "a<b é"}, Type("a<b é")),
    ({"action_type": "PRESS", "key": "enter"}, Key(("enter",))),
    ({"action_type": "KEY_DOWN", "key": "ctrl"}, KeyDown("ctrl")),
    ({"action_type": "KEY_UP", "key": "ctrl"}, KeyUp("ctrl")),
    ({"action_type": "HOTKEY", "keys": ["ctrl", "c"]}, Key(("ctrl", "c"))),
    ({"action_type": "WAIT"}, Wait()),
    ({"action_type": "FAIL"}, Fail()),
    ({"action_type": "DONE"}, Done()),
    ("done", Done()),
]


@pytest.mark.parametrize(("value", "action"), EVERY, ids=[str(value) for value, _ in EVERY])
def test_every_action(value: object, action: object) -> None:
    assert parse_computer13(value, SCREEN, pointer=(3, 4)) == [action]
    if isinstance(value, dict):
        nested = {
            "action_type": value["action_type"],
            "parameters": {k: v for k, v in value.items() if k != "action_type"},
        }
        assert parse_computer13(nested, SCREEN, pointer=(3, 4)) == [action]


def test_every_name_of_the_list_is_covered() -> None:
    assert {value["action_type"] for value, _ in EVERY if isinstance(value, dict)} == set(FIELDS)


def test_a_drag_starts_where_the_move_before_it_went() -> None:
    moves = [{"action_type": "MOVE_TO", "x": 1, "y": 2}, {"action_type": "DRAG_TO", "x": 3, "y": 4}]
    assert parse_computer13(moves, SCREEN) == [Drag(((1, 2), (3, 4)))]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"action_type": "CLIK", **AT}, "unknown action_type 'CLIK'; did you mean 'CLICK'"),
        ({"action_type": "CLICK", "xx": 1}, "unknown parameter 'xx'"),
        ({"action_type": "CLICK", "x": 1}, "needs x and y"),
        ({"action_type": "MOVE_TO"}, "needs x and y"),
        ({"action_type": "CLICK", "x": 1920, "y": 0}, "off the screen, which is 1920x1080"),
        ({"action_type": "CLICK", "x": "1", "y": 0}, "x is '1'; it must be a number"),
        ({"action_type": "PRESS", "key": "entr"}, "did you mean 'enter'"),
        ({"action_type": "TYPING"}, "text is None"),
        ({"x": 1}, "no \"action_type\""),
        (7, "an action is a JSON object"),
    ],
)  # fmt: skip
def test_bad_values_are_named(value: object, message: str) -> None:
    with pytest.raises(ReplyError, match=message):
        parse_computer13(value, SCREEN)
