"""OpenAI's chat completions, which most servers support: `POST {base}/chat/completions`.

Source of the shapes: OpenAI's API reference, the SDK's types (openai 3.x), and vLLM's additions (`reasoning_content`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deskbench.agent.models.answers import (
    Again,
    Answer,
    Counts,
    CutOff,
    Token,
    arguments_of,
    check_whole,
    content_text,
    count,
    excerpt,
    fault,
    mapping,
    nothing_said,
    objects,
)
from deskbench.agent.models.messages import Message, Native, Part, Picture, Result, Shown, Text, shapes
from deskbench.agent.models.sse import Broken
from deskbench.agent.models.wires.base import Request, merged
from deskbench.agent.replies.calls import Call
from deskbench.envs.errors import RefusalError

WHOLE = frozenset({"stop", "tool_calls", "function_call"})
"""Finish reasons of a whole reply (OpenAI's API reference); `length` and `content_filter` have their own meanings, and
gateways have others (`error`, `abort`) for replies that break off."""
TOOL_CALL_ID = "1"
"""The call id in a `tool` turn: Seed's agents use the same one for all (OSWorld, seed_agent.py)."""


class ChatWire:
    """Chat completions."""

    name = "chat"

    def path(self, model: str, stream: bool) -> str:
        """The same for every model."""
        return "/chat/completions"

    def headers(self, secret: str) -> dict[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {secret}"} if secret else {}

    def body(self, request: Request) -> dict[str, Any]:
        """`messages`, with pictures as data URLs."""
        body = {"model": request.model, **request.settings}
        body["messages"] = [out for m in request.messages for out in _messages(m, request.detail)]
        if request.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if request.logprobs:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        return merged(body, request.extra)

    def read(self, document: Mapping[str, Any]) -> Answer:
        """`choices[0].message`: text, reasoning, tool calls."""
        choices = objects(document.get("choices"))
        choice = choices[0] if choices else {}
        message = choice.get("message")
        if choice.get("error"):
            raise fault(choice["error"])
        if not isinstance(message, dict):
            raise Again(f"HTTP 200 without choices[0].message: {excerpt(str(document))}")
        finish, refusal = choice.get("finish_reason"), message.get("refusal")
        if finish == "content_filter" or (isinstance(refusal, str) and refusal.strip()):
            raise RefusalError(f"the model declined: {excerpt(refusal or 'finish_reason content_filter')}")
        text = content_text(message.get("content"))
        if finish == "length":
            raise CutOff(text)
        check_whole("finish_reason", finish, WHOLE)
        called = objects(message.get("tool_calls")) or [
            {"function": f} for f in objects([message.get("function_call")])
        ]
        calls = tuple(map(_call, called))
        reasoning = content_text(message.get("reasoning_content") or message.get("reasoning"))
        if not (text.strip() or calls):
            raise nothing_said(bool(reasoning.strip()) or _reasoned(document.get("usage")))
        return Answer(text, reasoning or None, calls, tokens=_tokens(choice.get("logprobs")))

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """`usage`, with the tokens read from the cache and written to it."""
        usage = document.get("usage")
        if not isinstance(usage, dict):
            return Counts()
        details = mapping(usage.get("prompt_tokens_details"))
        given = count(usage.get("prompt_tokens"))
        cached = min(count(details.get("cached_tokens")) or 0, given or 0)
        written = min(count(details.get("cache_write_tokens")) or 0, (given or 0) - cached)
        return Counts(given, count(usage.get("completion_tokens")), cached, written)

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Join the deltas; the stream ends with a finish_reason."""
        message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_content": "", "tool_calls": []}
        finish, usage, error, tokens = None, None, None, []
        for event in events:
            usage = event.get("usage") or usage
            for choice in objects(event.get("choices"))[:1]:
                finish = choice.get("finish_reason") or finish
                error = choice.get("error") or error
                _add(message, choice.get("delta"))
                tokens += _token_objects(choice.get("logprobs"))
        if finish is None and error is None:
            raise Broken("it has no finish_reason")
        choice = {"message": message, "finish_reason": finish, "error": error, "logprobs": {"content": tokens}}
        return {"choices": [choice], "usage": usage}


def _reasoned(usage: Any) -> bool:
    """Whether the count includes reasoning tokens that are not shown."""
    details = mapping(mapping(usage).get("completion_tokens_details"))
    return bool(count(details.get("reasoning_tokens")))


def _add(message: dict[str, Any], delta: Any) -> None:
    if not isinstance(delta, dict):
        return
    message["content"] += content_text(delta.get("content"))
    message["reasoning_content"] += content_text(delta.get("reasoning_content") or delta.get("reasoning"))
    message["refusal"] = (message.get("refusal") or "") + content_text(delta.get("refusal"))
    for part in objects(delta.get("tool_calls")):
        index = count(part.get("index"))
        calls = message["tool_calls"]
        if index is None or index >= len(calls):
            calls.append({"id": part.get("id"), "function": {"name": "", "arguments": ""}})
        function = calls[-1 if index is None else min(index, len(calls) - 1)]["function"]
        given = part.get("function")
        for name in ("name", "arguments"):
            function[name] += content_text(given.get(name)) if isinstance(given, dict) else ""


def _call(value: dict[str, Any]) -> Call:
    function = value.get("function")
    function = function if isinstance(function, dict) else {}
    arguments, problem = arguments_of(function.get("arguments"))
    return Call(str(function.get("name")), arguments, str(value.get("id")), problem)


def _token_objects(logprobs: Any) -> list[dict[str, Any]]:
    return objects(logprobs.get("content")) if isinstance(logprobs, dict) else []


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    found = []
    for item in _token_objects(logprobs):
        top = {str(t.get("token")): t["logprob"] for t in objects(item.get("top_logprobs")) if _is_number(t)}
        if _is_number(item):
            found.append(Token(str(item.get("token")), item["logprob"], top))
    return tuple(found)


def _is_number(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("logprob"), (int, float)) and not isinstance(item.get("logprob"), bool)


def _messages(message: Message, detail: str | None) -> list[dict[str, Any]]:
    """A turn; results of native calls become separate `tool` turns.

    OpenAI's API accepts only texts there, so pictures go into a user turn after them, unless a family needs them there.
    """
    results = [part for part in message.parts if isinstance(part, Result)]
    out: list[dict[str, Any]] = []
    for result in results:
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        content = _content(result.parts, detail) if result.inside else text or "Done."
        out.append({"role": "tool", "tool_call_id": result.call_id, "content": content})
    shown = [part for r in results if not r.inside for part in r.parts if isinstance(part, Picture)]
    rest = [part for part in message.parts if not isinstance(part, Result)] + shown
    if rest:
        out.append(_turn(message.role, rest, detail))
    return out


def _turn(role: str, parts: Sequence[Part], detail: str | None) -> dict[str, Any]:
    """One turn; a single text becomes a plain string, because the strictest servers require that."""
    native = next((part.content for part in parts if isinstance(part, Native)), None)
    if isinstance(native, dict):
        return native
    more = {"tool_call_id": TOOL_CALL_ID} if role == "tool" else {}
    if len(parts) == 1 and isinstance(parts[0], Text):
        return {"role": role, "content": parts[0].text, **more}
    return {"role": role, "content": _content(parts, detail), **more}


def _content(parts: Sequence[Part], detail: str | None) -> list[Any]:
    return shapes(parts, lambda text: {"type": "text", "text": text}, lambda p: _picture(p, detail))


def _picture(picture: Picture, detail: str | None) -> Shown:
    url = {"url": f"data:image/png;base64,{picture.base64}"}
    return Shown(picture, {"type": "image_url", "image_url": {**url, "detail": detail} if detail else url})
