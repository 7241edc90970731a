"""Runs next to QEMU in its sandbox and gives the controller connections to the sandbox's loopback.

`python3 porter.py FD COMMAND...` starts the command, which is QEMU, and ends with it. It reads port numbers of two
bytes each from the socket FD. For each one, it answers with a connected socket (SCM_RIGHTS) or with the reason for
failing. Only the controller holds the other end of FD: when it closes that or is killed, everything ends. Uses only the
standard library, because the system's Python runs it.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading

CONNECT_SECONDS = 5.0
REQUEST = struct.Struct(">H")


def main() -> None:
    """Start the command, and serve until it or the controller ends."""
    controller = socket.socket(fileno=int(sys.argv[1]))
    process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    threading.Thread(target=lambda: os._exit(process.wait() & 0xFF), daemon=True).start()
    while request := controller.recv(REQUEST.size):
        _answer(controller, *REQUEST.unpack(request))
    process.kill()
    os._exit(0)


def _answer(controller: socket.socket, port: int) -> None:
    try:
        made = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
    except OSError as error:
        controller.send(str(error.strerror or error).encode())
        return
    with made:
        socket.send_fds(controller, [b"\0"], [made.fileno()])


if __name__ == "__main__":
    main()
