"""The client against servers that misbehave: each fault is an error of ours, and nothing is carried out twice."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deskbench.envs.client import Client, unix
from deskbench.envs.errors import GuestError, GuestTimeout, GuestUnreachable
from deskbench.envs.types import Key
from deskbench.envs.wire import ActionResult, Observe, Seen, StepReply

BLIND = Observe(screenshot=False)
Talk = Callable[[socket.socket, bytes], None]


class Scripted:
    """A server that reads one request per connection and lets a function answer it."""

    def __init__(self, talks: list[Talk]) -> None:
        self.requests: list[dict[str, object]] = []
        self._talks = talks
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                body = self._read(connection)
                self.requests.append(json.loads(body) if body[:1] == b"{" else {})
                talk = self._talks.pop(0) if len(self._talks) > 1 else self._talks[0]
                try:
                    talk(connection, body)
                except OSError:
                    continue  # the client has hung up, as it should

    def _read(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")]
        while lengths and len(body) < lengths[0]:
            body += connection.recv(65536)
        return body

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept() keeps it open otherwise
        self._listener.close()


def answer(status: int, body: bytes, *, length: int | None = None) -> Talk:
    def talk(connection: socket.socket, request: bytes) -> None:
        size = len(body) if length is None else length
        head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return talk


def hang_up(connection: socket.socket, request: bytes) -> None:
    """Answer nothing."""


def fine(connection: socket.socket, request: bytes) -> None:
    seen = Seen(None, False, 100, 50, (1, 2), True, 3.0)
    reply = StepReply(json.loads(request)["id"], (ActionResult(True),), 1.0, seen)
    answer(200, reply.encode(None))(connection, request)


def stall(connection: socket.socket, request: bytes) -> None:
    connection.settimeout(10)
    connection.recv(1)  # until the client gives up


def drip(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 50_000)
        threading.Event().wait(0.1)


def flood(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\n\r\n")
    while True:
        connection.sendall(b"x" * (1 << 20))


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Client, Scripted]]]:
    servers: list[Scripted] = []
    clients: list[Client] = []

    def make(*talks: Talk) -> tuple[Client, Scripted]:
        servers.append(Scripted(list(talks)))
        clients.append(Client("scripted", servers[-1].base, token="t"))
        return clients[-1], servers[-1]

    yield make
    for one in (*clients, *servers):
        one.close()


Start = Callable[..., tuple[Client, Scripted]]


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_id(start: Start) -> None:
    client, server = start(hang_up, hang_up, fine)
    assert client.act([Key(("a",))], BLIND).cursor == (1, 2)
    assert len({str(r["id"]) for r in server.requests}) == 1
    assert len(server.requests) == 3


def test_each_step_has_an_id_of_its_own(start: Start) -> None:
    client, server = start(fine)
    client.act([Key(("a",))], BLIND)
    client.act([Key(("a",))], BLIND)
    assert len({str(r["id"]) for r in server.requests}) == 2


def test_a_command_whose_answer_was_lost_is_not_sent_again(start: Start) -> None:
    client, server = start(hang_up)
    with pytest.raises(GuestUnreachable, match="/v1/run"):
        client.run(["true"])
    assert len(server.requests) == 1


def test_a_server_that_is_gone(start: Start) -> None:
    client, server = start(fine)
    server.close()
    with pytest.raises(GuestUnreachable, match="scripted"):
        client.observe()


@pytest.mark.parametrize("talk", [stall, drip])
def test_a_server_that_is_too_slow(start: Start, talk: Talk) -> None:
    client, _ = start(talk)
    began = time.monotonic()
    with pytest.raises(GuestTimeout):
        client._send("POST", "/v1/step", timeout=0.4, json={})
    assert time.monotonic() - began < 5


def test_a_server_that_floods(start: Start) -> None:
    client, _ = start(flood)
    with pytest.raises(GuestError, match="more than 1000 bytes"):
        client._send("GET", "/screenshot", timeout=10, limit=1000)


def test_an_answer_that_is_cut_off(start: Start) -> None:
    client, _ = start(answer(200, b'{"id": "x"', length=5000))
    with pytest.raises(GuestUnreachable):
        client.observe()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]\n",
        b'{"id": 1}\nPNG',
        b'{"seen": {"frame": 5}}\n',
        b'{"id": "another"}\n',
        b'{"unknown": 1}\n',
        b"\xff\xfe\n",
    ],
)
def test_an_answer_that_is_rubbish(start: Start, body: bytes) -> None:
    client, _ = start(answer(200, body))
    with pytest.raises(GuestError):
        client.observe()


def test_a_picture_that_is_not_the_frame_that_was_named(start: Start) -> None:
    seen = Seen("0" * 64, False, 100, 50, (1, 2), True, 3.0)

    def talk(connection: socket.socket, request: bytes) -> None:
        reply = StepReply(json.loads(request)["id"], (), 0.0, seen)
        answer(200, reply.encode(b"\x89PNG other"))(connection, request)

    client, _ = start(talk)
    with pytest.raises(GuestError, match="is not the frame"):
        client.observe()


def test_an_error_of_the_server_is_one_line(start: Start) -> None:
    client, _ = start(answer(500, json.dumps({"error": "first\nsecond"}).encode()))
    with pytest.raises(GuestError, match="status 500: first second"):
        client.launch("x")


def test_a_redirect_is_not_followed(start: Start) -> None:
    def talk(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    client, server = start(talk)
    with pytest.raises(GuestError):
        client.observe()
    assert len(server.requests) == 1


def test_a_missing_file_is_an_answer_and_other_404s_are_errors(start: Start) -> None:
    client, _ = start(answer(404, b"{}"))
    with pytest.raises(FileNotFoundError):
        client.read_file("~/x")
    with pytest.raises(GuestError, match="404"):
        client.open("~/x")


def test_a_persons_proxy_does_not_see_a_desktops_traffic(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client, _ = start(fine)
    assert client.observe(BLIND).width == 100


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    client = Client("none", connect=unix(str(tmp_path / "socket")))
    with pytest.raises(GuestUnreachable, match="No such file"):
        client.health()
