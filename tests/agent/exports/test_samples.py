"""Logs of inspect as runs. data/inspect-log.json is a log that inspect_ai 0.3.285 wrote of two calls of a tool
`computer` by its mock model, without its events and its plan.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import export
from deskbench.agent.exports.foreign import import_any
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import UsageError

LOG = Path(__file__).parent / "data" / "inspect-log.json"


@pytest.fixture
def log() -> dict[str, Any]:
    return dict(json.loads(LOG.read_text()))


def written(log: dict[str, Any], folder: Path) -> Path:
    (folder / "logs").mkdir()
    (folder / "logs/a.json").write_text(json.dumps(log))
    return folder / "logs"


def packed(log: dict[str, Any], path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("header.json", json.dumps({**log, "samples": None}))
        for sample in log["samples"]:
            made.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
    return path


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_sample_on_a_desktop_becomes_an_episode(as_zip: bool, log: dict[str, Any], tmp_path: Path) -> None:
    source = packed(log, tmp_path / "a.eval") if as_zip else written(log, tmp_path)
    done = import_any(source, tmp_path / "run")
    assert (done.planned, done.scored, done.problems) == (1, 1, ())
    run = RunFolder(tmp_path / "run")
    assert run.manifest()["imported_from"] == str(source)
    (reader,) = run.final()
    found = reader.episode
    assert (found.task, found.instruction, found.ending) == ("desk/a", "Click and type.", Ending.DONE)
    assert (found.score.value, found.score.reason) == (1.0, "sc: looked at the file")
    assert (found.width, found.height, found.answer) == (320, 200, "All done.")
    assert [step.actions for step in reader.steps()] == [
        [{"type": "click", "button": "left", "count": 1, "x": 10, "y": 20}],
        [{"type": "type", "text": "hi"}],
        [{"type": "done", "answer": "All done."}],
    ]
    seen = reader.frames()
    shots = [reader.screenshot(one) for one in seen]
    colours = [None if shot is None else shot.image.convert("RGB").getpixel((5, 5)) for shot in shots]
    assert colours == [None, (255, 0, 0), (0, 0, 255), None]
    assert export(tmp_path / "run", tmp_path / "again", "atif").scored == 1


def test_epochs_are_repeats_and_letters_are_scores(log: dict[str, Any], tmp_path: Path) -> None:
    (first,) = log["samples"]
    values = ["C", "I", {"a": 1}, 7]
    log["samples"] = [
        {**first, "epoch": epoch, "scores": {"sc": {"value": value}}} for epoch, value in enumerate(values, 1)
    ]
    import_any(written(log, tmp_path), tmp_path / "run")
    records = sorted(RunFolder(tmp_path / "run").records(), key=lambda one: one.repeat)
    assert [(one.repeat, one.score.value) for one in records] == [(0, 1.0), (1, 0.0), (2, None), (3, None)]
    assert records[3].score.reason == "the reward is 7; a score is a number from 0 to 1"


@pytest.mark.parametrize(
    ("change", "ending"),
    [({"limit": {"type": "message", "limit": 3}}, Ending.STEP_LIMIT), ({"limit": {"type": "time"}}, Ending.TIME_LIMIT),
     ({"error": {"message": "no sandbox"}, "scores": {}}, Ending.ENV_ERROR)],
)  # fmt: skip
def test_what_ended_a_sample_is_its_ending(
    change: dict[str, Any], ending: Ending, log: dict[str, Any], tmp_path: Path
) -> None:
    log["samples"][0] |= change
    import_any(written(log, tmp_path), tmp_path / "run")
    (found,) = RunFolder(tmp_path / "run").records()
    assert (found.ending, found.answer) == (ending, None)
    assert "error" not in change or found.error == "the sample ended with an error: no sandbox"


def other_tool(sample: dict[str, Any]) -> None:
    sample["messages"][1]["tool_calls"][0]["function"] = "bash"


def no_calls(sample: dict[str, Any]) -> None:
    sample["messages"] = [one for one in sample["messages"] if one["role"] == "user"]


def no_pictures(sample: dict[str, Any]) -> None:
    sample["attachments"] = {}


def far_away(sample: dict[str, Any]) -> None:
    sample["messages"][1]["tool_calls"][0]["arguments"]["coordinate"] = [4000, 1]


def no_messages(sample: dict[str, Any]) -> None:
    del sample["messages"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_tool, "sample 'b' left out: the tool 'bash' acts on no desktop"),
        (no_calls, "it has no call of the tool 'computer'"),
        (no_pictures, "it has no pictures of a screen"),
        (far_away, "is outside of"),
        (no_messages, "messages is missing"),
    ],
)
def test_a_sample_that_lacks_what_a_run_needs_is_left_out_with_the_reason(
    spoil: Callable[[dict[str, Any]], None], said: str, log: dict[str, Any], tmp_path: Path
) -> None:
    other = json.loads(json.dumps(log["samples"][0])) | {"id": "b"}
    spoil(other)
    log["samples"].append(other)
    done = import_any(written(log, tmp_path), tmp_path / "run")
    assert (done.planned, done.scored, len(done.problems)) == (1, 1, 1)
    assert done.problems[0].startswith("a.json: ") and said in done.problems[0]
    log["samples"] = [other]
    (tmp_path / "logs/a.json").write_text(json.dumps(log))
    with pytest.raises(UsageError, match="has no sample that can be imported") as failed:
        import_any(tmp_path / "logs", tmp_path / "none")
    assert said in str(failed.value) and "\n" not in str(failed.value) and not (tmp_path / "none").exists()


def test_a_log_that_cannot_be_unpacked_is_refused_with_a_remedy(log: dict[str, Any], tmp_path: Path) -> None:
    path = packed(log, tmp_path / "a.eval", zipfile.ZIP_STORED)
    data = path.read_bytes()
    zstandard = (93).to_bytes(2, "little")  # APPNOTE.TXT 6.3.10, section 4.4.5
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # the method in each local and central header
        begin = data.find(mark)
        while begin >= 0:
            data = data[: begin + place] + zstandard + data[begin + place + 2 :]
            begin = data.find(mark, begin + 4)
    path.write_bytes(data)
    with pytest.raises(UsageError, match="left out: ") as failed:
        import_any(path, tmp_path / "run")
    assert "inspect log convert --to json" in str(failed.value) or "zstd" in str(failed.value).lower()
    path.write_bytes(b"no zip")
    with pytest.raises(UsageError, match="not a zip file"):
        import_any(path, tmp_path / "run")
