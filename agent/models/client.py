"""A client for any endpoint, whatever its wire (`wires.py`).

It survives what endpoints do (`answers.py` says what each answer means) and keeps account of every request. The key
is known by the name of an environment variable: it is read when a request is sent, kept in no attribute, and cut out
of everything that comes back (`envs.redact`).
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
from deskbench.envs.wait import sleep

_CHUNK = 65_536
_Result = tuple[int, Mapping[str, str], str] | Again
"""Status, headers with names in lower case, and text of an answer; or why there is none."""
T = TypeVar("T")
_Read = Callable[[dict[str, Any]], tuple[T, str]]
"""What an answer's document says, and the text of it that is recorded."""


@dataclass(frozen=True)
class ClientConfig:
    """Where the model is, how it samples, and every limit.

    Attributes:
        base_url: up to and without the wire's own path, for example `https://api.openai.com/v1`.
        model: its name at the endpoint.
        api_key_env: name of the environment variable that holds the key; None sends no key.
        temperature, top_p, seed: left out of the request when None.
        max_tokens: longest reply; None leaves it to the endpoint.
        max_tokens_name: `max_tokens`, or `max_completion_tokens` where an endpoint wants that.
        longer: by how much max_tokens grows for the one retry after a reply that was cut off; where the endpoint takes
            less, by as much as it says.
        detail: of pictures: `high`, `low`, `auto`, or None to leave it out.
        extra: merged into the request's body last, objects into objects.
        wire: `chat`, `responses`, `messages` or `gemini`.
        headers: sent with every request (a vendor's beta names); one that carries a key is refused.
        stream: ask for a stream of events, for proxies that end silent connections.
        logprobs: ask for so many log-probabilities a token.
        price: overrides the table in prices.py.
        connect_timeout, read_timeout: seconds; the second is the longest silence.
        total_timeout: seconds for one reply with all its retries.
        attempts: requests that may fail for a passing reason before that is an error.
        first_pause, longest_pause: seconds of back-off, doubled each time, half of it drawn at random.
        longest_retry_after: seconds; an endpoint that asks for more is asked again after this long.
        max_bytes: of an answer's body.
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
                f"base_url: {excerpt(url._replace(netloc=url.hostname or '').geturl())} is not http(s)://..."
            )
        if url.username or url.password or url.query:
            raise UsageError("base_url has a user, a password or a query in it: put the key in an environment variable")
        for name in (*filter(self.headers.get, self.headers), *self.extra):
            if names_secret(name):
                raise UsageError(f"{name!r} would be recorded with its value: name a key by api_key_env")
        if self.api_key_env is not None:
            read_key(self.api_key_env)

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.base_url.rstrip("/") + WIRES[self.wire].path(self.model, self.stream)


@dataclass
class Spending:
    """What the requests of one step have cost so far, whatever became of them."""

    exchanges: list[Exchange] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    ms: float = 0.0

    def add(self, exchange: Exchange, usage: Usage) -> None:
        """Book one request; `ms` includes pauses only when the caller adds them."""
        self.exchanges.append(exchange)
        self.usage += usage


@dataclass
class _Course:
    """What was tried for one reply."""

    request: Request
    failures: int = 0
    shrunk: bool = False
    lengthened: bool = False
    capped: bool = False

    def shrink(self) -> bool:
        """Leave older pictures out, once; False where that was done or there are none."""
        fewer = None if self.shrunk else shrink(self.request.messages)
        if fewer is not None:
            self.request, self.shrunk = replace(self.request, messages=fewer), True
        return fewer is not None

    def set(self, name: str, value: int) -> None:
        """Change a setting of the request."""
        self.request = replace(self.request, settings={**self.request.settings, name: value})


def read_key(name: str) -> str:
    """The key in an environment variable.

    Raises:
        UsageError: it is not set, or holds what cannot be a key; never with its value.
    """
    key = secret_of(name)
    if not key:
        raise UsageError(f"api_key_env: the environment variable {name!r} is not set")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"api_key_env: the environment variable {name!r} holds characters that no key has")
    return key


def pause_before(config: ClientConfig, failures: int, told: float | None, draw: float) -> float:
    """Seconds to wait after `failures` failures.

    Args:
        config: its pauses.
        failures: so far, from 1.
        told: what the endpoint asked for in seconds, or None.
        draw: a random number in [0, 1), so that many episodes do not come back at the same moment.
    """
    if told is not None:
        return min(told, config.longest_retry_after) + draw * min(1.0, told / 10)
    whole = min(config.longest_pause, config.first_pause * 2.0 ** min(failures - 1, 60))
    return whole * (1 + draw) / 2


class ModelClient:
    """Sends turns, returns the reply. Used by one thread."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._wire = WIRES[config.wire]
        self._price = config.price or price_of(config.model)
        self._random = random.Random()
        self._session = TimedSession()
        # A proxy of the environment must not see what goes to this machine.
        self._session.trust_env = not _is_loopback(config.base_url)

    def close(self) -> None:
        """Close its connections."""
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
            spending: every request is booked here, also when this raises.
            deadline: `time.monotonic()` value that no back-off goes beyond, or None. A request that is on its way is
                not broken off by it: a slow model is not a broken one, and whose time is up is the loop's to say.
            extra: of this episode's requests, under the config's own.

        Raises:
            ModelError: the endpoint failed after all retries, or the time was up; with the last thing seen. Its cause
                is an Overflow where the request does not fit into the context without its older pictures either.
            ModelFatal: no request of this run can succeed.
            RefusalError: the model declined.
            ReplyError: the reply was cut off twice, is reasoning alone, or holds a call that the endpoint cannot read.
        """
        started = time.monotonic()
        limit = started + self.config.total_timeout
        try:
            return self._complete(self._request(messages, extra), spending, limit, min(limit, deadline or limit))
        finally:
            spending.ms += (time.monotonic() - started) * 1000

    def likelihood(
        self, messages: Sequence[Message], reply: str, spending: Spending, extra: Mapping[str, Any] | None = None
    ) -> Prompt:
        """Let the model read a reply that another has given to these turns, and say how likely it was at every token.

        Args:
            messages: the turns so far.
            reply: the assistant's turn after them.
            spending: every request is booked here, also when this raises.
            extra: of this episode's requests, under the config's own.

        Raises:
            NotGiven: the endpoint does not say that, or not about this reply.
            ModelFatal: no request of this run can succeed.
        """
        config = self.config
        if config.wire != "chat" or not config.logprobs:
            raise NotGiven("it is asked of chat completions with the setting logprobs=20 alone")
        request = self._request([*messages, Message.of("assistant", reply)], extra)
        wanted = merged(request.extra, {**reading(config.logprobs), config.max_tokens_name: 1})
        started = time.monotonic()
        try:
            limit = started + config.total_timeout
            return self._read_along(replace(request, extra=wanted, stream=False), spending, limit)
        except (Overflow, AgentError) as error:
            if isinstance(error, ModelFatal):
                raise
            raise NotGiven(f"the endpoint does not take the question: {error}") from None
        finally:
            spending.ms += (time.monotonic() - started) * 1000

    def _read_along(self, request: Request, spending: Spending, limit: float) -> Prompt:
        failures = 0
        while True:
            try:
                return self._attempt(request, spending, limit, lambda document: (read_prompt(document), ""))
            except Again as again:
                failures += 1
                self._pause(again, failures, limit)

    def preview(self, messages: Sequence[Message], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The body of a request for these turns, as it would be recorded; nothing is sent."""
        body: dict[str, Any] = recorded(self._wire.body(self._request(messages, extra)))
        return {"url": self.config.url, **body}

    def _request(self, messages: Sequence[Message], extra: Mapping[str, Any] | None) -> Request:
        config = self.config
        body = merged(extra or {}, config.extra)
        return Request(
            config.model, list(messages), self._settings(), config.detail, body, config.stream, config.logprobs
        )

    def check(self) -> None:
        """Find out, before a run, whether the endpoint is there at all: one request for its list of models.

        Many endpoints have no such list, so that any answer but a refused key is good enough.

        Raises:
            ModelError: it cannot be reached.
            ModelFatal: it does not take the key.
        """
        secret = read_key(self.config.api_key_env) if self.config.api_key_env else ""
        limit = time.monotonic() + 2 * self.config.connect_timeout
        result = self._send("GET", "/models", None, secret, limit)
        if isinstance(result, Again):
            raise ModelError(f"the endpoint {self.config.base_url} cannot be reached: {result}")
        status, _, _ = result
        if status in (401, 403):
            raise ModelFatal(f"the endpoint {self.config.base_url} does not take the key: HTTP {status}")

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
        """Once more with room for a longer reply: more tokens, or fewer pictures where the context was full.

        Raises:
            Truncated: that was done already.
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
        """The endpoint does not take the longer reply: as much more as it says that it takes, if it says so.

        Raises:
            Truncated: there is no more; the reply that was cut off is all that the model has said.
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
        left = deadline - time.monotonic()
        if pause >= left:
            raise ModelError(
                f"{seen} (the next try would be in {pause:.1f} s, {max(left, 0):.1f} s are left)"
            ) from None
        sleep(pause)

    def _answer(self, document: Mapping[str, Any]) -> tuple[Answer, str]:
        """The reply in a document, and as it is recorded."""
        answer = _clean(self._wire.read(document))
        return answer, answer.text or json.dumps([[call.name, call.arguments] for call in answer.calls])

    def _attempt(self, request: Request, spending: Spending, limit: float, read: _Read[T]) -> T:
        """One request, booked whatever comes of it."""
        started = time.monotonic()
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
            ms = (time.monotonic() - started) * 1000
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
        """As counted by the endpoint, else estimated for a reply; a request that brought no reply cost nothing."""
        if counts.input is None and reply is None:
            return Usage()
        given = estimate_tokens(messages) if counts.input is None else counts.input
        taken = text_tokens(reply or "") if counts.output is None else counts.output
        cost = self._price.cost(given, taken, counts.cached, counts.written) if self._price else None
        return Usage(given, taken, cost)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, secret: str, limit: float) -> _Result:
        """Send and read to the end. Transport errors are returned, not raised, so that none of ours holds one of
        theirs: those carry the request and so the key.
        """
        left = limit - time.monotonic()
        if left <= 0:
            return Again("no time is left")
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
            late = "the time was up; " if time.monotonic() >= limit else ""
            return Again(f"{late}{type(error).__name__}: {_reason(KNOWN.told(str(error)))}")

    def _read(self, response: requests.Response) -> bytes:
        """The whole body, of an endpoint that may flood."""
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self.config.max_bytes:
                raise OSError(f"the answer has more than {self.config.max_bytes} bytes")
        return bytes(body)


def _clean(answer: Answer) -> Answer:
    """Without secrets that the wire has put together from pieces."""
    reasoning = None if answer.reasoning is None else KNOWN.text(answer.reasoning)
    calls = tuple(replace(call, arguments=KNOWN.value(call.arguments)) for call in answer.calls)
    return replace(answer, text=KNOWN.text(answer.text), reasoning=reasoning, calls=calls)


def _given(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that have a value: a profile takes its base's away by leaving it empty."""
    return {name: value for name, value in headers.items() if value}


def _with(headers: Mapping[str, str]) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Sets the headers with the key itself: given plainly, requests would let ~/.netrc override them."""

    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(headers)
        return request

    return add


def _reason(text: str) -> str:
    """The system's own words within a transport error's nested ones, where they are there."""
    found = re.search(r"\[Errno -?\d+\] [^'\")]+|(?:Read|Connect\w*) timed out|timed out", text)
    return found[0] if found else excerpt(text)


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
