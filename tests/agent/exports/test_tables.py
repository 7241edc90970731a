"""A run as two CSV files, read by pandas."""

import sys
from pathlib import Path

import pandas
import pytest

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import FORMATS, export
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN

from ..staged_runs import episode, run


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    made = run(tmp_path / "run", planned=3)
    episode(made, "suite/a", 1.0, reply='=HYPERLINK("http://x")\nsecond, "line"')
    episode(made, "suite/a", 0.5, repeat=1, attempt=2)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    return made


def test_there_is_a_row_for_each_episode_and_each_step(recorded: Path, tmp_path: Path) -> None:
    done = export(recorded, tmp_path / "out", "csv")
    assert (done.scored, done.not_scored) == (2, 1)
    episodes = pandas.read_csv(tmp_path / "out/episodes.csv")
    assert list(zip(episodes["task"], episodes["repeat"], episodes["ending"], strict=True)) == [
        ("a", 1, "done"), ("a", 2, "done"), ("b", 1, "env_error"),
    ]  # fmt: skip
    assert episodes["score"].tolist()[:2] == [1.0, 0.5] and episodes["score"].isna().tolist() == [False, False, True]
    steps = pandas.read_csv(tmp_path / "out/steps.csv", keep_default_na=False)
    assert steps["step"].tolist() == [0, 1] * 3
    assert all((tmp_path / "out" / name).is_file() for name in [*steps["frame_before"], *steps["frame_after"]])


def test_a_text_from_a_model_is_no_formula(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "csv", success_only=True, frames=False)
    steps = pandas.read_csv(tmp_path / "out/steps.csv")
    assert steps["reply"].tolist() == ['\'=HYPERLINK("http://x")\nsecond, "line"'] * 2
    assert not (tmp_path / "out/images").exists()


def test_a_secret_is_not_written(recorded: Path, tmp_path: Path) -> None:
    KNOWN.add("sk-hyperlink-0123456789")
    episode(recorded, "suite/c", 0.0, reply="my key is sk-hyperlink-0123456789")
    for name in ("csv", "agentnet", "osworld", "atif", "otlp"):
        folder = export(recorded, tmp_path / name, name).folder
        texts = [path.read_text() for path in folder.rglob("*.*") if path.is_file() and path.suffix != ".png"]
        assert texts and not any("sk-hyperlink" in text for text in texts)


def test_what_cannot_be_exported_is_told(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'cvs'; did you mean 'csv'"):
        export(recorded, tmp_path / "out", "cvs")
    with pytest.raises(UsageError, match="is not a run folder"):
        export(tmp_path, tmp_path / "out", "csv")
    with pytest.raises(UsageError, match="already exists"):
        export(recorded, recorded, "csv")
    with pytest.raises(UsageError, match="no finished episode with score 1"):
        export(run(tmp_path / "empty", planned=1), tmp_path / "out", "csv", success_only=True)


def test_a_package_that_is_missing_is_named(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, FORMATS["hf"], raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"needs the package pyarrow: pip install 'deskbench\[exports\]'"):
        export(recorded, tmp_path / "out", "hf")
    assert not (tmp_path / "out").exists()
