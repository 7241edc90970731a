"""Metrics that do what hostile bytes could make a library do."""

import ctypes
import os
import socket
import subprocess
from pathlib import Path

from deskbench.tasks.metrics.support.told import Told


def writes(result: list[str], expected: None) -> float:
    """1 when a file can be written at any of these paths."""
    for path in result:
        try:
            Path(path).write_text("x")
        except OSError:
            continue
        return 1.0
    Path("scratch").write_text("x")
    return 0.0


def leaves_a_child(result: None, expected: None) -> float:
    """Starts a program that keeps running, and returns its process number."""
    return Told(0.0, str(subprocess.Popen(["sleep", "1000"]).pid))


def prints(result: None, expected: None) -> float:
    """Prints something that looks like an answer."""
    os.write(1, b'{"value": 1.0, "note": ""}')
    return 0.5


def crashes(result: None, expected: None) -> float:
    """Reads from address 0."""
    return float(len(ctypes.string_at(0)))


def exits(result: None, expected: None) -> float:
    """Exits at once."""
    os._exit(3)


def connects(result: int, expected: None) -> float:
    """1 when a port of this machine can be reached."""
    try:
        socket.create_connection(("127.0.0.1", result), 1).close()
    except OSError:
        return 0.0
    return 1.0
