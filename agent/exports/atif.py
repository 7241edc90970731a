"""A run as trajectories in ATIF 1.8 (Agent Trajectory Interchange Format), in the layout of a job of Harbor.

    OUT/result.json                                   the job
    OUT/<suite>__<task>__<repeat>/result.json         the trial: its reward, its times, what failed
    OUT/<suite>__<task>__<repeat>/verifier/reward.txt
    OUT/<suite>__<task>__<repeat>/agent/trajectory.json
    OUT/<suite>__<task>__<repeat>/agent/images/<sha256>.png

What ATIF has no field for is in `extra`. Source of the format: `harbor.models` of Harbor 0.26 (fields not listed there
are refused by its models).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deskbench.agent.exports.reading import (
    Source,
    Turn,
    Written,
    empty_folder,
    iso,
    name_of,
    picture_name,
    safe,
    turns,
    write_file,
    write_json,
    write_pictures,
)
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, SeenRecord, StepRecord

VERSION = "ATIF-v1.8"
IMAGES = "images"
"""The folder of the pictures, beside trajectory.json."""


def write(source: Source, out: Path) -> Written:
    """Write one trial per episode.

    Raises:
        UsageError: the folder is not empty.
    """
    empty_folder(out)
    left_out: dict[str, str] = {}
    for reader in source.episodes:
        record = reader.episode
        folder = out / trial_name(record)
        if folder.exists():  # names of others' tasks may have a `__`, too
            left_out[name_of(record)] = f"another episode has the folder {folder.name}"
            continue
        write_json(folder / "agent" / "trajectory.json", trajectory(source, reader))
        if source.frames:
            write_pictures(reader, folder / "agent" / IMAGES)
        write_json(folder / "result.json", _trial(source, record, out))
        if record.score.value is not None:
            write_file(folder / "verifier" / "reward.txt", f"{record.score.value}\n".encode())
    write_json(out / "result.json", _job(source))
    return Written(out, left_out)


def trial_name(record: EpisodeRecord) -> str:
    """The folder of an episode."""
    return "__".join((safe(record.suite), safe(record.task_id), str(record.repeat + 1)))


def trajectory(source: Source, reader: EpisodeReader) -> dict[str, Any]:
    """An episode as an ATIF document; paths of pictures are relative to it."""
    record, found = reader.episode, list(turns(reader))
    steps = [_asked(source, record, found), *(_step(source, turn) for turn in found)]
    for number, step in enumerate(steps, 1):
        step["step_id"] = number
    usage = record.totals.usage
    return {
        "schema_version": VERSION,
        "session_id": source.name,
        "trajectory_id": f"{source.name}/{name_of(record)}",
        "agent": _known(name=record.agent, version=source.version, model_name=source.model),
        "steps": steps,
        "final_metrics": _known(
            total_prompt_tokens=usage.input_tokens, total_completion_tokens=usage.output_tokens,
            total_cost_usd=usage.cost_usd, total_steps=len(steps), extra=record.totals.model_dump(exclude={"usage"}),
        ),
        "extra": {"deskbench": _extra(record)},
    }  # fmt: skip


def _extra(record: EpisodeRecord) -> dict[str, Any]:
    own = (
        "task", "repeat", "attempt", "seed", "width", "height", "policy", "provider", "max_steps", "max_seconds",
        "feasible", "task_sha256", "ending", "error", "answer", "score",
    )  # fmt: skip
    return record.model_dump(mode="json", include=set(own))


def _asked(source: Source, record: EpisodeRecord, found: Sequence[Turn]) -> dict[str, Any]:
    """The first step: the instruction, with the first screen."""
    seen = found[0].step.observation if found else None
    parts = [{"type": "text", "text": record.instruction}, *_image(source, seen)]
    message = parts if len(parts) > 1 else record.instruction
    return {"timestamp": iso(record.started), "source": "user", "message": message}


def _image(source: Source, seen: SeenRecord | None) -> Iterator[dict[str, Any]]:
    if source.frames and seen is not None and seen.frame is not None:
        path = f"{IMAGES}/{picture_name(seen.frame)}"
        yield {"type": "image", "source": {"media_type": "image/png", "path": path}}


def _step(source: Source, turn: Turn) -> dict[str, Any]:
    step = turn.step
    calls = [f"call_{turn.number}_{place}" for place in range(len(step.actions))]
    extra: dict[str, Any] = {
        "frame_before": step.observation.frame, "model_ms": step.model_ms, "requests": step.attempts,
        "notes": step.notes,
    }  # fmt: skip
    value: dict[str, Any] = {
        "timestamp": iso(step.time), "source": "agent", "message": step.reply or "",
        "tool_calls": [
            {"tool_call_id": call, "function_name": str(action.get("type")),
             "arguments": {name: item for name, item in action.items() if name != "type"}}
            for call, action in zip(calls, step.actions, strict=True)
        ],
        "observation": _observation(source, turn, calls), "extra": extra,
    }  # fmt: skip
    if not asked_a_model(step):  # the format has no reasoning and no tokens for such a step
        return value | {"llm_call_count": 0, "extra": extra | ({"thought": step.thought} if step.thought else {})}
    usage = step.usage
    metrics = _known(prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens, cost_usd=usage.cost_usd)
    value |= {"llm_call_count": step.attempts, "metrics": metrics}
    return value | ({"reasoning_content": step.thought} if step.thought else {})


def asked_a_model(step: StepRecord) -> bool:
    """Whether a model decided this step; the oracle and the baselines ask none."""
    return bool(step.exchanges or step.reply is not None or step.usage.input_tokens or step.usage.output_tokens)


def _observation(source: Source, turn: Turn, calls: Sequence[str]) -> dict[str, Any] | None:
    """The result of each action; the screen after the step is a result that belongs to no call."""
    after = turn.after
    if after is None:
        return None
    results = [
        {"source_call_id": call, "content": one.error or one.output or "", "extra": {"ok": one.ok}}
        for call, one in zip(calls, after.results, strict=False)
    ]
    if after.answer is not None:
        results.append({"content": after.answer, "extra": {"from": "user"}})
    times = {"frame": after.frame, "act_ms": after.act_ms, "settle_ms": after.settle_ms, "settled": after.settled}
    return {"results": [*results, {"content": list(_image(source, after)), "extra": times}]}


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# -- Harbor's own files


def _trial(source: Source, record: EpisodeRecord, out: Path) -> dict[str, Any]:
    usage, name = record.totals.usage, trial_name(record)
    path = record.task_path or record.task
    return {
        "id": _id(source, name), "task_name": record.task, "trial_name": name,
        "trial_uri": (out / name).resolve().as_uri(), "task_id": {"path": path}, "source": record.suite,
        "task_checksum": record.task_sha256, "config": {"task": {"path": path}, "trial_name": name},
        "agent_info": {
            "name": record.agent, "version": source.version,
            "model_info": {"name": source.model} if source.model else None,
        },
        "agent_result": {
            "n_input_tokens": usage.input_tokens, "n_output_tokens": usage.output_tokens, "cost_usd": usage.cost_usd,
        },
        "verifier_result": None if record.score.value is None else {"rewards": {"reward": record.score.value}},
        "exception_info": _exception(record), "started_at": iso(record.started), "finished_at": iso(record.finished),
    }  # fmt: skip


def _exception(record: EpisodeRecord) -> dict[str, Any] | None:
    if record.score.value is not None:
        return None
    kind, _, message = (record.error or f"{record.ending.value}: {record.score.reason}").partition(": ")
    return {
        "exception_type": kind, "exception_message": message, "exception_traceback": "",
        "occurred_at": iso(record.finished),
    }  # fmt: skip


def _job(source: Source) -> dict[str, Any]:
    records = [reader.episode for reader in source.episodes]
    done = sum(record.score.value is not None for record in records)
    return {
        "id": _id(source, ""), "started_at": iso(min(record.started for record in records)),
        "finished_at": iso(max(record.finished for record in records)), "n_total_trials": len(records),
        "stats": {"n_completed_trials": len(records), "n_errored_trials": len(records) - done},
    }  # fmt: skip


def _id(source: Source, name: str) -> str:
    """The same id each time the same run is exported."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"deskbench:{source.name}/{source.manifest.get('created')}/{name}"))
