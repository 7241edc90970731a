"""Using a desktop and owning one are two interfaces: `Desktop` and `Provider`.

`Desktop` is what the loop, set-up steps and getters use; `Provider` starts and stops them. Every implementation
passes `deskbench.envs.providers.conformance.DesktopContract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from deskbench.envs.types import Action, Observation
from deskbench.envs.wire import Health, Observe


@dataclass(frozen=True)
class CommandResult:
    """A command's end: exit status and its decoded output."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class DesktopSpec:
    """What kind of desktop is wanted; desktops of equal spec are interchangeable in a pool.

    Attributes:
        width, height: of the screen in pixels.
        network: `off`, `full`, or the names that may be reached (`envs.relay`), and no others.
        image: a provider's own image name, or None for its default.
        tokens: False starts a server that asks for none, for foreign clients.
        isolated: False runs without a sandbox where the machine cannot make one (`--unisolated`).
    """

    width: int = 1280
    height: int = 800
    network: str | tuple[str, ...] = "off"
    image: str | None = None
    isolated: bool = True
    tokens: bool = True


@runtime_checkable
class Desktop(Protocol):
    """A running desktop. Methods raise EnvError's children, and, where they say so, what is an answer.

    None is safe for two threads at once.
    """

    name: str
    """A name for logs, unique among running desktops."""

    def health(self) -> Health:
        """What works here and what does not."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        """Carry the actions out and observe, in one round trip (`observe` None: settled screenshot).

        An action that cannot be carried out is reported in `Observation.results`, not raised.
        """

    def observe(self, observe: Observe | None = None) -> Observation:
        """Look without acting (`observe` None: settled screenshot)."""

    def run(
        self, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0, cwd: str | None = None
    ) -> CommandResult:
        """Run a command in the desktop's session to its end; a non-zero exit status is not an error."""

    def launch(self, command: str | Sequence[str], *, shell: bool = False) -> None:
        """Start a program and return when its window is mapped and the screen is quiet, or when it has no window."""

    def open(self, path: str) -> None:
        """Open a file with the program that the session has for it, and return when its window is there."""

    def read_file(self, path: str, *, max_bytes: int = 256 * 2**20) -> bytes:
        """A file's bytes. `~` and $VAR are expanded in the desktop.

        Raises:
            FileNotFoundError: no such file there (an answer, not a fault of the desktop).
            Unfit: what is there is no regular file, or has more than `max_bytes` (an answer, too).
        """

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file, making its folders."""

    def list_directory(self, path: str) -> dict[str, object]:
        """OSWorld's directory tree: {"type", "name", "children"}.

        Raises:
            FileNotFoundError: no such folder there.
            Unfit: what is there is no folder, or holds more, or deeper, than is listed.
        """

    def windows(self) -> list[Window]:
        """The top-level windows, bottom to top."""

    def activate_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Raise and focus a window, by part of its title (all of it if strict) or by class; proves that it did."""

    def close_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Ask a window to close."""

    def forward(self, port: int) -> str:
        """Where a port of the desktop's loopback can be reached from here, as HOST:PORT, while the desktop lives."""

    def wallpaper(self) -> bytes | None:
        """The file of the picture behind everything; None when there is none."""

    def set_wallpaper(self, path: str) -> None:
        """Put a picture behind everything, by its path in the desktop."""

    def start_recording(self) -> None:
        """Begin to film the screen."""

    def end_recording(self) -> bytes:
        """End it and return the MP4's bytes."""


@dataclass(frozen=True)
class Window:
    """A top-level window: X id (or handle) as hex, title, class, geometry in pixels, active or not."""

    id: str
    title: str
    wm_class: str = ""
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    active: bool = False


@dataclass(frozen=True)
class Check:
    """One line of `deskbench doctor`: what was looked at, whether it is right, and how to mend it."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    extra: dict[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """Owns desktops: starts, keeps warm and stops them. Safe to use from several threads."""

    name: str
    capacity: int | None
    """How many desktops it can have at once; None if only the machine limits it."""
    platform: str | None
    """The platform of its desktops, `Linux`, `Windows` or `Darwin`; None if only the desktop knows."""

    def describe(self) -> dict[str, str]:
        """What the desktops are made of, for the run's manifest: an image and its digest, where there is one."""

    def start(self, spec: DesktopSpec) -> Desktop:
        """A fresh desktop that nobody has used, ready for its first observation.

        Raises:
            StartError: with the last thing seen.
            UsageError: this machine can never start one; with the fix.
        """

    def stop(self, desktop: Desktop) -> None:
        """End a desktop and everything in it; idempotent, and quiet about one that is dead already."""

    def close(self) -> None:
        """Stop everything that this provider started, warm desktops included."""

    def doctor(self) -> list[Check]:
        """What this machine has and lacks for this provider."""
