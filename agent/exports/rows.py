"""A run as a data set of Hugging Face: `datasets.load_dataset(OUT, "steps")` or `"episodes"`.

OUT/README.md                the data set's card, which names the two configurations
OUT/steps/train.parquet      a row per step: the screen before it, the actions, the reply
OUT/episodes/train.parquet   a row per episode, with the conversation (the columns of Harbor's traces) and the score
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deskbench.agent.exports.reading import (
    Source,
    Turn,
    Written,
    empty_folder,
    iso,
    name_of,
    picture,
    picture_name,
    turns,
    write_file,
)
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord
from deskbench.envs.redact import KNOWN

CARD = """---
configs:
- config_name: steps
  default: true
  data_files:
  - split: train
    path: steps/train.parquet
- config_name: episodes
  data_files:
  - split: train
    path: episodes/train.parquet
tags:
- computer-use
- deskbench
---

Episodes of a deskbench run. `steps` has one row per step, `episodes` one row per episode.
"""
_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(),
    "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    "messages": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
}  # fmt: skip
_MESSAGES = {"_type": "List", "feature": {
    "role": {"dtype": "string", "_type": "Value"}, "content": {"dtype": "string", "_type": "Value"},
}}  # fmt: skip
_EPISODE = {
    "run_id": "string", "episode": "string", "task": "string", "suite": "string", "repeat": "int64",
    "agent": "string", "model": "string", "instruction": "string", "ending": "string", "score": "float64",
    "reason": "string",
}  # fmt: skip
STEPS = {
    **_EPISODE, "step": "int64", "time": "string", "image": "image", "width": "int64", "height": "int64",
    "actions": "string", "reply": "string", "thought": "string", "error": "string", "model_ms": "float64",
    "input_tokens": "int64", "output_tokens": "int64", "cost_usd": "float64",
}  # fmt: skip
EPISODES = {
    **_EPISODE, "conversations": "messages", "model_provider": "string", "date": "string", "trial_name": "string",
    "result": "string", "feasible": "bool", "steps": "int64", "wall_ms": "float64", "input_tokens": "int64",
    "output_tokens": "int64", "cost_usd": "float64",
}  # fmt: skip
BATCH = 64
"""Rows to hold in memory at once; a row may have a picture of a megabyte."""


def write(source: Source, out: Path) -> Written:
    """Write both tables and the card.

    Raises:
        UsageError: the folder is not empty.
    """
    empty_folder(out)
    columns = {name: kind for name, kind in STEPS.items() if source.frames or kind != "image"}
    _write(out / "steps/train.parquet", columns, chain.from_iterable(_steps(source, one) for one in source.episodes))
    _write(out / "episodes/train.parquet", EPISODES, (_episode(source, one) for one in source.episodes))
    write_file(out / "README.md", CARD.encode())
    return Written(out)


def _write(path: Path, columns: Mapping[str, str], rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True)
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()], {"huggingface": _features(columns)})
    with pq.ParquetWriter(path, schema) as writer:
        left = iter(rows)
        while some := list(islice(left, BATCH)):
            writer.write_table(pa.Table.from_pylist(some, schema))


def _features(columns: Mapping[str, str]) -> str:
    """The types as `datasets` writes them into a file: without them a picture would be a struct of bytes."""
    own: dict[str, Any] = {"image": {"_type": "Image"}, "messages": _MESSAGES}
    found = {name: own.get(kind, {"dtype": kind, "_type": "Value"}) for name, kind in columns.items()}
    return json.dumps({"info": {"features": found}})


def _named(source: Source, record: EpisodeRecord) -> dict[str, Any]:
    found: dict[str, Any] = KNOWN.value({
        "run_id": source.name, "episode": name_of(record), "task": record.task, "suite": record.suite,
        "repeat": record.repeat + 1, "agent": record.agent, "model": source.model,
        "instruction": record.instruction, "ending": record.ending.value, "score": record.score.value,
        "reason": record.score.reason,
    })  # fmt: skip
    return found


def _steps(source: Source, reader: EpisodeReader) -> Iterator[dict[str, Any]]:
    named = _named(source, reader.episode)
    for turn in turns(reader):
        row = named | KNOWN.value(_step(turn))
        if source.frames:
            row["image"] = _image(reader, turn)
        yield row


def _image(reader: EpisodeReader, turn: Turn) -> dict[str, Any] | None:
    seen = turn.step.observation
    data = picture(reader, seen)
    return None if data is None or seen.frame is None else {"bytes": data, "path": picture_name(seen.frame)}


def _step(turn: Turn) -> dict[str, Any]:
    step, seen = turn.step, turn.step.observation
    errors = [one.error for one in turn.after.results if one.error] if turn.after is not None else []
    return {
        "step": turn.number, "time": iso(step.time), "width": seen.width, "height": seen.height,
        "actions": json.dumps(step.actions, ensure_ascii=False), "reply": step.reply, "thought": step.thought,
        "error": "; ".join(errors) or None, "model_ms": step.model_ms, "input_tokens": step.usage.input_tokens,
        "output_tokens": step.usage.output_tokens, "cost_usd": step.usage.cost_usd,
    }  # fmt: skip


def _episode(source: Source, reader: EpisodeReader) -> dict[str, Any]:
    record = reader.episode
    said = [{"role": "user", "content": record.instruction}]
    for turn in turns(reader):
        reply = turn.step.reply or json.dumps(turn.step.actions, ensure_ascii=False)
        said.append({"role": "assistant", "content": reply})
    totals = record.totals
    result = record.error or record.ending.value if record.score.value is None else f"{record.score.value:g}"
    own: dict[str, Any] = KNOWN.value({
        "conversations": said, "date": iso(record.started), "trial_name": name_of(record), "result": result,
        "feasible": record.feasible, "steps": totals.steps, "wall_ms": totals.wall_ms,
        "input_tokens": totals.usage.input_tokens, "output_tokens": totals.usage.output_tokens,
        "cost_usd": totals.usage.cost_usd, "model_provider": None,
    })  # fmt: skip
    return _named(source, record) | own
