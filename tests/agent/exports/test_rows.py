"""A run as a data set of Hugging Face, read by `datasets`."""

import json
from pathlib import Path

import datasets
import pytest

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import export

from ..staged_runs import episode, run


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    made = run(tmp_path / "run", planned=2)
    episode(made, "suite/a", 0.5)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    return made


def test_each_step_is_a_row_with_a_picture(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "hf")
    steps = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert isinstance(steps.features["image"], datasets.Image)
    assert steps["episode"][:] == ["suite/a/1"] * 2 + ["suite/b/1"] * 2
    assert steps["score"][:] == [0.5, 0.5, None, None]
    row = steps[0]
    assert (row["image"].size, row["image"].format, row["reply"]) == ((640, 400), "PNG", "I click.")
    assert json.loads(row["actions"])[0]["x"] == 100


def test_each_episode_is_a_conversation(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "hf", frames=False)
    found = datasets.load_dataset(str(tmp_path / "out"), "episodes", split="train")
    assert found["result"][:] == ["0.5", "env_error"]
    assert found[0]["conversations"] == [
        {"role": "user", "content": "Do suite/a."},
        {"role": "assistant", "content": "I click."},
        {"role": "assistant", "content": "I click."},
    ]
    assert "image" not in datasets.load_dataset(str(tmp_path / "out"), "steps", split="train").features
