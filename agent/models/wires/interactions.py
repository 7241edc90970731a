"""Google's Interactions: `POST {base}/interactions`, with the computer-use tool.

Source of the shapes: the SDK's types (google-genai 3.6, `_gaos/types/interactions`) and Google's guide on computer use
over this API, with `steps`, which replaced `outputs` in June 2026. Every request holds the whole episode; if `store` is
false in its extra, the endpoint keeps none of it. Steps of a reply go back unchanged (thoughts are signed).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deskbench.agent.models.answers import (
    Again,
    Answer,
    Counts,
    CutOff,
    arguments_of,
    check_whole,
    count,
    excerpt,
    fault,
    mapping,
    nothing_said,
    objects,
)
from deskbench.agent.models.messages import Message, Native, Picture, Result, Shown, Text, plain, shapes
from deskbench.agent.models.sse import Broken
from deskbench.agent.models.wires.base import Request, merged
from deskbench.agent.replies.calls import Call

_SETTINGS = {"max_tokens": "max_output_tokens", "temperature": "temperature", "top_p": "top_p", "seed": "seed"}
WHOLE = frozenset({"completed", "requires_action"})
"""Statuses of a whole reply, without and with calls (Google's API reference)."""
_CUT = "incomplete"
"""Google's API reference: completed, but with incomplete results, such as when max_tokens is reached."""


class InteractionsWire:
    """The Interactions API."""

    name = "interactions"

    def path(self, model: str, stream: bool) -> str:
        """The same for every model."""
        return "/interactions"

    def headers(self, secret: str) -> dict[str, str]:
        """The key in Google's header."""
        return {"x-goog-api-key": secret} if secret else {}

    def body(self, request: Request) -> dict[str, Any]:
        """`system_instruction`, `input` and `generation_config`."""
        body: dict[str, Any] = {"model": request.model}
        system = "\n\n".join(plain(m) for m in request.messages if m.role == "system")
        if system:
            body["system_instruction"] = system
        body["input"] = [step for message in request.messages if message.role != "system" for step in _steps(message)]
        body["generation_config"] = {_SETTINGS[k]: v for k, v in request.settings.items() if k in _SETTINGS}
        if request.stream:
            body["stream"] = True
        return merged(body, request.extra)

    def read(self, document: Mapping[str, Any]) -> Answer:
        """`steps`: outputs of the model, thoughts, function calls."""
        steps = [step for step in objects(document.get("steps")) if step.get("type") != "user_input"]
        text = "".join(_text(step.get("content")) for step in steps if step.get("type") == "model_output")
        _check_status(document, steps, text)
        calls = tuple(_call(step) for step in steps if step.get("type") == "function_call")
        thoughts = [step for step in steps if step.get("type") == "thought"]
        if not (text.strip() or calls):
            raise nothing_said(bool(thoughts) or bool(_thought(document)))
        summary = "\n".join(filter(None, (_text(thought.get("summary")) for thought in thoughts)))
        checks = tuple(c for call in calls if isinstance(c := call.arguments.get("safety_decision"), dict))
        return Answer(text, summary or None, calls, Native(steps), checks)

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """`usage`; thoughts are counted apart from the output and billed as output."""
        usage = mapping(document.get("usage"))
        given, said = count(usage.get("total_input_tokens")), count(usage.get("total_output_tokens"))
        cached = count(usage.get("total_cached_tokens")) or 0
        return Counts(given, None if said is None else said + _thought(document), min(cached, given or 0))

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Join the deltas into steps; interaction.completed has the status and the usage."""
        steps: dict[Any, dict[str, Any]] = {}
        for event in events:
            kind, index = event.get("event_type"), str(event.get("index"))
            if kind == "step.start" and isinstance(event.get("step"), dict):
                steps[index] = dict(event["step"])
            elif kind == "step.delta" and index in steps:
                _add(steps[index], mapping(event.get("delta")))
            elif kind == "interaction.completed":
                return {**mapping(event.get("interaction")), "steps": [_finished(step) for step in steps.values()]}
        raise Broken("the event interaction.completed is missing")


def _check_status(document: Mapping[str, Any], steps: list[dict[str, Any]], text: str) -> None:
    status = document.get("status")
    failed = [step["error"] for step in steps if step.get("type") == "model_output" and step.get("error")]
    failed += [] if isinstance(status, str) and status in WHOLE else objects(document.get("errors"))
    if failed:
        raise fault(failed[0])
    if status == _CUT:
        raise CutOff(text)
    check_whole("status", status, WHOLE)
    if not isinstance(document.get("steps"), list):
        raise Again(f"HTTP 200 without steps: {excerpt(str(document))}")


def _thought(document: Mapping[str, Any]) -> int:
    """The number of tokens of thoughts."""
    return count(mapping(document.get("usage")).get("total_thought_tokens")) or 0


def _text(content: Any) -> str:
    return "".join(str(part.get("text") or "") for part in objects(content) if part.get("type") == "text")


def _call(step: Mapping[str, Any]) -> Call:
    arguments, problem = arguments_of(step.get("arguments"))
    decision = arguments.get("safety_decision")
    asked = isinstance(decision, dict) and decision.get("decision") == "require_confirmation"
    # The tool's result must acknowledge it (Google's guide on computer use).
    extra = {"result": {"safety_acknowledgement": True}} if asked else {}
    return Call(str(step.get("name")), arguments, str(step.get("id")), problem, extra)


def _add(step: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to its step. Texts are joined, because secrets are only found in whole texts."""
    kind = delta.get("type")
    if kind == "text":
        step["content"] = _joined(step.get("content"), delta)
    elif kind == "thought_summary" and isinstance(delta.get("content"), dict):
        step["summary"] = _joined(step.get("summary"), delta["content"])
    elif kind == "thought_signature":
        step["signature"] = str(step.get("signature") or "") + str(delta.get("signature") or "")
    elif kind == "arguments_delta":
        step["partial"] = str(step.get("partial") or "") + str(delta.get("arguments") or "")


def _joined(parts: Any, more: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = objects(parts)
    last = found[-1] if found else {}
    if last.get("type") == more.get("type") == "text":
        return [*found[:-1], {**last, "text": str(last.get("text") or "") + str(more.get("text") or "")}]
    return [*found, dict(more)]


def _finished(step: dict[str, Any]) -> dict[str, Any]:
    """A finished step; a call's arguments arrive as pieces of JSON. What is not JSON stays a text, and so a fault."""
    if "partial" not in step:
        return step
    partial = step.pop("partial")
    arguments, problem = arguments_of(partial)
    return {**step, "arguments": partial if problem else arguments}


def _steps(message: Message) -> list[dict[str, Any]]:
    """A turn's steps, with the results of calls first."""
    steps: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Native):
            steps += objects(part.content)
        elif isinstance(part, Result):
            steps.append(_result(part))
    content = shapes(message.parts, _said, _image)
    kind = "model_output" if message.role == "assistant" else "user_input"
    return [*steps, {"type": kind, "content": content}] if content else steps


def _result(result: Result) -> dict[str, Any]:
    """A call's result: its first text is a JSON object, as in Google's guide."""
    extra = dict(result.extra)
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    said = {"output" if result.ok else "error": text, **extra.pop("result", {})}
    pictures = [_image(part) for part in result.parts if isinstance(part, Picture)]
    content = [_said(json.dumps(said, ensure_ascii=False)), *pictures]
    wrong = {} if result.ok else {"is_error": True}
    name, call_id = result.name, result.call_id
    return {"type": "function_result", "name": name, "call_id": call_id, "result": content, **wrong, **extra}


def _said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(picture: Picture) -> Shown:
    return Shown(picture, {"type": "image", "mime_type": "image/png", "data": picture.base64})
