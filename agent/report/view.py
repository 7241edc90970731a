"""The live report: a small server on loopback that reads a run folder while the run is in progress.

It answers only GET and changes nothing. A page of another origin cannot read its data: the server refuses host names
that are not this machine's (a name may point to our address: DNS rebinding) and requests that a browser marks as coming
from another site, and no answer may be framed or embedded.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from deskbench.agent.report.frames import read_frame
from deskbench.agent.report.page import page_json, report_page
from deskbench.agent.report.report import episode_folders, payload
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder

CONNECTIONS = 64
"""Connections at once; further ones are closed without an answer. A browser uses six."""
REQUEST_SECONDS = 10.0
"""Limit from the start of the connection to the end of the request's headers, however slowly they arrive."""
ANSWER_SECONDS = 60.0
"""Limit for the client to read the whole answer."""
_FRAME = re.compile(r"/frame/(\d{1,6})/([0-9a-f]{32})/([0-9a-f]{64})\.png")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_PAGE_POLICY = "frame-ancestors 'none'"
"""The page contains the rest of its policy; this directive only works in a header (CSP level 3, 6.4.2)."""
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def make_server(
    run_dirs: Sequence[Path], host: str = "127.0.0.1", port: int = 0, *, request_seconds: float = REQUEST_SECONDS
) -> ThreadingHTTPServer:
    """A server that is bound (port 0: any free port) but not yet serving.

    Clients have `request_seconds` to send a request.

    Raises:
        OSError: the address is in use.
        UsageError: a folder is not a run.
    """
    payload(run_dirs)
    return _Server((host, port), Runs(run_dirs), request_seconds)


def serve(run_dirs: Sequence[Path], host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; calls `ready` with the address."""
    with make_server(run_dirs, host, port) as server:
        ready(f"http://{host}:{server.server_address[1]}/")
        server.serve_forever(poll_interval=0.2)


class Runs:
    """The runs to serve. A client's text never becomes a path: it names episodes by hashes, which we look up."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._runs = [RunFolder(folder) for folder in folders]
        self._known: dict[tuple[int, str], EpisodeFolder] = {}
        self.page = report_page(None, {}, live=True).encode()

    def data(self) -> bytes:
        """The page's content as JSON."""
        return page_json(payload([run.path for run in self._runs])).encode()

    def frame(self, run: int, episode: str, name: str) -> bytes | None:
        """A frame's PNG, or None."""
        if run >= len(self._runs):
            return None
        if (run, episode) not in self._known:
            self._known |= {(run, key): path for key, path in episode_folders(self._runs[run]).items()}
        folder = self._known.get((run, episode))
        return None if folder is None else read_frame(folder, name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], runs: Runs, request_seconds: float) -> None:
        self.runs, self.request_seconds = runs, request_seconds
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client that disconnects is normal."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = ANSWER_SECONDS
    server_version, sys_version = "deskbench", ""

    def setup(self) -> None:
        super().setup()
        self._timer = threading.Timer(self.server.request_seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def finish(self) -> None:
        self._timer.cancel()
        super().finish()

    def _cut(self) -> None:
        """Close the connection of a slow client: a socket timeout would start again at every byte."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def parse_request(self) -> bool:
        """Read the headers, and refuse requests that come neither from our own page nor from a person."""
        whole = super().parse_request()
        self._timer.cancel()
        if whole and (status := self._refusal()) is not None:
            self.send_error(status)
            return False
        return whole

    def _refusal(self) -> HTTPStatus | None:
        if self.command != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not names_us(hosts[0], self.connection.getsockname()[0]):
            return HTTPStatus.FORBIDDEN
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{hosts[0]}":
            return HTTPStatus.FORBIDDEN
        return None if self._is_from_here() else HTTPStatus.FORBIDDEN

    def _is_from_here(self) -> bool:
        """Whether the browser reports no other site as the source (W3C Fetch Metadata); links may come from one."""
        if self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return True
        seen = (self.headers.get("Sec-Fetch-Mode"), self.headers.get("Sec-Fetch-Dest"))
        return self.path == "/" and seen == ("navigate", "document")

    def do_GET(self) -> None:
        match = _FRAME.fullmatch(self.path)
        if self.path == "/":
            self._send(HTTPStatus.OK, self.server.runs.page, "text/html; charset=utf-8", _PAGE_POLICY)
        elif self.path == "/api/run":
            self._send(HTTPStatus.OK, self.server.runs.data(), "application/json")
        elif match and (picture := self.server.runs.frame(int(match[1]), match[2], match[3])):
            self._send(HTTPStatus.OK, picture, "image/png")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send only the status: the answer repeats nothing from the request."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(status, f"{status.value} {status.phrase}\n".encode(), "text/plain")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, policy: str = _DATA_POLICY) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": policy}
        for name, value in {**headers, **_HEADERS}.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the terminal belongs to the run."""


def names_us(host: str, address: str) -> bool:
    """Whether a Host header names this server: a loopback name if it listens on loopback, else an address or this
    machine's name. Any other name may be a stranger's that points to us. The port may differ, because of a tunnel.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?", host)
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    try:
        named = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or (not _is_loopback(address) and name == socket.gethostname().lower())
    return named.is_loopback or not _is_loopback(address)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
