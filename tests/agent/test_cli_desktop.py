"""`deskbench desktop`: one desktop for people and foreign clients, until it is told to end."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.desktop
Start = Callable[..., dict[str, Any]]


def deskbench(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("deskbench")), "desktop", "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> dict[str, Any]:
        process = deskbench(*arguments)
        started.append(process)
        assert process.stdout
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        facts: dict[str, Any] = json.loads(text)
        return facts

    yield run
    for process in started:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


def test_a_foreign_client_needs_an_address_and_no_token(start: Start) -> None:
    facts = start("--port", "0", "--without-tokens", "--screen", "1024x768")
    with session() as http:
        assert http.post(f"{facts['address']}/screen_size", timeout=10).json() == {"width": 1024, "height": 768}
        done = http.post(f"{facts['address']}/execute", json={"command": ["echo", "hello"]}, timeout=10).json()
    assert (done["output"], facts["health"]["screen"]) == ("hello\n", [1024, 768])


def test_with_tokens_a_stranger_is_refused(start: Start) -> None:
    facts = start("--port", "0")
    with session() as http:
        assert http.get(f"{facts['address']}/screenshot", timeout=10).status_code == 401
        known = {"Authorization": f"Bearer {facts['tokens']['agent_token']}"}
        assert http.get(f"{facts['address']}/screenshot", headers=known, timeout=10).content[1:4] == b"PNG"


@pytest.mark.slow
def test_a_browser_looks_in_by_novnc(start: Start) -> None:
    """The page, its program, and behind the socket a VNC server's greeting."""
    facts = start("--novnc")
    address = facts["novnc"].split("/")[2]
    with session() as http:
        assert "rfb.js" in http.get(facts["novnc"], timeout=10).text
        assert "class RFB" in http.get(f"http://{address}/core/rfb.js", timeout=10).text
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), 10) as talk:
        key = base64.b64encode(os.urandom(16)).decode()
        talk.sendall(
            f"GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        heard = b""
        while b"RFB 003" not in heard:
            part = talk.recv(4096)
            assert part, heard
            heard += part


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--network", "--allow", "example.org"], "leave out --allow, or --network"),
        (["--allow", "http://x"], "write example.org"),
        (["--provider", "fake", "--port", "0"], "does not speak over a connection"),
        (["--provider", "fake", "--image", "x"], "takes no argument"),
        (["--provider", "docker:light", "--image", "full"], "says already what it starts"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments: list[str], said: str) -> None:
    process = deskbench(*arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in err and "Traceback" not in err


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = deskbench("--port", str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot be listened at: Address already in use" in err
