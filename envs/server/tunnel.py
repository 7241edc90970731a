"""Connections through the server: from the controller to a port of the desktop, and from the desktop to the controller.

A desktop may have no network at all. `/v1/tunnel` takes the controller to a port in it (a browser's debugging port, a
player's remote control). `/v1/relay` is the other direction, for programs. With `--proxy`, the server listens on a port
of the desktop's loopback, as an HTTP proxy would. It joins each program that connects to a connection that the
controller has opened for this. The controller decides which hosts programs may reach.
"""

from __future__ import annotations

import os
import queue
import socket
import threading

from deskbench.envs.pipe import splice
from deskbench.envs.server.http.server import HttpError, Request, Response, Route

PROXY_PORT = 3128
CONNECT_SECONDS = 5.0
PATIENCE = 10.0
"""Seconds that a program waits for one of the controller's connections."""

_relays: queue.SimpleQueue[tuple[socket.socket, threading.Event]] = queue.SimpleQueue()


def routes() -> list[Route]:
    """Both routes."""
    return [Route("POST", "/v1/tunnel", tunnel), Route("POST", "/v1/relay", relay)]


def tunnel(request: Request) -> Response:
    """Handle `POST /v1/tunnel {"port": 9222}`: answer 101, then connect through to that port of the loopback."""
    port = request.json().get("port")
    if type(port) is not int or not 0 < port < 65536:
        raise HttpError(400, f"port is {port!r}; it must be a number from 1 to 65535")
    try:
        there = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
    except OSError as error:
        raise HttpError(502, f"port {port} of the desktop: {error.strerror or error}") from None
    there.settimeout(None)
    return Response(101, takeover=lambda client: splice(client, there))


def relay(request: Request) -> Response:
    """Handle `POST /v1/relay`: answer 101, then at some point carry a program's bytes, meant for an HTTP proxy."""
    return Response(101, takeover=_lend)


def _lend(controller: socket.socket) -> None:
    """Keep the connection for a program and return when it has been used; the handler then shuts it down."""
    used = threading.Event()
    _relays.put((controller, used))
    used.wait()


def listen() -> None:
    """Start the desktop's proxy, and point programs to it. Call this before the session starts."""
    listener = socket.create_server(("127.0.0.1", PROXY_PORT))
    address = f"http://127.0.0.1:{PROXY_PORT}"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ[name] = address
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = "localhost,127.0.0.1"
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()


def _accept(listener: socket.socket) -> None:
    while True:
        program, _ = listener.accept()
        threading.Thread(target=_pass_on, args=(program,), daemon=True).start()


def _pass_on(program: socket.socket) -> None:
    try:
        controller, used = _relays.get(timeout=PATIENCE)
        while _ended(controller):
            used.set()
            controller, used = _relays.get(timeout=PATIENCE)
    except queue.Empty:
        program.close()
        return
    try:
        splice(program, controller)
    finally:
        used.set()


def _ended(controller: socket.socket) -> bool:
    """Whether the controller hung up while its connection was waiting."""
    try:
        return controller.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
