"""One self-contained HTML file about one or more runs: numbers with intervals, and every step of every episode.

The file is the same application that `deskbench view` serves, with its data inside. All this data comes from a desktop
or a model and may be hostile: the page writes it as text only, and its content policy forbids loading anything.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from deskbench.agent.report.catalog import ShownRun, chosen
from deskbench.agent.report.frames import read_difference, read_frame, webp
from deskbench.agent.report.page import application
from deskbench.agent.report.reading import Json
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import write_atomic
from deskbench.envs.errors import StorageError

PICTURE_BYTES = 12 << 20
"""Bytes for all pictures in a file, before base64 makes them a third longer: 16 MB, which mail still takes."""
MOST_PICTURES = 800
"""Pictures in a file; decoding one takes about 10 ms. The ends of the episodes come first."""
WIDTHS = (None, 640, 320, 240)
"""The widths of pictures in pixels, of which the first is taken at which all fit; None keeps their size."""
SAMPLE = 6
"""Pictures that are tried at a width."""


def write_report(
    run_dirs: Path | Sequence[Path],
    out: Path,
    *,
    full: bool = False,
    room: int = PICTURE_BYTES,
    most: int = MOST_PICTURES,
) -> Path:
    """Write the report of one run folder or several side by side to the file `out`.

    Args:
        run_dirs: run folders, or folders of runs.
        out: the file.
        full: also copy every screenshot as it is to the folder `<out without .html>-frames` beside it.
        room: bytes for the pictures in the file.
        most: number of pictures in the file.

    Raises:
        UsageError: a folder is not a run.
        StorageError: `out` cannot be written.
    """
    runs = chosen([run_dirs] if isinstance(run_dirs, Path) else list(run_dirs))
    data = content(runs)
    frames = _frames(runs, data)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if full:
            data["frames"] = _copy(frames, out.with_name(f"{out.stem}-frames"))
    except OSError as error:
        raise StorageError(f"cannot create {error.filename or out.parent}: {error.strerror}") from error
    write_atomic(
        out,
        application(
            data, {**_images(list(frames.values())[:most], room), **_differences(runs, data)}, beside=full
        ).encode(),
    )
    return out


def payload(folders: Sequence[Path]) -> Json:
    """The page's content for these folders, as plain JSON; works while a run is in progress.

    Raises:
        UsageError: a folder is not a run.
    """
    return content(chosen(folders))


def content(runs: Sequence[ShownRun]) -> Json:
    """The heads of runs, each with the documents of its episodes."""
    return {"runs": [{**run.head(), "episodes": [run.episode(name) for name in run.places()]} for run in runs]}


@dataclass(frozen=True)
class _Frame:
    """A picture that a page shows."""

    episode: EpisodeFolder
    name: str


def _frames(runs: Sequence[ShownRun], data: Json) -> dict[str, _Frame]:
    """The pictures of all episodes, those first that say most: each episode's end, its last step, and so on back."""
    places = {run.id: run.places() for run in runs}
    backwards = [
        [_Frame(places[run["id"]][shown["id"]], frame) for frame in reversed(list(_names(shown)))]
        for run in data["runs"]
        for shown in run["episodes"]
    ]
    found: dict[str, _Frame] = {}
    for turn in zip_longest(*backwards):
        for frame in turn:
            if frame is not None:
                found.setdefault(frame.name, frame)
    return found


def _names(shown: Json) -> Iterator[str]:
    """The names of an episode's pictures, in order."""
    for seen in [*shown["steps"], shown["final"]]:
        if seen and seen["frame"]:
            yield seen["frame"]


def _images(wanted: Sequence[_Frame], room: int) -> dict[str, str]:
    """Pictures as data URLs, as many and as large as there is room for."""
    width = _width(wanted, room)
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        found = pool.map(_small, wanted, [width] * len(wanted))
        shown = {}
        for frame, picture in zip(wanted, found, strict=True):
            if picture and len(picture) <= room:
                room -= len(picture)
                shown[frame.name] = _url(picture)
    return shown


def _width(wanted: Sequence[_Frame], room: int) -> int | None:
    """The largest width at which a sample of the pictures says that all fit."""
    sample = wanted[:: max(1, len(wanted) // SAMPLE)]
    for width in WIDTHS[:-1]:
        sizes = [len(_small(frame, width) or b"") for frame in sample]
        if sum(sizes) * len(wanted) <= room * len(sample):
            return width
    return WIDTHS[-1]


def _small(frame: _Frame, width: int | None) -> bytes | None:
    data = read_frame(frame.episode, frame.name)
    return webp(data, width) if data else None


def _differences(runs: Sequence[ShownRun], data: Json) -> dict[str, str]:
    """The pictures of where replays first differ, as data URLs by `difference <run>`."""
    found = {}
    for run, shown in zip(runs, data["runs"], strict=True):
        for step in {one["divergence"] for one in shown["episodes"]} - {None}:
            picture = read_difference(run.folder, step)
            small = webp(picture) if picture else None
            if small:
                found[f"difference {run.id}"] = _url(small)
    return found


def _url(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def _copy(frames: Mapping[str, _Frame], folder: Path) -> str:
    """Copy pictures into a folder; returns its name."""
    folder.mkdir(exist_ok=True)
    for frame in frames.values():
        data = read_frame(frame.episode, frame.name)
        target = folder / f"{frame.name}.png"
        if data is not None and not target.exists():
            target.write_bytes(data)
    return folder.name
