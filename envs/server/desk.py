"""What the server's routes need from a desktop; each platform has its own class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from deskbench.envs.actions import Action
from deskbench.envs.server import commands
from deskbench.envs.server.films import Films
from deskbench.envs.server.http.exchange import Watch
from deskbench.envs.server.settle import REACTION, Settling
from deskbench.envs.wire import Health


@dataclass(frozen=True)
class Frame:
    """One captured screen.

    Attributes:
        png: the PNG file.
        sha256: the PNG's SHA-256 in hex; it is the frame's name.
        cursor: the pointer's position in pixels.
    """

    png: bytes
    sha256: str
    cursor: tuple[int, int]


class Screen(Protocol):
    """The screen as pictures; `width` and `height` are in pixels. Safe to use from several threads."""

    width: int
    height: int

    def capture(self) -> Frame:
        """The current screen; the last frame again if nothing has changed."""

    def cursor(self) -> tuple[int, int]:
        """The pointer's position in pixels."""


class Input(Protocol):
    """Carries out canonical actions."""

    def perform(self, action: Action) -> str | None:
        """Carry out one action; return its output, or None."""

    def release_all(self) -> None:
        """Release every key and button that is held."""


class Windows(Protocol):
    """Top-level windows. A name is a title, an id or, with `by_class`, a window class; with `strict` it must match
    fully.
    """

    def listing(self) -> list[dict[str, Any]]:
        """Every window, in the form that the wire uses."""

    def activate(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Bring a window to the front."""

    def close(self, name: str, *, strict: bool, by_class: bool) -> None:
        """Close a window and wait until it is gone."""


class Recorder(Protocol):
    """Records the screen."""

    @property
    def running(self) -> bool:
        """Whether a recording is in progress."""

    def start(self) -> None:
        """Start a recording."""

    def end(self) -> bytes:
        """Stop the recording; return the video's bytes."""


class Desk(ABC):
    """One desktop.

    Attributes:
        patience: how many times slower the machine is than one without emulation.
        watch: watches what the desktop depends on.
        films: of the last settlings.
    """

    patience: float = 1.0
    watch: Watch | None = None
    screen: Screen
    input: Input
    windows: Windows
    recorder: Recorder
    films: Films

    @abstractmethod
    def begin_settling(self, *, launching: bool = False) -> Settling:
        """Note the state before the actions; pass the result to `settle` after them."""

    @abstractmethod
    def settle(self, settling: Settling, maximum: float | None = None) -> bool:
        """Wait until the screen has reacted and gone quiet; False if `maximum` (seconds) passed first."""

    @abstractmethod
    def tree(self, timeout: float, problems: list[str]) -> tuple[str | None, bool]:
        """The accessibility tree and whether it is complete; errors are added to `problems`."""

    @abstractmethod
    def terminal(self, problems: list[str]) -> str | None:
        """The text of the focused terminal; errors are added to `problems`."""

    @abstractmethod
    def health(self) -> Health:
        """What works on this desktop. Makes no request that may hang."""

    @abstractmethod
    def at_work(self) -> bool:
        """Whether a program of the session runs or waits for a core; True where that is not known."""

    def bring_up(self, settling: Settling) -> bool:
        """After a launch: raise and focus the program's window; False if a window manager has seen to that."""
        return False

    def look_back(self) -> Settling:
        """For an observation without actions: a screen that has been quiet for a moment counts as settled at once."""
        settling = self.begin_settling()
        settling.began = settling.start = settling.began - REACTION
        settling.looking_back = True
        return settling

    def run_source(self, lang: str, source: str, timeout: float) -> str:
        """Run source text in the session; returns its output, with the exit status if that is not 0."""
        done = commands.run_source(lang, source, timeout)
        text = done.stdout + done.stderr
        return text if done.returncode == 0 else f"{text}\n[exit status {done.returncode}]"
