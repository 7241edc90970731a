"""Logs of inspect as runs. data/inspect-log.json is a log that inspect_ai 0.3.285 wrote of two calls of a tool
`computer` by its mock model, without its events and its plan.
"""

import json
import subprocess
import sys
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


ZSTANDARD = """
import json, sys, zipfile, zipfile_zstd
log = json.loads(open(sys.argv[1]).read())
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_ZSTANDARD) as made:
    made.writestr("header.json", json.dumps({**log, "samples": None}))
    for sample in log["samples"]:
        made.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
"""
"""Packs a log as inspect does. It runs in a process of its own, because the import changes the module zipfile."""


def test_a_log_with_zstandard_is_read_and_a_false_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    subprocess.run([sys.executable, "-c", ZSTANDARD, LOG, path], check=True)
    with zipfile.ZipFile(path) as made:
        assert {one.compress_type for one in made.infolist()} == {93}
        size = made.getinfo("header.json").file_size
    done = import_any(path, tmp_path / "run")
    assert (done.planned, done.scored, done.problems) == (1, 1, ())
    data = path.read_bytes()
    for false in (size - 1, size + 1):
        path.write_bytes(data.replace(size.to_bytes(4, "little"), false.to_bytes(4, "little")))
        with pytest.raises(UsageError, match=r"header\.json is not what its header says"):
            import_any(path, tmp_path / "none")
    path.write_bytes(data.replace(b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfe"))  # the mark of a frame
    with pytest.raises(UsageError, match=r"header\.json cannot be unpacked"):
        import_any(path, tmp_path / "none")


def test_a_log_that_is_packed_in_another_way_is_refused(log: dict[str, Any], tmp_path: Path) -> None:
    path = packed(log, tmp_path / "a.eval", zipfile.ZIP_BZIP2)
    with pytest.raises(UsageError, match=r"in a way that is not read \(method 12\)"):
        import_any(path, tmp_path / "run")
    path.write_bytes(b"no zip")
    with pytest.raises(UsageError, match="not a zip file"):
        import_any(path, tmp_path / "run")
