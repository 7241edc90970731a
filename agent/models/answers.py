"""Interpret an endpoint's HTTP answer: as a reply, a reason to try again, or a reason to stop. Pure functions.

This module has what all wires share; each wire (`wires/`) reads its own part of the JSON document.

A transport failure never counts as something that the model said.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from deskbench.agent.models.messages import Native
from deskbench.agent.models.sse import Broken, is_stream, read_events
from deskbench.agent.replies.calls import Call, NoAction
from deskbench.agent.replies.loose import decode
from deskbench.agent.replies.valid import valid
from deskbench.envs.errors import ModelError, ModelFatal, RefusalError
from deskbench.envs.redact import KNOWN

FATAL = frozenset({401, 402, 403, 404})
"""No request of this run can succeed: the key, the account, the permission or the address is wrong."""
REFUSED = {401: "the endpoint does not accept the key", 403: "the endpoint does not allow this key"}
"""Replaces the text of these answers, because some of them repeat the key in some form."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""Worth another try, like every 5xx (529 means `overloaded` at Anthropic and others)."""
_OVERFLOW = re.compile(
    r"context.{0,10}(length|window|size)|maximum.{0,12}(context|input|prompt)|too many (input )?tokens"
    r"|prompt is too long|reduce the length|at most \d+ (image|multimodal)|exceed\w* .{0,40}(context|token)"
    r"|(image|multimodal).{0,40}(per prompt|limit)",
    re.IGNORECASE | re.DOTALL,
)
_BLIND = re.compile(
    r"(image|picture|vision|visual|multi-?modal)s?( input| data| content|_url)?s? (is|are|was|were) (currently )?"
    r"(not (currently )?(supported|enabled|available|allowed)|only supported by|unsupported)"
    r"|(does|do|did|can)( ?not|n.t) (currently )?(support|accept|process|handle) "
    r"(any )?(image|picture|vision|visual|multi-?modal)"
    r"(?!.{0,20}(format|type|size|larger|bigger))"
    r"|(content|part|input|modality|type)s?:? [`'\"]?(image|input_image|image_url)[`'\"]? (is |are )?not supported"
    r"|(unsupported|unknown) (content|part|input)[a-z ]{0,12}:? [`'\"]?(input_)?image(_url)?\b"
    r"(?!.{0,20}(format|type|size|larger|bigger))"
    r"|(only|is) (supports? )?text[ -](only|input)|only text (input )?is supported"
    r"|(image|vision|multi-?modal)s?( inputs?| data)? (is |are )?not (supported|accepted)"
    r"|((no|without|lacks?|lacking|missing)( an?| any)?|not have an?) (vision|visual|image|multi-?modal)( input)? "
    r"(support|capabilit|encoder|tower|processor|projector|adapter|head)|not an? (vision|multi-?modal)"
    r"|[`'\"]?(image|vision)[`'\"]? (modality|modalities|inputs?|contents?|parts?) (is |are )?"
    r"(not (currently )?(supported|enabled|available|allowed)|unsupported)"
    r"|support image input|at most 0 image|unknown variant `?image_url|mmproj",
    re.IGNORECASE,
)
"""Errors of servers whose model accepts no pictures, with any status (llama.cpp uses 500)."""
_SHOWN = 300
"""How many characters of an endpoint's error our own error repeats."""


class Again(Exception):
    """This request may succeed later; `after` is how long the endpoint says to wait, in seconds, or None."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Overflow(Exception):
    """The request is longer than the model's context."""


class CutOff(Exception):
    """The token limit ended the reply, or the context did if `full`; its text is the part that arrived."""

    def __init__(self, text: str, *, full: bool = False) -> None:
        super().__init__(text)
        self.full = full


@dataclass(frozen=True)
class Token:
    """A token of a reply with its log-probability in nats, and those of the most likely tokens at its place."""

    text: str
    logprob: float
    top: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """A whole reply.

    Attributes:
        text: the model's text.
        reasoning: the reasoning, if the endpoint returns it separately, or None.
        calls: native calls.
        native: the turn to send back unchanged, or None if its text is enough.
        checks: safety checks that must be acknowledged before the calls are carried out.
        tokens: the tokens with their log-probabilities, if requested and returned.
    """

    text: str
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()
    native: Native | None = None
    checks: tuple[Mapping[str, Any], ...] = ()
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Counts:
    """The endpoint's token counts; None if it does not count. `cached` and `written` are part of `input`."""

    input: int | None = None
    output: int | None = None
    cached: int = 0
    written: int = 0


Gather = Callable[[list[dict[str, Any]]], dict[str, Any]]
"""Joins a stream's events into the document of an unstreamed answer; raises Broken if the end is missing."""


def read_document(status: int, headers: Mapping[str, str], body: str, now: float, gather: Gather) -> dict[str, Any]:
    """The JSON document of an answer, which may be a stream of events.

    Args:
        status: HTTP status.
        headers: names in lower case.
        body: decoded text.
        now: seconds since the epoch, for a Retry-After that is a date.
        gather: the wire's function that joins a stream's events.

    Raises:
        Again: 408, 409, 425, 429, 5xx, a 200 that is empty or not a JSON object, a stream that was cut off.
        Overflow: the request was longer than the context.
        RefusalError: a filter declined.
        ModelFatal: 401, 402, 403, 404, a redirection, a used-up quota, a model that accepts no pictures.
        ModelError: any other 4xx.
    """
    if status != 200:
        raise _failure(status, headers, body, _json(body), now)
    document = _stream(body, gather, headers, now) if is_stream(headers, body) else _json(body)
    if document is None:
        raise Again(f"HTTP 200 whose body is not a JSON object: {excerpt(body)}")
    if document.get("error"):
        raise _failure(_code(document["error"]), headers, body, document, now)
    return _valid(document)


def _valid(document: dict[str, Any]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = KNOWN.value(valid(document))
        return found
    except RecursionError:
        raise Again("HTTP 200 whose body is nested too deeply") from None


def fault(error: Any) -> Exception:
    """The exception for an error that an endpoint puts into a reply after part of it has arrived."""
    return _failure(_code(error), {}, json.dumps(error), {"error": error}, 0.0)


def check_whole(what: str, value: Any, whole: Collection[str]) -> None:
    """Check that a reply ended as the wire's documentation says that whole replies end.

    Raises:
        Again: the reply broke off, or does not say how it ended.
    """
    if not (isinstance(value, str) and value in whole):
        raise Again(f"HTTP 200 with an incomplete reply: {what} is {excerpt(str(value))}")


def nothing_said(reasoned: bool) -> Exception:
    """The exception for a whole reply without text or calls: the model did not act, or the reply was empty."""
    if reasoned:
        return NoAction("the reply is reasoning alone; after it, answer with an action")
    return Again("HTTP 200 with an empty reply")


def _stream(body: str, gather: Gather, headers: Mapping[str, str], now: float) -> dict[str, Any]:
    events = read_events(body)
    for event in events:
        if event.get("error"):
            raise _failure(_code(event["error"]), headers, json.dumps(event), event, now)
    try:
        return gather(events)
    except Broken as broken:
        raise Again(f"the stream was cut off: {broken}") from None


def _failure(
    status: int, headers: Mapping[str, str], body: str, document: Mapping[str, Any] | None, now: float
) -> Exception:
    said = REFUSED.get(status) or valid(_said(body, document))
    seen = f"HTTP {status}: {said}"
    if 300 <= status < 400:
        return ModelFatal(f"{seen} (moved to {excerpt(headers.get('location', '?'))}: set base_url to it)")
    if re.search("insufficient_quota|credit balance is too low", body):
        return ModelFatal(seen)
    if _BLIND.search(said):
        return ModelFatal(f"{seen} (the model accepts no pictures)")
    told = headers.get("x-should-retry")
    if told != "false" and (status in TRANSIENT or status >= 500 or told == "true"):
        return Again(seen, retry_after(headers, now))
    if status in FATAL:
        return ModelFatal(seen)
    if status == 413 or (status == 400 and _OVERFLOW.search(body)):
        return Overflow(seen)
    if status == 400 and re.search("content_(filter|policy|blocked)|ResponsibleAI", body):
        return RefusalError(f"the endpoint's filter declined: {said}")
    return ModelError(seen)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or an HTTP date, RFC 9110 section 10.2.3)."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return seconds / scale
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def excerpt(text: str) -> str:
    """The start of a text, on one line and without secrets, for an error message."""
    line = " ".join(KNOWN.text(text).split())  # before the cut, which could leave half a key
    return (line[:_SHOWN] + "...") if len(line) > _SHOWN else line or "(empty)"


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _json(body: str) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


_KINDS = {
    "overloaded_error": 529, "api_error": 500, "timeout_error": 504, "rate_limit_error": 429,
    "authentication_error": 401, "permission_error": 403, "not_found_error": 404, "invalid_request_error": 400,
    "request_too_large": 413, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503, "INTERNAL": 500, "server_error": 500,
    "rate_limit_exceeded": 429, "context_length_exceeded": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403,
    "INVALID_ARGUMENT": 400, "billing_error": 402, "payment_required": 402, "insufficient_credits": 402,
    "content_blocked": 400,
}  # fmt: skip
"""Kinds of errors inside a 200 or a stream, with the matching HTTP status (vendors' lists of error codes)."""


def _code(error: Any) -> int:
    """The HTTP status that matches an error inside a 200 (gateways, streams); 502 if there is none."""
    if not isinstance(error, dict):
        return 502
    code = error.get("code")
    if isinstance(code, str) and re.fullmatch(r"[45]\d\d", code):
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return code
    named = (error.get("type"), error.get("status"), code)
    return next((_KINDS[name] for name in named if isinstance(name, str) and name in _KINDS), 502)


def _said(body: str, document: Mapping[str, Any] | None) -> str:
    error = (document or {}).get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return excerpt(message if isinstance(message, str) and message else body)


def content_text(content: Any) -> str:
    """The text of a reply's content, which is a string or a list of parts; only text parts count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return ""


def count(value: Any) -> int | None:
    """A number of tokens, or None if the value is not a number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The JSON objects in a value that should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one if the value is not an object."""
    return value if isinstance(value, dict) else {}


def arguments_of(value: Any) -> tuple[dict[str, Any], str | None]:
    """A call's arguments, given as an object or as JSON text, and what is wrong with them, or None."""
    if isinstance(value, dict):
        return value, None
    if value in (None, ""):
        return {}, None
    try:
        found = decode(value) if isinstance(value, str) else None
    except (ValueError, RecursionError) as error:
        return {}, f"the arguments are not JSON: {excerpt(str(error))}"
    return (KNOWN.value(found), None) if isinstance(found, dict) else ({}, "the arguments are not a JSON object")
