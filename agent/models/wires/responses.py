"""OpenAI's Responses: `POST {base}/responses`, with the computer tools in both forms.

Source of the shapes: the SDK's types (openai 3.x): `computer_use_preview` has one `action` per call, `computer` a list
of `actions`. The endpoint's items (including reasoning) go back unchanged, or the endpoint stores them under a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deskbench.agent.models.answers import (
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
from deskbench.agent.models.messages import Message, Native, Part, Picture, Result, Shown, Text, plain, shapes
from deskbench.agent.models.sse import Broken
from deskbench.agent.models.wires.base import Request, merged
from deskbench.agent.replies.calls import Call
from deskbench.envs.errors import RefusalError

WHOLE = frozenset({"completed"})
"""The status of a whole response (OpenAI's API reference), and of each of its items."""
_LENGTH = frozenset({"max_output_tokens", "max_tokens"})
"""Why a response is incomplete if it reached its limit (OpenAI's API reference; some servers use the short name)."""
_FUNCTION = "function_call_output"
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class ResponsesWire:
    """The Responses API. If `store` is false in a request's extra, the endpoint stores nothing and gets all turns."""

    name = "responses"

    def path(self, model: str, stream: bool) -> str:
        """The same for every model."""
        return "/responses"

    def headers(self, secret: str) -> dict[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {secret}"} if secret else {}

    def body(self, request: Request) -> dict[str, Any]:
        """`instructions` and `input`; after a stored reply, `input` has only the turns since then."""
        settings = dict(request.settings)
        body: dict[str, Any] = {"model": request.model}
        if "max_tokens" in settings:
            body["max_output_tokens"] = settings.pop("max_tokens")
        body |= settings
        instructions = "\n\n".join(plain(m) for m in request.messages if m.role == "system")
        if instructions:
            body["instructions"] = instructions
        turns = [m for m in request.messages if m.role != "system"]
        known = None if request.extra.get("store") is False else _remembered(turns)
        if known is not None:
            body["previous_response_id"], turns = known
        body["input"] = [item for turn in turns for item in _items(turn, request.detail)]
        if request.stream:
            body["stream"] = True
        return merged(body, request.extra)

    def read(self, document: Mapping[str, Any]) -> Answer:
        """`output`: messages, reasoning, and calls of the computer and of functions."""
        output = objects(document.get("output"))
        contents = [part for item in output if item.get("type") == "message" for part in objects(item.get("content"))]
        text = "".join(str(part.get("text") or "") for part in contents)
        _check_status(document, text)
        refusals = [str(part.get("refusal")) for part in contents if part.get("type") == "refusal"]
        if refusals:
            raise RefusalError(f"the model declined: {excerpt(' '.join(refusals))}")
        calls = tuple(call for item in output for call in _calls(item))
        if not (text.strip() or calls):
            raise nothing_said(any(item.get("type") == "reasoning" for item in output))
        reasoning = "\n".join(
            str(part.get("text") or "")
            for item in output if item.get("type") == "reasoning"
            for part in objects(item.get("summary"))
        )  # fmt: skip
        name = document.get("id")
        native = Native(output, name if isinstance(name, str) else None)
        checks = tuple(check for item in output for check in objects(item.get("pending_safety_checks")))
        return Answer(text, reasoning or None, calls, native, checks)

    def counts(self, document: Mapping[str, Any]) -> Counts:
        """`usage`, with the tokens read from the cache and written to it."""
        usage = document.get("usage")
        if not isinstance(usage, dict):
            return Counts()
        details = mapping(usage.get("input_tokens_details"))
        given = count(usage.get("input_tokens"))
        cached = min(count(details.get("cached_tokens")) or 0, given or 0)
        written = min(count(details.get("cache_write_tokens")) or 0, (given or 0) - cached)
        return Counts(given, count(usage.get("output_tokens")), cached, written)

    def gather(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """The last event holds the whole response."""
        for event in events:
            if event.get("type") == "error":
                return {"error": {"message": event.get("message"), "code": event.get("code")}}
            if event.get("type") in _ENDS and isinstance(event.get("response"), dict):
                whole: dict[str, Any] = event["response"]
                return whole
        raise Broken("the event response.completed is missing")


def _check_status(document: Mapping[str, Any], text: str) -> None:
    if document.get("status") == "incomplete":
        details = document.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        if reason == "content_filter":
            raise RefusalError("the endpoint's filter ended the reply")
        check_whole("the reason of an incomplete reply", reason, _LENGTH)
        raise CutOff(text)
    check_whole("status", document.get("status"), WHOLE)
    for item in objects(document.get("output")):
        if "status" in item and item["status"] is not None:
            check_whole(f"status of {excerpt(str(item.get('type')))}", item["status"], WHOLE)


def _calls(item: Mapping[str, Any]) -> list[Call]:
    kind, call_id = item.get("type"), str(item.get("call_id"))
    if kind == "function_call":
        arguments, problem = arguments_of(item.get("arguments"))
        return [Call(str(item.get("name")), arguments, call_id, problem, {"type": _FUNCTION})]
    if kind != "computer_call":
        return []
    given = item.get("actions")
    actions = given if isinstance(given, list) else [item.get("action")]
    checks = objects(item.get("pending_safety_checks"))
    extra = {"acknowledged_safety_checks": checks} if checks else {}
    arguments = {"actions": [a if isinstance(a, dict) else {} for a in actions]}
    return [Call("computer", arguments, call_id, extra=extra)]


def _remembered(turns: list[Message]) -> tuple[str, list[Message]] | None:
    """The name of the last reply that the endpoint has stored, and the turns since then."""
    for index in range(len(turns) - 1, -1, -1):
        for part in turns[index].parts:
            if isinstance(part, Native) and part.response_id:
                return part.response_id, turns[index + 1 :]
    return None


def _items(turn: Message, detail: str | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    beside: list[Part] = []
    for part in turn.parts:
        if isinstance(part, Native):
            items += objects(part.content)
        elif isinstance(part, Result):
            items.append(_output(part, detail))
            beside += _pictures(part) if part.extra.get("type") == _FUNCTION else []
    kind = "output_text" if turn.role == "assistant" else "input_text"
    content = shapes(
        [*beside, *turn.parts],
        lambda text: {"type": kind, "text": text},
        lambda p: _image(p, "input_image", detail or "auto"),
    )
    return [*items, {"role": turn.role, "content": content}] if content else items


def _output(result: Result, detail: str | None) -> dict[str, Any]:
    """A call's output: a picture for the computer, text for a function, whose pictures follow in a user's turn."""
    extra = dict(result.extra)
    kind = extra.pop("type", "computer_call_output")
    pictures = _pictures(result)
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    shown: Any = text if kind == _FUNCTION or not pictures else None
    if shown is None:
        shown = _image(pictures[-1], "computer_screenshot", "original" if detail == "original" else None)
    return {"type": kind, "call_id": result.call_id, "output": shown, **extra}


def _pictures(result: Result) -> list[Picture]:
    return [part for part in result.parts if isinstance(part, Picture)]


def _image(picture: Picture, kind: str, detail: str | None) -> Shown:
    shape = {"type": kind, "image_url": f"data:image/png;base64,{picture.base64}"}
    return Shown(picture, {**shape, "detail": detail} if detail else shape)
