"""What a program's call means: the names of Anthropic's computer tool, and three tools to end and to ask."""

from typing import Any

import pytest

from deskbench.agent.programs.tools import ACTIONS, TOOLS, read_call
from deskbench.agent.prompting.scaling import Scale
from deskbench.envs.errors import ReplyError
from deskbench.envs.types import (
    Action,
    AskUser,
    Click,
    CursorPosition,
    Done,
    Drag,
    Fail,
    Key,
    MouseDown,
    Move,
    Scroll,
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
)

SAME = Scale((1280, 800), (1280, 800))
HALF = Scale((2560, 1600), (1280, 800))


def read(scale: Scale = SAME, tool: str = "computer", **arguments: Any) -> list[Action]:
    return list(read_call(tool, arguments, scale, (5, 6)))


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ({"action": "screenshot"}, TakeScreenshot()),
        ({"action": "cursor_position"}, CursorPosition()),
        ({"action": "left_click", "coordinate": [10, 20]}, Click(x=10, y=20)),
        ({"action": "left_click"}, Click()),
        ({"action": "left_click", "coordinate": [1, 2], "text": "ctrl"}, Click(x=1, y=2, modifiers=("ctrl",))),
        ({"action": "right_click", "coordinate": [10, 20]}, Click("right", x=10, y=20)),
        ({"action": "double_click", "coordinate": [10, 20]}, Click(count=2, x=10, y=20)),
        ({"action": "mouse_move", "coordinate": [10, 20]}, Move(10, 20)),
        ({"action": "left_mouse_down"}, MouseDown()),
        ({"action": "left_click_drag", "start_coordinate": [1, 2], "coordinate": [3, 4]}, Drag(((1, 2), (3, 4)))),
        ({"action": "type", "text": "a\nb"}, Type("a\nb")),
        ({"action": "key", "text": "ctrl+s"}, Key(("ctrl", "s"))),
        ({"action": "scroll", "coordinate": [1, 2], "scroll_direction": "down", "scroll_amount": 3},
         Scroll(dy=-3, x=1, y=2)),
        ({"action": "wait", "duration": 2}, Wait(2.0)),
        ({"action": "zoom", "region": [0, 0, 40, 30]}, Zoom((0, 0, 40, 30))),
    ],
)  # fmt: skip
def test_the_names_of_anthropics_computer_tool(arguments: dict[str, Any], action: Action) -> None:
    assert read(**arguments) == [action]
    assert arguments["action"] in ACTIONS


@pytest.mark.parametrize(
    ("tool", "arguments", "action"),
    [
        ("done", {}, Done()),
        ("done", {"answer": "42"}, Done("42")),
        ("fail", {"reason": "no such file"}, Fail("no such file")),
        ("ask", {"question": "Which one?"}, AskUser("Which one?")),
    ],
)
def test_a_program_ends_and_asks_with_tools_of_their_own(tool: str, arguments: dict[str, Any], action: Action) -> None:
    assert read(tool=tool, **arguments) == [action]


def test_points_are_pixels_of_the_picture_that_was_sent() -> None:
    assert read(HALF, action="left_click", coordinate=[640, 400]) == [Click(x=1281, y=801)]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("computer", {}, "action"),
        ("computer", {"action": "left_clik", "coordinate": [1, 2]}, "unknown action 'left_clik'; did you mean"),
        ("computer", {"action": "left_click", "coordinate": [5000, 2]}, "outside"),
        ("computer", {"action": "left_click", "coordinate": "here"}, "not a point"),
        ("computer", {"action": "left_click", "coordinate": [1, 2], "force": 1}, "unknown argument 'force'"),
        ("computer", {"action": "key", "text": "hyper+q"}, "hyper"),
        ("computer", {"action": "wait", "duration": 1e9}, ""),
        ("computer", {"action": "run_command", "text": "ls"}, "unknown action"),
        ("bash", {"command": "ls"}, "unknown tool 'bash'; the tools are computer, done, fail, ask"),
    ],
)
def test_a_call_that_means_nothing_is_refused_with_the_reason(tool: str, arguments: Any, told: str) -> None:
    with pytest.raises(ReplyError) as caught:
        read(tool=tool, **arguments)
    assert told in str(caught.value)


def test_arguments_nested_without_end_are_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ReplyError):
        read(action="left_click", coordinate=deep)


def test_every_schema_names_what_it_requires() -> None:
    for tool in TOOLS:
        assert set(tool.schema["required"]) <= set(tool.schema["properties"])
