"""A small HTTP server on the standard library: routes, roles, signatures, TCP or a Unix socket.

First requests wait in a lobby, where any number of slow senders share one thread. A connection gets its own thread once
it has something to say. A web framework takes ten times the 70 ms and 20 MB of this.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading

from deskbench.envs.server.http.callers import Tokens
from deskbench.envs.server.http.connection import Connection
from deskbench.envs.server.http.exchange import (
    HttpError,
    Request,
    Response,
    Route,
    Watch,
    flag,
    json_response,
    number,
    text,
    text_response,
)
from deskbench.envs.server.http.limits import (
    MAX_ARRIVING,
    MAX_ARRIVING_LONG,
    MAX_CARRIED,
    MAX_CONNECTIONS,
    MAX_ROOM,
)
from deskbench.envs.server.http.lobby import Lobby
from deskbench.envs.server.http.shares import Room, Slots

__all__ = [
    "HttpError", "Request", "Response", "Route", "Server", "Tokens", "Watch", "flag", "json_response", "number", "text",
    "text_response",
]  # fmt: skip


class Server:
    """The server.

    Args:
        address: (host, port), a Unix socket's path, or a socket that is already listening.
        routes: the routes that it answers.
        tokens: who may ask.
        others: answers requests without a route, if they have a token.

    Attributes:
        bound: the host that it listens on, or None on a Unix socket.
        server_address: as `socket.getsockname` returns it.
    """

    def __init__(
        self,
        address: tuple[str, int] | str | socket.socket,
        routes: list[Route],
        tokens: Tokens,
        others: Route | None = None,
    ) -> None:
        self.routes = {(r.method, r.path): r for r in routes}
        self.tokens, self.others = tokens, others
        self.socket = address if isinstance(address, socket.socket) else _listen(address)
        self.server_address = self.socket.getsockname()
        named = address[0] if isinstance(address, tuple) else None
        self.bound = named if named else _host(self.socket)
        self.slots = Slots(MAX_CONNECTIONS)
        self.carried = Slots({"carried": MAX_CARRIED})
        self.room = Room(MAX_ROOM)
        self._arriving = Slots({"short": MAX_ARRIVING, "long": MAX_ARRIVING_LONG})
        self._lobby = Lobby(self.socket, self._welcome)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, which it notices within `poll_interval` seconds."""
        self._lobby.run(poll_interval)

    def shutdown(self) -> None:
        """End `serve_forever`, which runs in another thread, and wait for it to stop."""
        self._lobby.end()

    def server_close(self) -> None:
        """Stop listening."""
        self.socket.close()

    def _welcome(self, connection: socket.socket, came: bytes, *, whole: bool) -> bool:
        """Serve a connection whose first request is complete, or long and still arriving; False if there is no room."""
        kind = "short" if whole else "long"
        if not self._arriving.take(kind, 1.0 if whole else 0.0):  # a complete request is handled at once
            return False
        serving = Connection(self, connection, came, lambda: self._arriving.give(kind))
        try:
            threading.Thread(target=serving.serve, daemon=True).start()
        except RuntimeError:  # no thread is available
            self._arriving.give(kind)
            return False
        return True


def _listen(address: tuple[str, int] | str) -> socket.socket:
    """A listening socket. Only its owner may use a Unix socket."""
    if not isinstance(address, str):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        return socket.create_server(address, family=family, backlog=128)
    listener = socket.socket(socket.AF_UNIX)
    old = os.umask(0o177)
    try:
        listener.bind(address)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(old)
    return listener


def _host(listener: socket.socket) -> str | None:
    name = listener.getsockname()
    if not isinstance(name, tuple):
        return None
    return str(ipaddress.ip_address(str(name[0]).partition("%")[0]))
