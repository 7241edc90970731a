"""A small HTTP server on the standard library: routes, roles, bearer tokens, TCP or a Unix socket.

ThreadingHTTPServer starts in 70 ms with 20 MB, where a web framework takes ten times that; `wbufsize = -1` makes one
packet of head and body, without which an answer waits 40 ms for a delayed acknowledgement.
"""

from __future__ import annotations

import email.parser
import email.policy
import hmac
import json
import os
import socket
import sys
import traceback
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deskbench.envs.server import identity
from deskbench.envs.wire import MAX_BODY

MAX_UPLOAD = 4 * 2**30
"""Bytes of one uploaded file; it is held in memory while it is taken apart, as the rest of the request is."""
MAX_UNWANTED = 2**16
"""Bytes of a refused request that are read, so that its sender hears why."""
IDLE_SECONDS = 600.0


class HttpError(Exception):
    """An answer with a status of 400 or more and one line that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request, read whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    role: str = "control"

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            HttpError: 400, not that.
        """
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise HttpError(400, f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise HttpError(400, "the body is not a JSON object")
        return value

    def form(self) -> dict[str, str]:
        """A urlencoded or multipart body's text fields."""
        if self.headers.get("Content-Type", "").startswith("multipart/"):
            return {k: v.decode("utf-8", "replace") for k, (v, name) in self.multipart().items() if name is None}
        return dict(urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def multipart(self) -> dict[str, tuple[bytes, str | None]]:
        """A multipart body's parts: name to (bytes, file name or None).

        Raises:
            HttpError: 400, not a multipart body.
        """
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            raise HttpError(400, "the body is not multipart/form-data")
        head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        parts: dict[str, tuple[bytes, str | None]] = {}
        for part in message.iter_parts() if message.is_multipart() else ():
            name = part.get_param("name", header="content-disposition")
            payload = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(payload, bytes):
                parts[name] = (payload, part.get_filename())
        return parts


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    takeover: Callable[[socket.socket], None] | None = None
    """With status 101: what becomes of the connection, which is closed when this returns."""


def json_response(value: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(value).encode(), "application/json")


def text_response(text: str, status: int = 200) -> Response:
    """An answer in plain text (`text/html` as Flask labels it, so that OSWorld's client sees what it knows)."""
    return Response(status, text.encode("utf-8", "replace"), "text/html; charset=utf-8")


@dataclass(frozen=True)
class Route:
    """Who may call what. `role` is `agent` (either token), `control` (the control token), or `open`."""

    method: str
    path: str
    handler: Callable[[Request], Response]
    role: str = "control"


@dataclass(frozen=True)
class Tokens:
    """The two bearer tokens; None switches the check off for foreign clients."""

    agent: str | None = None
    control: str | None = None

    def role(self, header: str) -> str | None:
        """`control`, `agent`, or None for a stranger."""
        if self.control is None:
            return "control"
        given = header[7:] if header.startswith("Bearer ") else ""
        if hmac.compare_digest(given.encode(), self.control.encode()):
            return "control"
        if self.agent is not None and hmac.compare_digest(given.encode(), self.agent.encode()):
            return "agent"
        return None


class Server(ThreadingHTTPServer):
    """The server, at (host, port), at a Unix socket's path, or at a socket that listens already.

    `others` answers what has no route, for whoever has a token.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int] | str | socket.socket, routes: list[Route], tokens: Tokens,
        others: Route | None = None,
    ) -> None:  # fmt: skip
        self.routes = {(r.method, r.path): r for r in routes}
        self.tokens, self.others = tokens, others
        if isinstance(address, socket.socket):
            super().__init__(address.getsockname(), _Handler, bind_and_activate=False)
            self.socket.close()
            self.socket = address
            self.server_name, self.server_port = "desktop", 0
            return
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
        super().__init__(address, _Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """Bind; a Unix socket has no host name to look up, and is for its owner only."""
        if not self._is_unix():
            super().server_bind()
            return
        old = os.umask(0o177)
        try:
            self.socket.bind(self.server_address)
        finally:
            os.umask(old)
        self.server_name, self.server_port = "desktop", 0

    def _is_unix(self) -> bool:
        return isinstance(self.server_address, (str, bytes))

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news; anything else goes to stderr."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    timeout = IDLE_SECONDS
    server: Server

    def setup(self) -> None:
        super().setup()
        identity.take_rights()
        if self.connection.family != getattr(socket, "AF_UNIX", None):
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: requests are no news."""

    def _answer(self) -> None:
        try:
            response = self._dispatch()
        except HttpError as error:
            response = json_response({"error": str(error)}, error.status)
        except ConnectionError:
            raise  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001  (the boundary: a handler's fault must become an answer)
            traceback.print_exc()
            response = json_response({"error": f"{type(error).__name__}: {error}"}, 500)
        self.send_response(response.status)
        if response.takeover is None:
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)
        if response.takeover is not None:
            self.close_connection = True
            self.wfile.flush()
            self.connection.settimeout(None)
            response.takeover(self.connection)

    def _dispatch(self) -> Response:
        path = self.path.partition("?")[0]
        route = self.server.routes.get((self.command, path), self.server.others)
        role = self.server.tokens.role(self.headers.get("Authorization", ""))
        allowed = route is not None and (route.role == "open" or role in ("control", route.role))
        if route is None or not allowed:
            self._pass_over()
            if role is None:
                raise HttpError(401, "the request carries no valid bearer token")
            if route is None:
                raise HttpError(404, f"no route {self.command} {path}")
            raise HttpError(403, f"{path} needs the control token")
        body = self._body(MAX_UPLOAD if path == "/setup/upload" else MAX_BODY)
        return route.handler(Request(self.command, path, dict(self.headers.items()), body, role or "agent"))

    def _pass_over(self) -> None:
        """Read a short body that nobody wants: a connection that is closed before its end loses the answer, too.

        A long one may be endless and is not read; the connection is of no use after that.
        """
        length = self.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) <= MAX_UNWANTED and not self.headers.get("Transfer-Encoding"):
            self.rfile.read(int(length))
        else:
            self.close_connection = True

    def _body(self, limit: int) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            raise HttpError(411, "the request needs a Content-Length")
        if int(length) > limit:
            self.close_connection = True
            raise HttpError(413, f"the body has {length} bytes; at most {limit}")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("the client hung up before the end of its request")
        return body
