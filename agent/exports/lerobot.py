"""A run as a data set of LeRobot, version 3.0: one frame per step, the screen before it as video.

    OUT/meta/info.json, stats.json, tasks.parquet, episodes/chunk-000/file-000.parquet
    OUT/data/chunk-000/file-000.parquet
    OUT/videos/observation.images.screen/chunk-000/file-000.mp4, one file per episode

Desktops have no fixed rate: `timestamp` counts steps at a nominal frame a second, and `wall_time` has the real seconds
since the start of the episode. `action` is a vector of the step's first action (`ACTION`), and `action_json` has all
of them, exact. Episodes without a score are written with an empty `score`.
Source of the format: `lerobot.datasets` of LeRobot 0.6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from deskbench.agent.exports.reading import (
    Source,
    Turn,
    Written,
    empty_folder,
    name_of,
    turns,
    write_json,
)
from deskbench.agent.runs.record import EpisodeReader, StepRecord
from deskbench.envs.actions import ActionError, parse_actions
from deskbench.envs.errors import GuestError, UsageError
from deskbench.envs.redact import KNOWN
from deskbench.envs.types import ACTION_TYPES

FPS = 1
"""Nominal frames per second."""
CHUNK = 1000
"""Files in a folder."""
SCREEN = "observation.images.screen"
ENCODER, CODEC, PIXELS = "libx264", "h264", "yuv420p"
"""LeRobot reads AV1 (its default) and H.264. FFmpeg's AV1 encoder makes a process of root a real-time one, and so every
program that it starts. With these pixels, both want sides of even length."""
QUALITY = "20"
"""The encoder's constant rate factor: text on a screen must stay readable (LeRobot's default is 30)."""
KINDS = tuple(ACTION_TYPES)
"""Actions by the number that `action` gives them; -1 is a step without one."""
ACTION = ("kind", "x", "y", "dx", "dy")
"""Of the first action: its number in KINDS, where (shares of the screen, -1 without a place), notches of the wheel."""
_NUMBERS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "observation.state": ("float32", ("cursor_x", "cursor_y")), "action": ("float32", ACTION),
    "wall_time": ("float64", None), "next.done": ("bool", None), "timestamp": ("float32", None),
    "frame_index": ("int64", None), "episode_index": ("int64", None), "index": ("int64", None),
    "task_index": ("int64", None),
}  # fmt: skip
_TEXTS = ("action_json", "reply")
_Row = dict[str, Any]


def write(source: Source, out: Path) -> Written:
    """Write the episodes that have steps, and with `frames` a picture of one size for each.

    Raises:
        UsageError: the folder is not empty, or no episode can be written.
    """
    empty_folder(out)
    chosen, left_out = _chosen(source)
    if not chosen:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise UsageError(f"no episode can be written: {why}")
    tasks = list(dict.fromkeys(KNOWN.text(reader.episode.instruction) for reader, _ in chosen))
    rows: list[_Row] = []
    episodes: list[_Row] = []
    pixels: list[dict[str, Any]] = []
    for index, (reader, found) in enumerate(chosen):
        began, task = len(rows), KNOWN.text(reader.episode.instruction)
        rows += [_row(reader, turn, len(found), index, began, tasks.index(task)) for turn in found]
        episodes.append(_episode(source, reader, index, (began, len(rows)), task))
        if source.frames:
            pixels.append(_film(out, index, reader, found))
    size = _even(chosen[0][1][0].step)
    _write_table(out / "data/chunk-000/file-000.parquet", rows, _types())
    _write_table(out / "meta/episodes/chunk-000/file-000.parquet", episodes)
    _write_tasks(out, tasks)
    write_json(out / "meta/info.json", _info(source, rows, episodes, tasks, size))
    write_json(out / "meta/stats.json", {**_stats(rows), **({SCREEN: _merged(pixels)} if pixels else {})})
    return Written(out, left_out)


def _chosen(source: Source) -> tuple[list[tuple[EpisodeReader, list[Turn]]], dict[str, str]]:
    """The episodes to write, and why the others are left out."""
    chosen: list[tuple[EpisodeReader, list[Turn]]] = []
    left_out: dict[str, str] = {}
    for reader in source.episodes:
        found = list(turns(reader))
        first = chosen[0][1][0].step if chosen else None
        reason = _unread(found) or (_unfit(reader, found, first) if source.frames else None)
        if reason is None:
            chosen.append((reader, found))
        else:
            left_out[name_of(reader.episode)] = reason
    return chosen, left_out


def _unread(found: Sequence[Turn]) -> str | None:
    for turn in found:
        try:
            parse_actions(turn.step.actions)
        except ActionError as error:
            return f"step {turn.number}: {error}"
    return None if found else "it has no step"


def _unfit(reader: EpisodeReader, found: Sequence[Turn], first: StepRecord | None) -> str | None:
    for turn in found:
        seen = turn.step.observation
        if seen.frame is None or not reader.folder.frame(seen.frame).is_file():
            return f"step {turn.number} has no picture"
        if first is not None and (seen.width, seen.height) != (first.observation.width, first.observation.height):
            return f"its screen has {seen.width}x{seen.height} pixels, that of the first episode has another size"
    return None


# -- rows


def _row(reader: EpisodeReader, turn: Turn, count: int, episode: int, began: int, task: int) -> _Row:
    step, seen = turn.step, turn.step.observation
    return {
        "observation.state": [seen.cursor[0] / max(1, seen.width), seen.cursor[1] / max(1, seen.height)],
        "action": _vector(step), "action_json": KNOWN.text(json.dumps(step.actions, ensure_ascii=False)),
        "reply": KNOWN.text(step.reply or ""), "wall_time": step.time - reader.episode.started,
        "next.done": turn.number + 1 == count, "timestamp": turn.number / FPS, "frame_index": turn.number,
        "episode_index": episode, "index": began + turn.number, "task_index": task,
    }  # fmt: skip


def _vector(step: StepRecord) -> list[float]:
    if not step.actions:
        return [-1.0, -1.0, -1.0, 0.0, 0.0]
    action, seen = step.actions[0], step.observation
    x, y = action["path"][0] if action.get("path") else (action.get("x"), action.get("y"))
    kind = str(action["type"])
    return [
        float(KINDS.index(kind)) if kind in KINDS else -1.0, -1.0 if x is None else x / max(1, seen.width),
        -1.0 if y is None else y / max(1, seen.height), float(action.get("dx", 0)), float(action.get("dy", 0)),
    ]  # fmt: skip


def _episode(source: Source, reader: EpisodeReader, index: int, rows: tuple[int, int], task: str) -> _Row:
    record, length = reader.episode, rows[1] - rows[0]
    value: _Row = {
        "episode_index": index, "tasks": [task], "length": length, "data/chunk_index": 0, "data/file_index": 0,
        "dataset_from_index": rows[0], "dataset_to_index": rows[1], "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0, "task": record.task, "repeat": record.repeat + 1, "score": record.score.value,
        "reason": KNOWN.text(record.score.reason), "ending": record.ending.value,
    }  # fmt: skip
    if source.frames:
        value |= {
            f"videos/{SCREEN}/chunk_index": index // CHUNK, f"videos/{SCREEN}/file_index": index % CHUNK,
            f"videos/{SCREEN}/from_timestamp": 0.0, f"videos/{SCREEN}/to_timestamp": length / FPS,
        }  # fmt: skip
    return value


def _types() -> pa.Schema:
    numbers = [
        (name, pa.list_(_type(kind), len(parts)) if parts else _type(kind)) for name, (kind, parts) in _NUMBERS.items()
    ]
    return pa.schema([*numbers, *((name, pa.string()) for name in _TEXTS)])


def _type(kind: str) -> pa.DataType:
    return {"float32": pa.float32(), "float64": pa.float64(), "int64": pa.int64(), "bool": pa.bool_()}[kind]


def _write_table(path: Path, rows: list[_Row], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


def _write_tasks(out: Path, tasks: Sequence[str]) -> None:
    """The instructions are the index of the table, which pandas finds by the metadata of the file."""
    pandas = {
        "index_columns": ["task"], "column_indexes": [], "pandas_version": "2.0.0",
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64",
             "metadata": None},
            {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None},
        ],
    }  # fmt: skip
    table = pa.table({"task_index": list(range(len(tasks))), "task": list(tasks)})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), out / "meta/tasks.parquet")


# -- video


def _even(step: StepRecord) -> tuple[int, int]:
    seen = step.observation
    return seen.width + seen.width % 2, seen.height + seen.height % 2


def _film(out: Path, index: int, reader: EpisodeReader, found: Sequence[Turn]) -> dict[str, Any]:
    """Write the video of an episode; returns the numbers of its channels, from pictures that were made smaller.

    Raises:
        UsageError: a picture cannot be read.
    """
    path = out / f"videos/{SCREEN}/chunk-{index // CHUNK:03d}/file-{index % CHUNK:03d}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    size, pictures = _even(found[0].step), []
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream(ENCODER, rate=FPS, options={"crf": QUALITY, "g": "2", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, PIXELS
        for image in _images(reader, found, size):
            film.mux(stream.encode(av.VideoFrame.from_image(image)))
            pictures.append(np.asarray(image.resize((160, 100)), np.float64).reshape(-1, 3) / 255)
        film.mux(stream.encode())
    return _numbers(np.concatenate(pictures), len(pictures))


def _images(reader: EpisodeReader, found: Sequence[Turn], size: tuple[int, int]) -> Iterator[Image.Image]:
    """The screens; one with a side of odd length gets a black line there."""
    for turn in found:
        try:
            shot = reader.screenshot(turn.step.observation)
            assert shot is not None, "unfit episodes were left out"
            image = shot.image
        except (OSError, GuestError) as error:
            raise UsageError(f"{reader.folder.path}: step {turn.number}: {error}") from None
        sheet = Image.new("RGB", size)
        sheet.paste(image)
        yield sheet


# -- numbers


def _stats(rows: Sequence[_Row]) -> dict[str, Any]:
    return {
        name: _numbers(np.asarray([row[name] for row in rows], np.float64).reshape(len(rows), -1), len(rows))
        for name in _NUMBERS
    }


def _numbers(values: Any, count: int) -> dict[str, Any]:
    quantiles = {f"q{share:02d}": np.quantile(values, share / 100, 0).tolist() for share in (1, 10, 50, 90, 99)}
    return {
        "min": values.min(0).tolist(), "max": values.max(0).tolist(), "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(), "count": [count], **quantiles,
    }  # fmt: skip


def _merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of all episodes together; quantiles are means weighted by frames, as LeRobot merges them."""
    counts = np.asarray([part["count"][0] for part in parts], np.float64)
    stacked = {name: np.asarray([part[name] for part in parts]) for name in parts[0] if name != "count"}
    found = {name: np.average(values, 0, counts) for name, values in stacked.items()}
    mean, low, high = found["mean"], stacked["min"].min(0), stacked["max"].max(0)
    found |= {"min": low, "max": high}
    found["std"] = np.sqrt(np.average(stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2, 0, counts))
    shaped = {name: values.reshape(3, 1, 1).tolist() for name, values in found.items()}
    return {**shaped, "count": [int(counts.sum())]}


def _info(
    source: Source, rows: Sequence[_Row], episodes: Sequence[_Row], tasks: Sequence[str], size: tuple[int, int]
) -> dict[str, Any]:
    video = f"videos/{{video_key}}/{_FILE}.mp4" if source.frames else None
    return {
        "codebase_version": "v3.0", "robot_type": "deskbench", "fps": FPS, "total_episodes": len(episodes),
        "total_frames": len(rows), "total_tasks": len(tasks), "chunks_size": CHUNK, "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200, "splits": {"train": f"0:{len(episodes)}"},
        "data_path": f"data/{_FILE}.parquet", "video_path": video, "features": _features(source, size),
    }  # fmt: skip


_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"


def _features(source: Source, size: tuple[int, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if source.frames:
        width, height = size
        found[SCREEN] = {
            "dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"],
            "info": {
                "video.height": height, "video.width": width, "video.codec": CODEC, "video.pix_fmt": PIXELS,
                "video.fps": FPS, "video.channels": 3, "is_depth_map": False, "has_audio": False,
            },
        }  # fmt: skip
    for name, (kind, parts) in _NUMBERS.items():
        found[name] = {"dtype": kind, "shape": [len(parts or "1")], "names": list(parts) if parts else None}
    return found | {name: {"dtype": "string", "shape": [1], "names": None} for name in _TEXTS}
