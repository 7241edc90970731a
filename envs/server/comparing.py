"""Desktops that do not report changes: the server takes screenshots and compares them."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from deskbench.envs import wait
from deskbench.envs.server import desk
from deskbench.envs.server.desk import Frame
from deskbench.envs.server.films import Films
from deskbench.envs.server.recording import RecordingError
from deskbench.envs.server.settle import HISTORY, MAXIMUM, Change, Sample, Settling

if TYPE_CHECKING:
    from PIL import Image

POLL = 0.04
"""Seconds between two screenshots while settling."""
REMEMBERED = 500


class Screen(ABC):
    """The screen as pictures; `width` and `height` are in pixels. Safe to use from several threads."""

    compressor = "pillow"
    width: int
    height: int

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[bytes, Frame] | None = None
        self._seen: bytes | None = None
        self._changes: deque[Change] = deque(maxlen=REMEMBERED)

    @abstractmethod
    def cursor(self) -> tuple[int, int]:
        """The pointer's position in pixels."""

    @abstractmethod
    def _grab(self, *, cursor: bool) -> bytes:
        """The current pixels, four bytes each (blue, green, red and one unused), rows from the top."""

    def capture(self) -> Frame:
        """The current screen; the last frame again if nothing has changed."""
        with self._lock:
            pixels = self._grab(cursor=True)
            if self._last is not None and self._last[0] == pixels:
                return self._last[1]
            made = io.BytesIO()
            self._picture(pixels).save(made, "PNG", compress_level=1)
            png = made.getvalue()
            frame = Frame(png, hashlib.sha256(png).hexdigest(), self.cursor())
            self._last = pixels, frame
            return frame

    def look(self) -> None:
        """Note what has changed since the last look."""
        with self._lock:
            pixels = self._grab(cursor=False)
            if self._seen is not None and self._seen != pixels:
                self._changes.append(self._difference(self._seen, pixels))
            self._seen = pixels

    def since(self, moment: float) -> list[Change]:
        """Changes since a moment (monotonic seconds), oldest first."""
        with self._lock:
            return [change for change in self._changes if change.time >= moment]

    def _picture(self, pixels: bytes) -> Image.Image:
        from PIL import Image

        return Image.frombuffer("RGB", (self.width, self.height), pixels, "raw", "BGRX", 0, 1)

    def _difference(self, before: bytes, after: bytes) -> Change:
        from PIL import ImageChops

        box = ImageChops.difference(self._picture(before), self._picture(after)).getbbox()
        left, top, right, bottom = box or (0, 0, 0, 0)
        return Change(time.monotonic(), left, top, right - left, bottom - top)


class Desk(desk.Desk):
    """What these desktops have in common; each platform's class supplies the rest.

    Attributes:
        missing: missing features, with the reason.
    """

    screen: Screen

    def __init__(self, screen: Screen, missing: dict[str, str]) -> None:
        self.missing = missing
        self.screen = screen
        self.films = Films(screen.since)
        self.recorder = NoRecorder(missing["recording"])

    @abstractmethod
    def sample(self, launched_after: Sample | None) -> Sample:
        """The session's current state. Every thread of a program that is not in `launched_after` counts."""

    def begin_settling(self, *, launching: bool = False) -> Settling:
        """Note the state before the actions; pass the result to `settle` after them."""
        self.screen.look()
        now = time.monotonic()
        history = self.screen.since(now - HISTORY)
        return Settling(began=now, start=now, before=self.sample(None), history=history, launching=launching)

    def settle(self, settling: Settling, maximum: float | None = None) -> bool:
        """Wait until the screen has reacted and gone quiet; False if `maximum` (seconds) passed first."""
        settling.maximum = MAXIMUM if maximum is None else maximum
        self.films.add(settling)
        while True:
            self.screen.look()
            sample = self.sample(settling.before if settling.launching else None)
            verdict = settling.verdict(sample, self.screen.since(settling.began))
            if verdict is not None:
                return verdict
            wait.sleep(POLL)

    def terminal(self, problems: list[str]) -> str | None:
        """None; the reason is added to `problems`."""
        problems.append(f"terminal: {self.missing['terminal']}")
        return None

    def features(self) -> dict[str, str]:
        """The features of a desktop, each with the reason why it is missing; empty if it works."""
        return {**dict.fromkeys(("screenshot", "input", "settle", "accessibility", "exec"), ""), **self.missing}


class NoRecorder:
    """A recorder for desktops that cannot record."""

    running = False

    def __init__(self, why: str) -> None:
        self._why = why

    def start(self) -> None:
        """Refuse.

        Raises:
            RecordingError: always.
        """
        raise RecordingError(self._why)

    def end(self) -> bytes:
        """Refuse, in the words that OSWorld's clients know.

        Raises:
            RecordingError: always.
        """
        raise RecordingError("No recording in progress to stop.")
