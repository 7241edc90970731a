"""What the tab key completes: the shell asks `deskbench` itself, by the environment."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.testing

from deskbench.agent.cli.complete import RUN, agents, choices, families, providers, quietly, runs, sources
from deskbench.agent.cli.main import app

from .test_cli import environment


def completed(line: str, folder: Path) -> list[str]:
    """The answer to bash for a line whose last word is not finished."""
    words = line.split(" ")
    environ = {**environment(), "_DESKBENCH_COMPLETE": "complete_bash"}
    environ |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([sys.executable, "-m", "deskbench.agent"], cwd=folder, env=environ, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    return done.stdout.split()


def test_the_shell_completes_tasks_of_the_suite_that_is_named_and_runs(tmp_path: Path) -> None:
    (tmp_path / "runs/20261129-null").mkdir(parents=True)
    assert "editor-write-note" in completed("deskbench run basics --task editor-wr", tmp_path)
    assert completed("deskbench run --resume 2026", tmp_path) == ["20261129-null"]


def test_runs_and_sources_are_completed_below_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/one/episodes").mkdir(parents=True)
    (tmp_path / "runs/latest").symlink_to("one")
    (tmp_path / "basil").mkdir()
    (tmp_path / "basil/task.json").touch()
    (tmp_path / "basil/notes.txt").touch()
    assert runs(None, "") == ["latest", "one"]
    assert runs(None, "latest/e") == ["latest/episodes"]
    assert runs(None, "runs/o") == ["runs/one/"]
    assert sources(None, "bas") == ["basics", "basil/"]
    assert sources(None, "basil/") == ["basil/task.json"]


def takes_a_run(command: Any, path: str = "") -> Iterator[str]:
    """The arguments and options that take a run by its short name, with their commands."""
    for parameter in command.params:
        if parameter.metavar == RUN["metavar"]:
            yield f"{path} {parameter.name}".strip()
    for name, below in getattr(command, "commands", {}).items():
        yield from takes_a_run(below, f"{path} {name}")


def test_every_command_that_wants_a_run_takes_its_short_name() -> None:
    assert set(takes_a_run(typer.main.get_command(app))) == {
        "run resume", "run reuse", "report folders", "view folders", "replay folder", "rescore folder", "export run",
        "compare runs", "compare-policies run", "models experts run", "tasks mutate run", "runs show run",
        "runs clean runs",
    }  # fmt: skip


def test_names_are_completed() -> None:
    assert agents(None, "orac") == ["oracle"]
    assert providers(None, "fa") == ["fake"]
    assert "kimi-vl" in families(None, "kimi")


def test_a_fault_completes_nothing() -> None:
    assert quietly(lambda ctx, incomplete: [str(1 // 0)])(None, "") == []
    assert choices("zero", "unscored")(None, "z") == ["zero"]


def test_the_completion_can_be_installed() -> None:
    shown = typer.testing.CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert "--install-completion" in shown.stdout
