"""What every format needs of a run: the episodes to export, their steps with what followed, and their pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from deskbench.agent.runs.record import (
    EpisodeReader,
    EpisodeRecord,
    FinalRecord,
    SeenRecord,
    StepRecord,
    write_atomic,
)
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN


@dataclass(frozen=True)
class Source:
    """What to export.

    Attributes:
        name: the run's name.
        manifest: its manifest.
        episodes: the last attempt of each episode.
        frames: write the pictures, too.
    """

    name: str
    manifest: Mapping[str, Any]
    episodes: Sequence[EpisodeReader]
    frames: bool = True

    @property
    def model(self) -> str | None:
        """The model's name; None for an agent without one."""
        model = self.manifest.get("config", {}).get("agent_settings", {}).get("model")
        return None if model is None else str(model)

    @property
    def version(self) -> str:
        """The version of deskbench that made the run, or `unknown`."""
        return str(self.manifest.get("versions", {}).get("deskbench", "unknown"))


@dataclass(frozen=True)
class Written:
    """What a format wrote: its folder, and the episodes that it left out (`name_of`) with the reasons."""

    folder: Path
    left_out: Mapping[str, str] = field(default_factory=dict)


class Turn(NamedTuple):
    """A step and what followed.

    Attributes:
        number: of the step, from 0.
        step: what the agent saw and decided.
        after: the observation after it; None if the episode broke off.
        last: no step follows.
    """

    number: int
    step: StepRecord
    after: SeenRecord | None
    last: bool


def turns(reader: EpisodeReader) -> Iterator[Turn]:
    """The steps of an episode in order."""
    events = [event for event in reader.events() if isinstance(event, (StepRecord, FinalRecord))]
    for number, (step, following) in enumerate(zip(events, [*events[1:], None], strict=True)):
        if isinstance(step, StepRecord):
            after = following.observation if following is not None else None
            yield Turn(number, step, after, not isinstance(following, StepRecord))


def picture(reader: EpisodeReader, seen: SeenRecord | None) -> bytes | None:
    """The PNG file of an observation; None if it has none, or the file is gone."""
    try:
        shot = reader.screenshot(seen) if seen is not None else None
    except OSError:
        return None
    return shot.png if shot is not None else None


def picture_name(sha256: str) -> str:
    """The file name of a picture: its hash, which two equal pictures share."""
    return f"{Path(sha256).name}.png"


def write_pictures(reader: EpisodeReader, folder: Path) -> None:
    """Copy an episode's pictures into a folder, each once; a picture that is gone is left out."""
    for seen in reader.frames():
        path = folder / picture_name(seen.frame or "")
        if seen.frame and not path.exists() and (data := picture(reader, seen)) is not None:
            write_file(path, data)


def safe(name: str) -> str:
    """A name as one part of a path: it never leads out of a folder."""
    return "".join("_" if mark in "/\\\0" else mark for mark in name).strip(". ") or "_"


def name_of(episode: EpisodeRecord) -> str:
    """A name for an episode that no other one of its run has: <suite>/<task>/<repeat, from 1>."""
    return f"{episode.task}/{episode.repeat + 1}"


def iso(seconds: float) -> str:
    """A time in seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def write_file(path: Path, data: bytes) -> None:
    """Write a file and the folders above it.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data, sync=False)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file without known secrets; raises the same error as `write_file`."""
    write_file(path, json.dumps(KNOWN.value(value), indent=1, ensure_ascii=False).encode() + b"\n")


def write_lines(path: Path, values: Iterator[Any]) -> None:
    """Write one JSON value per line without known secrets; raises the same error as `write_file`."""
    text = "".join(json.dumps(KNOWN.value(value), ensure_ascii=False) + "\n" for value in values)
    write_file(path, text.encode())


def empty_folder(out: Path) -> Path:
    """Make the folder of an export.

    Raises:
        UsageError: it exists and is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} already exists: use another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out
