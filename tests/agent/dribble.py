"""A machine that answers as it is written, byte by byte, for ever."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deskbench.envs.wire import PROTOCOL, Health

HEALTH = json.dumps(dataclasses.asdict(Health("deskbench", PROTOCOL, "Linux", (640, 400)))).encode()


class Dribble(ThreadingHTTPServer):
    """Says at once that it is well; to everything else it answers one byte every half second.

    `asked` is set when that has begun, `ended` ends it.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked, self.ended = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Dribble

    def do_GET(self) -> None:
        self._begin(len(HEALTH))
        self.wfile.write(HEALTH)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._begin(10**6)
        self.server.asked.set()
        with suppress(OSError):  # whoever asked has gone
            while not self.server.ended.wait(0.5):
                self.wfile.write(b" ")
                self.wfile.flush()

    def _begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def dribbling() -> Iterator[Dribble]:
    """One such machine on this one."""
    with Dribble() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
