"""`deskbench tasks check` as a script and a CI job see it: what is printed, what is changed, the exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deskbench.tasks.lint import examples

ROOT = Path(__file__).resolve().parents[3]


def check(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "deskbench.agent", "tasks", "check", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}, capture_output=True, text=True,
        timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("patch", "options", "status"),
    [
        ({}, [], 0),
        ({"oracle": None}, [], 0),
        ({"oracle": None}, ["--strict"], 1),
        ({"oracle": None}, ["--strict", "--ignore", "DB028"], 0),
        ({"oracle": None, "noqa": {"DB028": "a person has solved it"}}, ["--strict"], 0),
        ({"requires": {"apps": ["galculator"]}}, [], 1),
        ({"requires": {"apps": ["galculator"]}}, ["--select", "DB001,DB002"], 0),
        ({"requires": {"apps": ["galculator"]}}, ["--fix"], 0),
    ],
)
def test_the_exit_status_is_1_for_what_was_asked_about(
    tmp_path: Path, patch: dict[str, object], options: list[str], status: int
) -> None:
    examples.write(tmp_path / "suite", patch)
    done = check("suite", *options, folder=tmp_path)
    assert done.returncode == status, done.stdout + done.stderr


def test_formats_are_documents_of_their_own(tmp_path: Path) -> None:
    examples.write(tmp_path / "suite", {"oracle": None})
    as_json = json.loads(check("suite", "--json", folder=tmp_path).stdout)
    assert as_json == json.loads(check("suite", "--format", "json", folder=tmp_path).stdout)
    assert as_json["by_rule"] == {"DB028": 1}
    assert json.loads(check("suite", "--format", "sarif", folder=tmp_path).stdout)["version"] == "2.1.0"
    assert check("suite", "--format", "github", folder=tmp_path).stdout.startswith(
        "::warning file=suite/replace-word.json"
    )


def test_a_rule_is_explained_and_an_unknown_one_is_a_mistake_of_the_command(tmp_path: Path) -> None:
    done = check("--explain", "DB011", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("DB011 (warning): ")
    for words in (["--explain", "DB999"], ["basics", "--select", "XX"]):
        done = check(*words, folder=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "DB001 to DB032" in done.stderr


@pytest.mark.parametrize("suite", ["basics", "windows"])
def test_our_own_suites_are_clean(tmp_path: Path, suite: str) -> None:
    """Whether or not their records are stale (DB028), which every change of a check's code makes them."""
    done = check(suite, "--strict", "--ignore", "DB028", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "no findings" in done.stdout


def test_a_new_task_is_clean(tmp_path: Path) -> None:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "deskbench.agent", "tasks", "new", "mine/first-task.json"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True)
    assert check("mine", "--strict", folder=tmp_path).returncode == 0


def test_a_run_does_not_load_the_rules(tmp_path: Path) -> None:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    program = (
        "import sys, deskbench.agent.cli.main, deskbench.agent.build\n"
        "from deskbench.tasks.load import load\n"
        "load('basics')\n"
        "assert not [name for name in sys.modules if name.startswith('deskbench.tasks.lint')]\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, check=True, timeout=120)
