"""Where connections wait until their first request has arrived. Thousands of slow ones cost no thread and no memory.

A server with one thread per connection can be filled by a client that opens connections and sends little. Here, such a
connection takes one of MAX_WAITING places, and the oldest must go when all are taken. A request that arrives at once,
like a controller's, has been read long before that.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import Counter
from typing import Protocol

from deskbench.envs.server.http.connection import Head
from deskbench.envs.server.http.exchange import HttpError
from deskbench.envs.server.http.limits import HEAD_SECONDS, MAX_HEAD, MAX_SMALL, MAX_WAITING

_AT_ONCE = 32
"""The most connections accepted in a round: few enough that none of the previous round is pushed out."""
_PAUSE = 0.05
_PART = 1 << 16
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" + (
    b"Connection: close\r\n\r\n%s"
)
_BUSY = b'{"error": "the server has too many connections"}'


class Welcome(Protocol):
    """Takes over a connection with what has arrived of its first request; False if it cannot."""

    def __call__(self, connection: socket.socket, came: bytes, *, whole: bool) -> bool:
        """Take a connection over. `whole` says that the whole request has arrived."""


class _Guest:
    def __init__(self, connection: socket.socket, address: str) -> None:
        self.connection, self.address = connection, address
        self.until = time.monotonic() + HEAD_SECONDS
        self.came = bytearray()
        self.needed: int | None = None  # length of the whole request, once its head has arrived

    def read(self) -> bool | None:
        """Read what has arrived. True: the request is whole. False: it is long or malformed. None: more must come.

        Raises:
            OSError: the connection is over.
        """
        data = self.connection.recv(_PART)
        if not data:
            raise ConnectionError
        self.came += data
        if self.needed is None:
            end = self.came.find(b"\r\n\r\n")
            if end < 0:
                return False if len(self.came) > MAX_HEAD else None
            try:
                head = Head.read(bytes(self.came[:end]))
                length = head.length()
            except HttpError:
                return True  # do not wait; the connection's thread reports the error
            if length > MAX_SMALL or "Expect" in head.headers:
                return False
            self.needed = end + 4 + length
        return True if len(self.came) >= self.needed else None


class Lobby:
    """Accepts connections and hands each to `welcome`.

    Args:
        listener: a listening socket.
        welcome: takes the connections over.
    """

    def __init__(self, listener: socket.socket, welcome: Welcome) -> None:
        self._listener, self._welcome = listener, welcome
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._guests: dict[int, _Guest] = {}  # by descriptor, oldest first
        self._counts: Counter[str] = Counter()
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._ended.set()

    def run(self, interval: float) -> None:
        """Accept connections until `end`, which it notices within `interval` seconds."""
        self._ended.clear()
        try:
            while not self._ending.is_set():
                self._round(interval)
        finally:
            for guest in list(self._guests.values()):
                self._dismiss(guest)
            self._selector.close()
            self._ended.set()

    def end(self) -> None:
        """End `run` in another thread, and wait for it to stop."""
        self._ending.set()
        self._ended.wait()

    def _round(self, interval: float) -> None:
        for key, _ in self._selector.select(interval):
            if key.fileobj is self._listener:
                self._accept()
            elif (guest := self._guests.get(key.fd)) is not None:
                self._read(guest)
        now = time.monotonic()
        for guest in [guest for guest in self._guests.values() if guest.until < now]:
            self._dismiss(guest)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, name = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # no descriptor is available
                if self._guests:
                    self._dismiss(self._oldest())
                self._ending.wait(_PAUSE)
                return
            self._seat(connection, str(name[0]) if isinstance(name, tuple) else "")

    def _seat(self, connection: socket.socket, address: str) -> None:
        connection.setblocking(False)
        if address:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        if len(self._guests) >= MAX_WAITING:
            self._dismiss(self._oldest())
        self._guests[connection.fileno()] = _Guest(connection, address)
        self._selector.register(connection, selectors.EVENT_READ)
        self._counts[address] += 1

    def _oldest(self) -> _Guest:
        """The oldest guest of the address with the most guests."""
        (crowd, _), *_ = self._counts.most_common(1)
        return next(guest for guest in self._guests.values() if guest.address == crowd)

    def _read(self, guest: _Guest) -> None:
        try:
            whole = guest.read()
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(guest)
            return
        if whole is None:
            return
        self._remove(guest)
        if not self._welcome(guest.connection, bytes(guest.came), whole=whole):
            with contextlib.suppress(OSError):
                guest.connection.send(_FULL % (len(_BUSY), _BUSY))
            guest.connection.close()

    def _remove(self, guest: _Guest) -> None:
        del self._guests[guest.connection.fileno()]
        self._selector.unregister(guest.connection)
        self._counts[guest.address] -= 1
        if not self._counts[guest.address]:
            del self._counts[guest.address]

    def _dismiss(self, guest: _Guest) -> None:
        self._remove(guest)
        guest.connection.close()
