"""Each wire's way of saying the same things, for scripted endpoints (`endpoint.py`)."""

import json
from collections.abc import Callable
from typing import Any

from .endpoint import Say

WIRES = ("chat", "responses", "messages", "gemini", "interactions")
MORE = 10


def document(wire: str, text: str, end: str = "whole", calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A reply; `end` is `whole`, `cut off` (by the token limit) or `refused`. Calls are {"name", "arguments"}."""
    forms = {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini,
             "interactions": _interactions}  # fmt: skip
    return forms[wire](text, end, calls or [])


def said(wire: str, text: str = "fine", end: str = "whole", calls: list[dict[str, Any]] | None = None) -> Say:
    """The same as one JSON document; Interactions refuses with an error."""
    return Say(document(wire, text, end, calls), 400 if (wire, end) == ("interactions", "refused") else 200)


def _chat(text: str, end: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    finish = {"whole": "tool_calls" if calls else "stop", "cut off": "length", "refused": "content_filter"}[end]
    tools = [
        {"id": f"c{i}", "type": "function", "function": {"name": c["name"], "arguments": json.dumps(c["arguments"])}}
        for i, c in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, **({"tool_calls": tools} if tools else {})}
    usage = {"prompt_tokens": 100, "completion_tokens": MORE, "total_tokens": 100 + MORE}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}


def _responses(text: str, end: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    part = (
        {"type": "refusal", "refusal": text}
        if end == "refused"
        else {"type": "output_text", "text": text, "annotations": []}
    )
    output: list[dict[str, Any]] = [
        {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
    ]
    if calls:
        actions = [{"type": c["name"], **c["arguments"]} for c in calls]
        output = [{"type": "computer_call", "id": "cc", "call_id": "call_1", "pending_safety_checks": [],
                   "status": "completed", "actions": actions}]  # fmt: skip
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    status = cut if end == "cut off" else {"status": "completed"}
    usage: dict[str, Any] = {"input_tokens": 100, "output_tokens": MORE, "total_tokens": 100 + MORE}
    usage |= {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {"id": "resp_1", "output": output, "usage": usage, "error": None, **status}


def _messages(text: str, end: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    stop = {"whole": "tool_use" if calls else "end_turn", "cut off": "max_tokens", "refused": "refusal"}[end]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}]
    blocks += [
        {"type": "tool_use", "id": f"toolu_{i}", "name": c["name"], "toolset_name": "computer", "input": c["arguments"]}
        for i, c in enumerate(calls)
    ]
    usage = {"input_tokens": 40, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 10}
    return {"type": "message", "content": blocks, "stop_reason": stop, "usage": {**usage, "output_tokens": MORE}}


def _gemini(text: str, end: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    finish = {"whole": "STOP", "cut off": "MAX_TOKENS", "refused": "SAFETY"}[end]
    parts: list[dict[str, Any]] = [{"text": text}]
    parts += [
        {"functionCall": {"name": c["name"], "args": c["arguments"]}, "thoughtSignature": "c2lnbg=="} for c in calls
    ]
    usage = {"promptTokenCount": 100, "candidatesTokenCount": MORE}
    content = {"role": "model", "parts": parts}
    return {"candidates": [{"content": content, "finishReason": finish}], "usageMetadata": usage}


def _interactions(text: str, end: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    if end == "refused":
        return {"error": {"code": "content_blocked", "message": text}}
    steps: list[dict[str, Any]] = [{"type": "thought", "signature": "c2lnbg=="}] if calls else []
    steps += [{"type": "model_output", "content": [{"type": "text", "text": text}]}] if text else []
    steps += [
        {"type": "function_call", "id": f"call_{i}", "name": c["name"], "arguments": c["arguments"]}
        for i, c in enumerate(calls)
    ]
    status = "incomplete" if end == "cut off" else "requires_action" if calls else "completed"
    thought = 4 if calls else 0
    usage = {"total_input_tokens": 100, "total_output_tokens": MORE - thought, "total_thought_tokens": thought}
    return {"id": "v1_1", "status": status, "steps": steps, "usage": {**usage, "total_tokens": 100 + MORE}}


def failed(wire: str, status: int, message: str, kind: str = "", headers: dict[str, str] | None = None) -> Say:
    """An error in the wire's form."""
    if wire == "messages":
        body: dict[str, Any] = {"type": "error", "error": {"type": kind or "api_error", "message": message}}
    elif wire in ("gemini", "interactions"):
        body = {"error": {"code": status, "message": message, "status": kind or "INTERNAL"}}
    else:
        body = {"error": {"message": message, "type": kind or "server_error", "code": None}}
    return Say(body, status, headers or {})


OVERLONG = {
    "chat": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "messages": "prompt is too long: 210000 tokens > 200000 maximum",
    **dict.fromkeys(
        ("gemini", "interactions"),
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
}

SSE = {"Content-Type": "text/event-stream"}


def events(wire: str, text: str) -> list[dict[str, Any]]:
    """A whole reply as a stream's events."""
    half = len(text) // 2
    deltas: list[dict[str, Any]]
    if wire == "chat":
        deltas = [{"choices": [{"delta": {"content": part}}]} for part in (text[:half], text[half:])]
        return [*deltas, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"done": True}]
    if wire == "responses":
        start = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
        delta = {"type": "response.output_text.delta", "delta": text}
        return [start, delta, {"type": "response.completed", "response": document(wire, text)}]
    if wire == "messages":
        deltas = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
            for part in (text[:half], text[half:])
        ]
        return [
            {"type": "message_start", "message": {"usage": {"input_tokens": 100}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *deltas,
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": MORE}},
            {"type": "message_stop"},
        ]
    if wire == "interactions":
        whole = {name: value for name, value in document(wire, text).items() if name != "steps"}
        deltas = [
            {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": part}}
            for part in (text[:half], text[half:])
        ]
        return [
            {"event_type": "interaction.created", "interaction": {"id": "v1_1", "status": "in_progress"}},
            {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
            *deltas,
            {"event_type": "step.stop", "index": 0},
            {"event_type": "interaction.completed", "interaction": whole},
            {"done": True},
        ]
    return [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text[:half]}]}}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text[half:]}]}, "finishReason": "STOP"}]},
    ]


def streamed(found: list[dict[str, Any]]) -> Say:
    """Events as a stream."""

    def line(event: dict[str, Any]) -> str:
        name = f"event: {event['type']}\n" if "type" in event else ""
        return f"{name}data: {'[DONE]' if event == {'done': True} else json.dumps(event)}\n\n"

    return Say("".join(map(line, found)), headers=SSE)


def stream_error(wire: str, kind: str, code: int) -> dict[str, Any]:
    """An error event, as each wire sends it after a 200."""
    forms: dict[str, Callable[[], dict[str, Any]]] = {
        "chat": lambda: {"error": {"message": kind, "code": code}},
        "responses": lambda: {"type": "error", "message": kind, "code": {529: "server_error"}.get(code, code)},
        "messages": lambda: {"type": "error", "error": {"type": kind, "message": kind}},
        "gemini": lambda: {"error": {"code": code, "message": kind}},
        "interactions": lambda: {"event_type": "error", "error": {"code": kind, "message": kind}},
    }
    return forms[wire]()
