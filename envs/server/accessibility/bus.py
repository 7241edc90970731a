"""The accessibility bus: requests to many applications at the same time.

One call at a time costs a round trip each, and a screen has hundreds of nodes with several properties. Here, every
application has many open requests and answers at its own speed; one that hangs delays only its own nodes. An
application that offers its own socket (atk-bridge does) is asked there, without the bus daemon.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from deskbench.envs import wait
from deskbench.envs.server import identity
from deskbench.envs.server.accessibility import messages
from deskbench.envs.server.accessibility.messages import MessageError, Question

WINDOW = 256
"""The most open requests on a connection: enough to keep an application busy."""
MAX_LINKS = 8
"""The most connections to one application. More do not make Chromium faster."""
MANY = 64
"""With this many open requests, let answers gather for GATHER_SECONDS."""
GATHER_SECONDS = 0.002
STALL_SECONDS = 2.0
"""Seconds after which an application that answers nothing, while others do, is skipped."""
AGAIN_SECONDS = 0.25
"""The same for an application that hung the last time."""
MAX_READING = 24 * 2**20
"""The most bytes read for one tree: about 20,000 nodes, or a document. The rest is dropped."""
MAX_OWN = 64
"""How many applications are asked on their own sockets; the others are asked through the bus."""
BUS_SECONDS = 5.0
"""Seconds for the bus itself, which may have to start first."""
_patience = 1.0
_READ = 1 << 18
_APPLICATION = "org.a11y.atspi.Application"
_WHERE = Question(_APPLICATION, "GetApplicationBusAddress", "s", messages.string)
_DAEMON, _DAEMON_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_HELLO = Question(_DAEMON, "Hello", "s", messages.string)
_ID = Question(_DAEMON, "GetId", "s", messages.string)
REGISTRY = "org.a11y.atspi.Registry"
"""The bus name of the registry of applications. A request starts it."""
_OWNER = Question(_DAEMON, "GetNameOwner", "s", messages.string, "s", messages.written(REGISTRY))
SIGNING_UP_SECONDS = 2.0
"""Seconds that applications may take to register with a new registry (the longest seen was 0.5 s)."""
ROOT = "/org/a11y/atspi/accessible/root"

Taker = Callable[[Any], None]
"""Takes the answer to a request, or None if it was refused."""


def wait_longer(times: float) -> None:
    """Multiply all these limits from now on, because the machine is slow."""
    global _patience  # noqa: PLW0603  (set once, before the first reading)
    _patience = times


def patiently(seconds: float) -> float:
    """A time limit, adjusted to this machine."""
    return seconds * _patience


class AccessibilityError(RuntimeError):
    """The accessibility bus is not available."""


class Link:
    """One connection: to the bus, or to one application."""

    def __init__(self, address: str, seconds: float) -> None:
        """Connect; `seconds` is the limit. Raises OSError, ValueError or RuntimeError."""
        from jeepney.bus import get_bus
        from jeepney.io.blocking import prep_socket

        with identity.acting():  # applications accept only connections of their own user
            self.socket: socket.socket = prep_socket(get_bus(address), timeout=seconds)
        self.socket.setblocking(False)
        self.address = address
        self.waiting: dict[int, tuple[str, Question, Taker]] = {}
        self.outgoing = bytearray()
        self._queue: deque[tuple[str, str, Question, Taker]] = deque()
        self._incoming = bytearray()
        self._serial = 0
        self.received = 0  # bytes in total

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    @property
    def busy(self) -> bool:
        """Whether it still awaits answers."""
        return bool(self.waiting or self._queue)

    @property
    def full(self) -> bool:
        """Whether requests have to wait for earlier answers before they can be sent."""
        return bool(self._queue)

    def ask(self, name: str, path: str, question: Question, taker: Taker) -> None:
        """Queue a request to the application with that bus name; `flush` sends it."""
        self._queue.append((name, path, question, taker))

    def flush(self) -> None:
        """Send as much as possible without blocking."""
        while self._queue and len(self.waiting) < WINDOW:
            name, path, question, taker = self._queue.popleft()
            self._serial = self._serial % 0xFFFFFFF0 + 1
            self.outgoing += messages.ask(question, name, path, self._serial)
            self.waiting[self._serial] = (name, question, taker)
        if self.outgoing:
            with contextlib.suppress(BlockingIOError):
                del self.outgoing[: self.socket.send(self.outgoing)]

    def receive(self) -> set[str]:
        """Hand the answers that have arrived to their takers; return the names that answered.

        Raises:
            OSError, MessageError: the connection is unusable.
        """
        data = self.socket.recv(_READ)
        if not data:
            raise ConnectionError("the other end hung up")
        self._incoming += data
        self.received += len(data)
        at, names = 0, set()
        while (answer := messages.take(self._incoming, at)) is not None:
            at = answer.next
            asked = self.waiting.pop(answer.serial, None) if answer.serial else None
            if asked is not None:
                names.add(asked[0])
                asked[2](_value(asked[1], answer))
        del self._incoming[:at]
        return names

    def forget(self, names: set[str]) -> list[Taker]:
        """Stop waiting for answers from these names; return their takers."""
        left = [(serial, taker) for serial, (name, _, taker) in self.waiting.items() if name in names]
        queued = [entry[3] for entry in self._queue if entry[0] in names]
        self._queue = deque(entry for entry in self._queue if entry[0] not in names)
        for serial, _ in left:
            del self.waiting[serial]
        return [taker for _, taker in left] + queued

    def names(self) -> set[str]:
        """The names that still owe answers."""
        return {name for name, *_ in self.waiting.values()} | {name for name, *_ in self._queue}


def _value(question: Question, answer: messages.Answer) -> Any:
    if answer.kind != messages.METHOD_RETURN or answer.signature != question.answer:
        return None
    try:
        return question.decode(answer.body)
    except (MessageError, struct.error):
        return None


class Bus:
    """The accessibility bus and the applications on it. Only one thread at a time may use it.

    Raises:
        AccessibilityError: there is no session bus or no accessibility bus.
    """

    def __init__(self) -> None:
        from jeepney import DBusAddress, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        try:
            with identity.acting(), open_dbus_connection("SESSION") as session:
                where = DBusAddress("/org/a11y/bus", "org.a11y.Bus", "org.a11y.Bus")
                reply = session.send_and_get_reply(new_method_call(where, "GetAddress"), timeout=patiently(BUS_SECONDS))
            self._daemon = Link(str(reply.body[0]), patiently(BUS_SECONDS))
        except (OSError, KeyError, ValueError, IndexError, RuntimeError) as error:
            raise AccessibilityError(f"no accessibility bus: {type(error).__name__}: {error}") from None
        self._own: dict[str, list[Link]] = {}
        self._narrow: set[str] = set()  # applications that take no further connection
        self._turn = 0
        self._known: set[str] = set()
        self._hung: set[str] = set()
        self._heard: dict[str, float] = {}
        self._left = MAX_READING
        self.slow: set[str] = set()
        """Names that did not answer during this reading."""
        self._daemon.ask(_DAEMON, _DAEMON_PATH, _HELLO, lambda _: None)
        self.id = self._answer(_ID, patiently(BUS_SECONDS))
        """The bus's id; no other bus has it."""
        if not self.id:
            self.close()
            raise AccessibilityError("the accessibility bus does not answer")

    def _answer(self, question: Question, seconds: float) -> str | None:
        """The answer of the bus itself."""
        found: list[str | None] = []
        self._daemon.ask(_DAEMON, _DAEMON_PATH, question, found.append)
        self.run(time.monotonic() + seconds)
        return found[0] if found else None

    def registry(self, seconds: float) -> str | None:
        """The unique name of the registry's connection; it is never reused."""
        return self._answer(_OWNER, seconds)

    def close(self) -> None:
        """Close all connections."""
        for link in self._links():
            link.close()

    def begin(self) -> None:
        """Start a new reading."""
        self._hung = self.slow
        self.slow = set()
        self._heard = {}
        self._left = MAX_READING

    def ask(self, name: str, path: str, question: Question, taker: Taker) -> None:
        """Ask an application something. During `run`, `taker` gets the answer, or None if it was refused."""
        if name in self.slow:
            return
        self._heard.setdefault(name, time.monotonic())
        links = self._own.get(name) or (self._daemon,)
        self._turn += 1
        links[self._turn % len(links)].ask(name, path, question, taker)

    def meet(self, names: set[str], deadline: float) -> None:
        """Find applications' own sockets, and close those of applications that are gone."""
        self._known &= names
        for name in set(self._own) - names:
            self._leave(name)
        found: dict[str, str | None] = {}
        for name in names - self._known:
            self.ask(name, ROOT, _WHERE, partial(found.__setitem__, name))
        self.run(deadline)
        for name, address in found.items():
            if time.monotonic() > deadline or len(self._own) >= MAX_OWN:
                break
            self._known.add(name)
            # An application without its own socket is asked through the daemon.
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                self._own[name] = [Link(address or "", patiently(AGAIN_SECONDS))]

    def _widen(self, deadline: float) -> None:
        """Open another connection to every application that cannot be sent all its requests.

        In each turn of its main loop, atk-bridge takes one request from every connection. A turn of Chromium's loop
        costs more than an answer.
        """
        for name, links in self._own.items():
            if time.monotonic() > deadline:
                break
            if len(links) < MAX_LINKS and name not in self._narrow and all(link.full for link in links):
                try:
                    links.append(Link(links[0].address, patiently(AGAIN_SECONDS)))
                except (OSError, ValueError, RuntimeError):
                    self._narrow.add(name)

    def run(self, deadline: float) -> None:
        """Run until every request is answered, hangs or is late, including those that takers add meanwhile.

        Args:
            deadline: monotonic seconds.

        Raises:
            AccessibilityError: the bus itself is gone.
        """
        while busy := [link for link in self._links() if link.busy]:
            for link in busy:
                self._guarded(link, self._flush)
            self._widen(deadline)
            if sum(len(link.waiting) for link in busy) >= MANY:
                wait.sleep(GATHER_SECONDS)  # an answer that wakes us costs both sides more than the answer itself
            now = time.monotonic()
            if now >= deadline or self._left < 0:
                self._give_up(self._awaited())
                break
            for link in self._ready(busy, min(deadline - now, AGAIN_SECONDS)):
                self._guarded(link, self._receive)
            self._give_up(self._stalled())
        self._heard.clear()

    def _ready(self, links: list[Link], seconds: float) -> list[Link]:
        """The connections that receive something within `seconds`."""
        poll = select.poll()
        open_ = {link.socket.fileno(): link for link in links if link.socket.fileno() >= 0}
        for descriptor, link in open_.items():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if link.outgoing else 0))
        return [open_[descriptor] for descriptor, event in poll.poll(seconds * 1e3) if event & ~select.POLLOUT]

    def _links(self) -> list[Link]:
        return [self._daemon, *(link for links in self._own.values() for link in links)]

    def _flush(self, link: Link) -> None:
        link.flush()

    def _receive(self, link: Link) -> None:
        now, before = time.monotonic(), link.received
        try:
            names = link.receive()
        finally:
            self._left -= link.received - before
        for name in names:
            self._heard[name] = now
            self._hung.discard(name)

    def _guarded(self, link: Link, work: Callable[[Link], None]) -> None:
        """Work on a connection. If an application's connection breaks, the application has ended."""
        try:
            work(link)
        except (OSError, MessageError) as error:
            if link is self._daemon:
                raise AccessibilityError(f"the accessibility bus hung up: {error}") from None
            self._drop(link)

    def _drop(self, link: Link) -> None:
        for name in [name for name, links in self._own.items() if link in links]:
            self._leave(name)

    def _leave(self, name: str) -> None:
        self._known.discard(name)
        self._narrow.discard(name)
        for link in self._own.pop(name):
            link.close()

    def _awaited(self) -> set[str]:
        return {name for link in self._links() for name in link.names()}

    def _stalled(self) -> set[str]:
        now = time.monotonic()
        limits = {True: patiently(AGAIN_SECONDS), False: patiently(STALL_SECONDS)}
        late = {name for name, heard in self._heard.items() if now - heard > limits[name in self._hung]}
        return late & self._awaited() if late else late

    def _give_up(self, names: set[str]) -> None:
        """Skip these for the rest of this reading."""
        self.slow |= names
        if names:
            self._daemon.forget(names)
        for name in names & set(self._own):
            self._leave(name)


class SigningUp:
    """Whether applications are still registering with a new registry, after the previous one ended."""

    def __init__(self) -> None:
        self._registry: str | None = None
        self._until = 0.0

    def goes_on(self, registry: str | None) -> bool:
        """Whether registering goes on, given the current registry."""
        if registry != self._registry and self._registry is not None:
            self._until = time.monotonic() + patiently(SIGNING_UP_SECONDS)
        self._registry = registry or self._registry
        return time.monotonic() < self._until
