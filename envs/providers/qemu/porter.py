"""Runs in a virtual machine's sandbox, beside QEMU: hands the controller connections to the sandbox's loopback.

`python3 qemu_porter.py FD COMMAND...`: starts the command, which is QEMU, and ends with it. At the socket FD it is
asked for ports, two bytes each, and answers with a connected socket each (SCM_RIGHTS), or with the reason why there is
none. The controller has the socket's only other end: when that is closed, or the controller killed, everything ends.
Standard library only: the system's Python runs it.
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
    """Start the command, and serve until one of the two ends."""
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
