"""A proxy that lets a desktop's programs reach only listed names, over the controller's network.

The desktop has no network. Its programs use an HTTP proxy, and the server hands each proxy connection to the controller
(`/v1/relay`). The controller reads the proxy request, looks its host up in the list, and connects. An entry is a name
(`example.org`), a name and everything below it (`*.example.org`), or an address. Each may end with a port; without one,
it means 80 and 443. A listed name that resolves to no public address is refused, because the list is meant for the
internet, not for the controller's own machine and neighbours. For those, write the address.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from deskbench.envs.errors import UsageError
from deskbench.envs.pipe import splice

WAITING = 4
"""Connections kept open in the desktop, waiting for programs."""
MOST = 128
"""The most connections of one desktop's programs at a time. Each costs the controller two threads."""
CONNECT_SECONDS = 20.0
MAX_HEAD = 65536
WEB_PORTS = (80, 443)


@dataclass(frozen=True)
class Entry:
    """One entry of the list. `host` is in lower case; `below` includes all names under it; `port` None means 80 and
    443.
    """

    host: str
    port: int | None = None
    below: bool = False

    def admits(self, host: str, port: int) -> bool:
        """Whether the entry allows this host and port."""
        named = host == self.host or (self.below and host.endswith(f".{self.host}"))
        return named and (port in WEB_PORTS if self.port is None else port == self.port)


def parse(entries: Iterable[str]) -> tuple[Entry, ...]:
    """Read the list.

    Raises:
        UsageError: an entry is invalid; the message names it.
    """
    return tuple(_entry(text) for text in entries)


def _entry(text: str) -> Entry:
    below = text.startswith("*.")
    try:
        parts = urlsplit(f"//{text.removeprefix('*.')}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.path or parts.query or "*" in host or "@" in text:
        raise UsageError(f"network {text!r}: write example.org, *.example.org or an address, with :PORT where needed")
    return Entry(host, port, below)


class Relay:
    """Serves one desktop's programs, until it is closed.

    Args:
        entries: the hosts that they may reach.
        open_relay: opens one of the desktop's `/v1/relay` connections; OSError when the desktop is gone.
        most: connections at a time; the next one waits in the desktop until one ends.
    """

    def __init__(self, entries: Iterable[str], open_relay: Callable[[], socket.socket], most: int = MOST) -> None:
        self._entries = parse(entries)
        self._open = open_relay
        self._most = most
        self._lock = threading.Lock()
        self._idle: set[socket.socket] = set()
        self._waiting = self._busy = 0
        self._closed = False
        self._refill()

    def close(self) -> None:
        """Give programs no new connections."""
        with self._lock:
            self._closed = True
            for waiting in self._idle:
                with contextlib.suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)

    def _refill(self) -> None:
        """Open waiting connections up to the limit.

        Raises:
            OSError: the desktop is gone.
        """
        while True:
            with self._lock:
                if self._closed or self._waiting == WAITING or self._waiting + self._busy == self._most:
                    return
                self._waiting += 1
            try:
                self._wait_for_program()
            except OSError:
                with self._lock:
                    self._waiting -= 1
                raise

    def _wait_for_program(self) -> None:
        program = self._open()
        with self._lock:
            self._idle.add(program)
        threading.Thread(target=self._serve, args=(program,), daemon=True).start()

    def _serve(self, program: socket.socket) -> None:
        """Serve one connection: read its request, decide, and forward."""
        try:
            head = _read_head(program)
        except OSError:
            head = b""  # the program hung up
        with self._lock:
            self._idle.discard(program)
            self._waiting, self._busy = self._waiting - 1, self._busy + 1
            ended = self._closed
        with contextlib.suppress(OSError):  # otherwise the desktop and its programs are gone
            self._refill()
        with contextlib.closing(program), contextlib.suppress(OSError):
            if head and not ended:
                self._answer(program, head)
        with self._lock:
            self._busy -= 1
        with contextlib.suppress(OSError):
            self._refill()

    def _answer(self, program: socket.socket, head: bytes) -> None:
        try:
            host, port, rest = _wanted(head)
            there = self._connect(host, port)
        except _RefusedError as refused:
            program.sendall(f"HTTP/1.1 {refused}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        if rest is None:
            program.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there.sendall(rest)
        splice(program, there)

    def _connect(self, host: str, port: int) -> socket.socket:
        if not any(entry.admits(host, port) for entry in self._entries):
            raise _RefusedError("403 Not on the list of this task")
        for address in _addresses(host, port):
            with contextlib.suppress(OSError):
                made = socket.create_connection((address, port), CONNECT_SECONDS)
                made.settimeout(None)
                return made
        raise _RefusedError("502 Not reached")


class _RefusedError(Exception):
    """The proxy refuses the request; the message is the rest of the status line."""


def _addresses(host: str, port: int) -> list[str]:
    """The addresses of a host. A name gives only public addresses."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]  # the list names the address itself
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a name that the resolver rejects
        raise _RefusedError("502 No such host") from None
    public = [str(one[4][0]) for one in found if ipaddress.ip_address(one[4][0]).is_global]
    if not public:
        raise _RefusedError("403 Not a public address")
    return public


def _read_head(program: socket.socket) -> bytes:
    """A request's head, and the part of its body that came with it; empty if the connection ended first."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = program.recv(4096)
        if not part or len(head) > MAX_HEAD:
            return b""
        head += part
    return head


def _wanted(head: bytes) -> tuple[str, int, bytes | None]:
    """Host and port of a proxy request, and the bytes to send there (None for CONNECT: the program sends its own)."""
    head, end, body = head.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, _, target = line.decode("latin-1").partition(" ")
    target, _, version = target.rpartition(" ")
    try:
        if method == "CONNECT":
            parts = urlsplit(f"//{target}")
            return str(parts.hostname or "").rstrip("."), parts.port or 443, None
        parts = urlsplit(target)
        port = parts.port or 80
    except ValueError:
        raise _RefusedError("400 Not a request to a proxy") from None
    if parts.scheme != "http" or not parts.hostname:
        raise _RefusedError("400 Not a request to a proxy")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Allow one request per connection: a second one could name another host and would not be checked.
    kept = [field for field in fields if not field.lower().startswith((b"proxy-", b"connection:"))]
    start = f"{method} {path} {version}".encode("latin-1")
    return parts.hostname.rstrip("."), port, b"\r\n".join([start, b"Connection: close", *kept]) + end + body
