"""Requests to a desktop over our own sockets, which limit the time and bytes of a whole exchange.

A socket's own timeout covers one wait, so a server that sends one byte a second could hold its reader forever. Inside
`limited`, each wait of these sockets gets only the time that is left, whichever library waits, with or without TLS.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import math
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from deskbench.envs import wait

CONNECT_SECONDS = 5.0
MAX_ANSWER_HEAD = 2**13
"""The most bytes of an answer's head; it is read byte by byte."""
MAX_REFUSAL = 2**16
"""The most bytes read of an answer that refuses a connection."""
_CHUNK = 1 << 20
_TOGETHER = 1 << 16
"""Requests up to this many bytes go out as one packet, head and body: each packet wakes the server."""

Connect = Callable[[], socket.socket]
"""Makes a connected stream socket to the server in a desktop.

Raises:
    OSError: it cannot be reached.
"""


class _Limits(threading.local):
    until = math.inf
    most = math.inf


_limits = _Limits()


@contextlib.contextmanager
def limited(until: float, most: float) -> Iterator[None]:
    """Limit this thread's use of these sockets: until `until` (`envs.wait.now`), receiving at most `most` bytes."""
    _limits.until, _limits.most = until, most
    try:
        yield
    finally:
        _limits.until, _limits.most = math.inf, math.inf


def seconds_left() -> float | None:
    """Seconds until this thread's exchange must end; None if there is no limit.

    Raises:
        TimeoutError: the time is up.
    """
    if _limits.until == math.inf:
        return None
    left = _limits.until - wait.now()
    if left <= 0:
        raise TimeoutError("the time is up")
    return left


class TimedSocket(socket.socket):
    """A socket that keeps to the limits of `limited`."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive within the time left."""
        self.settimeout(seconds_left())
        count = super().recv_into(*args, **kwargs)
        _limits.most -= count
        if _limits.most < 0:
            raise ConnectionAbortedError("the answer is too long")
        return count

    def send(self, *args: Any) -> int:
        """Send some of the data within the time left."""
        self.settimeout(seconds_left())
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        """Send all of the data within the time left."""
        self.settimeout(seconds_left())
        super().sendall(*args)


class TimedTLS(TimedSocket, ssl.SSLSocket):
    """A TimedSocket with TLS."""


def unix(path: str) -> Connect:
    """Make a function that connects to a Unix socket."""

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        try:
            seconds = _connect_seconds()
            made.settimeout(seconds)
            # The server's backlog is full, and a Unix socket does not say when there is room again.
            wait.retry(lambda: made.connect(path), BlockingIOError, timeout=seconds, max_interval=0.05)
            made.settimeout(None)
        except BlockingIOError:
            made.close()
            raise TimeoutError("the server does not accept connections") from None
        except BaseException:
            made.close()
            raise
        return made

    return connect


def dial(base: str) -> socket.socket:
    """Connect to the host of a URL, with TLS for https.

    Raises:
        OSError: it cannot be reached, or its certificate is not trusted.
    """
    parts = urlsplit(base)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    made = socket.create_connection((str(parts.hostname), port), _connect_seconds())
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            made.settimeout(_connect_seconds())
            made = tls().wrap_socket(made, server_hostname=parts.hostname)
        made.settimeout(None)
    except BaseException:
        made.close()
        raise
    return made


@functools.cache
def tls() -> ssl.SSLContext:
    """A context that trusts what this machine trusts, and what requests does."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TimedTLS
    return context


def _connect_seconds() -> float:
    left = seconds_left()
    return CONNECT_SECONDS if left is None else min(CONNECT_SECONDS, left)


class _Connection(HTTPConnection):
    def __init__(self, connect: Connect, host: str, port: int | None) -> None:
        super().__init__(host, port or self.default_port)
        self._make = connect
        self._held = b""

    def connect(self) -> None:
        try:
            made = self._make()
        except (ConnectionResetError, BrokenPipeError) as error:
            # Do not pass the error on: urllib3 cannot handle a reset before the connection is open.
            raise ConnectionError(str(error)) from None
        if not isinstance(made, TimedSocket):
            made = TimedSocket(made.family, made.type, made.proto, fileno=made.detach())
        self.sock = made

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._held = b""
        super().request(*args, **kwargs)
        self._send_held()

    def send(self, data: Any) -> None:
        if isinstance(data, bytes) and len(self._held) + len(data) <= _TOGETHER:
            self._held += data
        else:
            self._send_held()
            super().send(data)

    def _send_held(self) -> None:
        held, self._held = self._held, b""
        if held:
            super().send(held)


class _SecureConnection(_Connection):
    default_port = 443  # type: ignore[misc]  # so that the Host header leaves the port out


class _Pool(HTTPConnectionPool):
    def __init__(self, connect: Connect, base: str) -> None:
        parts = urlsplit(base)
        super().__init__(str(parts.hostname), maxsize=4)
        kind = _SecureConnection if parts.scheme == "https" else _Connection
        self._new = functools.partial(kind, connect, str(parts.hostname), parts.port)

    def _new_conn(self) -> HTTPConnection:
        return self._new()


class Adapter(HTTPAdapter):
    """Sends everything through sockets that `connect` makes; they also do the encryption, if any."""

    def __init__(self, connect: Connect, base: str) -> None:
        self._pool = _Pool(connect, base)
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """The only pool."""
        return self._pool

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Certificates are checked when the connection is made."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Copy status, headers and the unread body; take no cookies from a desktop."""
        answer = requests.Response()
        answer.status_code, answer.headers, answer.raw = resp.status, CaseInsensitiveDict(resp.headers), resp
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def read_body(raw: Any, limit: int) -> bytes | None:
    """A body as it was sent, ignoring any Content-Encoding; None if it is longer than `limit`."""
    if (raw.length_remaining or 0) > limit:
        return None
    whole = io.BytesIO()  # grows in place, and returns its bytes without a copy
    while part := raw.read(min(_CHUNK, limit + 1 - whole.tell())):
        whole.write(part)
        if whole.tell() > limit:
            return None
    return whole.getvalue()


def read_head(made: socket.socket) -> tuple[int, http.client.HTTPMessage]:
    """Status and headers of an answer. Reads nothing beyond the head.

    Raises:
        OSError: the connection ended, or the head is not HTTP.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(made, 1)
        if len(head) > MAX_ANSWER_HEAD:
            raise ConnectionError("the answer's head has no end")
    first, _, rest = head.partition(b"\r\n")
    status = re.fullmatch(rb"HTTP/1\.[01] ([1-9][0-9]{2})( .*)?", first, re.DOTALL)
    if status is None:
        raise ConnectionError(f"the answer begins with {first[:80]!r}")
    try:
        return int(status[1]), http.client.parse_headers(io.BytesIO(rest))
    except http.client.HTTPException as error:
        raise ConnectionError(f"the answer's head: {cause_of(error)}") from None


def length_of(headers: http.client.HTTPMessage) -> int:
    """The length of the body after a head.

    Raises:
        OSError: it is not a length, or is more than MAX_REFUSAL.
    """
    said = headers.get("Content-Length", "0")
    if not re.fullmatch(r"[0-9]{1,6}", said) or int(said) > MAX_REFUSAL:
        raise ConnectionError(f"the answer has {said[:20]} bytes")
    return int(said)


def receive(made: socket.socket, count: int) -> bytes:
    """Receive exactly `count` bytes.

    Raises:
        OSError: the connection ended first.
    """
    found = b""
    while len(found) < count:
        made.settimeout(seconds_left())
        part = made.recv(count - len(found))
        if not part:
            raise ConnectionError("the connection ended")
        found += part
    return found


def cause_of(error: BaseException) -> str:
    """The innermost cause of requests' nested errors, in a few words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {one_line(str(error), 300)}" if str(error) else type(error).__name__


def one_line(text: str, most: int) -> str:
    """Untrusted text as part of one printable line."""
    plain = " ".join(text[: 4 * most].split())[:most]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in plain)
