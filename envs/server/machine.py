"""For a server that has a virtual machine of its own: what is made anew when the machine's memory has been restored.

Machines that are restored from one snapshot are the same machine: same tokens, same time, same random numbers to come.
`/v1/resume` makes each a machine of its own, and gives it the network if it is to have one.
"""

from __future__ import annotations

import fcntl
import subprocess
import time
from pathlib import Path

from deskbench.envs.server.http import HttpError, Request, Response, Route, Server, Tokens, json_response

RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207
"""ioctls of random(4)."""
GATEWAY = "10.0.2.2"
"""QEMU's end of its user network (its manual, `-netdev user`)."""


def routes(server: Server) -> list[Route]:
    """The route, bound to a server whose tokens it replaces."""

    def resume(request: Request) -> Response:
        body = request.json()
        given = [body.get(name) for name in ("agent_token", "control_token", "entropy")]
        if not all(isinstance(value, str) and value for value in given) or not isinstance(
            body.get("time"), (int, float)
        ):
            raise HttpError(400, "a resume has agent_token, control_token, entropy (hex) and time (seconds)")
        time.clock_settime(time.CLOCK_REALTIME, float(body["time"]))
        _stir(bytes.fromhex(body["entropy"]))
        if body.get("network"):
            _connect()
        if server.tokens.control is not None:
            server.tokens = Tokens(agent=body["agent_token"], control=body["control_token"])
        return json_response({})

    return [Route("POST", "/v1/resume", resume)]


def _stir(entropy: bytes) -> None:
    """Make the kernel's random numbers this machine's own."""
    head = (len(entropy) * 8).to_bytes(4, "little") + len(entropy).to_bytes(4, "little")
    with Path("/dev/urandom").open("wb") as device:
        fcntl.ioctl(device, RNDADDENTROPY, head + entropy)
        fcntl.ioctl(device, RNDRESEEDCRNG)


def _connect() -> None:
    command = ["busybox", "ip", "route", "add", "default", "via", GATEWAY]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HttpError(500, f"no route to the network: {done.stderr.strip()}")
