"""Google's generateContent: `POST {base}/models/{model}:generateContent`, with the computer-use tool.

Source of the shapes: the SDK's types (google-genai 3.x) and the REST reference. Names are in camelCase or, from some
gateways, in snake_case; this wire reads both. Parts of a reply go back unchanged (thoughts are signed).
"""

from __future__ import annotations

import re
import urllib.parse
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
    nothing_said,
    objects,
)
from deskbench.agent.models.messages import Message, Native, Picture, Result, Shown, Text, plain, shapes
from deskbench.agent.models.sse import Broken
from deskbench.agent.models.wires.base import Request, merged
from deskbench.agent.replies.calls import Call, Malformed
from deskbench.envs.errors import RefusalError

_SETTINGS = {"max_tokens": "maxOutputTokens", "temperature": "temperature", "top_p": "topP", "seed": "seed"}
WHOLE = frozenset({"STOP"})
"""Finish reasons of a whole reply (Google's API reference); without one, the model has not stopped."""
_MALFORMED = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"})
_REFUSED = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE"})


class GeminiWire:
    """generateContent."""

    name = "gemini"

    def path(self, model: str, stream: bool) -> str:
        """The model is in the path."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/models/{urllib.parse.quote(model, safe='')}:{method}"

    def headers(self, secret: str) -> dict[str, str]:
        """The key in Google's header."""
        return {"x-goog-api-key": secret} if secret else {}

    def body(self, request: Request) -> dict[str, Any]:
        """`systemInstruction`, `contents`, `generationConfig`."""
        body: dict[str, Any] = {"contents": []}
        system = "\n\n".join(plain(m) for m in request.messages if m.role == "system")
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        for message in request.messages:
            if message.role != "system":
                body["contents"].append(_content(message))
        body["generationConfig"] = {_SETTINGS[k]: v for k, v in request.settings.items() if k in _SETTINGS}
        return merged(body, request.extra)

    def read(self, document: Mapping[str, Any]) -> Answer:
        """`candidates[0].content.parts`: texts, thoughts, function calls."""
        candidates = objects(document.get("candidates"))
        feedback = _get(document, "promptFeedback")
        blocked = _get(feedback, "blockReason") if isinstance(feedback, dict) else None
        if blocked:
            raise RefusalError(f"the endpoint blocked the request: {excerpt(str(blocked))}")
        if not candidates:
            raise Again(f"HTTP 200 without candidates: {excerpt(str(document))}")
        content = candidates[0].get("content")
        parts = objects(content.get("parts")) if isinstance(content, dict) else []
        text = "".join(str(p.get("text") or "") for p in parts if not p.get("thought"))
        _check_finish(_get(candidates[0], "finishReason"), _get(candidates[0], "finishMessage"), text)
        calls = tuple(_call(i, c) for i, p in enumerate(parts) if isinstance(c := _get(p, "functionCall"), dict))
        if not (text.strip() or calls):
            raise nothing_said(any(p.get("thought") for p in parts) or _reasoned(document))
        thoughts = "".join(str(p.get("text") or "") for p in parts if p.get("thought"))
        checks = tuple(c for call in calls if isinstance(c := call.arguments.get("safety_decision"), dict))
        return Answer(text, thoughts or None, calls, Native({"role": "model", "parts": parts}), checks)

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """`usageMetadata`; thoughts are billed as output."""
        usage = _get(document, "usageMetadata")
        if not isinstance(usage, dict):
            return Counts()
        given, said = count(_get(usage, "promptTokenCount")), count(_get(usage, "candidatesTokenCount"))
        thought = count(_get(usage, "thoughtsTokenCount")) or 0
        cached = count(_get(usage, "cachedContentTokenCount")) or 0
        return Counts(given, None if said is None else said + thought, min(cached, given or 0))

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Join the parts of all events; the last event has a finishReason."""
        document: dict[str, Any] = {}
        parts: list[dict[str, Any]] = []
        candidate: dict[str, Any] = {}
        for event in events:
            document |= event
            for found in objects(event.get("candidates"))[:1]:
                content = found.get("content")
                parts += objects(content.get("parts")) if isinstance(content, dict) else []
                candidate |= found
        if candidate and _get(candidate, "finishReason"):
            return {**document, "candidates": [{**candidate, "content": {"role": "model", "parts": _joined(parts)}}]}
        if _get(document, "promptFeedback"):
            return document
        raise Broken("it has no finishReason")


def _joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join texts that a stream has split, because secrets are only found in whole texts."""
    whole: list[dict[str, Any]] = []
    for part in parts:
        last = whole[-1] if whole else {}
        if set(part) == set(last) == {"text"} and isinstance(part["text"], str) and isinstance(last["text"], str):
            whole[-1] = {"text": last["text"] + part["text"]}
        else:
            whole.append(part)
    return whole


def _get(value: Mapping[str, Any], name: str) -> Any:
    """A field by its camelCase or snake_case name."""
    return value.get(name, value.get(re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)))


def _reasoned(document: Mapping[str, Any]) -> bool:
    """Whether the count includes thoughts that are not shown."""
    usage = _get(document, "usageMetadata")
    return isinstance(usage, dict) and bool(count(_get(usage, "thoughtsTokenCount")))


def _check_finish(finish: Any, message: Any, text: str) -> None:
    ending = str(finish)
    if ending == "MAX_TOKENS":
        raise CutOff(text)
    if ending in _REFUSED:
        raise RefusalError(f"the model declined: {ending} {excerpt(str(message or ''))}")
    if ending in _MALFORMED:
        raise Malformed(f"The function call cannot be read: {excerpt(str(message or ending))}")
    check_whole("finishReason", finish, WHOLE)


def _call(index: int, value: Mapping[str, Any]) -> Call:
    arguments, problem = arguments_of(value.get("args"))
    decision = arguments.get("safety_decision")
    asked = isinstance(decision, dict) and decision.get("decision") == "require_confirmation"
    extra: dict[str, Any] = {"id": value["id"]} if value.get("id") else {}
    if asked:  # the tool's response must acknowledge it (Google's guide on computer use)
        extra["response"] = {"safety_acknowledgement": "true"}
    return Call(str(value.get("name")), arguments, str(value.get("id") or index), problem, extra)


def _content(message: Message) -> dict[str, Any]:
    for part in message.parts:
        if isinstance(part, Native):
            native: dict[str, Any] = part.content
            return native
    parts: list[Any] = [_response(part) for part in message.parts if isinstance(part, Result)]
    parts += shapes(message.parts, lambda text: {"text": text}, _image)
    return {"role": "model" if message.role == "assistant" else "user", "parts": parts}


def _response(result: Result) -> dict[str, Any]:
    extra = dict(result.extra)
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    said = {"output": text} if result.ok else {"error": text}
    out: dict[str, Any] = {"name": result.name, "response": {**said, **extra.pop("response", {})}, **extra}
    pictures = [_image(part) for part in result.parts if isinstance(part, Picture)]
    return {"functionResponse": {**out, "parts": pictures} if pictures else out}


def _image(picture: Picture) -> Shown:
    return Shown(picture, {"inlineData": {"mimeType": "image/png", "data": picture.base64}})
