"""A person records a task in a browser: what they did becomes a task that holds."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deskbench.tasks.load import load

from ..browser import Tab, chromium, tab

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
SCREEN = "document.querySelector('#screen canvas')"
ROOT = Path(__file__).resolve().parents[3]
DRAFT = (527, 255)
"""Where the file manager of `tasks new --like files` shows draft.txt on a screen of 1280x800."""


def deskbench(*words: str, folder: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, (str(ROOT / ".typing"), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "deskbench.agent", "tasks", *words], cwd=folder, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def address(process: subprocess.Popen[str]) -> str:
    """The one that a person is told to open."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise AssertionError("".join(said))


def rename(seen: Tab) -> None:
    """What a person does: each thing when the screen shows what the last one did."""
    mouse, keyboard = seen.page.mouse, seen.page.keyboard
    mouse.move(600, 500)
    for act in (
        lambda: mouse.click(*DRAFT), lambda: keyboard.press("F2"), lambda: keyboard.press("Control+a"),
        lambda: keyboard.type("final.txt", delay=30), lambda: keyboard.press("Enter"),
    ):  # fmt: skip
        seen.run(f"window.before = {SCREEN}.toDataURL()")
        act()
        seen.wait(f"window.before !== {SCREEN}.toDataURL()")


def test_work_in_a_browser_becomes_a_task_that_holds(tmp_path: Path) -> None:
    deskbench("new", "my-tasks/start.json", "--like", "files", folder=tmp_path).communicate(timeout=60)
    process = deskbench(
        "record", "my-tasks/rename.json", "--task", "my-tasks/start.json", "--yes",
        "--instruction", "Rename the file draft.txt in the open folder to final.txt.", folder=tmp_path,
    )  # fmt: skip
    url = address(process)
    with chromium() as browser, tab(browser, url) as seen:
        seen.page.set_viewport_size({"width": 1280, "height": 800})
        seen.wait(f"{SCREEN}?.width === 1280 && {SCREEN}.clientWidth === 1280")
        seen.wait(f"{SCREEN}.getContext('2d').getImageData({DRAFT[0]}, {DRAFT[1]}, 1, 1).data[0] > 200")
        rename(seen)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out == "my-tasks/rename.json\n"
    assert "the folder ~/Documents holds final.txt and nothing else" in err
    assert "right  oracle 1: score 1" in err and "right  done : score 0" in err
    written = json.loads((tmp_path / "my-tasks/rename.json").read_text())
    assert written["oracle"] == [
        {"type": "click", "target": {"text": "draft.txt"}},
        {"type": "key", "keys": ["f2"]},
        {"type": "key", "keys": ["ctrl", "a"]},
        {"type": "type", "text": "final.txt"},
        {"type": "key", "keys": ["enter"]},
    ]
    assert written["config"] == json.loads((tmp_path / "my-tasks/start.json").read_text())["config"]
    (task,) = load(tmp_path / "my-tasks/rename.json")
    assert [check.metric for check in task.evaluator.checks] == ["text_equals", "directory_tree"]
    checked = deskbench("check", "my-tasks/rename.json", folder=tmp_path)
    assert "error" not in checked.communicate(timeout=60)[0] and checked.returncode == 0
