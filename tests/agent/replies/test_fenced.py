"""A model's reply becomes a thought and actions, or a ReplyError fit to be shown to the model; never anything else."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.blocks import ActionSpace
from deskbench.agent.replies.fenced import parse_reply
from deskbench.envs.actions import Action, Exec

GOLDEN = json.loads((Path(__file__).parent / "golden" / "replies.json").read_text())
SCREEN = (1280, 800)


@pytest.mark.parametrize("case", GOLDEN, ids=[case["id"] for case in GOLDEN])
def test_golden_replies(case: dict[str, Any]) -> None:
    def parse() -> tuple[str | None, list[Action]]:
        names = {name: tuple(point) for name, point in case.get("names", {}).items()}
        return parse_reply(case["reply"], action_space=case["space"], screen=SCREEN, names=names)

    if "error" in case:
        with pytest.raises(ReplyError, match=case["error"]):
            parse()
        return
    thought, actions = parse()
    assert json.loads(json.dumps([action.to_json() for action in actions])) == case["actions"]
    if "thought" in case:
        assert thought == case["thought"]


def test_code_runs_only_where_it_is_allowed() -> None:
    reply = "```python\nimport os\nos.system('ls')\n```"
    with pytest.raises(ReplyError, match="line 1: the module 'os'"):
        parse_reply(reply, action_space="pyautogui", screen=SCREEN)
    _, [action] = parse_reply(reply, action_space="pyautogui", screen=SCREEN, code_allowed=True)
    assert isinstance(action, Exec)
    assert action.source.endswith("import os\nos.system('ls')")


PIECES = st.sampled_from(
    [
        "```",
        "```python\n",
        "```json\n",
        "\n```\n",
        "<think>",
        "</think>",
        "◁think▷",
        "◁/think▷",
        "DONE",
        "wait",
        "\n",
        "pyautogui.click(",
        "pyautogui.moveTo(",
        "pyautogui.dragTo(",
        "pyautogui.move(",
        "pyautogui.press(",
        ")",
        "(",
        "[",
        "]",
        ", ",
        "-5",
        "1e400",
        "99999",
        "10**10",
        "'a'",
        '"',
        "'",
        "x=",
        "y=",
        "x",
        "=",
        "for i in range(",
        "10): ",
        "1000000000): ",
        "pyautogui.write('a' * ",
        "f'{1:9999999999}'",
        "'%999999999d' % 3",
        "lambda: 0",
        "tag_1",
        "pyautogui.position()",
        "pyautogui.size()",
        "[0]",
        ".width",
        ".__class__",
        "with pyautogui.hold('shift'):\n ",
        '{"action_type": "',
        'CLICK", ',
        'DRAG_TO", ',
        '"x": ',
        '"y": ',
        "}",
        '{"type": "',
        'move", ',
        'zoom", ',
        '"region": ',
        '"path": [[',
        "NaN",
        "Infinity",
        "1" * 5000,
        "-" * 300,
        "(" * 300,
        "[" * 5000,
        "None",
        "True",
        "5",
        "1279",
        "800",
        'click", ',
        ", \n",
        "if 1 == 1.0:\n ",
        "import pyautogui as pg\n",
        "pg.click(",
        "\ud800",
        "\x00",
    ]
)
REPLIES = st.one_of(st.text(max_size=200), st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=25).map("".join))


@settings(max_examples=600, deadline=None)
@given(reply=REPLIES, space=st.sampled_from(["pyautogui", "computer_13", "actions"]), code=st.booleans())
@example(reply="[" * 100_000, space="actions", code=False)
@example(reply='{"action_type": "CLICK", "x": ' + "9" * 400 + ', "y": 1}', space="computer_13", code=False)
@example(reply='{"type": "move", "x": ' + "9" * 400 + ', "y": 1}', space="actions", code=False)
@example(reply='{"type": "move", "x": ' + "9" * 5000 + ', "y": 1}', space="actions", code=False)
@example(reply="pyautogui.click(1e308 * 10, 5)", space="pyautogui", code=False)
@example(reply="pyautogui.click(" + "(" * 5000, space="pyautogui", code=False)
@example(reply="pyautogui.click(" + "-" * 50_000 + "1, 5)", space="pyautogui", code=False)
@example(reply="a = 'x' * 99999\nb = a.replace('x', a)\npyautogui.write(b)", space="pyautogui", code=False)
@example(reply="for i in range(1000000): pyautogui.click(1, 1)", space="pyautogui", code=False)
@example(reply="pyautogui.write(str(10**10**10))", space="pyautogui", code=False)
@example(reply="`" * 100_000, space="pyautogui", code=False)
@example(reply="``` " * 50_000, space="pyautogui", code=False)
@example(reply="```\n" * 50_000, space="pyautogui", code=False)
@example(reply="<think>" * 30_000, space="pyautogui", code=False)
@example(reply="<think></think>" * 20_000, space="pyautogui", code=False)
def test_a_broken_reply_raises_nothing_but_a_reply_error_and_stays_on_the_screen(
    reply: str, space: ActionSpace, code: bool
) -> None:
    try:
        _, actions = parse_reply(reply, action_space=space, screen=SCREEN, names={"tag_1": (5, 6)}, code_allowed=code)
    except ReplyError as error:
        assert str(error)
        assert len(str(error)) < 2000
        return
    assert actions
    assert all(0 <= x < 1280 and 0 <= y < 800 for action in actions for x, y in action.points)
