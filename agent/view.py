"""The report, live: a small server on loopback that reads a run folder while the run goes on."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deskbench.agent.report import payload, template

_FRAME = re.compile(r"/frame/((?:[\w.@-]+/)+)([0-9a-f]{64})\.png")


def make_server(run_dirs: list[Path], host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server that is bound (port 0: any free one) and not yet serving.

    Raises:
        OSError: the address is taken.
        UsageError: a folder that is not a run.
    """
    payload(run_dirs)
    page = template().replace("/*DATA*/", "null").replace("/*IMAGES*/", "{}").encode()

    class Handler(_Handler):
        roots = tuple(folder / "episodes" for folder in run_dirs)
        index = page
        data = staticmethod(lambda: json.dumps(payload(run_dirs)).encode())

    return ThreadingHTTPServer((host, port), Handler)


def serve(run_dirs: list[Path], host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready` is told the address."""
    with make_server(run_dirs, host, port) as server:
        ready(f"http://{host}:{server.server_address[1]}/")
        server.serve_forever(poll_interval=0.2)


class _Handler(BaseHTTPRequestHandler):
    roots: tuple[Path, ...]
    index: bytes
    data: Callable[[], bytes]

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rpartition(":")[0].strip("[]")
        if self._loopback() and host not in ("127.0.0.1", "localhost", "::1"):
            self._send(HTTPStatus.FORBIDDEN, b"", "text/plain")  # a page elsewhere that rebinds its name to us
        elif self.path == "/":
            self._send(HTTPStatus.OK, self.index, "text/html; charset=utf-8")
        elif self.path == "/api/run":
            self._send(HTTPStatus.OK, type(self).data(), "application/json")
        else:
            self._frame()

    def _loopback(self) -> bool:
        address = self.connection.getsockname()[0]
        return bool(ipaddress.ip_address(address).is_loopback)

    def _frame(self) -> None:
        match = _FRAME.fullmatch(self.path)
        if match and ".." not in match[1]:
            for root in self.roots:
                path = root / match[1] / "frames" / f"{match[2]}.png"
                if path.is_file():
                    self._send(HTTPStatus.OK, path.read_bytes(), "image/png")
                    return
        self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the terminal belongs to the run."""
