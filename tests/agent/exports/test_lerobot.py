"""A run as a data set of LeRobot 3.0, read by what its reader reads with: `datasets`, pandas and PyAV.

LeRobot itself is not installed: it needs PyTorch. The steps here are those of its `io_utils` and `dataset_reader`.
"""

import json
import os
from pathlib import Path
from typing import Any

import av
import datasets
import pandas
import pytest

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import export
from deskbench.agent.exports.lerobot import SCREEN
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.errors import UsageError

from ..staged_runs import episode, run


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    made = run(tmp_path / "run", planned=3)
    episode(made, "suite/a", 1.0)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    return made


def features_of(info: dict[str, Any]) -> datasets.Features:
    """The columns that LeRobot expects, by its `get_hf_features_from_features`."""
    found = {}
    for name, one in info["features"].items():
        if one["dtype"] != "video":
            value = datasets.Value(one["dtype"])
            found[name] = value if one["shape"] == [1] else datasets.List(value, length=one["shape"][0])
    return datasets.Features(found)


def test_what_lerobot_reads_is_there(recorded: Path, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", "lerobot")
    out = tmp_path / "out"
    info = json.loads((out / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["splits"]) == ("v3.0", 1, {"train": "0:2"})
    path = out / info["data_path"].format(chunk_index=0, file_index=0)
    data = datasets.Dataset.from_parquet(str(path), features=features_of(info), cache_dir=str(tmp_path / "cache"))
    assert (len(data), data["index"][:], data["frame_index"][:]) == (info["total_frames"], [0, 1, 2, 3], [0, 1, 0, 1])
    assert data["action"][0] == pytest.approx([1, 100 / 640, 60 / 400, 0, 0]) and data["next.done"][:2] == [False, True]
    assert json.loads(data["action_json"][1]) == [{"type": "type", "text": "hi"}]
    tasks = pandas.read_parquet(out / "meta/tasks.parquet")
    assert tasks.index.tolist() == ["Do suite/a.", "Do suite/b."] and tasks["task_index"].tolist() == [0, 1]
    episodes = pandas.read_parquet(out / "meta/episodes/chunk-000/file-000.parquet")
    assert episodes["dataset_to_index"].tolist() == [2, 4] and episodes["score"].isna().tolist() == [False, True]
    stats = json.loads((out / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"]) - {"action_json", "reply"}
    assert all({"min", "max", "mean", "std", "count"} <= set(one) for one in stats.values())
    assert [len(stats[SCREEN]["mean"]), stats[SCREEN]["count"]] == [3, [4]]


def test_the_video_has_a_picture_for_each_step(recorded: Path, tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    export(recorded, tmp_path / "out", "lerobot")
    assert os.sched_getscheduler(0) == before  # an encoder may make root's process a real-time one
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    frames = pandas.read_parquet(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet")
    for _, one in frames.iterrows():
        place = {name: int(one[f"videos/{SCREEN}/{name}"]) for name in ("chunk_index", "file_index")}
        with av.open(str(tmp_path / "out" / info["video_path"].format(video_key=SCREEN, **place))) as film:
            stream = film.streams.video[0]
            shown = list(film.decode(stream))
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 1)
        assert [frame.time for frame in shown] == [0.0, 1.0]
        assert [shown[0].height, shown[0].width, 3] == info["features"][SCREEN]["shape"]
        assert shown[1].to_image().getpixel((400, 300)) == pytest.approx((0x33, 0x44, 0x55), abs=6)


def test_an_episode_with_an_action_that_nobody_knows_is_left_out(recorded: Path, tmp_path: Path) -> None:
    episode(recorded, "suite/c", 1.0)
    steps = EpisodeFolder(recorded / "episodes/suite/c/1").steps
    steps.write_text(steps.read_text().replace('"x":100', '"x":"left"'))
    done = export(recorded, tmp_path / "out", "lerobot", frames=False)
    assert done.left_out == ("suite/c/1: step 0: actions[0]: click.x is 'left'; it must be a whole number",)
    assert (done.scored, done.not_scored) == (1, 1)


def test_an_episode_without_a_picture_is_left_out(recorded: Path, tmp_path: Path) -> None:
    episode(recorded, "suite/c", 1.0)
    for path in EpisodeFolder(recorded / "episodes/suite/c/1").frames.iterdir():
        path.unlink()
    done = export(recorded, tmp_path / "out", "lerobot")
    assert done.left_out == ("suite/c/1: step 0 has no picture",)
    export(recorded, tmp_path / "bare", "lerobot", frames=False)
    info = json.loads((tmp_path / "bare/meta/info.json").read_text())
    assert (info["total_episodes"], info["video_path"], SCREEN in info["features"]) == (3, None, False)
    for path in EpisodeFolder(recorded / "episodes/suite/a/1").frames.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="no episode can be written: suite/a/1: step 0"):
        export(recorded, tmp_path / "none", "lerobot", success_only=True)
