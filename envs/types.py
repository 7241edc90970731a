"""What an agent sees (observations) and, re-exported, what it can do (actions)."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from deskbench.envs.actions import (
    ACTION_TYPES,
    ENDS_EPISODE,
    Action,
    ActionError,
    AskUser,
    Click,
    CursorPosition,
    Done,
    Drag,
    Exec,
    Fail,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
    parse_action,
    parse_actions,
)
from deskbench.envs.errors import GuestError
from deskbench.envs.wire import MAX_PIXELS, ActionResult, WireError, check_size

__all__ = [
    "ACTION_TYPES", "ENDS_EPISODE", "MAX_PIXELS", "Action", "ActionError", "ActionResult", "AskUser", "Click",
    "CursorPosition", "Done", "Drag", "Exec", "Fail", "Key", "KeyDown", "KeyUp", "MouseDown", "MouseUp", "Move",
    "Observation", "Screenshot", "Scroll", "TakeScreenshot", "Type", "Wait", "Zoom", "parse_action", "parse_actions",
]  # fmt: skip

PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""Signature, and the head of the first chunk (PNG specification, sections 5.2 and 11.2.1)."""


@dataclass(frozen=True)
class Screenshot:
    """A lossless picture of the screen.

    Attributes:
        png: the PNG file's bytes.
        sha256: of those bytes, in hex; the frame's name on the wire and on disk.
    """

    png: bytes
    sha256: str

    @classmethod
    def of(cls, png: bytes) -> Screenshot:
        """Wrap PNG bytes, naming them by their hash."""
        return cls(png, hashlib.sha256(png).hexdigest())

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels from the file's first chunk, without decoding the picture.

        Raises:
            GuestError: not a PNG, or larger than a screen may be.
        """
        if not self.png.startswith(PNG_START) or len(self.png) < len(PNG_START) + 8:
            raise GuestError(f"the screenshot cannot be read: {len(self.png)} bytes that are not a picture")
        width, height = struct.unpack_from(">II", self.png, len(PNG_START))
        try:
            check_size(width, height, "the screenshot")
        except WireError as error:
            raise GuestError(str(error)) from None
        return width, height

    @cached_property
    def image(self) -> Image.Image:
        """The decoded RGB picture; treat it as read-only.

        Raises:
            GuestError: not a PNG, or more than MAX_PIXELS.
        """
        size = self.size
        try:
            with Image.open(io.BytesIO(self.png), formats=["PNG"]) as picture:
                if picture.size != size:  # a second header
                    raise ValueError(
                        f"it has {picture.width}x{picture.height} pixels, its head says {size[0]}x{size[1]}"
                    )
                return picture.convert("RGB")
        except Exception as error:  # noqa: BLE001  (a boundary: Pillow may raise anything for a hostile file)
            raise GuestError(f"the screenshot cannot be read: not a picture: {str(error)[:200]}") from None


@dataclass(frozen=True)
class Observation:
    """The desktop at one moment.

    Attributes:
        screenshot: the screen with its cursor, or None if the request did not ask for one.
        width, height: of the screen in pixels; the coordinate space of every action.
        cursor: the pointer's position in pixels.
        accessibility: OSWorld's XML, or None.
        accessibility_complete: False if a time limit cut the tree.
        terminal: text of the focused terminal, or None.
        settled: whether the screen was quiet; None if the policy does not wait.
        settled_by: by which evidence: `rest` (every program sleeps) or `quiet` (nothing changed); None if not known.
        settle_ms: from the end of the last action to the screenshot.
        capture_ms: for screenshot and encoding, in the desktop.
        act_ms: for carrying out the actions before it, in the desktop.
        roundtrip_ms: wall time of the whole exchange, measured by the controller.
        results: the result of each action before it.
        answer: the user's answer to `ask_user`, or None.
        problems: requested parts that could not be read, one line each.
    """

    screenshot: Screenshot | None
    width: int
    height: int
    cursor: tuple[int, int] = (0, 0)
    accessibility: str | None = None
    accessibility_complete: bool = True
    terminal: str | None = None
    settled: bool | None = None
    settle_ms: float = 0.0
    capture_ms: float = 0.0
    act_ms: float = 0.0
    roundtrip_ms: float = 0.0
    results: tuple[ActionResult, ...] = ()
    answer: str | None = None
    problems: tuple[str, ...] = ()
    settled_by: str | None = None
