"""Joins two connected sockets: what comes in at either goes out at the other."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 1 << 18


def splice(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both ends have ended, then close both sockets."""
    back = threading.Thread(target=_carry, args=(other, one), daemon=True)
    back.start()
    _carry(one, other)
    back.join()
    one.close()
    other.close()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way and pass the end on. An error breaks both ways."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    except OSError:
        with contextlib.suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
