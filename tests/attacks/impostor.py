"""Impostors of the server: whoever answers the controller decides the score."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from deskbench.envs.clients.http import Client
from deskbench.envs.errors import DeskbenchError, EnvError
from deskbench.tasks.scoring.probes import run_test_suite
from deskbench.tasks.world import World
from tests.agent.paper import task
from tests.attacks.arenas import Arena, lives, newcomer, tokens_of
from tests.attacks.base import (
    CONTROLLER,
    DOCKER,
    LINUX,
    QEMU,
    ROOT,
    USER,
    WINE,
    Outcome,
    attack,
    blocked,
    judged,
)
from tests.attacks.escape import listening
from tests.attacks.wires import between, hostile

FORGED = "forged-by-the-agent"
HEARD = "/tmp/attack-heard"
SECONDS = 15.0
"""How long the controller may wait for an answer in these attacks."""


def _signal(name: str) -> Callable[[Arena], Outcome]:
    def run(arena: Arena) -> Outcome:
        arena.desktop.answer_seconds = SECONDS * arena.slow
        try:
            found = arena.program("kernel", name)
        except EnvError as error:  # the attack may have killed the process that should report it
            found = {"ok": not lives(arena.desktop), "said": error}
        alive = lives(arena.desktop)
        return judged(not alive, f"the server {'lives' if alive else 'answers no more'}; {found['said']}")

    return run


DYING = "a program may end its own desktop; the episode counts as 0 (--on-tamper)"
SAME_USER = {
    WINE: DYING, USER: f"without subordinate ids {DYING}",
}  # fmt: skip
"""Programs that run as the server's user can kill it; other rows show what they gain by that."""

attack("kill-server", "impostor", "end the server (SIGKILL)", fresh=True, accepted=SAME_USER)(_signal("kill_server"))
attack("stop-server", "impostor", "stop the server (SIGSTOP)", fresh=True, accepted=SAME_USER)(_signal("stop_server"))
attack(
    "dump-server", "impostor", "make the server write its memory to a file (SIGQUIT)", fresh=True, accepted=SAME_USER
)(_signal("dump_server"))


def _take(*options: str) -> Callable[[Arena], Outcome]:
    """The attack succeeds if the controller believes anything or reveals anything."""

    def run(arena: Arena) -> Outcome:
        desktop = arena.desktop
        desktop.answer_seconds = SECONDS * arena.slow
        try:
            found = arena.program("impostor", "take", *options)
        except (DeskbenchError, AssertionError, json.JSONDecodeError) as error:
            found = {"ok": True, "said": error}  # the answer died with the server
        threading.Event().wait(0.5)
        believed = _believed(desktop)
        told = _heard(arena, desktop)
        return judged(believed != "" or told != "", f"{believed or 'nothing was believed'}{told}; {found['said']}")

    return run


def _believed(desktop: Client) -> str:
    """What the controller believes about the desktop that comes from the impostor."""
    asks: dict[str, Callable[[], object]] = {
        "list_directory": lambda: desktop.list_directory("/home/user"),
        "run": lambda: desktop.run(["true"], timeout=5),
        "read_file": lambda: desktop.read_file("/etc/passwd"),
    }
    for name, ask in asks.items():
        with contextlib.suppress(DeskbenchError, FileNotFoundError):
            if FORGED in str(ask()):
                return f"{name} answers what the impostor said"
    return ""


def _heard(arena: Arena, desktop: Client) -> str:
    """Whether an impostor received a token, if anybody is left to ask."""
    with contextlib.suppress(DeskbenchError, FileNotFoundError):
        text = desktop.read_file(HEARD)
        if any(token.encode() in text for token in tokens_of(desktop).values()):
            return ", and the token was told to it"
    return ""


attack("take-over", "impostor", "end the server, bind its address, answer in its place", LINUX + (WINE,), fresh=True)(
    _take("--kill")
)
attack("bind-again", "impostor", "bind the server's address while it lives", LINUX + (WINE,), fresh=True)(_take())


@attack(
    "socket-link",
    "impostor",
    "a link to a socket of the host in place of the server's",
    (ROOT, USER, DOCKER, WINE),
    fresh=True,
)
def socket_link(arena: Arena) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="attacked-"))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(folder / "s"))
    try:
        with listening(sock) as listener:
            found = arena.program("impostor", "link", folder / "s")
            client = arena.desktop
            with contextlib.closing(newcomer(client)) as other:
                other.answer_seconds = SECONDS
                assert lives(other) or listener.heard, "nobody was asked"
            told = any(token.encode() in heard for heard in listener.heard for token in tokens_of(client).values())
            more = ", with the token" if told else ""
            return judged(
                bool(listener.heard),
                f"{len(listener.heard)} connections came to the host's socket{more}; {found['said']}",
            )
    finally:
        (folder / "s").unlink()
        folder.rmdir()


@attack("find-tokens", "impostor", "find the tokens: command lines, environments, memory, files")
def find_tokens(arena: Arena) -> Outcome:
    pieces = [token[4:20][::-1] for token in tokens_of(arena.desktop).values()]
    found = arena.program("impostor", "tokens", *pieces, timeout=120)
    return judged(found["ok"], found["said"])


@attack("ask-for-control", "impostor", "ask the server for control without a token, or with a guess")
def ask_for_control(arena: Arena) -> Outcome:
    said = []
    for header in ("", "Bearer ", "Bearer null", "Bearer None", "Deskbench control 0000000000000000 0", "Basic Og=="):
        found = arena.program("impostor", "ask", header)
        if found["ok"]:
            return judged(True, f"{header!r}: {found['said']}")
        said.append(found["said"])
    return blocked(said[0])


@attack("agents-token", "impostor", "control with the agent's token")
def agents_token(arena: Arena) -> Outcome:
    with _second(arena, tokens_of(arena.desktop)["agent_token"]) as client:
        try:
            done = client.run(["echo", "carried-out"])
        except EnvError as error:
            return blocked(error)
        return judged("carried-out" in done.stdout, done.stdout)


@contextlib.contextmanager
def _second(arena: Arena, token: str, url: str = "") -> Iterator[Client]:
    """Another client of the same desktop."""
    client = Client("attacker", url or f"http://{_address(arena.desktop)}", token=token)
    client.answer_seconds = SECONDS * arena.slow
    try:
        yield client
    finally:
        client.close()


def _address(desktop: Client) -> str:
    """Its TCP address."""
    return desktop.address.partition("//")[2] if desktop.address else desktop.expose()


@attack("token-on-the-wire", "impostor", "read the token off the connection")
def token_on_the_wire(arena: Arena) -> Outcome:
    tokens = tokens_of(arena.desktop)
    with between(_address(arena.desktop)) as middle, _second(arena, tokens["control_token"], middle.url) as client:
        client.health()
        client.run(["cmd", "/c", "exit"] if arena.name == WINE else ["true"])
    heard = b"".join(bytes(one) for one in middle.asked)
    assert b"/v1/run" in heard
    return judged(tokens["control_token"].encode() in heard, f"{len(heard)} bytes of requests were read")


@attack("replay", "impostor", "send a recorded request once more")
def replay(arena: Arena) -> Outcome:
    mark = f"/tmp/attack-replay-{secrets.token_hex(4)}"
    path = rf"Z:{mark}".replace("/", "\\") if arena.name == WINE else mark
    script = f"open({path!r}, 'a').write('x')"
    python = "python" if arena.name == WINE else "/usr/bin/python3"
    desktop = arena.desktop
    with between(_address(desktop)) as middle:
        with _second(arena, tokens_of(desktop)["control_token"], middle.url) as client:
            client.run([python, "-c", script])
        recorded = bytes(middle.asked[-1])
        host, _, port = _address(desktop).partition(":")
        for _ in range(2):
            with socket.create_connection((host, int(port))) as sock:
                sock.settimeout(SECONDS)
                sock.sendall(recorded)
                with contextlib.suppress(OSError):
                    answer = sock.recv(4096)
    times = len(desktop.read_file(path))
    assert times >= 1, "it was never carried out"
    return judged(times > 1, f"carried out {times} times; the copy was answered {answer.splitlines()[0].decode()}")


@attack("change-an-answer", "impostor", "change an answer on its way: a command's output", LINUX)
def change_an_answer(arena: Arena) -> Outcome:
    desktop = arena.desktop
    swap = lambda data: data.replace(b"the-truth", b"the-lies!")  # noqa: E731
    with (
        between(_address(desktop), swap) as middle,
        _second(arena, tokens_of(desktop)["control_token"], middle.url) as client,
    ):
        try:
            said = client.run(["echo", "the-truth"]).stdout
        except EnvError as error:
            return blocked(error)
    return judged("lies" in said, f"the controller was told {said.strip()!r}")


@attack("stranger-at-the-port", "impostor", "a program that has no key answers at a machine's address", (CONTROLLER,))
def stranger(arena: Arena) -> Outcome:
    token = secrets.token_urlsafe(32)
    said = {"/list_directory": {"directory_tree": {"type": "directory", "name": FORGED, "children": []}},
            "/v1/run": {"returncode": 0, "stdout": FORGED, "stderr": ""}}  # fmt: skip

    def answer(path: str, body: bytes, client: socket.socket, head: Callable[[int, bytes], str]) -> None:
        data = json.dumps(said.get(path, FORGED)).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)

    with hostile(token, answer) as server:
        client = Client("stranger", server.url, token=token)
        client.answer_seconds = SECONDS
        believed = _believed(client)
        client.close()
    told = any(token in head for head in server.heads)
    return judged(
        bool(believed) or told, f"{believed or 'nothing was believed'}{'; it was told the token' if told else ''}"
    )


@attack("redirect", "impostor", "lead the controller elsewhere by a redirect, with what it has to say", (CONTROLLER,))
def redirect(arena: Arena) -> Outcome:
    token = secrets.token_urlsafe(32)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    with listening(sock) as listener:
        there = f"http://127.0.0.1:{sock.getsockname()[1]}/v1/health"

        def answer(path: str, body: bytes, client: socket.socket, head: Callable[[int, bytes], str]) -> None:
            first, rest = head(302, b"").split("\r\n", 1)
            client.sendall(f"{first}\r\nLocation: {there}\r\n{rest}".encode())

        with hostile(token, answer) as server:
            client = Client("redirecting", server.url, token=token)
            client.answer_seconds = SECONDS
            lives(client)
            client.close()
        return judged(bool(listener.heard), f"{len(listener.heard)} requests came to the other place")


@attack("path-shadowing", "impostor", "programs of the agent's under the names that checks use", LINUX)
def path_shadowing(arena: Arena) -> Outcome:
    desktop = arena.desktop
    home = desktop.run("echo ~", shell=True).stdout.strip()
    script = b"#!/bin/sh\necho " + FORGED.encode() + b"\n"
    for folder in (f"{home}/bin", f"{home}/.local/bin", f"{home}"):
        for name in ("cat", "ls", "python3", "sqlite3"):
            desktop.write_file(f"{folder}/{name}", script)
            desktop.run(["chmod", "+x", f"{folder}/{name}"])
    profile = f"export PATH={home}/bin:{home}/.local/bin:$PATH\nalias cat='echo {FORGED}'\n".encode()
    for name in (".profile", ".bashrc", ".bash_profile", ".zshenv", ".pam_environment", ".config/environment.d/a.conf"):
        desktop.write_file(f"{home}/{name}", profile)
    commands: tuple[tuple[str | list[str], bool], ...] = (
        ("cat /etc/hostname", True), (["cat", "/dev/null"], False), (["ls", "/"], False), ("sqlite3 --version", True),
    )  # fmt: skip
    said = []
    for command, shell in commands:
        with contextlib.suppress(EnvError):
            said.append(desktop.run(command, shell=shell).stdout)
    return judged(FORGED in " ".join(said), f"{len(said)} commands, {' '.join(said).split()[:6]}")


@attack("python-site", "impostor", "code in the user's site-packages runs in every Python that a check starts", LINUX)
def python_site(arena: Arena) -> Outcome:
    desktop = arena.desktop
    version = desktop.run(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    ).stdout.strip()
    home = desktop.run("echo ~", shell=True).stdout.strip()
    site = f"{home}/.local/lib/python{version}/site-packages/usercustomize.py"
    mark = f"/tmp/attack-site-{secrets.token_hex(4)}"
    desktop.write_file(site, f"import sys\nopen({mark!r}, 'a').write(str(sys.argv))\n".encode())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        suite = folder / "suite.py"
        suite.write_text("def test():\n    return False\n")
        world = World(desktop, task(folder), folder, folder)
        found = run_test_suite(world, None, suite, {})
    assert found == {"value": 0.0, "note": ""}, found
    try:
        return judged(True, desktop.read_file(mark).decode())
    except FileNotFoundError:
        return blocked("a test suite was judged without it")
    finally:
        desktop.run(["rm", "-f", site])


@attack(
    "forged-health",
    "impostor",
    "a server of the agent's own inside, at a port that the controller asks",
    (ROOT, USER, DOCKER, QEMU),
    fresh=True,
)
def forged_port(arena: Arena) -> Outcome:
    """An agent's program answers on a port that a task uses, such as Chrome's, and must not pass for anything else."""
    desktop = arena.desktop
    command = (
        "import http.server as h\nclass H(h.BaseHTTPRequestHandler):\n def do_GET(s):\n"
        "  s.send_response(302); s.send_header('Location', 'file:///etc/shadow'); s.end_headers()\n"
        "h.HTTPServer(('127.0.0.1', 9222), H).serve_forever()"
    )
    desktop.run(f'/usr/bin/python3 -c "{command}" >/dev/null 2>&1 &', shell=True)
    import requests

    address = desktop.forward(9222)
    threading.Event().wait(1.0)
    with requests.Session() as session:
        session.trust_env = False
        try:
            got = session.get(f"http://{address}/json", timeout=10)
        except (requests.RequestException, ValueError) as error:
            return blocked(f"{type(error).__name__}: {re.sub(r'0x[0-9a-f]+', '', str(error))[:100]}")
    return judged("root:" in got.text, got.text[:80])
