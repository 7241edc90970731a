"""The desktop of Windows as the server has it: the same parts as on X, composed."""

from __future__ import annotations

import platform
import time

from deskbench.envs import wait
from deskbench.envs.server import commands
from deskbench.envs.server.desk import HISTORY
from deskbench.envs.server.recording import RecordingError
from deskbench.envs.server.settle import MAXIMUM, REACTION, Settling
from deskbench.envs.server.win32.accessibility import Accessibility
from deskbench.envs.server.win32.activity import Activity
from deskbench.envs.server.win32.capture import Screen
from deskbench.envs.server.win32.input import Input
from deskbench.envs.server.win32.windows import Windows
from deskbench.envs.wire import PROTOCOL, Health

POLL = 0.04
"""Seconds between two pictures while settling: nothing tells of changes here."""
NO_FILM = "the screen of Windows is not filmed"
NO_TERMINAL = "the text of a console is not read"


class Desk:
    """One Windows session."""

    patience = 1.0

    def __init__(self) -> None:
        self.screen = Screen()
        self.input = Input(self.screen.width, self.screen.height)
        self.windows = Windows()
        self.activity = Activity(self.windows)
        self.recorder = _NoRecorder()
        self._accessibility = Accessibility(self.windows)

    def begin_settling(self, *, launching: bool = False) -> Settling:
        """Note how things are before actions; hand the result to `settle` after them."""
        self.screen.look()
        now = time.monotonic()
        history = self.screen.since(now - HISTORY)
        return Settling(began=now, start=now, before=self.activity.sample(), history=history, launching=launching)

    def look_back(self) -> Settling:
        """For looking without acting: a screen that has been quiet for a moment already is settled at once."""
        settling = self.begin_settling()
        settling.began = settling.start = settling.began - REACTION
        return settling

    def settle(self, settling: Settling, maximum: float | None = None) -> bool:
        """Wait until the screen has reacted and gone quiet; False when the maximum passed first (seconds)."""
        settling.maximum = MAXIMUM if maximum is None else maximum
        while True:
            self.screen.look()
            verdict = settling.verdict(self.activity.sample(), self.screen.since(settling.began))
            if verdict is not None:
                return verdict
            wait.sleep(POLL)

    def tree(self, timeout: float, problems: list[str]) -> tuple[str | None, bool]:
        """The accessibility tree and whether it is whole."""
        return self._accessibility.tree(timeout)

    def terminal(self, problems: list[str]) -> str | None:
        """There is none; said in `problems`."""
        problems.append(f"terminal: {NO_TERMINAL}")
        return None

    def run_source(self, lang: str, source: str, timeout: float) -> str:
        """Run source text in the session; its output, with the exit status when that is not 0."""
        done = commands.run_source(lang, source, timeout)
        text = done.stdout + done.stderr
        return text if done.returncode == 0 else f"{text}\n[exit status {done.returncode}]"

    def health(self) -> Health:
        """What works here."""
        features = dict.fromkeys(("screenshot", "input", "settle", "accessibility", "exec"), "")
        missing = {"terminal": NO_TERMINAL, "recording": NO_FILM, "clipboard": "is not read"}
        versions = {"python": platform.python_version(), "png": self.screen.compressor, "windows": platform.version()}
        size = (self.screen.width, self.screen.height)
        return Health("deskbench", PROTOCOL, platform.system(), size, {**features, **missing}, versions)


class _NoRecorder:
    """Answers as a recorder does that cannot film."""

    running = False

    def start(self) -> None:
        """Refuse.

        Raises:
            RecordingError: always.
        """
        raise RecordingError(NO_FILM)

    def end(self) -> bytes:
        """Refuse, in the words that OSWorld's clients know.

        Raises:
            RecordingError: always.
        """
        raise RecordingError("No recording in progress to stop.")
