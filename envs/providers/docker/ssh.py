"""A Docker engine elsewhere, as in DOCKER_HOST=ssh://[user@]host[:port][/path]: `ssh -L` forwards its socket here.

The SDK's own ssh transport cannot stream data as it arrives, which a desktop needs. This uses the user's own ssh and
its configuration, and never prompts.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deskbench.envs import wait
from deskbench.envs.errors import UsageError

SOCKET = "/var/run/docker.sock"
CONNECT_SECONDS = 30.0
_open: dict[str, Tunnel] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Tunnel:
    """A running `ssh` and the socket that it listens on."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def socket(self) -> Path:
        """The local socket that leads to the engine."""
        return self.folder / "docker.sock"

    def close(self) -> None:
        """End the ssh process and remove the socket."""
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


def reach(address: str) -> str:
    """The address of a local socket that leads to the remote engine. All callers share one connection.

    Raises:
        UsageError: the machine cannot be reached; the message has ssh's own.
    """
    with _lock:
        found = _open.get(address)
        if found is None or found.process.poll() is not None:
            if found is not None:
                found.close()
            _open[address] = found = _dial(address)
            atexit.register(found.close)
        return f"unix://{found.socket}"


def _dial(address: str) -> Tunnel:
    parts = urlsplit(address)
    if not parts.hostname:
        raise UsageError(f"DOCKER_HOST={address} names no machine; use ssh://[user@]host[:port]")
    folder = Path(tempfile.mkdtemp(prefix="deskbench-ssh-"))
    there = parts.path if parts.path not in ("", "/") else SOCKET
    port = ["-p", str(parts.port)] if parts.port else []
    user = ["-l", parts.username] if parts.username else []
    command = [
        "ssh", "-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-L",
        f"{folder / 'docker.sock'}:{there}", *port, *user, "--", parts.hostname,
        "cat",  # ends with its input, which ends with this process
    ]  # fmt: skip
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        shutil.rmtree(folder)
        raise UsageError(f"DOCKER_HOST={address} needs ssh: apt-get install openssh-client") from None
    made = Tunnel(process, folder)
    if not wait.until(lambda: made.socket.exists() or process.poll() is not None, timeout=CONNECT_SECONDS):
        made.close()
        raise UsageError(f"DOCKER_HOST={address}: ssh did not connect within {CONNECT_SECONDS:g} s")
    if process.poll() is not None:
        said = (process.stderr.read() if process.stderr else b"").decode("utf-8", "replace").strip().splitlines()
        made.close()
        raise UsageError(f"DOCKER_HOST={address}: ssh ended: {said[-1] if said else 'it said nothing'}")
    return made
