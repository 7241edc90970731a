"""Recordings: a video that plays, even if its recorder was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.server.recording import Recorder, RecordingError

pytestmark = pytest.mark.desktop
PATIENCE = 20.0


@pytest.fixture
def scratch(tmp_path: Path, xvfb: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for recordings, on the test's own display."""
    monkeypatch.setenv("DISPLAY", xvfb.display)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def probe(film: bytes, folder: Path) -> dict[str, Any]:
    """ffprobe's report about the video, after decoding every frame."""
    path = folder / "film.mp4"
    path.write_bytes(film)
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-of", "json", "-show_entries",
         "stream=codec_name,pix_fmt,width,height,nb_read_frames", str(path)],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    found: dict[str, Any] = json.loads(done.stdout)["streams"][0]
    return found


def last_picture(film: Path, folder: Path) -> Image.Image:
    out = folder / "last.png"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(film), "-update", "1", str(out)]
    subprocess.run(command, check=True)
    return Image.open(out).convert("RGB")


def ffmpeg() -> psutil.Process:
    [found] = [child for child in psutil.Process().children() if child.name() == "ffmpeg"]
    return found


def grown(scratch: Path, size: int) -> bool:
    """Wait until the current recording is larger than this."""
    return wait.until(lambda: next(scratch.glob("recording-*")).stat().st_size > size, timeout=PATIENCE) is True


@pytest.mark.slow
def test_a_recording_shows_what_was_on_the_screen(xvfb: Any, scratch: Path) -> None:
    """In the display's size, with the codec that every player has, to the last moment; nothing stays on the disk."""
    recorder = Recorder(1280, 800)
    recorder.start()
    assert recorder.running
    before = next(scratch.glob("recording-*")).stat().st_size
    subprocess.run(["xsetroot", "-solid", "#ff0000"], env=xvfb.environment(), check=True)
    assert grown(scratch, before)
    film = recorder.end()
    assert not recorder.running
    assert list(scratch.glob("recording-*")) == []
    found = probe(film, scratch)
    assert (found["codec_name"], found["pix_fmt"], found["width"], found["height"]) == ("h264", "yuv420p", 1280, 800)
    assert int(found["nb_read_frames"]) >= 2
    red, green, blue = last_picture(scratch / "film.mp4", scratch).getpixel((900, 700))
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.slow
def test_a_killed_recording_is_not_lost(scratch: Path) -> None:
    recorder = Recorder(1280, 800)
    recorder.start()
    assert grown(scratch, next(scratch.glob("recording-*")).stat().st_size)
    ffmpeg().send_signal(signal.SIGKILL)
    assert int(probe(recorder.end(), scratch)["nb_read_frames"]) >= 2


def test_an_odd_screen_can_be_recorded(scratch: Path) -> None:
    """The codec needs even sizes: one black row or column is added."""
    recorder = Recorder(1001, 601)
    recorder.start()
    found = probe(recorder.end(), scratch)
    assert (found["width"], found["height"]) == (1002, 602)


def test_one_recording_at_a_time(scratch: Path) -> None:
    recorder = Recorder(1280, 800)
    with pytest.raises(RecordingError, match="No recording in progress"):
        recorder.end()
    recorder.start()
    with pytest.raises(RecordingError, match="already in progress"):
        recorder.start()
    recorder.end()
    recorder.start()
    recorder.end()


def test_a_display_that_is_not_there_is_said(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987654")
    recorder = Recorder(1280, 800)
    with pytest.raises(RecordingError, match=r"ffmpeg did not start: .*987654"):
        recorder.start()
    assert not recorder.running
    assert os.listdir(scratch) == []
