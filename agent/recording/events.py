"""What a person does in a desktop, and what it looks like before: raw, one JSON line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Pointer:
    """The pointer's place in pixels and the buttons that are down: 1 left, 2 middle, 4 right, 8 to 64 the wheel."""

    kind: ClassVar[str] = "pointer"
    t: float
    buttons: int
    x: int
    y: int


@dataclass(frozen=True)
class Press:
    """A key goes down or up; `keysym` is X11's."""

    kind: ClassVar[str] = "key"
    t: float
    down: bool
    keysym: int


@dataclass(frozen=True)
class State:
    """The desktop before what follows.

    Attributes:
        t: seconds since the recording began.
        width, height: of the screen in pixels.
        tree: OSWorld's XML, or None where the desktop has none.
        picture: name of the screen's PNG file, or nothing.
    """

    kind: ClassVar[str] = "state"
    t: float
    width: int
    height: int
    tree: str | None
    picture: str = ""


Event = Pointer | Press | State
KINDS: dict[str, type[Event]] = {one.kind: one for one in (Pointer, Press, State)}


def to_line(event: Event) -> str:
    """One line of the file; in ASCII, so that no character of a program's text ends it."""
    return json.dumps({"kind": event.kind, **asdict(event)}) + "\n"


def read_events(path: Path) -> Iterator[Event]:
    """The events of a file, in order."""
    for line in path.read_text(encoding="utf-8").splitlines():
        fields: dict[str, Any] = json.loads(line)
        yield KINDS[fields.pop("kind")](**fields)
