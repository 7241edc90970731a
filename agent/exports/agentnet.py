"""A run in the form of AgentNet's data, from which OpenCUA was trained: one JSON object per episode.

    OUT/agentnet.jsonl
    OUT/images/<sha256>.png

A step has the picture before its actions, and its actions as pyautogui source with fractions of the screen. Judgements
that a run does not have (`alignment_score`, `last_step_correct`, ...) are left out.
Source of the form: the data set `xlangai/AgentNet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deskbench.agent.exports.code import NotCode, code_of
from deskbench.agent.exports.reading import (
    Source,
    Turn,
    Written,
    empty_folder,
    name_of,
    picture_name,
    turns,
    write_lines,
    write_pictures,
)
from deskbench.agent.runs.record import EpisodeReader
from deskbench.envs.actions import ActionError, parse_actions


def write(source: Source, out: Path) -> Written:
    """Write the episodes whose every action pyautogui has a word for.

    Raises:
        UsageError: the folder is not empty.
    """
    empty_folder(out)
    left_out: dict[str, str] = {}
    write_lines(out / "agentnet.jsonl", _episodes(source, out, left_out))
    return Written(out, left_out)


def _episodes(source: Source, out: Path, left_out: dict[str, str]) -> Iterator[dict[str, Any]]:
    for reader in source.episodes:
        try:
            steps = list(_steps(reader))
        except (NotCode, ActionError) as error:
            left_out[name_of(reader.episode)] = str(error)
            continue
        if not steps:
            left_out[name_of(reader.episode)] = "it has no action"
            continue
        if source.frames:
            write_pictures(reader, out / "images")
        yield _episode(source, reader, steps)


def _episode(source: Source, reader: EpisodeReader, steps: list[dict[str, Any]]) -> dict[str, Any]:
    record = reader.episode
    value: dict[str, Any] = {
        "task_id": f"{source.name}/{name_of(record)}", "instruction": record.instruction,
        "natural_language_task": record.instruction, "traj": steps, "agent": record.agent,
    }  # fmt: skip
    if record.score.value is not None:
        value |= {
            "task_completed": record.score.value == 1.0, "score": record.score.value, "reason": record.score.reason,
        }  # fmt: skip
    return value


def _steps(reader: EpisodeReader) -> Iterator[dict[str, Any]]:
    index = 0
    for turn in turns(reader):
        try:
            value = _step(reader, turn)
        except NotCode as error:
            raise NotCode(f"step {turn.number}: {error}") from None
        if value["code"]:  # a step that only looks is no step of this form
            frame = turn.step.observation.frame
            yield {"index": index, "image": picture_name(frame) if frame else None, "value": value}
            index += 1


def _step(reader: EpisodeReader, turn: Turn) -> dict[str, Any]:
    step, seen = turn.step, turn.step.observation
    size = seen.width or reader.episode.width, seen.height or reader.episode.height
    value: dict[str, Any] = {"code": code_of(parse_actions(step.actions), size)}
    if step.thought:
        value["thought"] = step.thought
    if step.reply:
        value["response"] = step.reply
    return value
