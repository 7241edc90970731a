"""What an endpoint's HTTP answer means: a reply, a reason to try again, or a reason to stop. Pure functions.

No transport failure is ever read as something that the model said.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deskbench.envs.errors import ModelError, ModelFatal, RefusalError, ReplyError

FATAL = frozenset({401, 403, 404})
"""No request of this run can succeed: the key, the permission or the address is wrong."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""Worth another try, as is every 5xx (529 is Anthropic's and others' `overloaded`)."""
_OVERFLOW = re.compile(
    r"context.{0,10}(length|window|size)|maximum.{0,12}(context|input|prompt)|too many (input )?tokens"
    r"|prompt is too long|reduce the length|at most \d+ (image|multimodal)|exceed\w* .{0,40}(context|token)"
    r"|(image|multimodal).{0,40}(per prompt|limit)",
    re.IGNORECASE | re.DOTALL,
)
_SHOWN = 300
"""Characters of an endpoint's error that go into ours."""


class Again(Exception):
    """This request may succeed later; `after` is how long the endpoint says to wait, in seconds, or None."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Overflow(Exception):
    """The request is longer than the model's context."""


class CutOff(Exception):
    """The reply was ended by the token limit; its text is what came."""


@dataclass(frozen=True)
class Answer:
    """A whole reply: the model's text, and what the endpoint tells apart as its reasoning, or None."""

    text: str
    reasoning: str | None = None


@dataclass(frozen=True)
class Counts:
    """Tokens as the endpoint counts them, None where it does not; `cached` are a part of `input`."""

    input: int | None = None
    output: int | None = None
    cached: int = 0


def read_answer(status: int, headers: Mapping[str, str], body: str, now: float) -> Answer:
    """Read an HTTP answer of a chat-completions endpoint.

    Args:
        status: HTTP status.
        headers: names in lower case.
        body: decoded text.
        now: seconds since the epoch, for a Retry-After that is a date.

    Raises:
        Again: 408, 409, 425, 429, 5xx, and a 200 that is empty or not JSON of the right shape.
        Overflow: the request was longer than the context.
        CutOff: `finish_reason` is `length`.
        RefusalError: the model or a filter declined.
        ReplyError: the reply is whole and has no text.
        ModelFatal: 401, 403, 404, a redirection, a used-up quota.
        ModelError: any other 4xx.
    """
    document = _json(body)
    if status != 200:
        raise _failure(status, headers, body, document, now)
    if document is None:
        raise Again(f"HTTP 200 whose body is not a JSON object: {excerpt(body)}")
    if document.get("error"):
        raise _failure(_code(document["error"]), headers, body, document, now)
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Again(f"HTTP 200 without choices[0].message: {excerpt(body)}")
    return _reply(choice, message)


def read_counts(body: str) -> Counts:
    """The `usage` of an answer, however the answer ends; empty where there is none."""
    usage = (_json(body) or {}).get("usage")
    if not isinstance(usage, dict):
        return Counts()
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    given = _count(usage.get("prompt_tokens"))
    return Counts(given, _count(usage.get("completion_tokens")), min(cached or 0, given or 0))


def _reply(choice: Mapping[str, Any], message: Mapping[str, Any]) -> Answer:
    finish = choice.get("finish_reason")
    refusal = message.get("refusal")
    if finish == "content_filter" or (isinstance(refusal, str) and refusal.strip()):
        raise RefusalError(f"the model declined: {excerpt(refusal or 'finish_reason content_filter')}")
    reasoning = _text(message.get("reasoning_content") or message.get("reasoning"))
    answer = Answer(_text(message.get("content")), reasoning or None)
    if finish == "length":
        raise CutOff(answer.text)
    if not answer.text.strip():
        raise _no_text(message)
    return answer


def _no_text(message: Mapping[str, Any]) -> Exception:
    if message.get("tool_calls") or message.get("function_call"):
        return ReplyError("The reply has a tool call and no text. Write the action in the text, as described.")
    return Again("HTTP 200 with an empty reply")


def _failure(
    status: int, headers: Mapping[str, str], body: str, document: Mapping[str, Any] | None, now: float
) -> Exception:
    said = _said(body, document)
    seen = f"HTTP {status}: {said}"
    if 300 <= status < 400:
        return ModelFatal(f"{seen} (moved to {excerpt(headers.get('location', '?'))}: set base_url to it)")
    if "insufficient_quota" in body:
        return ModelFatal(seen)
    told = headers.get("x-should-retry")
    if told != "false" and (status in TRANSIENT or status >= 500 or told == "true"):
        return Again(seen, retry_after(headers, now))
    if status in FATAL:
        return ModelFatal(seen)
    if status == 413 or (status == 400 and _OVERFLOW.search(body)):
        return Overflow(seen)
    if status == 400 and re.search("content_(filter|policy)|ResponsibleAI", body):
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
    """The first line's worth of a text, on one line, for an error message."""
    line = " ".join(text.split())
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


def _code(error: Any) -> int:
    """The status that an error inside a 200 stands for (OpenRouter and other gateways); 502 when it has none."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 502


def _said(body: str, document: Mapping[str, Any] | None) -> str:
    error = (document or {}).get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return excerpt(message if isinstance(message, str) and message else body)


def _text(content: Any) -> str:
    """A reply's content is a string, or a list of parts of which the texts count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
