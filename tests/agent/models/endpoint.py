"""A scripted chat-completions endpoint on a real socket: it says what it is told to, and keeps what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


@dataclass(frozen=True)
class Say:
    """One answer: `body` is sent as it is (str, bytes) or as JSON; `fault` is how it goes wrong on the way.

    Faults: `cut` closes the connection half-way through, `close` before the first byte, `hang` says nothing until
    the endpoint ends, `drip` sends the body a byte at a time and never gets to the end, `drip headers` the headers.
    `pace` is how many seconds lie between such bytes.
    """

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: str | None = None
    pace: float = 0.02


def reply(text: Any, finish: str = "stop", **more: Any) -> Say:
    """A whole reply with this text; `usage` and the message's other fields can be given."""
    usage = more.pop("usage", {"prompt_tokens": 100, "completion_tokens": 10})
    message = {"role": "assistant", "content": text, **more}
    return Say({"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage})


def error(status: int, message: str = "no", headers: dict[str, str] | None = None, **more: Any) -> Say:
    """An error in OpenAI's form."""
    return Say({"error": {"message": message, **more}}, status, headers or {})


@dataclass
class Endpoint:
    """What the script knows: the address, the requests so far (headers and body), and the answers still to give."""

    url: str
    script: list[Say]
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, asked: dict[str, Any] | None) -> Say:
        """What is said to a request's body, or to one without a body."""
        return self.script.pop(0) if asked is not None and len(self.script) > 1 else self.script[0]


def endpoint(*script: Say) -> AbstractContextManager[Endpoint]:
    """Serve the answers in order; the last one is repeated."""
    return serving(Endpoint("", list(script)))


E = TypeVar("E", bound=Endpoint)


@contextmanager
def serving(state: E) -> Iterator[E]:
    """Serve what this one answers; it is told its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    server.state = state
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    state: Endpoint


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state = self.server.state
        self._say(state.answer(None), state)

    def do_POST(self) -> None:
        state = self.server.state
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        state.asked.append({"path": self.path, **json.loads(raw)})
        state.headers.append(dict(self.headers.items()))
        self._say(state.answer(state.asked[-1]), state)

    def _say(self, say: Say, state: Endpoint) -> None:
        self.close_connection = say.fault is not None
        if say.fault == "close":
            return
        if say.fault == "hang":
            state.ended.wait()
            return
        if say.fault == "drip headers":
            self._drip(say, state)
            return
        body = say.body if isinstance(say.body, bytes) else _text(say.body).encode()
        self.send_response(say.status)
        for name, value in {"Content-Type": "application/json", **say.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "1000000" if say.fault == "drip" else str(len(body)))
        self.end_headers()
        if say.fault == "drip":
            self._drip(say, state)
        else:
            self.wfile.write(body[: len(body) // 2] if say.fault == "cut" else body)

    def _drip(self, say: Say, state: Endpoint) -> None:
        try:
            while not state.ended.wait(say.pace):
                self.wfile.write(b" ")
        except OSError:
            pass  # the client hung up, as it should

    def log_message(self, *args: Any) -> None:
        """Keep the test's output clean."""


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)
