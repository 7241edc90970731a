"""For a server in its own virtual machine: renews clock, tokens and randomness when the machine is restored.

Machines restored from one snapshot are identical: the same tokens, the same time, the same random numbers to come.
`/v1/resume` makes each of them different, and connects it to the network if it may use that.
"""

from __future__ import annotations

import fcntl
import subprocess
import time
from pathlib import Path

from deskbench.envs.server.http.server import (
    HttpError,
    Request,
    Response,
    Route,
    Server,
    Tokens,
    json_response,
    number,
    text,
)

RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207
"""ioctls of random(4)."""
LATEST = 2.0**33
"""The latest time that the clock may be set to, in seconds since 1970: about two centuries ahead."""
GATEWAY = "10.0.2.2"
"""QEMU's end of its user network (`-netdev user` in its manual)."""


def routes(server: Server) -> list[Route]:
    """The route, bound to a server whose tokens it replaces."""

    def resume(request: Request) -> Response:
        body = request.json()
        agent, control = text(body, "agent_token"), text(body, "control_token")
        if not agent or not control:
            raise HttpError(400, "a resume needs agent_token and control_token")
        now, entropy = number(body, "time", 0.0, LATEST), _bytes(text(body, "entropy"))
        time.clock_settime(time.CLOCK_REALTIME, now)
        _stir(entropy)
        if body.get("network"):
            _connect()
        open_to_all = body.get("open") is True  # for clients without a token
        server.tokens = Tokens(agent, control, open=open_to_all)
        return json_response({})

    return [Route("POST", "/v1/resume", resume)]


def _bytes(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise HttpError(400, f"entropy is not hex: {error}") from None


def _stir(entropy: bytes) -> None:
    """Give the kernel's random number generator its own entropy."""
    head = (len(entropy) * 8).to_bytes(4, "little") + len(entropy).to_bytes(4, "little")
    with Path("/dev/urandom").open("wb") as device:
        fcntl.ioctl(device, RNDADDENTROPY, head + entropy)
        fcntl.ioctl(device, RNDRESEEDCRNG)


def _connect() -> None:
    command = ["busybox", "ip", "route", "add", "default", "via", GATEWAY]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HttpError(500, f"no route to the network: {done.stderr.strip()}")
