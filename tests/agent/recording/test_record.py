"""A person records a task in a browser: what they did becomes a task that holds."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deskbench.tasks.load import LIBRARY, load

from ..browser import Tab, chromium, tab

pytestmark = [pytest.mark.desktop, pytest.mark.slow]
SCREEN = "document.querySelector('#screen canvas')"
STARTED: list[subprocess.Popen[str]] = []
DRAFT = (527, 255)
"""Where the file manager of `tasks new --like files` shows draft.txt on a screen of 1280x800."""


def deskbench(*words: str, folder: Path, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("deskbench")), "tasks", *words], cwd=folder, stdin=stdin, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.terminate()


def hear(process: subprocess.Popen[str], pattern: str) -> str:
    """What a person reads on the terminal until something is there that they wait for."""
    assert process.stderr
    said = ""
    while not (found := re.search(pattern, said)):
        readable, _, _ = select.select([process.stderr], [], [], 60)
        part = os.read(process.stderr.fileno(), 4096).decode() if readable else ""
        assert part, said
        said += part
    return found[0]


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


@contextmanager
def screen_of(url: str) -> Iterator[Tab]:
    """A browser that shows the desktop pixel by pixel."""
    with chromium() as browser, tab(browser, url) as seen:
        seen.page.set_viewport_size({"width": 1280, "height": 800})
        seen.wait(f"{SCREEN}?.width === 1280 && {SCREEN}.clientWidth === 1280")
        yield seen


def is_light(seen: Tab, x: int, y: int) -> None:
    """Wait until a pixel is one of a window, not of the background."""
    seen.wait(f"{SCREEN}.getContext('2d').getImageData({x}, {y}, 1, 1).data[0] > 200")


def test_work_in_a_browser_becomes_a_task_that_holds(tmp_path: Path) -> None:
    deskbench("new", "my-tasks/start.json", "--like", "files", folder=tmp_path).communicate(timeout=60)
    process = deskbench(
        "record", "my-tasks/rename.json", "--task", "my-tasks/start.json", "--yes",
        "--instruction", "Rename the file draft.txt in the open folder to final.txt.", folder=tmp_path,
    )  # fmt: skip
    url = hear(process, r"http://\S+(?=\s)")
    with screen_of(url) as seen:
        is_light(seen, *DRAFT)
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


def test_a_person_is_asked_which_checks_to_keep_and_what_an_agent_is_told(tmp_path: Path) -> None:
    terminal, stdin = pty.openpty()
    deskbench("new", "start.json", "--like", "files", folder=tmp_path).communicate(timeout=60)
    process = deskbench("record", "new-name.json", "--task", "start.json", "--no-verify", folder=tmp_path, stdin=stdin)
    with screen_of(hear(process, r"http://\S+(?=\s)")) as seen:
        is_light(seen, *DRAFT)
        rename(seen)
    for answer, then in (
        ("stop", r'~/Documents/final.txt holds "The text.": check this\? \[Y/n\]'),
        ("n", r"holds final.txt and nothing else: check this\? \[Y/n\]"),
        ("y", r"What should the agent do\? \[Make sure that the folder ~/Documents holds final.txt"),
        ("Rename draft.txt to final.txt.", r"task new-name\.json"),
    ):
        os.write(terminal, answer.encode() + b"\n")
        hear(process, then)
    assert process.wait(timeout=60) == 0
    (task,) = load(tmp_path / "new-name.json")
    assert task.instruction == "Rename draft.txt to final.txt."
    assert [check.metric for check in task.evaluator.checks] == ["directory_tree"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.json"], "--yes keeps all"),
        (["A_b.json", "--yes"], "A_b.json: a task file's name is its id"),
        (["there.json", "--yes"], "there.json is there already"),
        (["a.json", "--yes", "--task", "basics", "--launch", "mousepad"], "leave out --launch or --task"),
        (["a.json", "--yes", "--task", "basics"], "name one of them"),
        (["a.json", "--yes", "--task", str(LIBRARY / "basics/form-order.json")], "uses files in its folder"),
        (["a.json", "--yes", "--launch", "'mousepad"], "No closing quotation"),
    ],
)
def test_what_cannot_be_recorded_is_said_in_a_line(words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("{}")
    process = deskbench("record", *words, folder=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert said in err and "Traceback" not in err
