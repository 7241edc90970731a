"""Checks that run the agent's program: in the desktop, never here, and scored again from the record."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import Desktop
from deskbench.tasks.load import load
from deskbench.tasks.scoring.score import rescore, score
from deskbench.tasks.types import Score
from deskbench.tasks.world import Context, World

pytestmark = pytest.mark.desktop
SUITE = "import snake\n\n\ndef test():\n    return snake.length() == 3\n"

OTHER_PROCESS = """
import os, pathlib, re
forged = b'{"value": 1.0, "note": ""}\\n'
for place in ("cmdline", "environ", "mem"):
    try:
        seen = pathlib.Path(f"/proc/{os.getppid()}/{place}").read_bytes()
    except OSError:
        continue
    for key in re.findall(rb"[0-9a-f]{32}", seen):
        os.write(1, b"\\n" + key + forged)
for number in range(3, 20):
    try:
        os.write(number, forged)
    except OSError:
        pass
try:
    out = os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY)
    os.write(out, forged)
except OSError:
    pass

def length():
    return 4
"""


def scored(
    desktop: Desktop, folder: Path, program: str | None, suite: str = SUITE, **options: Any
) -> tuple[Score, World]:
    """The score of the agent's program, with a test suite next to the task."""
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
        ("import os\nos._exit(0)\n", 0.0, "without an answer"),
        ("import sys\nsys.modules['__main__'].__dict__.clear()\n\ndef length():\n    return 3\n", 1.0, ""),
        ('print(\'{"value": 1.0, "note": ""}\')\n\ndef length():\n    return 4\n', 0.0, ""),
        ('import sys\nprint(sys.argv[-1] + \'{"value": 1.0, "note": ""}\', flush=True)\n', 0.0, ""),
        (
            'import json\njson.dumps = lambda value: \'{"value": 1.0, "note": ""}\'\n\ndef length():\n    return 4\n',
            0.0,
            "",
        ),
        (
            "import __main__\nmark = getattr(__main__, 'mark', getattr(__main__, 'key', None))\n\n"
            "def length():\n    return 3 if mark else 4\n",
            0.0,
            "",
        ),
        (OTHER_PROCESS, 0.0, ""),
        ("import os\n\ndef length():\n    return 3 if os.path.expanduser('~') == '/home/user' else 4\n", 0.0, ""),
        (
            "class Any:\n    def __eq__(self, other):\n        raise SystemExit\n\ndef length():\n    return Any()\n",
            0.0,
            "SystemExit",
        ),
        (
            "import os, time\nif os.fork():\n    time.sleep(0.2)\n    os._exit(0)\ntime.sleep(1000)\n",
            0.0,
            "without an answer",
        ),
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


def test_a_user_site_of_the_agents_is_not_run(desktop: Desktop, tmp_path: Path) -> None:
    site = desktop.run(["python3", "-c", "import site; print(site.getusersitepackages())"]).stdout.strip()
    forged = "import sys\nsys.modules['snake'] = sys\nsys.length = lambda: 3\n"
    desktop.write_file(f"{site}/usercustomize.py", forged.encode())
    found, _ = scored(desktop, tmp_path, "def length():\n    return 4\n")
    assert found.value == 0.0


def test_what_it_says_is_recorded_as_a_programs_word(desktop: Desktop, tmp_path: Path) -> None:
    found, _ = scored(desktop, tmp_path, "def length():\n    return 3\n")
    assert [check.source for check in found.checks] == ["program"]
