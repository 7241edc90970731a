"""`deskbench runs`: what is listed, shown again and deleted, as a person and a script see it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer.testing
from typer.testing import Result

from deskbench.agent.cli.main import app
from deskbench.agent.cli.runs import age, size
from deskbench.envs.errors import UsageError

from ..runs.test_index import made
from ..staged_runs import episode

NOW = 2_000_000_000.0


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two complete runs, one interrupted, a folder that is none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    made(folder / "20260101-old-[bold]x", created=1.0)
    made(folder / "20261128-interrupted", "running", created=NOW - 1)
    new = made(folder / "20261129-new", created=NOW, tasks=["s/a", "s/b"])
    episode(new, "s/a", 1.0)
    episode(new, "s/b", 0.0)
    (folder / "notes").mkdir()
    (folder / "latest").symlink_to("20261129-new")
    return folder


def deskbench(words: Sequence[str], answer: str | None = None) -> Result:
    return typer.testing.CliRunner().invoke(app, ["runs", *words], input=answer)


def test_runs_are_listed_the_newest_last_and_what_is_none_is_named(runs: Path) -> None:
    ran = deskbench(["list"])
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "run",
        "20260101-old-[bold]x",
        "20261128-interrupted",
        "20261129-new",
    ]
    assert lines[3].split()[3:] == ["vlm", "basics", "1/2", "1.000", "complete", "5", "kB"]
    assert "interrupted" in lines[2].split()
    assert "notes: no run" in ran.stderr
    found = json.loads(deskbench(["list", "--json"]).stdout)
    assert {one["name"]: one["state"] for one in found}["notes"] == "no run"


def test_without_runs_there_is_a_line_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = deskbench(["list"])
    assert (ran.exit_code, ran.stderr) == (0, "no runs in runs\n")


@pytest.mark.parametrize("name", [(), ("latest",), ("20261129-new",), ("runs/20261129-new",)])
def test_a_run_is_shown_again_from_its_folder(runs: Path, name: tuple[str, ...]) -> None:
    ran = deskbench(["show", *name])
    assert ran.exit_code == 0, ran.stderr
    head, first, second = ran.stdout.splitlines()[:3]
    assert head.startswith("score")
    assert first.split()[:3] == ["0", "b", "done"] and first.endswith("because")
    assert second.split()[:3] == ["1", "a", "done"]
    assert "run runs/20261129-new" in ran.stdout


def test_the_whole_outcome_is_in_json(runs: Path) -> None:
    found = json.loads(deskbench(["show", "--json"]).stdout)
    assert [(one["task"], one["score"], one["ending"], one["reason"]) for one in found["episodes"]] == [
        ("s/a", 1.0, "done", "because"), ("s/b", 0.0, "done", "because"),
        ("s/net", None, "skipped", "needs the network")
    ]  # fmt: skip
    assert (found["skipped"], found["summary"]["scored"]) == (1, 2)


def names(runs: Path) -> set[str]:
    return set(os.listdir(runs)) - {"notes"}


def test_clean_prints_what_it_would_delete_and_asks(runs: Path) -> None:
    before = names(runs)
    ran = deskbench(["clean", "--unfinished"], "y\n")  # no terminal, so that nobody can answer
    assert ran.exit_code == 1
    assert "20261128-interrupted" in ran.stdout and "20261129-new" not in ran.stdout
    assert "use --yes" in ran.stderr and "nothing was deleted" in ran.stderr
    assert names(runs) == before


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (("--unfinished",), {"20261128-interrupted"}),
        (("--older", "30d"), {"20260101-old-[bold]x"}),
        (("--older", "30d", "--unfinished"), set()),
        (("latest",), {"20261129-new", "latest"}),
        (("20261129-new", "20261128-interrupted", "--unfinished"), {"20261128-interrupted"}),
    ],
)
def test_clean_deletes_the_runs_that_every_option_means(runs: Path, words: tuple[str, ...], gone: set[str]) -> None:
    before = names(runs)
    ran = deskbench(["clean", *words, "--yes", "--json"])
    assert ran.exit_code == 0, ran.stderr
    assert set(json.loads(ran.stdout)["deleted"]) == gone - {"latest"}
    assert names(runs) == before - gone
    assert (runs / "notes").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say which runs to delete"),
        (("--older", "soon"), "--older soon: write a number with m, h, d or w"),
        (("notes",), "runs/notes is not a run"),
        ((os.sep,), "is not a run in this folder"),
    ],
)
def test_clean_refuses_what_it_does_not_understand(runs: Path, words: tuple[str, ...], said: str) -> None:
    ran = deskbench(["clean", *words, "--yes"])
    assert isinstance(ran.exception, UsageError)
    assert said in str(ran.exception)


def test_an_age_and_a_size() -> None:
    assert [age(text) for text in ("90m", "1.5h", "30d", "2w")] == [5400, 5400, 2_592_000, 1_209_600]
    assert [size(count) for count in (None, 0, 999, 1000, 1_234_000, 45_600_000_000)] == [
        "-", "0 B", "999 B", "1 kB", "1.23 MB", "45.6 GB"
    ]  # fmt: skip
