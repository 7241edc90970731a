"""A server that follows a test's script, and does the server's half of the signatures itself."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deskbench.envs.server.signing import ANSWER_HEADER, Nonces, Signed, answer_proof, request_proof, same

TOKEN = "a-token-that-never-crosses-the-wire"


@dataclass(frozen=True)
class Asked:
    """One request, and the key for proving its answers."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def signed(self) -> Signed | None:
        return Signed.read(self.headers.get("authorization", ""))

    def is_signed(self) -> bool:
        signed, kind = self.signed, self.headers.get("content-type", "")
        return signed is not None and same(
            signed.proof, request_proof(TOKEN, signed.nonce, self.method, self.path, self.body, kind)
        )

    def proof(self, status: int, body: bytes) -> str:
        assert self.signed is not None
        return answer_proof(TOKEN, self.signed.nonce, status, body)

    def json(self) -> dict[str, Any]:
        return json.loads(self.body) if self.body[:1] == b"{" else {}


Talk = Callable[[socket.socket, Asked], None]


class Scripted:
    """Reads one request per connection and lets a function answer it; the last function answers all further requests.

    Args:
        talks: the functions.
        tokens: whether requests must be signed, each with a new nonce.
        wrap: turns a connection's socket into a different one.
    """

    def __init__(
        self, talks: list[Talk], *, tokens: bool = True, wrap: Callable[[socket.socket], socket.socket] | None = None
    ) -> None:
        self.asked: list[Asked] = []
        self.refused = 0
        self._talks, self._tokens, self._nonces = talks, tokens, Nonces()
        self._wrap = wrap or (lambda plain: plain)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def requests(self) -> list[dict[str, object]]:
        return [one.json() for one in self.asked]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        self._open.add(plain)
        try:
            with self._wrap(plain) as connection:
                asked = read(connection)
                self.asked.append(asked)
                talk = self._talks.pop(0) if len(self._talks) > 1 else self._talks[0]
                if self._tokens and not (asked.is_signed() and asked.signed and self._nonces.take(asked.signed.nonce)):
                    self.refused += 1
                    unsigned(401, b'{"error": "the request is not signed"}')(connection, asked)
                else:
                    talk(connection, asked)
        except OSError:
            pass  # the client hung up, as it should
        finally:
            self._open.discard(plain)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):  # already closed
                one.shutdown(socket.SHUT_RDWR)  # otherwise a thread in accept() keeps it open
        self._listener.close()


def read(connection: socket.socket) -> Asked:
    """Read a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("no request")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    method, path, _ = first.split(" ")
    return Asked(method, path, headers, body, data)


def answer(status: int, body: bytes, *, length: int | None = None, head: str = "") -> Talk:
    """Answer with this, and prove it if the request was signed."""

    def talk(connection: socket.socket, asked: Asked) -> None:
        proof = f"{ANSWER_HEADER}: {asked.proof(status, body)}\r\n" if asked.signed else ""
        unsigned(status, body, length=length, head=head + proof)(connection, asked)

    return talk


def unsigned(status: int, body: bytes, *, length: int | None = None, head: str = "") -> Talk:
    """Answer with this, without a proof."""

    def talk(connection: socket.socket, asked: Asked) -> None:
        size = len(body) if length is None else length
        said = f"HTTP/1.1 {status} X\r\nConnection: close\r\n{head}Content-Length: {size}\r\n\r\n"
        connection.sendall(said.encode())
        connection.sendall(body)

    return talk


def hang_up(connection: socket.socket, asked: Asked) -> None:
    """Answer nothing."""


def slowly(data: bytes, pace: float = 0.05) -> Talk:
    """Send this one byte at a time, for longer than anybody should wait."""

    def talk(connection: socket.socket, asked: Asked) -> None:
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            threading.Event().wait(pace)

    return talk
