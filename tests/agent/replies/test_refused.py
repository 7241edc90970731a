"""Calls that a vendor's own code refuses: each is the model's error, in one line that says what to change.

Sources: yutori 0.9.36 (navigator/n2_actions.py), microsoft/fara (agents/fara/fara15_agent.py), THUDM/ComputerRL
(mm_agents/autoglm_v/prompt/grounding_agent.py).
"""

import json
from typing import Any

import pytest

from deskbench.agent.agents.profile import load_profile
from deskbench.agent.replies.calls import Call, Malformed
from deskbench.agent.replies.grammars import read_reply
from deskbench.agent.replies.spaces import Space
from deskbench.envs.types import Action, Exec

from .test_said import actions_of

AT = {"coordinates": [500, 250]}
N2: list[tuple[str, dict[str, Any], str]] = [
    ("left_click", {}, "coordinates is missing"),
    ("left_click", {"coordinates": [500]}, "must be two numbers"),
    ("left_click", {"coordinates": "500, 250"}, "must be a list of numbers"),
    ("left_click", {"coordinates": [0.5, 0.25]}, "whole numbers"),
    ("left_click", {"coordinates": [1200, 250]}, "outside of 0 to 1000"),
    ("left_click", {**AT, "modifier": "enter"}, "must be one of ctrl"),
    ("left_click", {**AT, "modifier": 3}, "list of key names"),
    ("left_click", {**AT, "ref": "e1"}, "unknown argument 'ref'"),
    ("drag", AT, "start_coordinates is missing"),
    ("drag", {"start_coordinates": [1, 1]}, "coordinates is missing"),
    ("scroll", {**AT, "amount": 3}, "direction is missing"),
    ("scroll", {**AT, "direction": "down"}, "amount is missing"),
    ("scroll", {**AT, "direction": "sideways", "amount": 3}, "up, down, left or right"),
    ("scroll", {**AT, "direction": "down", "amount": 0}, "must be 1 to 50"),
    ("scroll", {**AT, "direction": "down", "amount": -3}, "must be 1 to 50"),
    ("scroll", {**AT, "direction": "down", "amount": 51}, "must be 1 to 50"),
    ("scroll", {**AT, "direction": "down", "amount": "much"}, "must be a number"),
    ("type", {}, "text is missing"),
    ("type", {"text": ["a"]}, "must be a string"),
    ("key_press", {"key": " "}, "the keys are missing"),
    ("key_press", {"key": "ctrl+nonsense"}, "unknown key 'nonsense'"),
    ("hold_key", {"key": "ctrl+a", "duration": 1}, "must be one key"),
    ("hold_key", {"key": "a", "duration": -1}, "seconds is -1"),
    ("wait", {"duration": "long"}, "must be a number"),
    ("left_clik", AT, "did you mean 'left_click'"),
    ("bash", {"command": "ls"}, "no code is allowed"),
    ("read", {"file_path": "/x"}, "files are not available"),
]


def batch(*members: Any) -> dict[str, Any]:
    function = {"name": "computer_batch", "arguments": json.dumps({"actions": members})}
    return {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]}


@pytest.mark.parametrize(("name", "arguments", "says"), N2)
def test_n2(name: str, arguments: dict[str, Any], says: str) -> None:
    for member in ({"name": name, "arguments": arguments}, {"action": name, **arguments}):
        with pytest.raises(Malformed) as caught:
            actions_of("yutori-n2", "chat_message", batch({"name": "screenshot"}, member))
        assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("members", [[], ["left_click"], [{}], [{"name": 3}], [None], [{"arguments": AT}]])
def test_n2s_batch_without_actions(members: list[Any]) -> None:
    with pytest.raises(Malformed, match="computer_batch: "):
        actions_of("yutori-n2", "chat_message", batch(*members))


@pytest.mark.parametrize("arguments", ["{}", '{"actions": 3}', '{"actions": "[{"}', '{"actions": [', "[]"])
def test_n2s_batch_that_is_none(arguments: str) -> None:
    function = {"name": "computer_batch", "arguments": arguments}
    with pytest.raises(Malformed, match="computer_batch: "):
        actions_of("yutori-n2", "chat_message", {"tool_calls": [{"id": "c", "function": function}]})


def shelled(**arguments: Any) -> tuple[Action, ...]:
    grammar = load_profile("yutori-n2").reply.grammar
    space = Space("grid", (1920, 1080), (1920, 1080))
    return read_reply("", [Call("bash", arguments, "c")], grammar, space, code_allowed=True).actions


def test_n2s_shell_runs_where_code_is_allowed() -> None:
    assert shelled(command="ls") == (Exec("bash", "ls"),)
    assert shelled(command="ls 'a b'", timeout=5) == (Exec("bash", "timeout 5 bash -c 'ls '\"'\"'a b'\"'\"''"),)
    for wrong in ({"command": " "}, {"command": "ls", "run_in_background": True}, {"command": "ls", "cwd": "/"}, {}):
        with pytest.raises(Malformed, match="bash: "):
            shelled(**wrong)


FARA = [
    ({"action": "left_click", "coordinate": [500]}, "must be two numbers"),
    ({"action": "left_click", "coordinate": [1200, 250]}, "outside of 0 to 1000"),
    ({"action": "mouse_move"}, "a point is missing"),
    ({"action": "left_click_drag"}, "the point to drag to is missing"),
    ({"action": "scroll"}, "pixels, the amount to scroll by, is missing"),
    ({"action": "hscroll", "pixels": "far"}, "must be a number"),
    ({"action": "key"}, "the keys are missing"),
    ({"action": "key", "keys": ["Nonsense"]}, "unknown key 'Nonsense'"),
    ({"action": "type"}, "the text to type is missing"),
    ({"action": "visit_url"}, "the address is missing"),
    ({"action": "wait", "time": -1}, "seconds is -1"),
    ({"action": "terminate"}, "answer is missing"),
    ({"action": "read_page_answer_question", "question": "q?"}, "read the screen"),
    ({"action": "run_command", "command": "ls"}, "unknown action 'run_command'"),
    ({"coordinate": [500, 250]}, 'the argument "action"'),
]


@pytest.mark.parametrize(("arguments", "says"), FARA)
def test_fara(arguments: dict[str, Any], says: str) -> None:
    call = json.dumps({"name": "computer_use", "arguments": arguments})
    with pytest.raises(Malformed) as caught:
        actions_of("fara-1.5", "text", f"So.\n<tool_call>\n{call}\n</tool_call>")
    assert says in str(caught.value) and "\n" not in str(caught.value)


AUTOGLM = {
    "Agent.click()": "coordinate is missing",
    "Agent.click([500])": "must be two numbers",
    "Agent.click([1200, 250])": "outside of 0 to 1000",
    "Agent.click([500, 250], 1, 'thumb')": "button is 'thumb'",
    "Agent.click([500, 250], speed=2)": "unknown argument 'speed'",
    "Agent.type([500, 250])": "the text to type is missing",
    "Agent.drag_and_drop([500, 250])": "drop_on_coordinate is missing",
    "Agent.scroll([500, 250])": "direction is missing",
    "Agent.scroll([500, 250], 'in')": "up, down, left or right",
    "Agent.hotkey(['nonsense'])": "unknown key 'nonsense'",
    "Agent.open_app()": "the program's name is missing",
    "Agent.switch_window('0x1')": "the windows have no numbers here",
    "Agent.exit()": "success is missing",
}


@pytest.mark.parametrize("code", AUTOGLM)
def test_autoglm(code: str) -> None:
    with pytest.raises(Malformed) as caught:
        actions_of("autoglm-v", "text", f"<think>\nSo.\n</think>\n<answer>```python\n{code}\n```</answer>")
    assert AUTOGLM[code] in str(caught.value) and "\n" not in str(caught.value)
