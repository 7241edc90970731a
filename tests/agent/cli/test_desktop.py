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
from xml.etree import ElementTree

import psutil
import pytest
import requests

from deskbench.envs import wait
from deskbench.tasks.load import LIBRARY

from ..browser import chromium, tab

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


def test_the_start_of_a_task_can_be_looked_at(start: Start) -> None:
    facts = start("--port", "0", "--without-tokens", "--task", str(LIBRARY / "basics/files-rename.json"))
    with session() as http:
        asked = {"command": "cat ~/Documents/draft.txt", "shell": True}
        done = http.post(f"{facts['address']}/execute", json=asked, timeout=10).json()
    assert done["output"] == "The text.\n"


LATE = "input(); import time; time.sleep(1); print('late'); input()"


def test_a_settling_that_was_answered_too_early_is_seen_in_its_picture(start: Start, tmp_path: Path) -> None:
    """A program draws a second after the key, later than deskbench waits for a timer."""
    facts = start("--port", "0", "--without-tokens", "--trace", str(tmp_path / "films"))
    pictures = tmp_path / "films"
    with session() as http:
        launch = {"command": ["xterm", "-e", "/usr/bin/python3", "-c", LATE]}
        assert http.post(f"{facts['address']}/v1/launch", json=launch, timeout=60).json()["settled"]
        step = {"id": "1", "actions": [{"type": "type", "text": "\n"}], "observe": {"policy": "settled"}}
        assert http.post(f"{facts['address']}/v1/step", json=step, timeout=60).status_code == 200
    drawn = wait.until(lambda: [path for path in pictures.iterdir() if "; drawn later" in path.read_text()], timeout=30)
    assert drawn
    picture = ElementTree.parse(drawn[-1])
    kinds = {shape.get("class") for shape in picture.iter("{http://www.w3.org/2000/svg}rect")}
    assert {"drawn", "late"} <= kinds
    assert "python3" in drawn[-1].read_text()


def greeting(address: str, path: str, origin: str) -> bytes:
    """What comes back for a WebSocket that is asked for, until the VNC server's first words."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), 10) as talk:
        key = base64.b64encode(os.urandom(16)).decode()
        talk.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Origin: {origin}\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        heard = b""
        while b"RFB 003" not in heard and (part := talk.recv(4096)):
            heard += part
        return heard


@pytest.mark.slow
def test_a_browser_looks_in_by_novnc(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's browser sees the screen; other pages and whoever does not know the address see nothing."""
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-0123456789")
    facts = start("--novnc")
    address, secret = facts["novnc"].split("/")[2], facts["novnc"].partition("#")[2]
    ours = f"http://{address}"
    assert b"RFB 003" in greeting(address, f"/?token={secret}", ours)
    for path, origin in (
        (f"/?token={secret}", "http://evil.example"), (f"/?token={secret}", "http://127.0.0.1:9"),
        (f"/?token={secret}", "null"), ("/", ours), ("/?token=", ours), (f"/?token={secret[:-1]}", ours),
    ):  # fmt: skip
        assert b"RFB" not in greeting(address, path, origin)
    for process in psutil.process_iter(["cmdline"]):
        said = " ".join(process.info["cmdline"] or [])
        assert secret not in said
        if "websockify" in said:
            assert "SOME_API_KEY" not in process.environ()
    with chromium() as browser, tab(browser, facts["novnc"]) as seen:
        seen.wait("document.querySelector('#screen canvas')?.width === 1280")
        colours = """(() => {
          const canvas = document.querySelector("#screen canvas");
          return new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size;
        })()"""
        seen.wait(f"{colours} > 8")
        assert [said for said in seen.errors if "getImageData" not in said] == []  # that is ours, just above
        assert {url.split("/")[2] for url in seen.requests if not url.startswith("data:")} == {address}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--network", "--allow", "example.org"], "leave out --allow or --network"),
        (["--allow", "http://x"], "write example.org"),
        (["--provider", "fake", "--port", "0"], "has no connection to forward to a port"),
        (["--provider", "fake", "--trace", "films"], "--trace: this provider's desktops do not film"),
        (["--trace", str(LIBRARY)], "is not empty"),
        (["--provider", "fake", "--image", "x"], "takes no argument"),
        (["--provider", "docker:light", "--image", "full"], "already says what to start"),
        (["--task", "basics"], "basics has 40 task files: name one of them"),
        (["--task", "no-such.json"], "no-such.json"),
        (["--provider", "local", "--task", str(LIBRARY / "windows/regedit-add-value.json")], "cannot be set up here"),
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
    assert "Address already in use" in err
