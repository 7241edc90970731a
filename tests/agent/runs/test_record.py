"""Episodes on disk: whole or not there, each picture once, no secrets, read back even when cut off."""

import io
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deskbench.agent.base import Decision, Ending, Exchange
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import (
    EpisodeReader,
    EpisodeRecord,
    EpisodeWriter,
    ScoreRecord,
    StepRecord,
    read_events,
    write_atomic,
)
from deskbench.envs.errors import StorageError, UsageError
from deskbench.envs.redact import KNOWN
from deskbench.envs.types import ActionResult, Click, Observation, Screenshot, Type


def picture(colour: str = "red", size: tuple[int, int] = (8, 8)) -> Screenshot:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return Screenshot.of(buffer.getvalue())


def seen(colour: str = "red", **changes: Any) -> Observation:
    return Observation(picture(colour), 8, 8, **changes)


def record(**changes: object) -> EpisodeRecord:
    values = {
        "task": "s/t", "task_id": "t", "suite": "s", "instruction": "Do.", "task_sha256": "0", "feasible": True,
        "attempt": 1, "agent": "a", "provider": "fake", "seed": 0, "width": 8, "height": 8, "policy": "settled",
        "started": 0.0, "finished": 1.0, "ending": Ending.DONE, "score": ScoreRecord(value=1.0, reason="passed"),
    }  # fmt: skip
    return EpisodeRecord.model_validate(values | changes)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[EpisodeWriter]:
    made = EpisodeWriter(tmp_path / "episode")
    yield made
    made.close()


def test_what_is_written_is_read_back(writer: EpisodeWriter) -> None:
    note = {"what": "safety_checks", "checks": [{"code": "x"}]}
    exchanges = (Exchange({"q": 1}, "a"),)
    decision = Decision((Click(x=1, y=2), Type("é✓")), reply="I click.", exchanges=exchanges, notes=(note,))
    writer.note("setup", {"step": "launch"})
    writer.step(0, seen("red", results=(ActionResult(True, None, "ok", 3.0),), accessibility="<tree/>"), decision)
    writer.final(seen("blue"))
    writer.finish(record(answer="ja"))
    read = EpisodeReader(writer.folder)
    assert read.episode.answer == "ja"
    (step,) = read.steps()
    assert step.actions == [a.to_json() for a in decision.actions]
    assert step.notes == [note]
    assert step.observation.results == [(True, None, "ok")]
    assert (writer.files / str(step.observation.accessibility)).read_text() == "<tree/>"
    assert read.screenshot(read.frames()[1]) == picture("blue")


def test_a_picture_that_comes_again_is_stored_once(writer: EpisodeWriter) -> None:
    writer.step(0, seen("red"), Decision(()))
    (frame,) = (writer.folder / "frames").iterdir()
    assert frame.stem == picture("red").sha256
    before = frame.stat()
    writer.step(1, seen("red"), Decision(()))
    after = frame.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_the_agent_looks_at_is_there_before_it_has_decided(writer: EpisodeWriter) -> None:
    now = writer.folder / "now.json"
    for colour in ("red", "blue"):
        writer.looks(seen(colour))
        name = json.loads(now.read_text())["frame"]
        assert (name, (writer.folder / f"frames/{name}.png").is_file()) == (picture(colour).sha256, True)
    writer.close()
    assert not now.exists()


def test_a_line_is_with_the_operating_system_when_the_call_returns(writer: EpisodeWriter) -> None:
    writer.step(0, seen(), Decision(()))
    assert (writer.folder / "steps.jsonl").read_bytes().endswith(b"\n")


def test_an_unfinished_episode_has_no_record_but_can_be_looked_at(writer: EpisodeWriter) -> None:
    writer.step(0, seen(), Decision(()))
    with pytest.raises(UsageError, match="no finished episode"):
        EpisodeReader(writer.folder)
    assert [type(event) for event in read_events(EpisodeFolder(writer.folder))] == [StepRecord]


def test_a_line_that_was_cut_off_is_left_out(writer: EpisodeWriter) -> None:
    writer.step(0, seen(), Decision(()))
    writer.step(1, seen(), Decision((Type("x" * 50),)))
    path = writer.folder / "steps.jsonl"
    whole = path.read_bytes()
    for cut, kept in ((0, [0, 1]), (1, [0, 1]), (2, [0]), (20, [0]), (100, [0])):
        path.write_bytes(whole[: len(whole) - cut])
        assert [e.index for e in read_events(EpisodeFolder(writer.folder)) if isinstance(e, StepRecord)] == kept


def test_a_record_of_another_version_is_refused_in_one_line(writer: EpisodeWriter) -> None:
    writer.finish(record())
    path = writer.folder / "episode.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(UsageError, match=r"episode\.json"):
        EpisodeReader(writer.folder)


@pytest.mark.parametrize("time", ["1e300", "-1", "NaN"])
def test_a_time_that_no_clock_has_is_refused(writer: EpisodeWriter, time: str) -> None:
    writer.finish(record())
    path = EpisodeFolder(writer.folder).record
    value = json.loads(path.read_text()) | {"started": json.loads(time)}
    path.write_text(json.dumps(value))
    with pytest.raises(UsageError, match=r"episode\.json: Input should be"):
        EpisodeReader(writer.folder)


def test_secrets_never_reach_the_disk(tmp_path: Path) -> None:
    key = 'sk-"quoted\\key"-0123456789'
    KNOWN.add(key)
    writer = EpisodeWriter(tmp_path / "e")
    exchange = Exchange({"messages": f"the key is {key}"}, None, error=f"401: {key} is wrong")
    writer.step(0, seen(accessibility=f"<t>{key}</t>"), Decision((Type(key),), reply=key, exchanges=(exchange,)))
    writer.note("error", {"traceback": key})
    writer.finish(record(error=f"failed with {key}"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"steps.jsonl", "episode.json"} < {path.name for path in files}
    for path in files:
        data = path.read_text(errors="replace")
        assert key not in data and json.dumps(key)[1:-1] not in data, path


def test_errors_have_no_logins_in_their_urls(writer: EpisodeWriter) -> None:
    said = "cannot fetch https://me:hunter2@example.org/file: 404"
    writer.note("error", {"error": said, "traceback": f"Traceback\n{said}"})
    writer.finish(record(error=said, score=ScoreRecord(value=None, reason=said)))
    for name in ("steps.jsonl", "episode.json"):
        text = (writer.folder / name).read_text()
        assert "example.org/file" in text and "hunter2" not in text


def test_half_a_surrogate_pair_is_written_as_what_can_be_read(writer: EpisodeWriter) -> None:
    half = json.loads('"a \\ud83d b"')
    exchange = Exchange({"messages": [{"text": half}]}, half)
    writer.step(0, seen(accessibility=half, terminal=half), Decision((Type("x"),), reply=half, exchanges=(exchange,)))
    writer.note("what", {half: (half, 1)})
    writer.finish(record(error=half, answer=half))
    read = EpisodeReader(writer.folder)
    assert read.episode.error == "a \ufffd b"
    assert [step.reply for step in read.steps()] == ["a \ufffd b"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        EpisodeWriter(tmp_path / "file" / "episode")


FILL = """
import sys, signal, resource
from pathlib import Path
from deskbench.agent.base import Decision
from deskbench.agent.runs.record import EpisodeWriter
from deskbench.envs.errors import StorageError
from deskbench.envs.types import Observation, Type
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = EpisodeWriter(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
done = 0
try:
    for index in range(1000):
        writer.step(index, Observation(None, 8, 8), Decision((Type("x" * 500),)))
        done += 1
except StorageError as error:
    print(done, error)
"""


def test_a_full_disk_stops_the_run_and_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the kernel refuses in the same places."""
    assert resource.RLIMIT_FSIZE and signal.SIGXFSZ
    ran = subprocess.run([sys.executable, "-c", FILL, str(tmp_path / "e")], capture_output=True, text=True, check=True)
    done, _, message = ran.stdout.partition(" ")
    assert "cannot write" in message and "--resume" in message
    assert int(done) > 1
    assert [e.index for e in read_events(EpisodeFolder(tmp_path / "e")) if isinstance(e, StepRecord)] == list(
        range(int(done))
    )
