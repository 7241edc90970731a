"""What a person sees of a run: a name for its folder, and names as they are."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from deskbench.agent.cli.run import default_folder, run
from deskbench.agent.config import RunConfig

from ..paper import write_suite


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
