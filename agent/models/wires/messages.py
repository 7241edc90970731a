"""Anthropic's Messages: `POST {base}/messages`, with the computer tools of all versions and the toolset.

Source of the shapes: the SDK's types (anthropic 2.x). Blocks of a reply go back unchanged (thinking is signed); every
tool_use is answered in the next turn, in order. Two cache marks keep the prefix of an episode cached: on the system
prompt, and on the newest turn.
"""

from __future__ import annotations

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
    mapping,
    nothing_said,
    objects,
)
from deskbench.agent.models.messages import Message, Native, Picture, Result, Shown, plain, shapes
from deskbench.agent.models.sse import Broken
from deskbench.agent.models.wires.base import Request, merged
from deskbench.agent.replies.calls import Call
from deskbench.envs.errors import RefusalError

WHOLE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""Stop reasons of a whole reply (Anthropic's guide on stop reasons)."""
_VERSION = "2023-06-01"
_CACHE = {"cache_control": {"type": "ephemeral"}}
_MAX_TOKENS = 4096
"""The field is required; this is the value if a run does not set it."""


class MessagesWire:
    """The Messages API."""

    name = "messages"

    def path(self, model: str, stream: bool) -> str:
        """The same for every model."""
        return "/messages"

    def headers(self, secret: str) -> dict[str, str]:
        """The key in Anthropic's header, or as a bearer token if it does not look like Anthropic's."""
        if not secret:
            return {"anthropic-version": _VERSION}
        key = {"x-api-key": secret} if secret.startswith("sk-") else {"Authorization": f"Bearer {secret}"}
        return {"anthropic-version": _VERSION, **key}

    def body(self, request: Request) -> dict[str, Any]:
        """`system` and `messages`."""
        settings = {"max_tokens": _MAX_TOKENS, **request.settings}
        settings.pop("seed", None)
        body: dict[str, Any] = {"model": request.model, **settings}
        system = "\n\n".join(plain(m) for m in request.messages if m.role == "system")
        if system:
            body["system"] = [{"type": "text", "text": system, **_CACHE}]
        turns = [m for m in request.messages if m.role != "system"]
        body["messages"] = [{"role": m.role, "content": _blocks(m)} for m in turns]
        if body["messages"] and body["messages"][-1]["content"]:
            last = body["messages"][-1]["content"]
            last[-1] = _marked(last[-1])
        if request.stream:
            body["stream"] = True
        return merged(body, request.extra)

    def read(self, document: Mapping[str, Any]) -> Answer:
        """`content`: texts, thinking, tool_use."""
        if not isinstance(document.get("content"), list):
            raise Again(f"HTTP 200 without content: {excerpt(str(document))}")
        blocks = objects(document["content"])
        text = "".join(str(b.get("text") or "") for b in blocks if b.get("type") == "text")
        stop = document.get("stop_reason")
        if stop == "refusal":
            raise RefusalError(f"the model declined: {excerpt(text or 'stop_reason refusal')}")
        if stop == "max_tokens":
            raise CutOff(text)
        if stop == "model_context_window_exceeded":
            raise CutOff(text, full=True)
        check_whole("stop_reason", stop, WHOLE)  # pause_turn is not an end: more follows
        calls = tuple(_call(b) for b in blocks if b.get("type") == "tool_use")
        thought = any(b.get("type") in ("thinking", "redacted_thinking") for b in blocks)
        if not (text.strip() or calls):
            raise nothing_said(thought)
        thinking = "\n".join(str(b.get("thinking") or "") for b in blocks if b.get("type") == "thinking")
        return Answer(text, thinking or None, calls, Native(document["content"]))

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """`usage`; its input_tokens exclude tokens that were read from the cache or written to it."""
        usage = document.get("usage")
        if not isinstance(usage, dict):
            return Counts()
        fresh = count(usage.get("input_tokens"))
        cached = count(usage.get("cache_read_input_tokens")) or 0
        written = count(usage.get("cache_creation_input_tokens")) or 0
        given = None if fresh is None else fresh + cached + written
        return Counts(given, count(usage.get("output_tokens")), *((cached, written) if given is not None else ()))

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Join the deltas into blocks; the stream ends with message_stop."""
        document: dict[str, Any] = {"content": [], "usage": {}}
        blocks: list[dict[str, Any]] = document["content"]
        for event in events:
            kind = event.get("type")
            if kind == "message_start" and isinstance(event.get("message"), dict):
                document["usage"] |= mapping(event["message"].get("usage"))
            elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
                blocks.append(dict(event["content_block"]))
            elif kind == "content_block_delta" and blocks and isinstance(event.get("delta"), dict):
                _add(blocks[-1], event["delta"])
            elif kind == "message_delta":
                document |= mapping(event.get("delta"))
                document["usage"] |= mapping(event.get("usage"))
            elif kind == "message_stop":
                return {**document, "content": [_finished(block) for block in blocks]}
        raise Broken("the event message_stop is missing")


_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature",
           "input_json_delta": "partial_json"}  # fmt: skip


def _add(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    name = _DELTAS.get(str(delta.get("type")))
    if name is not None:
        block[name] = str(block.get(name) or "") + str(delta.get(name) or "")


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    """A finished block; a tool's input arrives as pieces of JSON."""
    if "partial_json" in block:
        arguments, problem = arguments_of(block.pop("partial_json"))
        block["input"] = {"_unreadable": problem} if problem else arguments
    return block


def _call(block: Mapping[str, Any]) -> Call:
    arguments, problem = arguments_of(block.get("input"))
    problem = problem or arguments.get("_unreadable")
    extra = {"toolset_name": block["toolset_name"]} if "toolset_name" in block else {}
    return Call(str(block.get("name")), arguments, str(block.get("id")), problem, extra)


def _blocks(message: Message) -> list[dict[str, Any]]:
    """A turn's blocks, with results first, as the endpoint requires."""
    out: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Native):
            out += objects(part.content)
        elif isinstance(part, Result):
            out.append(_result(part))
    return out + shapes(message.parts, _text, _image)


def _result(result: Result) -> dict[str, Any]:
    content = shapes(result.parts, _text, _image)
    wrong = {} if result.ok else {"is_error": True}
    return {"type": "tool_result", "tool_use_id": result.call_id, "content": content, **wrong, **result.extra}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(picture: Picture) -> Shown:
    source = {"type": "base64", "media_type": "image/png", "data": picture.base64}
    return Shown(picture, {"type": "image", "source": source})


def _marked(block: dict[str, Any]) -> dict[str, Any]:
    """A block with a cache mark; thinking blocks cannot have one."""
    if block.get("type") in ("thinking", "redacted_thinking"):
        return block
    return Shown(block.picture, {**block, **_CACHE}) if isinstance(block, Shown) else {**block, **_CACHE}
