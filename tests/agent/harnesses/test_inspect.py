"""inspect_ai: its own computer tool drives a desktop, and its log has our score with the reasons."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.harnesses import require

from ..paper import write_task
from .venvs import python_with

INSPECT = "inspect-ai==0.3.285"
HERE = Path(__file__).parent
Call = tuple[str, dict[str, Any]]


def use(action: str, **arguments: Any) -> Call:
    return "computer", {"action": action, **arguments}


SUBMIT: Call = ("submit", {"answer": "done"})
RENAME = [
    use("screenshot"), use("left_click", coordinate=[700, 500]), use("key", text="ctrl+a"), use("key", text="F2"),
    use("key", text="ctrl+a"), use("type", text="final.txt", press_enter=True), use("cursor_position"),
    use("zoom", region=[0, 0, 100, 50]), use("left_click", coordinate=[5000, 1]), SUBMIT,
]  # fmt: skip


def evaluated(folder: Path, calls: list[Call], **settings: Any) -> dict[str, Any]:
    """The only sample of an evaluation, in another process."""
    program = str(HERE / "inspect_episodes.py")
    command = [str(python_with(INSPECT)), program, str(folder), json.dumps(settings), json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(900)  # the first test on a machine installs inspect_ai
def test_its_own_computer_tool_solves_a_task(tmp_path: Path) -> None:
    told = evaluated(tmp_path / "logs", RENAME, source="basics/files-rename", record=str(tmp_path / "run"))
    score = told["score"]["desktop_score"]
    assert (told["status"], told["error"], score["value"], score["explanation"]) == ("success", None, 1.0, "passed")
    assert [check["metric"] for check in score["metadata"]["checks"]] == ["directory_tree", "text_equals"]
    assert score["metadata"]["ending"] == "done" and Path(score["metadata"]["folder"]).is_dir()
    assert told["tools"][:-3] == [["image"]] * 6 and told["tools"][-3:] == ["X=700,Y=500", ["image"], ""]
    assert told["errors"] == ["left_click: the point (5000, 1) is outside of the screen, which is 1366x768 pixels"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_desktop_that_fails_is_no_score_of_0(tmp_path: Path) -> None:
    task = write_task(tmp_path / "suite", "write")
    settings = {"source": str(task), "provider": "tests.agent.paper:Mortal"}
    told = evaluated(tmp_path / "logs", [use("type", text="poison"), SUBMIT], **settings)
    score = told["score"]["desktop_score"]
    assert (told["unscored"], score["reason"]) == (1, "env_error")
    assert score["explanation"] == "the desktop failed: mortal has been stopped"
    assert told["errors"] == [f"the episode is over ({score['explanation']}): call submit"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_limit_of_steps_ends_the_episode_and_it_is_scored(tmp_path: Path) -> None:
    task = write_task(tmp_path / "suite", "write")
    calls = [use("type", text="hello"), use("key", text="ctrl+s"), use("screenshot"), SUBMIT]
    told = evaluated(tmp_path / "logs", calls, source=str(task), provider="fake", max_steps=2)
    score = told["score"]["desktop_score"]
    assert (score["value"], score["metadata"]["ending"]) == (1.0, "step_limit")
    assert told["errors"] == ["the episode is over (step_limit): call submit"] * 2


def test_a_framework_that_is_missing_is_one_line() -> None:
    with pytest.raises(ImportError) as raised:
        require("a-framework-that-nobody-has", "inspect", (0, 3), (0, 4))
    assert str(raised.value) == "a-framework-that-nobody-has is not installed: pip install 'deskbench[inspect]'"


def test_a_framework_that_is_old_is_one_line(tmp_path: Path) -> None:
    (folder := tmp_path / "inspect_ai-0.3.100.dist-info").mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: inspect-ai\nVersion: 0.3.100\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import deskbench.agent.harnesses.inspect"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = "inspect-ai is version 0.3.100; it must be at least 0.3.285 and below 0.4: pip install 'deskbench[inspect]'"
    assert done.stderr.splitlines()[-1] == f"ImportError: {told}"
