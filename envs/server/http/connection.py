"""One connection: reads requests, identifies their senders and writes answers, each within its limits.

The standard library's `http.server` reads a head for as long as bytes arrive, even a gigabyte. It also parses the head
as mail, which takes longer than everything done here.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from deskbench.envs import wait
from deskbench.envs.server import identity, signing
from deskbench.envs.server.http.callers import Caller, Tokens, check_origin
from deskbench.envs.server.http.exchange import HttpError, Request, Response, Route, json_response
from deskbench.envs.server.http.limits import (
    BODY_SECONDS,
    HEAD_SECONDS,
    IDLE_SECONDS,
    MAX_AGENT_BODY,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_SMALL,
    MAX_UPLOAD,
    STRANGER_SECONDS,
)
from deskbench.envs.server.http.shares import Room, Slots
from deskbench.envs.wire import MAX_BODY

_START = re.compile(rb"([A-Z]{1,16}) (/[!-~\x80-\xff]*) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*?)[ \t]*")
_ONCE = frozenset(("Authorization", "Content-Length", "Content-Type", "Host", "Transfer-Encoding"))
"""Headers that would be ambiguous if they occurred twice."""
_PART = 1 << 18
_UNREAD = 8
_NOTICE_SECONDS = 0.5
_TOGETHER = 1 << 16
"""Answers up to this many bytes go in one packet with their head; otherwise the body waits for an acknowledgement."""


@dataclass(frozen=True)
class Head:
    """A request's line and headers, with header names written like `Content-Type`."""

    method: str
    target: str
    headers: dict[str, str]
    keeps: bool

    @classmethod
    def read(cls, data: bytes) -> Head:
        """Read a head from its bytes, without the empty line at the end.

        Raises:
            HttpError: 400 malformed, 431 too many headers.
        """
        start, *lines = data.split(b"\r\n")
        found = _START.fullmatch(start)
        if found is None:
            raise HttpError(400, "the request does not begin with a method, a path and HTTP/1.1")
        if len(lines) > MAX_HEADERS:
            raise HttpError(431, f"the request has more than {MAX_HEADERS} headers")
        headers: dict[str, str] = {}
        for line in lines:
            one = _FIELD.fullmatch(line)
            if one is None:
                raise HttpError(400, "a header is malformed")
            name, value = one[1].decode("ascii").title(), one[2].decode("latin-1")
            if name in headers and name in _ONCE:
                raise HttpError(400, f"the request has two headers {name}")
            headers[name] = value
        wish = headers.get("Connection", "").lower()
        keeps = wish != "close" and (found[3] == b"1" or wish == "keep-alive")
        return cls(found[1].decode("ascii"), found[2].decode("latin-1"), headers, keeps)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def length(self) -> int:
        """Bytes of the body.

        Raises:
            HttpError: 411, the length is missing.
        """
        said = self.headers.get("Content-Length", "0")
        if not (said.isascii() and said.isdigit() and len(said) <= 18) or "Transfer-Encoding" in self.headers:
            raise HttpError(411, "the request needs a Content-Length")
        return int(said)


class HungUp(Exception):
    """The other end closed the connection or was too slow: there is nobody to answer."""


class Stream:
    """Reads from a connection, after the bytes that have already arrived."""

    def __init__(self, connection: socket.socket, came: bytes) -> None:
        self._connection, self._came = connection, bytearray(came)

    def head(self, idle: float) -> bytes:
        """A head's bytes. The first must come within `idle` seconds, and the rest within HEAD_SECONDS after it.

        Raises:
            HungUp: they did not come in time.
            HttpError: 431, too long.
        """
        until = time.monotonic() + (HEAD_SECONDS if self._came else idle)
        while (end := self._came.find(b"\r\n\r\n", 0, MAX_HEAD)) < 0:
            if len(self._came) >= MAX_HEAD:
                raise HttpError(431, f"the request's head has more than {MAX_HEAD} bytes")
            began = bool(self._came)
            self._came += self._receive(until)
            if not began:
                until = time.monotonic() + HEAD_SECONDS
        head = bytes(self._came[:end])
        del self._came[: end + 4]
        return head

    def body(self, length: int, seconds: float, reserve: Callable[[int], None]) -> bytes:
        """Read `length` bytes within `seconds`. `reserve` gets the number read so far, and may raise.

        Raises:
            HungUp: they did not come.
        """
        until = time.monotonic() + seconds
        body, self._came = self._came, bytearray()
        if len(body) > length:
            self._came = body[length:]
            del body[length:]
        while len(body) < length:
            reserve(len(body))
            body += self._receive(until, length - len(body))
        return bytes(body)

    def _receive(self, until: float, most: int = _PART) -> bytes:
        left = until - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            data = self._connection.recv(min(most, _PART))
        except OSError:
            raise HungUp from None
        if not data:
            raise HungUp
        return data


class Serving(Protocol):
    """What a connection needs from its server; `bound` is the host that the server listens on."""

    tokens: Tokens
    routes: dict[tuple[str, str], Route]
    others: Route | None
    bound: str | None
    slots: Slots
    carried: Slots
    room: Room


class Connection:
    """Serves one connection in its own thread, until it ends.

    Args:
        server: has the routes, tokens and limits.
        connection: the socket; `came` has already been read from it.
        arrived: called once, when the first request's sender is known, or when the connection ends before that.
    """

    def __init__(self, server: Serving, connection: socket.socket, came: bytes, arrived: Callable[[], None]) -> None:
        self._server, self._connection, self._arrived = server, connection, arrived
        self._stream = Stream(connection, came)
        self._role: str | None = None
        self._answering = threading.Lock()
        self._answered = self._whole = False
        self._takeover: Callable[[socket.socket], None] | None = None

    def serve(self) -> None:
        """Serve until either side ends the connection."""
        try:
            identity.take_rights()
            while self._one():
                pass
        except (HungUp, OSError):
            pass  # nobody is left to answer
        finally:
            self._welcome()
            if self._role is not None:
                self._server.slots.give(self._role)
            self._end()

    def _welcome(self) -> None:
        arrived, self._arrived = self._arrived, _nothing
        arrived()

    def _end(self) -> None:
        try:
            if self._takeover is not None:
                try:
                    self._connection.settimeout(None)
                    self._takeover(self._connection)
                finally:
                    self._server.carried.give("carried")
        finally:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
                self._connection.setblocking(False)
                for _ in range(_UNREAD):  # unread bytes would cost the sender the answer
                    if not self._connection.recv(_PART):
                        break
            self._connection.close()

    # -- one request --------------------------------------------------------------------------------------------------

    def _one(self) -> bool:
        """Read one request and answer it; returns whether another may follow."""
        tokens, self._answered, self._whole = self._server.tokens, False, False
        try:
            head = Head.read(self._stream.head(IDLE_SECONDS if self._role else HEAD_SECONDS))
        except HttpError as error:
            self._send(_refusal(error), None)
            return False
        caller = tokens.caller(head.headers.get("Authorization", ""))

        def prove(status: int, body: bytes) -> str | None:
            return None if caller.signed is None else tokens.prove(caller.signed, status, body)

        keeps = head.keeps
        try:
            route, request = self._take(head, caller, tokens)
        except HttpError as error:
            response = _refusal(error)
            keeps = keeps and self._role is not None and self._whole  # otherwise its rest would be the next request
        else:
            response = self._handle(route, request, prove)
        if not self._claim():
            return False  # another thread gave up on it and answered
        if response.takeover is not None and not self._server.carried.take("carried"):
            response = _refusal(HttpError(503, "too many connections are open as tunnels"))
        self._takeover = response.takeover
        self._send(response, prove, keeps=keeps)
        return keeps and self._takeover is None

    def _take(self, head: Head, caller: Caller, tokens: Tokens) -> tuple[Route, Request]:
        """The route and the complete request, once the sender is known and may call it.

        Raises:
            HttpError: the request is refused.
        """
        check_origin(head.headers, caller, self._server.bound)
        route = self._server.routes.get((head.method, head.path), self._server.others)
        allowed = route is not None and caller.role in ("control", route.role)
        body = self._body(head, caller, self._limit(head.path, caller) if allowed else MAX_SMALL)
        self._whole = True
        kind, signed = head.headers.get("Content-Type", ""), caller.signed
        if caller.role is None or (signed and not tokens.holds(signed, head.method, head.target, body, kind)):
            raise HttpError(401, "the request carries no valid token or signature")
        self._admit(caller.role)
        if route is None:
            raise HttpError(404, f"no route {head.method} {head.path}")
        if not allowed:
            raise HttpError(403, f"{head.path} needs the control token")
        return route, Request(head.method, head.path, head.headers, body, caller.role)

    def _admit(self, role: str) -> None:
        """Count the connection under the first role that it proves."""
        if self._role is None:
            if not self._server.slots.take(role):
                raise HttpError(503, f"too many connections with the {role} token")
            self._role = role
            self._welcome()

    def _limit(self, path: str, caller: Caller) -> int:
        if caller.role == "agent":
            return MAX_AGENT_BODY
        if path == "/setup/upload" and (caller.known or self._role == "control"):
            return MAX_UPLOAD
        return MAX_BODY

    def _body(self, head: Head, caller: Caller, limit: int) -> bytes:
        """Read the body. A stranger's must be short; it is read, because closing early would lose the answer, too.

        Raises:
            HttpError: 411, 413, or 503: there is no room for it now.
        """
        length = head.length()
        if caller.role is None and length > MAX_SMALL:
            raise HttpError(401, "the request carries no valid token or signature")
        if length > limit:
            raise HttpError(413, f"the body has {length} bytes; at most {limit} here and now")
        if head.headers.get("Expect", "").lower() == "100-continue" and caller.role is not None:
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        control = caller.role == "control" and (caller.known or self._role == "control")
        seconds = BODY_SECONDS if caller.known or self._role else STRANGER_SECONDS
        if control or length <= MAX_SMALL:
            return self._stream.body(length, seconds, _nothing)
        with self._server.room.part() as part:
            return self._stream.body(length, seconds, part.grow)

    # -- its answer ---------------------------------------------------------------------------------------------------

    def _handle(self, route: Route, request: Request, prove: Prove) -> Response:
        """The handler's answer, or an error if something that it depends on is in trouble."""
        watch = route.watch
        trouble = "" if watch is None else watch.trouble()
        if watch is None or trouble:
            return json_response({"error": trouble}, 503) if trouble else _answer_of(route, request)
        token = watch.enter(lambda why: self._abandon(why, prove))
        try:
            response = _answer_of(route, request)
        finally:
            watch.leave(token)
        if response.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return response
        found = wait.until(watch.trouble, timeout=_NOTICE_SECONDS)  # it may be the cause and not be noticed yet
        return json_response({"error": found}, 503) if found else response

    def _claim(self) -> bool:
        """Take the right to answer this request; only one thread gets it."""
        with self._answering:
            first, self._answered = not self._answered, True
            return first

    def _abandon(self, why: str, prove: Prove) -> None:
        """Answer in place of a handler that hangs. Nobody will hear what the handler says later."""
        if self._claim():
            with contextlib.suppress(OSError):
                self._send(json_response({"error": why}, 503), prove, keeps=False)
                self._connection.shutdown(socket.SHUT_WR)

    def _send(self, response: Response, prove: Prove | None, *, keeps: bool = False) -> None:
        head = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}"]
        if response.takeover is None:
            head += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
            if not keeps:
                head.append("Connection: close")
        proof = prove(response.status, response.body) if prove is not None else None
        if proof is not None:
            head.append(f"{signing.ANSWER_HEADER}: {proof}")
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace")
        self._connection.settimeout(IDLE_SECONDS if self._role else HEAD_SECONDS)
        if len(response.body) <= _TOGETHER:
            self._connection.sendall(data + response.body)
        else:
            self._connection.sendall(data)
            self._connection.sendall(response.body)


Prove = Callable[[int, bytes], "str | None"]
"""Makes the proof of an answer with this status and body; None if the caller wants none."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _nothing(*_: object) -> None:
    """Count nothing."""


def _refusal(error: HttpError) -> Response:
    return json_response({"error": str(error)}, error.status)


def _answer_of(route: Route, request: Request) -> Response:
    try:
        return route.handler(request)
    except HttpError as error:
        return _refusal(error)
    except Exception as error:  # noqa: BLE001  (a boundary: an error in a handler must become an answer)
        traceback.print_exc(file=sys.stderr)
        return _refusal(HttpError(500, f"{type(error).__name__}: {error}"))
