"""Records the screen with ffmpeg."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.server import commands, identity

RATE = 15
"""Frames per second: enough to follow a person's pace, at half the cost of OSWorld's rate."""
START_SECONDS = 10.0
END_SECONDS = 15.0


class RecordingError(RuntimeError):
    """ffmpeg failed; one line with its error output."""


class Recorder:
    """One recording at a time."""

    def __init__(self, width: int, height: int) -> None:
        self._size = f"{width}x{height}"
        self._process: subprocess.Popen[bytes] | None = None
        self._path = Path()
        self._said: deque[str] = deque(maxlen=20)
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether a recording is in progress."""
        return self._process is not None

    def start(self) -> None:
        """Start, and return when the first frames have been written.

        Raises:
            RecordingError: ffmpeg is missing or ended.
        """
        with self._lock:
            if self._process is not None:
                raise RecordingError("Recording is already in progress.")
            descriptor, name = tempfile.mkstemp(suffix=".mp4", prefix="recording-")
            os.close(descriptor)
            self._path = Path(name)
            try:
                process = subprocess.Popen(
                    self._command(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=commands.clean(),
                    **identity.popen_options(),
                )  # fmt: skip
            except OSError as error:
                raise RecordingError(f"ffmpeg cannot be started: {error.strerror}") from None
            threading.Thread(target=self._drain, args=(process,), daemon=True).start()
            began = wait.until(lambda: process.poll() is not None or self._path.stat().st_size, timeout=START_SECONDS)
            if process.poll() is not None or not began:
                process.kill()
                process.wait()
                self._path.unlink()
                raise RecordingError(f"ffmpeg did not start: {' | '.join(self._said)[-500:]}")
            self._process = process

    def _command(self) -> list[str]:
        # Fragments keep every written part of the video playable, however it ends. They are flushed, because fragments
        # of a still screen would stay in ffmpeg's buffer.
        return [
            commands.system("ffmpeg"), "-y", "-loglevel", "error", "-f", "x11grab", "-draw_mouse", "1",
            "-framerate", str(RATE), "-video_size", self._size, "-i", os.environ.get("DISPLAY", ":0"),
            "-c:v", "libx264", "-preset", "ultrafast",
            "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", str(RATE * 2),
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-movflags", "+frag_keyframe+empty_moov",
            "-flush_packets", "1", str(self._path),
        ]  # fmt: skip

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        for line in process.stderr:
            self._said.append(line.decode("utf-8", "replace").strip())

    def end(self) -> bytes:
        """Stop the recording and return the MP4's bytes.

        Raises:
            RecordingError: no recording is in progress, or nothing was written.
        """
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                raise RecordingError("No recording in progress to stop.")
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            data = self._path.read_bytes()
            self._path.unlink()
            if not data:
                raise RecordingError(f"ffmpeg wrote nothing: {' | '.join(self._said)[-500:]}")
            return data
