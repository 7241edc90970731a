"""A client for any endpoint and wire (`wires/`).

It handles the endpoints' failures (`answers.py` interprets each answer) and records the cost of every request. It
knows the key only by the name of an environment variable: it reads the key when it sends a request, never stores it in
an attribute, and removes it from everything that comes back (`envs.redact`).
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import requests
import urllib3

from deskbench.agent.base import Exchange, Usage
from deskbench.agent.models.answers import (
    Again,
    Answer,
    Counts,
    CutOff,
    Overflow,
    excerpt,
    read_document,
)
from deskbench.agent.models.likelihood import NotGiven, Prompt, read_prompt, reading
from deskbench.agent.models.messages import Message, estimate_tokens, recorded, shrink, text_tokens
from deskbench.agent.models.prices import Price, price_of
from deskbench.agent.models.room import room_in
from deskbench.agent.models.transport import TimedSession
from deskbench.agent.models.wires.base import Request, merged
from deskbench.agent.models.wires.registry import WIRES
from deskbench.agent.replies.calls import Truncated
from deskbench.envs.actions import nearest
from deskbench.envs.errors import AgentError, ModelError, ModelFatal, UsageError
from deskbench.envs.redact import KNOWN, names_secret, secret_of
from deskbench.envs.wait import now, sleep

_CHUNK = 65_536
_Result = tuple[int, Mapping[str, str], str] | Again
"""Status, headers with names in lower case, and text of an answer; or the reason why there is none."""
T = TypeVar("T")
_Read = Callable[[dict[str, Any]], tuple[T, str]]
"""Reads an answer's document; returns the result and the text to record."""


@dataclass(frozen=True)
class ClientConfig:
    """The endpoint, the sampling settings and all limits.

    Attributes:
        base_url: the URL without the wire's own path, for example `https://api.openai.com/v1`.
        model: the model's name at the endpoint.
        api_key_env: name of the environment variable that holds the key; None sends no key.
        temperature, top_p, seed: left out of the request if None.
        max_tokens: longest reply in tokens; None leaves it to the endpoint.
        max_tokens_name: `max_tokens`, or `max_completion_tokens` if the endpoint needs that name.
        longer: factor by which max_tokens grows for the one retry after a reply that was cut off; less if the endpoint
            names a lower limit.
        detail: detail of pictures: `high`, `low`, `auto`, or None to leave it out.
        extra: merged into the request's body last, objects into objects.
        wire: `chat`, `responses`, `messages`, `gemini` or `interactions`.
        headers: sent with every request (such as a vendor's beta names); a header with a key is refused.
        stream: request a stream of events, for proxies that close silent connections.
        logprobs: request this many log-probabilities per token.
        price: overrides the table in prices.py.
        connect_timeout, read_timeout: seconds; the second is the longest silence.
        total_timeout: seconds for one reply with all its retries.
        attempts: requests that may fail for a temporary reason before the client gives up.
        first_pause, longest_pause: seconds of back-off, which doubles each time; half of it is random.
        longest_retry_after: seconds; longest wait, even if the endpoint asks for more.
        max_bytes: largest body of an answer.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = 2048
    max_tokens_name: str = "max_tokens"
    longer: float = 4.0
    detail: str | None = "high"
    extra: Mapping[str, Any] = field(default_factory=dict)
    price: Price | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 180.0
    total_timeout: float = 600.0
    attempts: int = 8
    first_pause: float = 0.5
    longest_pause: float = 30.0
    longest_retry_after: float = 120.0
    max_bytes: int = 16_000_000
    wire: str = "chat"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    logprobs: int = 0

    def __post_init__(self) -> None:
        if self.wire not in WIRES:
            raise UsageError(f"endpoint is {self.wire!r}{nearest(self.wire, WIRES)}")
        url = urllib.parse.urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise UsageError(
                f"base_url: {excerpt(url._replace(netloc=url.hostname or '').geturl())} is not an http(s):// URL"
            )
        if url.username or url.password or url.query:
            raise UsageError("base_url contains a user, a password or a query: put the key in an environment variable")
        for name in (*filter(self.headers.get, self.headers), *self.extra):
            if names_secret(name):
                raise UsageError(f"{name!r} would be recorded with its value: name the key's variable in api_key_env")
        if self.api_key_env is not None:
            read_key(self.api_key_env)

    @property
    def url(self) -> str:
        """The URL for requests."""
        return self.base_url.rstrip("/") + WIRES[self.wire].path(self.model, self.stream)


@dataclass
class Spending:
    """The cost of all requests of one step so far, including failed ones."""

    exchanges: list[Exchange] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    ms: float = 0.0

    def add(self, exchange: Exchange, usage: Usage) -> None:
        """Add one request; `ms` includes pauses only if the caller adds them."""
        self.exchanges.append(exchange)
        self.usage += usage


@dataclass
class _Course:
    """The state of the attempts to get one reply."""

    request: Request
    failures: int = 0
    shrunk: bool = False
    lengthened: bool = False
    capped: bool = False

    def shrink(self) -> bool:
        """Leave out older pictures, once; returns False if that was done before or there are none."""
        fewer = None if self.shrunk else shrink(self.request.messages)
        if fewer is not None:
            self.request, self.shrunk = replace(self.request, messages=fewer), True
        return fewer is not None

    def set(self, name: str, value: int) -> None:
        """Change a setting of the request."""
        self.request = replace(self.request, settings={**self.request.settings, name: value})


def read_key(name: str) -> str:
    """Read the key from an environment variable.

    Raises:
        UsageError: the variable is not set, or its value cannot be a key; the message never repeats the value.
    """
    key = secret_of(name)
    if not key:
        raise UsageError(f"api_key_env: the environment variable {name!r} is not set")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"api_key_env: the environment variable {name!r} contains characters that a key cannot have")
    return key


def pause_before(config: ClientConfig, failures: int, told: float | None, draw: float) -> float:
    """Seconds to wait after `failures` failures.

    Args:
        config: sets the pauses.
        failures: number of failures so far, from 1.
        told: seconds that the endpoint asked for, or None.
        draw: a random number in [0, 1), so that many episodes do not retry at the same time.
    """
    if told is not None:
        return min(told, config.longest_retry_after) + draw * min(1.0, told / 10)
    whole = min(config.longest_pause, config.first_pause * 2.0 ** min(failures - 1, 60))
    return whole * (1 + draw) / 2


class ModelClient:
    """Sends turns and returns the reply. Only one thread may use it."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._wire = WIRES[config.wire]
        self._price = config.price or price_of(config.model)
        self._random = random.Random()
        self._session = TimedSession()
        # A proxy from the environment must not see requests to this machine.
        self._session.trust_env = not _is_loopback(config.base_url)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def complete(
        self,
        messages: Sequence[Message],
        spending: Spending,
        deadline: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask for the next turn.

        Args:
            messages: the turns so far.
            spending: records every request, even if this method raises.
            deadline: `envs.wait.now` value that no back-off exceeds, or None. The deadline does not interrupt a
                running request: a slow model is not a broken one, and the episode loop enforces its own time limit.
            extra: fields of this episode's requests; the config's own fields take precedence.

        Raises:
            ModelError: the endpoint failed after all retries, or the time was up; with the last error. Its cause is an
                Overflow if the request does not fit into the context even without its older pictures.
            ModelFatal: no request of this run can succeed.
            RefusalError: the model declined.
            ReplyError: the reply was cut off twice, is reasoning alone, or holds a call that the endpoint cannot read.
        """
        started = now()
        limit = started + self.config.total_timeout
        try:
            return self._complete(self._request(messages, extra), spending, limit, min(limit, deadline or limit))
        finally:
            spending.ms += (now() - started) * 1000

    def likelihood(
        self, messages: Sequence[Message], reply: str, spending: Spending, extra: Mapping[str, Any] | None = None
    ) -> Prompt:
        """Let the model read another model's reply to these turns, and return the likelihood of each of its tokens.

        Args:
            messages: the turns so far.
            reply: the assistant's turn after them.
            spending: records every request, even if this method raises.
            extra: fields of this episode's requests; the config's own fields take precedence.

        Raises:
            NotGiven: the endpoint does not return this, or not for this reply.
            ModelFatal: no request of this run can succeed.
        """
        config = self.config
        if config.wire != "chat" or not config.logprobs:
            raise NotGiven("only chat completions with the setting logprobs=20 can read a reply")
        request = self._request([*messages, Message.of("assistant", reply)], extra)
        wanted = merged(request.extra, {**reading(config.logprobs), config.max_tokens_name: 1})
        started = now()
        try:
            limit = started + config.total_timeout
            return self._read_along(replace(request, extra=wanted, stream=False), spending, limit)
        except (Overflow, AgentError) as error:
            if isinstance(error, ModelFatal):
                raise
            raise NotGiven(f"the endpoint does not accept the request: {error}") from None
        finally:
            spending.ms += (now() - started) * 1000

    def _read_along(self, request: Request, spending: Spending, limit: float) -> Prompt:
        failures = 0
        while True:
            try:
                return self._attempt(request, spending, limit, lambda document: (read_prompt(document), ""))
            except Again as again:
                failures += 1
                self._pause(again, failures, limit)

    def preview(self, messages: Sequence[Message], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The body of a request for these turns as a run would record it; sends nothing."""
        body: dict[str, Any] = recorded(self._wire.body(self._request(messages, extra)))
        return {"url": self.config.url, **body}

    def _request(self, messages: Sequence[Message], extra: Mapping[str, Any] | None) -> Request:
        config = self.config
        body = merged(extra or {}, config.extra)
        return Request(
            config.model, list(messages), self._settings(), config.detail, body, config.stream, config.logprobs
        )

    def check(self) -> None:
        """Check before a run that the endpoint can be reached, with one request for its list of models.

        Many endpoints have no such list, so any answer except a refused key is good enough.

        Raises:
            ModelError: the endpoint cannot be reached.
            ModelFatal: the endpoint does not accept the key.
        """
        secret = read_key(self.config.api_key_env) if self.config.api_key_env else ""
        limit = now() + 2 * self.config.connect_timeout
        result = self._send("GET", "/models", None, secret, limit)
        if isinstance(result, Again):
            raise ModelError(f"the endpoint {self.config.base_url} cannot be reached: {result}")
        status, _, _ = result
        if status in (401, 403):
            raise ModelFatal(f"the endpoint {self.config.base_url} does not accept the key: HTTP {status}")

    def _complete(self, request: Request, spending: Spending, limit: float, deadline: float) -> Answer:
        course = _Course(request)
        while True:
            try:
                return self._attempt(course.request, spending, limit, self._answer)
            except Again as again:
                course.failures += 1
                self._pause(again, course.failures, deadline)
            except CutOff as cut:
                self._after_cut(course, cut)
            except Overflow as overflow:
                self._after_overflow(course, overflow)
            except ModelError as error:
                if isinstance(error, ModelFatal) or not course.lengthened:
                    raise
                self._less_longer(course, error)

    def _after_cut(self, course: _Course, cut: CutOff) -> None:
        """Prepare another try with room for a longer reply: more tokens, or fewer pictures if the context was full.

        Raises:
            Truncated: this was done before.
        """
        name, most = self.config.max_tokens_name, self.config.max_tokens
        if cut.full:
            if not course.shrink():
                raise self._truncated(course)
        elif course.lengthened or most is None:
            raise self._truncated(course)
        else:
            course.set(name, int(most * self.config.longer))
            course.lengthened = True

    def _after_overflow(self, course: _Course, overflow: Overflow) -> None:
        if course.lengthened:
            self._less_longer(course, overflow)
        elif not course.shrink():
            raise ModelError(f"{self.config.url}: the request is too long: {overflow}") from overflow

    def _less_longer(self, course: _Course, error: Exception) -> None:
        """The endpoint refused the longer reply: use the limit that it names, if it names one.

        Raises:
            Truncated: a longer reply is not possible, so the cut-off reply is final.
        """
        name, most = self.config.max_tokens_name, self.config.max_tokens or 0
        room = room_in(str(error), course.request.settings.get(name, 0))
        if course.capped or room is None or room <= most:
            course.set(name, most)
            raise self._truncated(course) from None
        course.set(name, room)
        course.capped = True

    def _truncated(self, course: _Course) -> Truncated:
        now = course.request.settings.get(self.config.max_tokens_name, "the endpoint")
        return Truncated(
            f"The reply was cut off at the limit of {now} tokens, so its action is not known. "
            "Be brief and end with the action."
        )

    def _pause(self, again: Again, failures: int, deadline: float) -> None:
        seen = f"{self.config.url}: {again}"
        if failures >= self.config.attempts:
            raise ModelError(f"{seen} (gave up after {failures} failed requests)") from None
        pause = pause_before(self.config, failures, again.after, self._random.random())
        left = deadline - now()
        if pause >= left:
            raise ModelError(
                f"{seen} (the next attempt would start in {pause:.1f} s; {max(left, 0):.1f} s are left)"
            ) from None
        sleep(pause)

    def _answer(self, document: Mapping[str, Any]) -> tuple[Answer, str]:
        """The reply in a document, and the text to record."""
        answer = _clean(self._wire.read(document))
        return answer, answer.text or json.dumps([[call.name, call.arguments] for call in answer.calls])

    def _attempt(self, request: Request, spending: Spending, limit: float, read: _Read[T]) -> T:
        """Send one request and record its cost, whether or not it succeeds."""
        started = now()
        secret = read_key(self.config.api_key_env) if self.config.api_key_env else ""
        body = self._wire.body(request)
        path = self._wire.path(request.model, request.stream)
        result = self._send("POST", path, body, secret, limit)
        reply: str | None = None
        problem, counts = None, Counts()
        try:
            if isinstance(result, Again):
                raise result
            document = read_document(*result, time.time(), self._wire.gather)
            counts = self._wire.counts(document)
            found, reply = read(document)
            return found
        except (Again, Overflow, CutOff, NotGiven, AgentError) as error:
            reply = KNOWN.text(str(error)) if isinstance(error, CutOff) else None
            problem = KNOWN.text(f"{type(error).__name__}: {error}")
            raise
        finally:
            written = {"url": self.config.url, **recorded(body)}
            ms = (now() - started) * 1000
            usage = self._usage(request.messages, counts, reply)
            spending.add(Exchange(KNOWN.value(written), reply, problem, ms), usage)

    def _settings(self) -> dict[str, Any]:
        config = self.config
        chosen = {
            config.max_tokens_name: config.max_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "seed": config.seed,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def _usage(self, messages: Sequence[Message], counts: Counts, reply: str | None) -> Usage:
        """The endpoint's count, or else an estimate for a reply; a request without a reply costs nothing."""
        if counts.input is None and reply is None:
            return Usage()
        given = estimate_tokens(messages) if counts.input is None else counts.input
        taken = text_tokens(reply or "") if counts.output is None else counts.output
        cost = self._price.cost(given, taken, counts.cached, counts.written) if self._price else None
        return Usage(given, taken, cost)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, secret: str, limit: float) -> _Result:
        """Send and read to the end. Transport errors are returned, not raised, so that none becomes the cause of our
        own error: they contain the request, and so the key.
        """
        left = limit - now()
        if left <= 0:
            return Again("there is no time left")
        timeout = (min(self.config.connect_timeout, left), min(self.config.read_timeout, left))
        try:
            with (
                self._session.ends_in(left),
                self._session.request(
                    method,
                    self.config.base_url.rstrip("/") + path,
                    data=None if body is None else json.dumps(body).encode(),
                    headers={"Content-Type": "application/json", "Accept": "*/*", **_given(self.config.headers)},
                    auth=_with(self._wire.headers(secret)),
                    timeout=timeout,
                    stream=True,
                    allow_redirects=False,
                ) as response,
            ):
                raw = self._read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return response.status_code, headers, raw.decode("utf-8", "replace")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            late = "the time was up; " if now() >= limit else ""
            return Again(f"{late}{type(error).__name__}: {_reason(KNOWN.told(str(error)))}")

    def _read(self, response: requests.Response) -> bytes:
        """Read the whole body, up to `max_bytes`: an endpoint may send too much."""
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self.config.max_bytes:
                raise OSError(f"the answer has more than {self.config.max_bytes} bytes")
        return bytes(body)


def _clean(answer: Answer) -> Answer:
    """The answer without secrets that appeared when the wire joined the pieces."""
    reasoning = None if answer.reasoning is None else KNOWN.text(answer.reasoning)
    calls = tuple(replace(call, arguments=KNOWN.value(call.arguments)) for call in answer.calls)
    return replace(answer, text=KNOWN.text(answer.text), reasoning=reasoning, calls=calls)


def _given(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with a value: an empty header in a profile removes the one of its base."""
    return {name: value for name, value in headers.items() if value}


def _with(headers: Mapping[str, str]) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Sets the headers that hold the key; plain headers could be overridden by ~/.netrc in requests."""

    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(headers)
        return request

    return add


def _reason(text: str) -> str:
    """The operating system's message inside a nested transport error, if there is one."""
    found = re.search(r"\[Errno -?\d+\] [^'\")]+|(?:Read|Connect\w*) timed out|timed out", text)
    return found[0] if found else excerpt(text)


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
