"""Runs one program, and ends everything that it started when it ends or when the controller closes its socket.

It is the parent of orphans below it (PR_SET_CHILD_SUBREAPER, prctl(2)), so a process that leaves the program's session
is found, too. The controller's end closes the socket, whatever ended the controller.

Arguments: the number of the inherited socket, then the program's command. It first sends one line: empty if the
program has started, else the reason why not. Its exit status is the program's, or 128 and the signal's number.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading

import psutil

PR_SET_CHILD_SUBREAPER = 36
"""From <linux/prctl.h>."""
GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL."""
LOOK_SECONDS = 0.05


def main() -> int:
    """Run the program to its end, or to the controller's; returns the exit status."""
    control = socket.socket(fileno=int(sys.argv[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        child = subprocess.Popen(sys.argv[2:])
    except (OSError, ValueError) as error:
        control.sendall(f"{getattr(error, 'strerror', None) or error}\n".encode())
        return 127
    control.sendall(b"\n")
    ended = threading.Event()
    threading.Thread(target=_end_with_controller, args=(control, ended), daemon=True).start()
    status = _status_of(child.pid)
    ended.set()
    _end_all()
    return status


def _status_of(pid: int) -> int:
    """Wait for the program, and bury orphans meanwhile."""
    while True:
        found, status = os.wait()
        if found == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end_with_controller(control: socket.socket, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        control.recv(1)
    _signal_all(signal.SIGTERM)
    ended.wait(GRACE_SECONDS)
    while not ended.wait(LOOK_SECONDS):
        _signal_all(signal.SIGKILL)


def _end_all() -> None:
    """Kill what the program left, until nothing is left."""
    while True:
        _signal_all(signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _signal_all(number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main())
