"""A run in the form of AgentNet's data."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deskbench.agent.base import Ending
from deskbench.agent.exports.code import NotCode, code_of
from deskbench.agent.exports.export import export
from deskbench.agent.replies.kimi_code import as_source
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.types import (
    Action,
    AskUser,
    Click,
    Done,
    Drag,
    Exec,
    Fail,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    TakeScreenshot,
    Type,
    Wait,
)

from ..staged_runs import episode, run

SIZE = (1279, 801)
ACTIONS: list[Action] = [
    Move(3, 800), Click(x=1278, y=0), Click("right", 1, 5, 6), Click("left", 2, 7, 8), Click("left", 3, 7, 8),
    Click("middle", 1, 640, 400), MouseDown("left", 1, 2), MouseUp("left", 3, 4), Drag(((10, 20), (1000, 700))),
    Scroll(dy=-5, x=4, y=5), Scroll(dx=2, x=4, y=5), Type('a "quoted"\nline\t\\ ü \u2028 \U0001f600'), Key(("enter",)),
    Key(("ctrl", "shift", "s")), KeyDown("shift"), KeyUp("shift"), Wait(2.0),
]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS, ids=repr)
def test_the_source_means_the_same_action(action: Action) -> None:
    """Read as a reply of OpenCUA is read, to the pixel."""
    source = code_of([action], SIZE)
    assert parse_pyautogui(as_source(source), SIZE, family=True) == [action]


def test_an_end_is_written_as_opencua_writes_it() -> None:
    assert code_of([Done()], SIZE) == 'computer.terminate(status="success")'
    assert code_of([TakeScreenshot(), Wait(), Fail("no such menu")], SIZE) == (
        'computer.wait()\ncomputer.terminate(status="failure")'
    )
    assert parse_pyautogui(as_source(code_of([Done("42")], SIZE)), SIZE, family=True) == [Done("42")]
    assert code_of([Click(x=1, y=2, modifiers=("ctrl",))], (100, 100)) == (
        'pyautogui.keyDown("ctrl")\npyautogui.click(x=0.01, y=0.02)\npyautogui.keyUp("ctrl")'
    )


@pytest.mark.parametrize("action", [AskUser("which?"), Exec("bash", "ls")])
def test_what_pyautogui_cannot_say_is_not_written_as_something_else(action: Action) -> None:
    with pytest.raises(NotCode, match="has no word in pyautogui"):
        code_of([action], SIZE)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    made = run(tmp_path / "run", planned=3)
    episode(made, "suite/a", 0.5)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    episode(made, "suite/asks", 1.0)
    change(made, "asks", 1, actions=[{"type": "ask_user", "text": "which?"}])
    change(made, "a", 0, thought="The menu is there.")
    return made


def change(made: Path, task: str, step: int, **values: Any) -> None:
    path = EpisodeFolder(made / "episodes/suite" / task / "1").steps
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[step] |= values
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_an_episode_is_one_line(recorded: Path, tmp_path: Path) -> None:
    done = export(recorded, tmp_path / "out", "agentnet")
    assert done.left_out == ("suite/asks/1: step 1: ask_user has no word in pyautogui",)
    assert (done.scored, done.not_scored) == (1, 1), "only what was written counts"
    a, b = [json.loads(line) for line in (tmp_path / "out/agentnet.jsonl").read_text().splitlines()]
    assert (a["task_id"], a["instruction"]) == ("run/suite/a/1", "Do suite/a.")
    assert [step["value"]["code"] for step in a["traj"]] == [
        "pyautogui.click(x=0.1562, y=0.15)", 'pyautogui.write(message="hi")'
    ]  # fmt: skip
    assert [step["value"].get("thought") for step in a["traj"]] == ["The menu is there.", None]
    assert [step["index"] for step in a["traj"]] == [0, 1]
    seen = [Image.open(tmp_path / "out/images" / step["image"]).size for step in a["traj"]]
    assert seen == [(640, 400)] * 2
    first = json.loads(EpisodeFolder(recorded / "episodes/suite/a/1").steps.read_text().splitlines()[0])
    assert a["traj"][0]["image"] == first["observation"]["frame"] + ".png", "the picture before the action"
    assert (a["task_completed"], a["reason"]) == (False, "because")
    assert not {"task_completed", "score", "reason", "alignment_score"} & set(b), "nothing is invented"
