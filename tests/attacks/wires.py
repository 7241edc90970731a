"""Both ends of a wire under an attacker's control: a man in the middle, and a server that answers anything."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

from deskbench.envs.server import signing

Change = Callable[[bytes], bytes]


class Middle:
    """Forwards every byte, records the requests, and changes answers.

    Attributes:
        asked: what the controller sent, for each connection.
    """

    def __init__(self, address: str, change: Change) -> None:
        host, _, port = address.partition(":")
        self._there = (host, int(port))
        self._change = change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[bytearray] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._there)
            kept = bytearray()
            self.asked.append(kept)
            threading.Thread(target=self._carry, args=(near, far, kept), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, None), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if kept is not None:
                    kept += data
                target.sendall(self._change(data) if kept is None else data)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def between(address: str, change: Change = lambda data: data) -> Iterator[Middle]:
    """A man in the middle for that address, during the block."""
    middle = Middle(address, change)
    try:
        yield middle
    finally:
        middle.close()


Answer = Callable[[str, bytes, socket.socket, Callable[[int, bytes], str]], None]
"""Answers one request: its path and body, the connection, and a function that makes the head of a signed answer."""


class Hostile:
    """A server that has the key, like that of a machine that an agent took over, and answers anything."""

    def __init__(self, token: str, answer: Answer) -> None:
        self._token, self._answer = token, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.paths: list[str] = []
        self.heads: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError):
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    got = stream.readline()
                    if not got:
                        return
                    head += got
                text = head.decode("latin-1")
                length = re.search(r"(?i)content-length: (\d+)", text)
                body = stream.read(int(length[1])) if length else b""
                path = text.split()[1]
                self.paths.append(path)
                self.heads.append(text)
                self._answer(path, body, client, lambda status, data: self._head(text, status, data))

    def _head(self, asked: str, status: int, body: bytes) -> str:
        """Sign the head if the request was signed, so that the reader of the body is what is tested."""
        signed = re.search(r"(?im)^authorization: (.*?)\r$", asked)
        read = signing.Signed.read(signed[1]) if signed else None
        proof = ""
        if read is not None:
            made = signing.answer_proof(self._token, read.nonce, status, body)
            proof = f"{signing.ANSWER_HEADER}: {made}\r\n"
        return f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\n{proof}\r\n"


@contextlib.contextmanager
def hostile(token: str, answer: Answer) -> Iterator[Hostile]:
    """Run such a server during the block."""
    server = Hostile(token, answer)
    try:
        yield server
    finally:
        server.close()
