"""Using a desktop and owning one are two interfaces: `Desktop` and `Provider`.

The loop, set-up steps and getters use `Desktop`; a `Provider` starts and stops desktops. Every implementation passes
`deskbench.envs.providers.conformance.DesktopContract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from deskbench.envs.types import Action, Observation
from deskbench.envs.wire import Health, Observe


@dataclass(frozen=True)
class CommandResult:
    """How a command ended: its exit status and decoded output."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class DesktopSpec:
    """The kind of desktop to start. Desktops with equal specs are interchangeable in a pool.

    Attributes:
        width, height: of the screen in pixels.
        network: `off`, `full`, or the only names that programs may reach (`envs.clients.relay`).
        image: a provider's own image name, or None for its default.
        tokens: False starts a server that requires no token, for other people's clients.
        isolated: False runs without a sandbox, on a machine that cannot make one (`--unisolated`).
    """

    width: int = 1280
    height: int = 800
    network: str | tuple[str, ...] = "off"
    image: str | None = None
    isolated: bool = True
    tokens: bool = True


@runtime_checkable
class Desktop(Protocol):
    """A running desktop. Methods raise subclasses of EnvError, and other errors where they say so.

    Only one thread at a time may use it.
    """

    name: str
    """A name for logs, unique among running desktops."""

    def health(self) -> Health:
        """What works on this desktop and what does not."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        """Carry the actions out and observe, in one round trip (`observe` None: settled screenshot).

        An action that cannot be carried out is reported in `Observation.results`, not raised.
        """

    def observe(self, observe: Observe | None = None) -> Observation:
        """Look without acting (`observe` None: settled screenshot)."""

    def run(
        self, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0, cwd: str | None = None
    ) -> CommandResult:
        """Run a command in the desktop's session until it ends; a non-zero exit status is not an error."""

    def launch(self, command: str | Sequence[str], *, shell: bool = False) -> None:
        """Start a program and return when its window is mapped and the screen is quiet, or when it has no window."""

    def open(self, path: str) -> None:
        """Open a file with its default program, and return when the window is there."""

    def read_file(self, path: str, *, max_bytes: int = 256 * 2**20) -> bytes:
        """A file's bytes. `~` and $VAR are expanded in the desktop.

        Raises:
            FileNotFoundError: no such file (a result, not a fault of the desktop).
            Unfit: it is not a regular file, or is larger than `max_bytes` (also a result).
        """

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file, making its folders."""

    def list_directory(self, path: str) -> dict[str, object]:
        """OSWorld's directory tree: {"type", "name", "children"}.

        Raises:
            FileNotFoundError: no such folder.
            Unfit: it is not a folder, or it is too large or too deep to list.
        """

    def windows(self) -> list[Window]:
        """The top-level windows, bottom to top."""

    def activate_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Raise and focus a window, by part of its title (all of it if strict) or by class; verifies that it worked."""

    def close_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Ask a window to close."""

    def forward(self, port: int) -> str:
        """Where the controller can reach a port of the desktop's loopback, as HOST:PORT, while the desktop lives."""

    def wallpaper(self) -> bytes | None:
        """The file of the desktop's background; None if there is none."""

    def set_wallpaper(self, path: str) -> None:
        """Set the desktop's background to a picture, by its path in the desktop."""

    def start_recording(self) -> None:
        """Start recording the screen."""

    def end_recording(self) -> bytes:
        """Stop recording and return the MP4's bytes."""


@dataclass(frozen=True)
class Window:
    """A top-level window: X id (or handle) as hex, title, class, geometry in pixels, and whether it is active."""

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
    """One line of `deskbench doctor`: what was checked, whether it passed, and how to fix it.

    `weight` says what it means if it did not pass: `needed`: no desktop can start; `note`: desktops work, but
    something is slower or less safe, or some tasks cannot run; `optional`: only an extra is missing.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    weight: Literal["needed", "note", "optional"] = "needed"

    @property
    def fails(self) -> bool:
        """Whether this keeps desktops from starting."""
        return not self.ok and self.weight == "needed"

    @property
    def state(self) -> str:
        """`ok`, `FAIL`, `note` or `optional`."""
        return "ok" if self.ok else "FAIL" if self.fails else self.weight


class Provider(Protocol):
    """Owns desktops: starts them, keeps them warm and stops them. Safe to use from several threads."""

    name: str
    capacity: int | None
    """How many desktops it can have at once; None if only the machine sets a limit."""
    platform: str | None
    """The platform of its desktops, `Linux`, `Windows` or `Darwin`; None if only the desktop itself knows."""

    def describe(self) -> dict[str, str]:
        """What the desktops are made of, for the run's manifest: an image and its digest, if any."""

    def start(self, spec: DesktopSpec) -> Desktop:
        """Start a fresh, unused desktop, ready for its first observation.

        Raises:
            StartError: it did not start; the message gives the last state seen.
            UsageError: this machine can never start one; the message gives the fix.
        """

    def stop(self, desktop: Desktop) -> None:
        """End a desktop and everything in it; idempotent, and silent if the desktop is already dead."""

    def close(self) -> None:
        """Stop all desktops that this provider started, warm ones included."""

    def doctor(self) -> list[Check]:
        """What this machine has and lacks for this provider."""
