"""The server's own limits: what strangers and the agent's token can cost it."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any

from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import DeskbenchError
from deskbench.envs.server import signing
from tests.attacks.arenas import Arena, newcomer, tokens_of
from tests.attacks.base import DESKTOPS, DOCKER, LINUX, QEMU, REMOTE, ROOT, USER, WINE, Outcome, attack, judged

COUNT = 1500
SECONDS = 12.0
"""Time for an answer to the controller meanwhile."""
HELD = 10.0
DIRECT = (ROOT, USER, WINE, REMOTE)
"""Providers whose server can be reached with the agent's token through a socket of this machine."""


def _answered(arena: Arena, client: Client) -> tuple[bool, str]:
    """Whether the controller gets answers, on its existing connection and on a new one."""
    client.answer_seconds = SECONDS * arena.slow
    began = time.monotonic()
    try:
        client.health()
        with contextlib.closing(newcomer(client)) as other:
            other.answer_seconds = client.answer_seconds
            other.health()
        client.run(["/bin/true"] if arena.name != WINE else ["cmd", "/c", "exit"])
    except DeskbenchError as error:
        return False, str(error)
    return True, f"answered after {time.monotonic() - began:.1f} s"


@attack("slow-inside", "limits", "1,500 slow connections, by whichever way leads to the server from inside", fresh=True)
def slow_inside(arena: Arena) -> Outcome:
    found = arena.program("limits", "slow", COUNT, timeout=90)
    good, said = _answered(arena, arena.desktop)
    return judged(not good, f"{found['said']}; {said}")


@attack("malformed-inside", "limits", "bytes that are not a request, by the same ways", LINUX)
def malformed_inside(arena: Arena) -> Outcome:
    found = arena.program("limits", "malformed", timeout=120)
    good, said = _answered(arena, arena.desktop)
    return judged(found["ok"] or not good, f"{found['said']}; {said}")


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _dial(desktop: Client) -> socket.socket:
    """A new connection, opened as a client does."""
    made = desktop._connect()
    made.settimeout(5.0)
    return made


@attack("slow-outside", "limits", "the same by an agent outside, at the server's own socket", DIRECT, fresh=True)
def slow_outside(arena: Arena) -> Outcome:
    desktop, held = arena.desktop, []
    with _many_files(), contextlib.ExitStack() as stack:
        end = time.monotonic() + 60.0
        for number in range(COUNT):
            with contextlib.suppress(OSError):
                sock = stack.enter_context(_dial(desktop))
                sock.sendall((b"P", b"POST /v1/step HTTP/1.1\r\nContent-Length: 9\r\n\r\n")[number % 2])
                held.append(sock)
            if time.monotonic() > end:
                break
        good, said = _answered(arena, desktop)
    return judged(not good, f"{len(held)} connections; {said}")


@attack("agents-connections", "limits", "every connection that the agent's token can have, at work", DIRECT, fresh=True)
def agents_connections(arena: Arena) -> Outcome:
    desktop = arena.desktop
    token = tokens_of(desktop)["agent_token"]
    body = json.dumps({"id": secrets.token_hex(16), "actions": [{"type": "wait", "seconds": HELD}],
                       "observe": {"policy": "none"}}).encode()  # fmt: skip
    with _many_files(), contextlib.ExitStack() as stack:
        for _ in range(100):
            signed = signing.sign(token, "agent", "POST", "/v1/step", body)
            head = f"POST /v1/step HTTP/1.1\r\nHost: localhost\r\nAuthorization: {signed.header()}\r\n"
            with contextlib.suppress(OSError):
                sock = stack.enter_context(_dial(desktop))
                sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        good, said = _answered(arena, desktop)
    return judged(not good, said)


@attack("answer-of-control", "limits", "the answer to the controller's request, asked for again by its id with the agent's token",
        DIRECT)  # fmt: skip
def answer_of_control(arena: Arena) -> Outcome:
    desktop, number = arena.desktop, secrets.token_hex(16)
    tokens = tokens_of(desktop)
    wait = [{"type": "wait", "seconds": 0.01}]
    first = _step(desktop, tokens["control_token"], "control", number, wait)
    again = _step(desktop, tokens["control_token"], "control", number, [])
    other = _step(desktop, tokens["agent_token"], "agent", number, [])
    assert (first[0], len(first[1]["results"])) == (200, 1), first
    assert again[1] == first[1], "the controller's own answer is kept"
    return judged(
        other[1] == first[1], f"the agent is answered {other[0]}, with {len(other[1].get('results', []))} results"
    )


def _step(
    desktop: Client, token: str, role: str, number: str, actions: list[dict[str, object]]
) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"id": number, "actions": actions, "observe": {"policy": "none"}}).encode()
    signed = signing.sign(token, role, "POST", "/v1/step", body, "application/json")
    with contextlib.closing(http.client.HTTPConnection("localhost", timeout=SECONDS)) as made:
        made.sock = _dial(desktop)
        headers = {"Authorization": signed.header(), "Content-Type": "application/json"}
        made.request("POST", "/v1/step", body, headers)
        answer = made.getresponse()
        said = answer.read()
    return answer.status, json.loads(said.split(b"\n")[0] or b"{}")


@attack("page-of-a-browser", "limits", "a page in a browser asks a server without tokens: foreign Host, Origin, text/plain",
        (ROOT, USER))  # fmt: skip
def page_of_a_browser(arena: Arena) -> Outcome:
    said: dict[str, int] = {}
    mark = f"/tmp/attack-{secrets.token_hex(4)}"
    body = json.dumps({"command": ["/usr/bin/touch", mark], "shell": False}).encode()
    with arena.fresh(DesktopSpec(tokens=False)) as desktop:
        address = desktop.expose()
        port = address.rpartition(":")[2]
        for host, more in (
            ("evil.example", {}), (f"evil.example:{port}", {}), (address, {"Origin": "http://evil.example"}),
            (address, {"Origin": "null"}), (f"127.0.0.1.evil.example:{port}", {}), (f"10.0.0.1:{port}", {}),
            (address, {"Origin": f"http://{address}"}), (f"desktop.evil.example:{port}", {}),
        ):  # fmt: skip
            for path in ("/execute", "/v1/run", "/setup/execute"):
                with contextlib.closing(http.client.HTTPConnection(address, timeout=SECONDS)) as made:
                    made.request("POST", path, body, {"Host": host, "Content-Type": "text/plain", **more})
                    said[f"{path} {host} {more}"] = made.getresponse().status
        ran = desktop.run(["/usr/bin/test", "-e", mark]).returncode == 0
    taken = [asked for asked, status in said.items() if status < 400]
    return judged(
        ran or bool(taken),
        f"taken: {taken}" if taken else f"{len(said)} requests, statuses {sorted(set(said.values()))}",
    )


assert {*DIRECT, DOCKER, QEMU} == set(DESKTOPS), "each column has one of the two"
