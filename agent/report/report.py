"""One self-contained HTML file about one or more runs: numbers with intervals, and every step of every episode.

The file is the same application that `deskbench view` serves, with its data inside. All this data comes from a desktop
or a model and may be hostile: the page writes it as text only, and its content policy forbids loading anything.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from deskbench.agent.report.catalog import ShownRun, chosen
from deskbench.agent.report.comparing import compared
from deskbench.agent.report.frames import find_film, read_difference, read_frame, read_tree, webp
from deskbench.agent.report.page import application, page_json
from deskbench.agent.report.reading import Json, boxes
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import write_atomic
from deskbench.envs.errors import StorageError

PICTURE_BYTES = 12 << 20
"""Bytes for all pictures in a file, before base64 makes them a third longer: 16 MB, which mail still takes."""
MOST_PICTURES = 800
"""Pictures in a file; decoding one takes about 10 ms. The ends of the episodes come first."""
WIDTHS = (None, 640, 320, 240)
"""The widths of pictures in pixels, of which the first is taken at which all fit; None keeps their size."""
TREE_BYTES = 2 << 20
"""Bytes for the elements of accessibility trees in a file; a tree of a small desktop takes 2 to 3 kB."""
MOST_TREE_TEXT = 24 << 20
"""Characters of trees that are read for it: about 4 s."""
SAMPLE = 6
"""Pictures that are tried at a width."""


def write_report(
    run_dirs: Path | Sequence[Path],
    out: Path,
    *,
    full: bool = False,
    room: int = PICTURE_BYTES,
    most: int = MOST_PICTURES,
    tree_room: int = TREE_BYTES,
) -> Path:
    """Write the report of one run folder or several side by side to the file `out`.

    Args:
        run_dirs: run folders, or folders of runs.
        out: the file.
        full: also copy every screenshot and film as it is to the folder `<out without .html>-frames` beside it.
        room: bytes for the pictures in the file.
        most: number of pictures in the file.
        tree_room: bytes for the elements of accessibility trees in the file.

    Raises:
        UsageError: a folder is not a run.
        StorageError: `out` cannot be written.
    """
    runs = chosen([run_dirs] if isinstance(run_dirs, Path) else list(run_dirs))
    data = content(runs)
    frames = _named(runs, data, "frame")
    data["trees"] = _trees(_named(runs, data, "tree").values(), tree_room)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if full:
            data["frames"] = _copy(frames, _films(runs), out.with_name(f"{out.stem}-frames"))
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
    """The heads of runs, each with the documents of its episodes, and the comparison of several runs."""
    shown = [{**run.head(), "episodes": [run.episode(name) for name in run.places()]} for run in runs]
    return {"runs": shown, "comparison": compared(runs) if len(runs) > 1 else None}


@dataclass(frozen=True)
class _Frame:
    """A picture that a page shows, or an accessibility tree."""

    episode: EpisodeFolder
    name: str


def _named(runs: Sequence[ShownRun], data: Json, what: str) -> dict[str, _Frame]:
    """The pictures or trees of all episodes, those first that say most: each one's end, its last step, and so on back.

    Args:
        runs: the runs.
        data: their content.
        what: `frame` or `tree`.
    """
    places = {run.id: run.places() for run in runs}
    backwards = [
        [_Frame(places[run["id"]][shown["id"]], frame) for frame in reversed(list(_names(shown, what)))]
        for run in data["runs"]
        for shown in run["episodes"]
    ]
    found: dict[str, _Frame] = {}
    for turn in zip_longest(*backwards):
        for frame in turn:
            if frame is not None:
                found.setdefault(frame.name, frame)
    return found


def _names(shown: Json, what: str) -> Iterator[str]:
    """The names of an episode's pictures or trees, in order."""
    for seen in [*shown["steps"], shown["final"]]:
        if seen and seen[what]:
            yield seen[what]


def _trees(wanted: Iterable[_Frame], room: int) -> dict[str, list[list[object]]]:
    """The elements of accessibility trees by the trees' names, as many as there is time and room for."""
    found, read = {}, 0
    for tree in wanted:
        text = read_tree(tree.episode, tree.name)
        read += len(text or "")
        if read > MOST_TREE_TEXT:
            break
        elements = boxes(text or "")
        room -= len(page_json(elements))
        if elements and room >= 0:
            found[tree.name] = elements
    return found


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


def _films(runs: Sequence[ShownRun]) -> Iterator[tuple[str, Path]]:
    """The names of the episodes that have a film, and the films."""
    for run in runs:
        for name, place in run.places().items():
            film = find_film(place)
            if film is not None:
                yield f"{run.id}-{name}", film


def _copy(frames: Mapping[str, _Frame], films: Iterable[tuple[str, Path]], folder: Path) -> str:
    """Copy pictures and films into a folder; returns its name."""
    folder.mkdir(exist_ok=True)
    for frame in frames.values():
        data = read_frame(frame.episode, frame.name)
        target = folder / f"{frame.name}.png"
        if data is not None and not target.exists():
            target.write_bytes(data)
    for name, film in films:
        shutil.copyfile(film, folder / f"{name}.mp4")
    return folder.name
