"""A run as two CSV files (RFC 4180): episodes.csv has one row per episode, steps.csv one row per step.

Spreadsheets run a cell that begins with `=`, `+`, `-` or `@` as a formula. So a text from a model or a desktop that
begins with one of them, or with a tab or a line break, gets a `'` before it (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deskbench.agent.exports.reading import (
    Source,
    Turn,
    Written,
    empty_folder,
    iso,
    picture_name,
    turns,
    write_file,
    write_pictures,
)
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.envs.redact import KNOWN

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell must not begin with."""
PICTURES = "images"
"""The folder of the pictures."""


def write(source: Source, out: Path) -> Written:
    """Write both tables, and the pictures into frames/ if they are wanted.

    Raises:
        UsageError: the folder is not empty.
    """
    empty_folder(out)
    write_file(out / "episodes.csv", _table(_episode(source, reader.episode) for reader in source.episodes))
    steps = (_step(reader.episode, turn) for reader in source.episodes for turn in turns(reader))
    write_file(out / "steps.csv", _table(steps))
    for reader in source.episodes if source.frames else ():
        write_pictures(reader, out / PICTURES)
    return Written(out)


def _table(rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    table = None
    for row in rows:
        if table is None:
            table = csv.DictWriter(text, list(row), lineterminator="\r\n")
            table.writeheader()
        table.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value  # None is an empty cell
    text = KNOWN.text(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _episode(source: Source, episode: EpisodeRecord) -> dict[str, Any]:
    totals = episode.totals
    return {
        "run": source.name, "suite": episode.suite, "task": episode.task_id, "repeat": episode.repeat + 1,
        "attempt": episode.attempt, "agent": episode.agent, "model": source.model, "provider": episode.provider,
        "score": episode.score.value, "reason": episode.score.reason, "ending": episode.ending.value,
        "error": episode.error, "answer": episode.answer, "instruction": episode.instruction,
        "feasible": episode.feasible, "seed": episode.seed, "width": episode.width, "height": episode.height,
        "policy": episode.policy, "max_steps": episode.max_steps, "max_seconds": episode.max_seconds,
        "started": iso(episode.started), "finished": iso(episode.finished), "steps": totals.steps,
        "actions": totals.actions, "wall_ms": totals.wall_ms, "model_ms": totals.model_ms, "act_ms": totals.act_ms,
        "settle_ms": totals.settle_ms, "setup_ms": totals.setup_ms, "score_ms": totals.score_ms,
        "input_tokens": totals.usage.input_tokens, "output_tokens": totals.usage.output_tokens,
        "cost_usd": totals.usage.cost_usd, "deaths": episode.deaths, "tampered": episode.tampered,
        "task_sha256": episode.task_sha256, "version": source.version,
    }  # fmt: skip


def _step(episode: EpisodeRecord, turn: Turn) -> dict[str, Any]:
    step, after = turn.step, turn.after
    errors = [result.error for result in after.results if result.error] if after is not None else []
    return {
        "suite": episode.suite, "task": episode.task_id, "repeat": episode.repeat + 1, "attempt": episode.attempt,
        "step": turn.number, "time": iso(step.time), "actions": json.dumps(step.actions, ensure_ascii=False),
        "reply": step.reply, "thought": step.thought, "error": "; ".join(errors) or None, "model_ms": step.model_ms,
        "act_ms": after.act_ms if after else None, "settle_ms": after.settle_ms if after else None,
        "settled": after.settled if after else None, "requests": step.attempts,
        "input_tokens": step.usage.input_tokens, "output_tokens": step.usage.output_tokens,
        "cost_usd": step.usage.cost_usd, "frame_before": _frame(step.observation.frame),
        "frame_after": _frame(after.frame if after else None),
    }  # fmt: skip


def _frame(sha256: str | None) -> str | None:
    return None if sha256 is None else f"{PICTURES}/{picture_name(sha256)}"
