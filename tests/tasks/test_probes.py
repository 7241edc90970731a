"""Checks that run the agent's program: in the desktop, never here, and scored again from what was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import Desktop
from deskbench.tasks.load import load
from deskbench.tasks.score import rescore, score
from deskbench.tasks.types import Score
from deskbench.tasks.world import Context, World

pytestmark = pytest.mark.desktop
SUITE = "import snake\n\n\ndef test():\n    return snake.length() == 3\n"


def scored(
    desktop: Desktop, folder: Path, program: str | None, suite: str = SUITE, **options: Any
) -> tuple[Score, World]:
    """The score of a program that the agent left, by a suite that stands beside the task."""
    (folder / "suite.py").write_text(suite)
    if program is not None:
        desktop.write_file("~/game/snake.py", program.encode())
        desktop.write_file("~/game/helper.py", b"THREE = 3\n")
    paths = ["/home/user/game/snake.py", "/home/user/game/helper.py"]
    evaluator = {
        "func": "check_python_file_by_test_suite", "options": options,
        "result": {"type": "vm_file", "path": paths, "dest": ["snake.py", "helper.py"], "multi": True, "gives": [0, 1]},
        "expected": {"type": "task_file", "path": "suite.py"},
    }  # fmt: skip
    path = folder / "t.json"
    path.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": evaluator}))
    task = load(path)[0]
    world = World(desktop, task, folder / "cache", folder / "assets")
    context = Context(desktop, task, folder / "cache", folder / "assets", (1280, 800))
    found = score(task, world, context, said_fail=False)
    assert rescore(task, world.state, folder / "cache", said_fail=False).value == found.value
    return found, world


@pytest.mark.parametrize(
    ("program", "value", "said"),
    [
        ("import helper\n\ndef length():\n    return helper.THREE\n", 1.0, ""),
        ("def length():\n    return 4\n", 0.0, ""),
        ("def length():\n    raise KeyError('x')\n", 0.0, "KeyError"),
        ("import sys\nsys.exit(0)\n", 0.0, "SystemExit"),
        ("import os\nos._exit(0)\n", 0.0, "no answer"),
        ('print(\'{"value": 1.0, "note": ""}\')\n\ndef length():\n    return 4\n', 0.0, ""),
        ("def length(:\n", 0.0, "SyntaxError"),
        (None, 0.0, "No module named"),
    ],
)
def test_a_program_is_judged_by_what_it_does(
    desktop: Desktop, tmp_path: Path, program: str | None, value: float, said: str
) -> None:
    found, _ = scored(desktop, tmp_path, program)
    assert found.value == value
    assert said in found.reason


def test_it_runs_in_the_desktop_and_leaves_nothing_there(desktop: Desktop, tmp_path: Path) -> None:
    program = "import os\nopen('/tmp/ran', 'w').write(os.getcwd())\n\ndef length():\n    return 3\n"
    found, _ = scored(desktop, tmp_path, program)
    assert found.value == 1.0
    where = desktop.read_file("/tmp/ran").decode()
    assert where.startswith("/tmp/deskbench-") and desktop.run(["ls", where]).returncode != 0
    assert not Path(where).exists()


def test_the_function_may_have_another_name_and_give_a_part(desktop: Desktop, tmp_path: Path) -> None:
    suite = "import snake\n\n\ndef judge():\n    return 0.5\n"
    found, _ = scored(desktop, tmp_path, "x = 1\n", suite, test_function_name="judge")
    assert found.value == 0.5
