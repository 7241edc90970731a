"""What a person sees of a run: counts, mean, rate, time left, cost; a name for its folder."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from deskbench.agent.batch import Progress
from deskbench.agent.cli.run import default_folder, line, run, showing
from deskbench.agent.config import RunConfig

from ..paper import write_suite


def test_the_line_has_counts_mean_rate_time_left_cost_and_what_is_running() -> None:
    progress = Progress(
        total=40, finished=10, running=["s/a", "s/b"], retried=2, cost_usd=1.25, scores=[1.0, 0.0, None],
        began=time.monotonic() - 60,
    )  # fmt: skip
    assert line("vlm", progress) == (
        "vlm: 10/40 | mean 0.500 | 1 unscored, 0.333 with them as 0 | 2 retried | 10.0/min, 3:00 left | $1.250 "
        "| now s/a, s/b"
    )


def test_before_the_first_end_nothing_is_guessed() -> None:
    assert line("null", Progress(total=3, running=["s/a"])) == "null: 0/3 | now s/a"


def test_without_a_terminal_there_is_a_line_for_each_end_and_no_escape_codes() -> None:
    said = io.StringIO()
    with showing(Console(file=said, force_terminal=False, width=60), "null") as show:
        for finished in (0, 0, 1, 1, 2):
            show(Progress(total=2, finished=finished, scores=[1.0] * finished, running=["s/" + "long" * 30]))
    assert len(said.getvalue().splitlines()) == 3
    assert "\x1b" not in said.getvalue()


def test_on_a_terminal_the_line_is_written_over() -> None:
    said = io.StringIO()
    with showing(Console(file=said, force_terminal=True, width=100), "null") as show:
        show(Progress(total=2, finished=1, scores=[1.0]))
    assert "null: 1/2" in said.getvalue()
    assert "\x1b[" in said.getvalue()


def test_two_runs_in_one_second_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = RunConfig(source="suite.json", agent="some.module:MyAgent")
    made = set()
    for _ in range(3):
        folder = default_folder(config)
        folder.mkdir(parents=True)
        made.add(folder)
        assert "-MyAgent-suite" in folder.name
    assert len(made) == 3


def test_markup_in_names_is_shown_as_it_is(tmp_path: Path) -> None:
    said = io.StringIO()
    suite = write_suite(tmp_path / "[bold]suite[/nope]")
    config = RunConfig(source=str(suite), agent="null", provider="fake")
    status = run(config, out=tmp_path / "run[red]", resume=False, as_json=False, say=Console(file=said, width=300))
    assert status == 0
    assert "run[red]" in said.getvalue()
    assert "[bold]suite[/nope]" in said.getvalue()
