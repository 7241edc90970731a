"""Programs of a task's checks: found before the agent acts; if one is missing later, the agent removed it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import CheckError, EnvError, SetupError
from deskbench.envs.providers.fake import FakeProvider
from deskbench.tasks.load import load
from deskbench.tasks.scoring.score import score
from deskbench.tasks.scoring.tools import look, programs
from deskbench.tasks.types import Task
from deskbench.tasks.world import Context, World
from tests.faults.providers import Lacking

CLIPBOARD = {"type": "vm_clipboard"}


def task_of(folder: Path, result: dict[str, Any], func: str = "exact_match") -> Task:
    evaluator = {"func": func, "result": result, "expected": {"type": "rule", "rules": {"expected": ""}}}
    path = folder / "t.json"
    path.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": evaluator}))
    return load(path)[0]


def command(words: object, *, shell: bool = False) -> dict[str, Any]:
    return {"type": "vm_command_line", "command": words, "shell": shell}


@pytest.fixture(scope="module")
def lacking() -> Iterator[Desktop]:
    """A desktop without xclip."""
    provider = Lacking()
    yield provider.start(DesktopSpec())
    provider.close()


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (command(["cat", "/home/user/x"]), ["cat"]),
        (command("cat '/home/user/my file'"), ["cat"]),
        (command(["/usr/bin/python3", "-c", "1"]), ["/usr/bin/python3"]),
        (command("gsettings get a b | grep -c true", shell=True), ["gsettings", "grep"]),
        (command("cat x 2>/dev/null | tr a b > /tmp/c && wc -l /tmp/c", shell=True), ["cat", "tr", "wc"]),
        (command(["/bin/bash", "-c", "ls 'a;b' | wc -l"]), ["/bin/bash", "ls", "wc"]),
        (CLIPBOARD, ["xclip"]),
    ],
)
def test_programs_that_a_check_certainly_runs_are_known(
    tmp_path: Path, result: dict[str, Any], found: list[str]
) -> None:
    assert list(programs(task_of(tmp_path, result))) == found


@pytest.mark.parametrize(
    "result",
    [
        command(["spotify", "--version"]),
        command("spotify --version | cut -c1-3 ; true", shell=True),
        command(["python3", "--version"]),
        command("pactl list || true", shell=True),
        command("[ -f x ] || echo no", shell=True),
        command("export A=b\ngsettings get a b", shell=True),
        command("A=$(pactl list); echo $A", shell=True),
        command("cat 'x", shell=True),
        command("cat 'x"),
        command([]),
        {"type": "vm_file", "path": "/home/user/x"},
    ],
)
def test_programs_that_may_be_the_task_itself_or_be_done_without_are_not(
    tmp_path: Path, result: dict[str, Any]
) -> None:
    assert list(programs(task_of(tmp_path, result))) == []


def test_nothing_is_asked_of_a_desktop_for_a_task_without_commands(tmp_path: Path) -> None:
    provider = FakeProvider()
    desktop = provider.start(DesktopSpec())
    provider.close()  # any request would now fail
    assert look(task_of(tmp_path, {"type": "vm_file_text", "path": "/x"}), desktop) == frozenset()


@pytest.mark.desktop
def test_a_task_whose_check_runs_what_is_missing_cannot_be_scored(tmp_path: Path, lacking: Desktop) -> None:
    for result in (CLIPBOARD, command(["xclip", "-o"]), command("cat /dev/null | xclip -o", shell=True)):
        with pytest.raises(SetupError, match="lacks xclip, which the task's check runs") as told:
            look(task_of(tmp_path, result), lacking)
        assert told.value.permanent


@pytest.mark.desktop
@pytest.mark.parametrize("words", [["spotify", "--version"], ["which", "spotify"], ["xclip", "-version"]])
def test_a_task_to_install_a_program_is_scored_without_it(tmp_path: Path, lacking: Desktop, words: list[str]) -> None:
    task = task_of(tmp_path, command(words))
    assert look(task, lacking) == {words[0]} & {"which"}


@pytest.mark.desktop
def test_a_program_that_an_agent_removes_is_no_fault_of_the_check(tmp_path: Path, lacking: Desktop) -> None:
    """A program that existed when the agent began scores 0. If that is unknown, the check is at fault."""
    task = task_of(tmp_path, CLIPBOARD)
    world = World(lacking, task, tmp_path / "cache", tmp_path / "assets", programs=frozenset({"xclip"}))
    context = Context(lacking, task, tmp_path / "cache", tmp_path / "assets", (1280, 800))
    found = score(task, world, context, said_fail=False)
    assert found.value == 0.0
    assert "xclip, which the check runs, existed when the agent began and is now gone" in found.reason
    world.programs = frozenset()
    with pytest.raises(CheckError, match="lacks a program"):
        score(task, world, context, said_fail=False)


@pytest.mark.desktop
def test_a_program_of_a_step_before_the_check_that_the_agent_removes_is_no_fault_of_the_image(
    tmp_path: Path, lacking: Desktop
) -> None:
    """If it was missing from the start, the image is at fault."""
    path = tmp_path / "t.json"
    evaluator = {
        "func": "exact_match", "result": {"type": "vm_file_text", "path": "/home/user/none"},
        "expected": {"type": "rule", "rules": {"expected": "x"}},
        "postconfig": [{"type": "launch", "parameters": {"command": ["xclip", "-o"]}},
                       {"type": "execute", "parameters": {"command": "cat /dev/null", "shell": True}}],
    }  # fmt: skip
    path.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": evaluator}))
    task = load(path)[0]
    there = look(task, lacking)
    assert there == {"cat"}
    world = World(lacking, task, tmp_path / "cache", tmp_path / "assets", programs=there)
    context = Context(lacking, task, tmp_path / "cache", tmp_path / "assets", (1280, 800))
    with pytest.raises(EnvError, match="xclip"):
        score(task, world, context, said_fail=False)
    world.programs = there | {"xclip"}
    found = score(task, world, context, said_fail=False)
    assert found.value == 0.0
    assert "xclip" in found.reason
