"""Every score that a command prints has its interval, its sample and its protocol."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deskbench.agent.cli.demo import Shown, protocols, rows
from deskbench.agent.cli.main import app
from deskbench.agent.statistics.summary import summarize
from deskbench.agent.statistics.words import protocol_line

from ..paper import write_suite
from ..staged_runs import episode

SCORE = r"1\.000 \[0\.51, 1\.00\] \(4 tasks, 8 episodes\)"
PROTOCOL = r"limits 15 steps, 600 s; observation nothing, settled, 1280x800; deskbench \S+ \(\S+\); provider fake"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("scores")
    suite = write_suite(folder / "suite")
    done = call("run", suite, "--agent", "oracle", "--provider", "fake", "--repeats", 2, "--out", folder / "run")
    assert done.exit_code == 0, done.output
    return folder / "run", done


def test_at_the_end_of_a_run(ran: tuple[Path, Result]) -> None:
    lines = ran[1].stderr.splitlines()
    assert any(re.match(r"all +4 +8 +1\.000 +\[0\.51, 1\.00\]$", line) for line in lines)
    assert any(re.match(f"pass@2 {SCORE}, pass\\^2 {SCORE}$", line) for line in lines)
    assert any(re.match(PROTOCOL, line) for line in lines)


def test_when_a_run_is_scored_again(ran: tuple[Path, Result]) -> None:
    lines = call("rescore", ran[0]).stdout.splitlines()
    assert lines[0] == "8 episodes, 0 scores changed"
    assert re.match(f"score {SCORE}$", lines[1]) and re.match(PROTOCOL, lines[2])


def test_after_a_demo(tmp_path: Path) -> None:
    """One line for what is the same for all of its agents, else one for each."""
    one = summarize([episode(tmp_path, "s/a", 1.0)])
    other = summarize([episode(tmp_path, "s/a", 1.0).model_copy(update={"policy": "immediate"})])
    same = Shown(tmp_path, tmp_path, {"null": one, "oracle": one}, 1.0, False)
    assert protocols(same) == [protocol_line(one.protocol)]
    assert next(rows(same))[:5] == ("null", "1", "1", "1.000", "too few tasks for an interval")
    differing = protocols(Shown(tmp_path, tmp_path, {"null": one, "oracle": other}, 1.0, False))
    assert [line.partition(":")[0] for line in differing] == ["null", "oracle"]


def test_a_score_that_changes_is_told_before_and_after(ran: tuple[Path, Result], tmp_path: Path) -> None:
    changed = write_suite(tmp_path / "suite")
    task = changed / "write-0.json"
    task.write_text(task.read_text().replace('"expected": "hello"', '"expected": "other"'))
    lines = call("rescore", ran[0], "--tasks", changed).stdout.splitlines()
    assert re.match(f"score {SCORE} -> 0\\.750 \\[0\\.30, 0\\.95\\] \\(4 tasks, 8 episodes\\)$", lines[-2])
