"""Between the person's browser and the desktop's VNC server: every event is seen here, and the state before it.

An event that begins an action waits here until the desktop has been looked at, so no picture shows its own effect.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from deskbench.agent.recording.events import Event, Pointer, Press, State, to_line
from deskbench.agent.recording.reduce import near
from deskbench.agent.recording.rfb import ClientStream, Message
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import EnvError, UsageError
from deskbench.envs.wire import Observe

DOUBLE_SECONDS = 0.6
"""A second press within it may be a double click: it does not wait, so that the desktop sees one."""
PAUSE_SECONDS = 0.8
"""Keys and wheel turns that come sooner after each other than this belong together."""
WHEEL = 0b1111000


class Recorder:
    """Writes events and states as they come.

    Args:
        desktop: looked at before each action; nobody else may use it meanwhile.
        path: the file of events.
        pictures: the folder of screens.
    """

    def __init__(self, desktop: Desktop, path: Path, pictures: Path) -> None:
        self._desktop, self._pictures = desktop, pictures
        self._file = path.open("w", encoding="utf-8")
        self._began, self._lock = time.monotonic(), threading.Lock()
        self._buttons, self._pressed, self._last, self._was = 0, -DOUBLE_SECONDS, -PAUSE_SECONDS, ""
        self._place = (-1, -1)
        self.failed: EnvError | None = None
        """Why the desktop could not be looked at."""

    def heard(self, message: Message) -> None:
        """Note what a client sent; returns when it may go on to the desktop."""
        with self._lock:
            if self._file.closed:
                return
            if message.pointer is not None:
                self._on_pointer(*message.pointer)
            elif message.key is not None:
                down, keysym = message.key
                if down:
                    self._look_after_pause("key")
                self._write(Press(self._now(), down, keysym))

    def close(self) -> None:
        """Nothing is noted any more."""
        with self._lock:
            self._file.close()

    def _on_pointer(self, buttons: int, x: int, y: int) -> None:
        pressed = buttons & ~self._buttons
        if pressed & WHEEL:
            self._look_after_pause("wheel")
        elif pressed and not self._buttons:
            if self._now() - self._pressed > DOUBLE_SECONDS or not near(self._place, (x, y)):
                self._look()
            self._pressed, self._place, self._was = self._now(), (x, y), "button"
        self._buttons = buttons
        self._write(Pointer(self._now(), buttons, x, y))

    def _look_after_pause(self, what: str) -> None:
        if self._was != what or self._now() - self._last > PAUSE_SECONDS:
            self._look()
        self._was, self._last = what, self._now()

    def _look(self) -> None:
        try:
            seen = self._desktop.observe(Observe(policy="immediate", accessibility=True))
        except EnvError as error:
            self.failed = self.failed or error
            return
        name = ""
        if seen.screenshot is not None:
            name = f"{seen.screenshot.sha256[:16]}.png"
            (self._pictures / name).write_bytes(seen.screenshot.png)
        self._write(State(self._now(), seen.width, seen.height, seen.accessibility, name))

    def _now(self) -> float:
        return round(time.monotonic() - self._began, 3)

    def _write(self, event: Event) -> None:
        self._file.write(to_line(event))
        self._file.flush()


class Tap:
    """A port of this machine's loopback that leads on to a VNC server; what clients say is heard on the way.

    Args:
        server: the VNC server, HOST:PORT.
        heard: called with each message before it goes on.
    """

    def __init__(self, server: str, heard: Callable[[Message], None]) -> None:
        self._server, self._heard = server, heard
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection, and take no more."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        host, _, port = self._server.rpartition(":")
        with client, contextlib.suppress(OSError), socket.create_connection((host, int(port))) as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(server)
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()
            stream = ClientStream()
            with contextlib.suppress(UsageError):  # what cannot be recorded is not let through
                while data := client.recv(65536):
                    for message in stream.feed(data):
                        self._heard(message)
                        server.sendall(message.data)
            server.shutdown(socket.SHUT_RDWR)  # wakes the other direction
            client.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
