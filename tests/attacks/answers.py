"""Hostile answers to the controller from whoever has the key: each must become an error of the desktop, in time."""

from __future__ import annotations

import functools
import json
import resource
import secrets
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator

from deskbench.envs.clients.http import Client
from deskbench.envs.errors import DeskbenchError
from deskbench.envs.wire import Observe
from tests.attacks.arenas import Arena
from tests.attacks.base import CONTROLLER, Outcome, attack, judged
from tests.attacks.wires import hostile

SECONDS, GRACE = 1.5, 10.0
MEMORY = 500 * 2**20
Head = Callable[[int, bytes], str]
Send = Callable[[socket.socket, Head], None]


def _asks(client: Client) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "health", client.health
    yield "observe", lambda: client.observe(Observe("immediate", accessibility=True))
    yield "run", lambda: client.run(["true"], timeout=1.0)
    yield "windows", client.windows
    yield "list_directory", lambda: client.list_directory("/tmp")
    yield "read_file", lambda: client.read_file("/tmp/x")
    yield "wallpaper", client.wallpaper
    yield "end_recording", client.end_recording


def _tried(send: Send) -> Outcome:
    """Answer every question this way; reports what came out, after how long, and for how much memory."""
    token = secrets.token_urlsafe(32)
    before, worst, wrong, kinds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0, [], set()

    def answer(path: str, body: bytes, client: socket.socket, head: Head) -> None:
        send(client, head)

    with hostile(token, answer) as server:
        client = Client("hostile", server.url, token=token)
        client.answer_seconds = client.file_seconds = SECONDS
        for name, ask in _asks(client):
            began = time.monotonic()
            try:
                ask()
                kinds.add("an answer")
            except (DeskbenchError, FileNotFoundError) as error:
                kinds.add(type(error).__name__)
            except Exception as error:  # noqa: BLE001  (the boundary: it would have ended the run)
                wrong.append(f"{name} raised {type(error).__name__}: {error}")
            took = time.monotonic() - began
            worst = max(worst, took)
            wrong += [f"{name} took {took:.0f} s"] * (took > 2 * SECONDS + 1.0 + GRACE)
        client.close()
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    wrong += [f"{more >> 20} MB more memory"] * (more > MEMORY)
    return judged(
        bool(wrong), "; ".join([*wrong, f"{', '.join(sorted(kinds))}, at most {worst:.1f} s, {more >> 20} MB"])
    )


def _whole(body: bytes, sock: socket.socket, head: Head) -> None:
    sock.sendall(head(200, body).encode("latin-1") + body)


def _bodies(*bodies: bytes) -> Callable[[Arena], Outcome]:
    """Complete answers, one after another."""

    def run(arena: Arena) -> Outcome:
        outcome = judged(False, "nothing was tried")
        for body in bodies:
            outcome = _tried(functools.partial(_whole, body))
            if outcome.verdict != "blocked":
                break
        return outcome

    return run


def _sent(send: Send) -> Callable[[Arena], Outcome]:
    return lambda arena: _tried(send)


def _drip(sock: socket.socket, head: Head) -> None:
    """One byte a second: no single wait is long, but the answer never ends."""
    data = head(200, b"x" * 1000).encode() + b"x" * 1000
    for index in range(len(data)):
        sock.sendall(data[index : index + 1])
        threading.Event().wait(0.5)


def _drip_body(sock: socket.socket, head: Head) -> None:
    sock.sendall(head(200, b"x" * 1000).encode())
    for _ in range(100):
        sock.sendall(b"x")
        threading.Event().wait(0.5)


def _chunks(sock: socket.socket, head: Head) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def _headers(sock: socket.socket, head: Head) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"A: b\r\n" * 1000)


@functools.cache
def _zipped() -> bytes:
    """Made once, megabyte by megabyte: only the reader's memory should be measured."""
    made = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(made.compress(b" " * (1 << 20)) for _ in range(200)) + made.flush()


def _gzip(sock: socket.socket, head: Head) -> None:
    body = _zipped()
    first = head(200, body).replace("\r\n", "\r\nContent-Encoding: gzip\r\n", 1)
    sock.sendall(first.encode() + body)


def _continues(sock: socket.socket, head: Head) -> None:
    while True:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def _silent(sock: socket.socket, head: Head) -> None:
    threading.Event().wait(SECONDS * 4)


def _picture() -> bytes:
    """A step's answer with a picture of 900 megapixels, in wire format: a line of JSON, then the PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" * 3751
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    data = zlib.compress(row * 30_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


SEEN = {"frame": "0" * 64, "unchanged": False, "width": 30_000, "height": 30_000, "cursor": [1, 2], "settled": None,
        "settle_ms": 0.0, "capture_ms": 0.0, "accessibility": None, "accessibility_complete": True, "terminal": None,
        "problems": []}  # fmt: skip
STEP = json.dumps({"id": "x", "results": [], "act_ms": 0.0, "seen": SEEN}).encode()
BODIES: tuple[tuple[str, str, tuple[bytes, ...]], ...] = (
    ("deep", "JSON 200,000 deep", (b"[" * 200_000, b'{"a":' * 200_000, b'{"directory_tree":' + b'{"children":[' * 60_000)),
    ("numbers", "numbers of 50,000 digits, NaN, infinities", (b"9" * 50_000, b'{"returncode": NaN, "stdout": 1e999}',
                                                              b'{"returncode": -' + b"9" * 50_000 + b"}")),
    ("types", "wrong types, missing keys, half characters, no text", (
        b"null", b"[]", b'"x"', b"{}", b'{"returncode": {}, "stdout": [], "stderr": 7}', b'{"directory_tree": 7}', b"\xff\xfe",
        b'{"returncode": 0, "stdout": "\\ud800", "stderr": ""}', b'{"returncode": true, "stdout": null}', b'[{"id": []}]',
        STEP, b"")),
    ("large", "63 MB of JSON", (b"[" + b"[]," * (21 << 20) + b"0]",)),
    ("picture", "a screenshot of 900 megapixels", (STEP + b"\n" + _picture(), _picture())),
)  # fmt: skip
SENDS: tuple[tuple[str, str, Send], ...] = (
    ("drip", "one byte every half second, in the headers", _drip),
    ("drip-body", "the same in the body", _drip_body),
    ("chunks", "chunks without end", _chunks),
    ("headers", "headers without end", _headers),
    ("continues", "100 Continue without end", _continues),
    ("gzip", "200 MB that are 200 kB on the wire", _gzip),
    ("silent", "nothing at all", _silent),
)
for _id, _title, _some in BODIES:
    attack(f"answer-{_id}", "answers", _title, (CONTROLLER,))(_bodies(*_some))
for _id, _title, _send in SENDS:
    attack(f"answer-{_id}", "answers", _title, (CONTROLLER,), seconds=240.0)(_sent(_send))
