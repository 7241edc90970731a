"""A run as spans of OpenTelemetry: OUT/traces.jsonl, which the collector's `otlpjsonfile` receiver reads.

Each line is one message of OTLP in JSON (ids in hex, 64-bit numbers as text). The spans are the run, its episodes
(`invoke_agent`), their steps, and in a step the request to the model (`chat`) and the actions (`execute_tool`). Names
of attributes are those of OpenTelemetry's semantic conventions for generative AI, else `deskbench.*`. A score is an
event `gen_ai.evaluation.result`. Pictures are named by their hash only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deskbench.agent.base import Ending
from deskbench.agent.exports.atif import asked_a_model
from deskbench.agent.exports.reading import Source, Turn, Written, empty_folder, name_of, turns, write_lines
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord

INTERNAL, CLIENT = 1, 3
"""Kinds of spans."""
OK, ERROR = 1, 2
"""Codes of a span's status."""
FAULTS = (Ending.AGENT_ERROR, Ending.AGENT_CRASH, Ending.ENV_ERROR, Ending.CRASHED)
"""Endings that make the span of an episode an error."""

_Span = dict[str, Any]


def write(source: Source, out: Path) -> Written:
    """Write the spans, one line per episode, after a line with the span of the run.

    Raises:
        UsageError: the folder is not empty.
    """
    empty_folder(out)
    write_lines(out / "traces.jsonl", _messages(source))
    return Written(out)


def _messages(source: Source) -> Iterator[dict[str, Any]]:
    yield _message(source, [_run(source)])
    for reader in source.episodes:
        yield _message(source, list(_episode(source, reader)))


def _message(source: Source, spans: list[_Span]) -> dict[str, Any]:
    resource = {"service.name": "deskbench", "service.version": source.version, "deskbench.run": source.name}
    scope = {"name": "deskbench", "version": source.version}
    return {
        "resourceSpans": [
            {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [{"scope": scope, "spans": spans}]}
        ]
    }


def _run(source: Source) -> _Span:
    records = [reader.episode for reader in source.episodes]
    began, ended = min(one.started for one in records), max(one.finished for one in records)
    attributes = {
        "deskbench.agent": source.manifest.get("agent"), "deskbench.provider": source.manifest.get("provider"),
        "deskbench.episodes": len(records),
    }  # fmt: skip
    return _span(source, f"run {source.name}", "run", None, (began, ended), attributes)


def _episode(source: Source, reader: EpisodeReader) -> Iterator[_Span]:
    record, name = reader.episode, name_of(reader.episode)
    attributes = {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": record.agent,
        "gen_ai.request.model": source.model, "gen_ai.conversation.id": f"{source.name}/{name}",
        "gen_ai.usage.input_tokens": record.totals.usage.input_tokens,
        "gen_ai.usage.output_tokens": record.totals.usage.output_tokens,
        "deskbench.cost_usd": record.totals.usage.cost_usd, "deskbench.task": record.task,
        "deskbench.repeat": record.repeat + 1, "deskbench.attempt": record.attempt, "deskbench.seed": record.seed,
        "deskbench.ending": record.ending.value, "deskbench.score": record.score.value,
        "deskbench.instruction": record.instruction, "deskbench.policy": record.policy,
    }  # fmt: skip
    if record.ending in FAULTS:
        attributes["error.type"] = record.ending.value
    span = _span(source, f"invoke_agent {record.agent}", name, "run", (record.started, record.finished), attributes)
    span["events"] = [_result(record)]
    if record.ending in FAULTS:
        span["status"] = {"code": ERROR, "message": record.error or record.ending.value}
    yield span
    for turn in turns(reader):
        yield from _step(source, name, turn)


def _result(record: EpisodeRecord) -> dict[str, Any]:
    attributes = {
        "gen_ai.evaluation.name": record.task, "gen_ai.evaluation.score.value": record.score.value,
        "gen_ai.evaluation.explanation": record.score.reason,
    }  # fmt: skip
    return {
        "name": "gen_ai.evaluation.result", "timeUnixNano": _nanoseconds(record.finished),
        "attributes": _attributes(attributes),
    }  # fmt: skip


def _step(source: Source, episode: str, turn: Turn) -> Iterator[_Span]:
    """The span of a step, and those inside it. `StepRecord.time` is when the decision was made."""
    step, after, name = turn.step, turn.after, f"{episode}/{turn.number}"
    began, decided = step.time - step.model_ms / 1e3, step.time
    ended = decided + ((after.act_ms + after.settle_ms) / 1e3 if after is not None else 0.0)
    seen = {
        "deskbench.step": turn.number, "deskbench.frame_before": step.observation.frame,
        "deskbench.frame_after": after.frame if after is not None else None,
    }  # fmt: skip
    yield _span(source, f"step {turn.number}", name, episode, (began, ended), seen)
    if asked_a_model(step):
        said = [{"role": "assistant", "parts": [{"type": "text", "content": step.reply or ""}]}]
        if step.thought:
            said[0]["parts"] = [{"type": "reasoning", "content": step.thought}, *said[0]["parts"]]
        asked = {
            "gen_ai.operation.name": "chat", "gen_ai.request.model": source.model,
            "gen_ai.usage.input_tokens": step.usage.input_tokens,
            "gen_ai.usage.output_tokens": step.usage.output_tokens, "deskbench.requests": step.attempts,
            "gen_ai.output.messages": json.dumps(said, ensure_ascii=False),
        }  # fmt: skip
        title = f"chat {source.model}" if source.model else "chat"
        yield _span(source, title, f"{name}/chat", name, (began, decided), asked, kind=CLIENT)
    for place, action in enumerate(step.actions):
        yield _tool(source, name, place, turn, (decided, ended), action)


def _tool(
    source: Source, step: str, place: int, turn: Turn, times: tuple[float, float], action: Mapping[str, Any]
) -> _Span:
    """The span of an action; actions of one step are sent together, so each has the time of all."""
    kind = str(action.get("type"))
    arguments = {name: value for name, value in action.items() if name != "type"}
    attributes = {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": kind, "gen_ai.tool.type": "function",
        "gen_ai.tool.call.arguments": json.dumps(arguments, ensure_ascii=False),
    }  # fmt: skip
    span = _span(source, f"execute_tool {kind}", f"{step}/{place}", step, times, attributes)
    results = turn.after.results if turn.after is not None else []
    error = results[place].error if place < len(results) else None
    if error:
        span["status"] = {"code": ERROR, "message": error}
    return span


def _span(
    source: Source, title: str, name: str, parent: str | None, times: tuple[float, float],
    attributes: Mapping[str, Any], kind: int = INTERNAL,
) -> _Span:  # fmt: skip
    began, ended = times
    value = {
        "traceId": _id(source, "trace", 32), "spanId": _id(source, name, 16), "name": title, "kind": kind,
        "startTimeUnixNano": _nanoseconds(began), "endTimeUnixNano": _nanoseconds(max(began, ended)),
        "attributes": _attributes(attributes), "status": {"code": OK},
    }  # fmt: skip
    return value if parent is None else value | {"parentSpanId": _id(source, parent, 16)}


def _id(source: Source, name: str, digits: int) -> str:
    """The same id each time the same run is exported; never all zeros."""
    text = f"{source.name}/{source.manifest.get('created')}/{name}"
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _nanoseconds(seconds: float) -> str:
    return str(max(0, round(seconds * 1e9)))


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}
