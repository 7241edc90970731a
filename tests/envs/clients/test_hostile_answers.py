"""Whatever a desktop answers, to any request, the client raises an error of the desktop or returns an answer.

The answers are valid ones with changes: in their values, in their encoding, in how they are sent. The server knows the
token, so its proofs are valid and the client reads the answers.
"""

import copy
import json
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskbench.envs.clients.films import picture
from deskbench.envs.clients.http import Client
from deskbench.envs.clients.osworld import KIND, SOURCE, OsworldClient
from deskbench.envs.errors import EnvError, GuestTimeout, GuestUnreachable, Unfit
from deskbench.envs.server.signing import ANSWER_HEADER
from deskbench.envs.types import Exec, Key, Observation, Screenshot
from deskbench.envs.wire import Observe

from ..pictures import headed, png, two_headed
from ..scripted import TOKEN, Asked, Scripted, answer, slowly

LOOK = Observe(policy="immediate", accessibility=True, terminal=True)
PICTURE = png(30, 20)
TREE = {
    "type": "directory",
    "name": "home",
    "children": [{"type": "file", "name": "a"}, {"type": "directory", "name": "b", "children": []}],
}
WINDOWS = "0x01c00003  0 5 6 640 400 xterm.XTerm  host a title\n"
PROGRAM = {"id": 7, "name": "x", "awake": True, "moved": True, "ran": True, "hidden": False, "wake": 9.5}
FILM = {
    "number": 1, "began": -1.0, "ended": 5.0, "now": 9.0, "settled": True, "by": "rest", "launching": False,
    "moments": [{"ms": 1.0, "windows": 1, "running": 1, "still": False, "programs": [PROGRAM]}],
    "drawn": [{"ms": 2.0, "x": 1, "y": 2, "width": 3, "height": 4, "habitual": False}],
}  # fmt: skip

# -- valid answers ------------------------------------------------------------------------------------------------

Answer = Callable[[Asked], Any]
"""JSON, or raw bytes, or a step's line of JSON."""


def step(asked: Asked) -> Any:
    body: Any = asked.json()
    results = [{"ok": True, "error": None, "output": "x", "ms": 1.5} for _ in body.get("actions", ())]
    seen = {
        "frame": Screenshot.of(PICTURE).sha256, "unchanged": False, "width": 30, "height": 20, "cursor": [1, 2],
        "settled": None, "settle_ms": 0.0, "capture_ms": 1.0, "accessibility": "<a/>", "accessibility_complete": True,
        "terminal": None, "problems": ["one"],
    }  # fmt: skip
    return {"id": body["id"], "results": results, "act_ms": 1.0, "seen": seen}


def execute(asked: Asked) -> Any:
    command: Any = asked.json()["command"]
    said = "1\n"
    if SOURCE in command:
        said = json.dumps([{"ok": True, "error": None, "output": None} for _ in json.loads(command[-1])])
    elif KIND in command:
        said = "file 4\n"
    elif "wmctrl" in command:
        said = WINDOWS
    return {"status": "success", "output": said, "error": "", "returncode": 0}


OURS: dict[str, Answer] = {
    "/v1/health": lambda asked: {
        "server": "deskbench", "protocol": 1, "platform": "Linux", "screen": [30, 20], "features": {"input": ""},
        "versions": {"python": "3"},
    },
    "/v1/step": step,
    "/v1/observe": step,
    "/v1/run": lambda asked: {"returncode": 0, "stdout": "out", "stderr": ""},
    "/v1/windows": lambda asked: [
        {"id": "0x1", "title": "t", "wm_class": "c", "x": 1, "y": 2, "width": 3, "height": 4, "active": True}
    ],
    "/v1/settlings": lambda asked: {"films": [FILM]},
    "/list_directory": lambda asked: {"directory_tree": TREE},
    "/file": lambda asked: b"data",
    "/wallpaper": lambda asked: PICTURE,
    "/end_recording": lambda asked: b"film",
}  # fmt: skip
THEIRS: dict[str, Answer] = {
    "/platform": lambda asked: b"Linux",
    "/screenshot": lambda asked: PICTURE,
    "/accessibility": lambda asked: {"AT": "<a/>"},
    "/terminal": lambda asked: {"output": None, "status": "success"},
    "/cursor_position": lambda asked: [1, 2],
    "/execute": execute,
    "/list_directory": OURS["/list_directory"],
    "/file": OURS["/file"],
    "/wallpaper": OURS["/wallpaper"],
    "/end_recording": OURS["/end_recording"],
}
BOTH: dict[str, Callable[[Any], Any]] = {
    "health": lambda c: c.health(),
    "act": lambda c: c.act([Key(("a",))], LOOK),
    "observe": lambda c: c.observe(LOOK),
    "run": lambda c: c.run("true", timeout=0.2),
    "launch": lambda c: c.launch("true"),
    "open": lambda c: c.open("~/x"),
    "read_file": lambda c: c.read_file("~/x"),
    "write_file": lambda c: c.write_file("~/x", b"x"),
    "list_directory": lambda c: c.list_directory("/x"),
    "windows": lambda c: c.windows(),
    "activate_window": lambda c: c.activate_window("title"),
    "close_window": lambda c: c.close_window("title"),
    "wallpaper": lambda c: c.wallpaper(),
    "set_wallpaper": lambda c: c.set_wallpaper("~/x"),
    "start_recording": lambda c: c.start_recording(),
    "end_recording": lambda c: c.end_recording(),
}
WITHOUT_ANSWERS = {"close", "forward", "expose"}
CALLS = {
    "ours": {
        **BOTH,
        "allow": lambda c: c.allow([]),
        "upgrade": lambda c: c.upgrade("/v1/tunnel", {"port": 1}).close(),
        "settlings": lambda c: [picture(film) for film in c.settlings()],
    },
    "theirs": {
        **BOTH,
        "act": lambda c: c.act([Key(("a",)), Exec("bash", "id")], LOOK),
        "platform": lambda c: c.platform,
    },
}
CASES = [(kind, name) for kind, calls in CALLS.items() for name in calls]


def test_every_method_is_asked() -> None:
    named = [name for name in dir(OsworldClient) if not name.startswith("_")]
    assert set(named) - WITHOUT_ANSWERS == set(CALLS["ours"]) | set(CALLS["theirs"])


# -- changes ------------------------------------------------------------------------------------------------------

JUNK = [
    "null", "true", "0", "-1", "1.5", "1e999", "-1e999", "NaN", "Infinity", "9" * 5000, "9" * 25, "9" * 19, "1e308",
    '""', '"x"', '"\\ud800"', '"\\udce9\\u0000\\u001b[2J"', '"' + "x" * 100_000 + '"', "[]", "{}", "[[]]", '{"": {}}',
    "[" * 100_000 + "]" * 100_000, '{"a":' * 2000 + "1" + "}" * 2000, "[1, 2, 3]", '[{"type": "file"}]', "", "'", "[",
    '{"a": 1, "a": 2}', '"../../etc/passwd"', '"a\\u0000b"', "\x00", '"\x7f\n"', "0x10", "-", "1_000", '"Linux"', "}",
    "\ud800", "-0",
]  # fmt: skip
MARK = "\N{BLACK STAR}the place"


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value, as a container and a key in it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


@st.composite
def changes(draw: st.DrawFn) -> Callable[[Any], bytes]:
    """A change to a valid answer's JSON."""
    where, junk = draw(st.integers(0, 30)), draw(st.sampled_from(JUNK) | st.text(max_size=20).map(json.dumps))
    how = draw(st.sampled_from(["replace", "delete", "add", "twice", "nothing"]))

    def change(value: Any) -> bytes:
        whole = {"answer": copy.deepcopy(value)}
        found = list(places(whole))
        container, key = found[where % len(found)]
        if how == "replace":
            container[key] = MARK
        elif how == "delete" and container is not whole:
            del container[key]
        elif how in ("add", "twice"):
            inner = container[key] if isinstance(container[key], dict) else container
            if isinstance(inner, dict) and inner is not whole:
                inner[MARK] = 1
        text = json.dumps(whole["answer"], ensure_ascii=False)
        other = json.dumps(key) if how == "twice" else '"other"'
        text = text.replace(f'"{MARK}": 1', f"{other}: {junk}").replace(f'"{MARK}"', junk)
        return text.encode("utf-8", "surrogatepass")

    return change


HEADS = [
    *[""] * 5, "Content-Encoding: gzip", "Content-Encoding: deflate, gzip, br, zstd", "Content-Length: 5", "no colon",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Connection: keep-alive", ": x", "A\0B: c",
    " folded", "Set-Cookie: a=b; Expires=Thu, 99 Foo", "Location: http://[::1", "Location: /x", "A: b\r\n" * 150,
    f"{ANSWER_HEADER}: wrong", "Content-Type: text/html; charset=nothing", "A: " + "x" * 70_000, "A: \xff\xfe",
]  # fmt: skip
LENGTHS = [
    *["right"] * 4, "none", "0", "-5", "1", "99999", "abc", "9" * 30, "3, 4", "5\r\nContent-Length: 6",
]  # fmt: skip
CODES = (100, 101, 199, 204, 302, 304, 400, 401, 404, 413, 422, 500, 503, 599, 600, 999)
STATUSES = [
    *["HTTP/1.1 200 OK"] * 9, *[f"HTTP/1.1 {code} X" for code in CODES], "HTTP/1.1 200", "HTTP/9.9 200 OK", "",
    "ICY 200 OK", "HTTP/1.1 abc OK", "HTTP/1.1 99 X", "HTTP/1.1 -1 X", "HTTP/1.1 1000 X", "HTTP/1.1 200 " + "x" * 70000,
    "\0\xff",
]  # fmt: skip
CHUNKS = [
    *[""] * 4, "-5\r\n", "zz\r\n", "\r\n", "f" * 40 + "\r\n", "4\r\ndata\r\n0\r\n\r\n", "4;x=y\r\ndata\r\n",
    "4\r\ndataX",
]  # fmt: skip
PICTURES = [
    *[PICTURE] * 3, b"", PICTURE[:40], b"GIF89a", headed(30_000, 30_000), headed(0, 0), headed(31, 20),
    two_headed(30_000, 30_000), two_headed(6000, 6000), b"\x89PNG\r\n\x1a\n" + b"\xff" * 100,
]  # fmt: skip


@st.composite
def faults(draw: st.DrawFn) -> Callable[[Asked, Any], bytes]:
    """A change to a valid answer on its way to bytes on the wire."""
    change, picture = draw(changes()), draw(st.sampled_from(PICTURES))
    status, head, length, chunks, rest, cut, raw = "HTTP/1.1 200 OK", "", "right", "", b"", None, None
    if draw(st.booleans()):  # otherwise only its values change
        status, head, length = (draw(st.sampled_from(one)) for one in (STATUSES, HEADS, LENGTHS))
        chunks, rest = draw(st.sampled_from(CHUNKS)), draw(st.sampled_from([b"", b"", b"more", b"\x1f\x8b\x08"]))
        cut, raw = draw(st.none() | st.none() | st.integers(0, 2000)), draw(st.none() | st.binary(max_size=200))

    def send(asked: Asked, value: Any) -> bytes:
        if isinstance(value, bytes):
            body = picture if value == PICTURE else value if raw is None else raw
        else:
            if isinstance(value, dict) and isinstance(value.get("seen"), dict):
                value["seen"]["frame"] = Screenshot.of(picture).sha256
            body = change(value)
            body += b"\n" + picture if asked.path in ("/v1/step", "/v1/observe") else b""
        body += rest
        number = int(status[9:12]) if status[9:12].isdigit() else 200
        lines = [status, head] if head else [status]
        if asked.signed is not None:
            lines.append(f"{ANSWER_HEADER}: {asked.proof(number, b'' if number == 101 else body)}")
        if length != "none":
            lines.append(f"Content-Length: {len(body) if length == 'right' else length}")
        sent = "\r\n".join([*lines, "", chunks]).encode("latin-1", "replace") + body
        return sent[:cut]

    return send


class Hostile:
    """A server whose answers are valid until a test says otherwise.

    Attributes:
        send: makes the invalid ones.
        spared: the number of valid answers before that.
        pace: seconds between two bytes of an invalid answer.
    """

    def __init__(self, routes: dict[str, Answer], *, tokens: bool) -> None:
        self.send: Callable[[Asked, Any], bytes] | None = None
        self.spared, self.pace = 0, 0.0
        self._routes = routes
        self._server = Scripted([self._answer], tokens=tokens)
        self.base = self._server.base

    def _answer(self, connection: socket.socket, asked: Asked) -> None:
        value = self._routes.get(asked.path, lambda asked: b"{}")(asked)
        if self.send is not None and self.spared == 0:
            sent = self.send(asked, value)
            if self.pace:
                slowly(sent, self.pace)(connection, asked)
            else:
                connection.sendall(sent)
            return
        self.spared -= 1
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        body += b"\n" + PICTURE if asked.path in ("/v1/step", "/v1/observe") else b""
        if asked.path in ("/v1/tunnel", "/v1/relay"):
            connection.sendall(f"HTTP/1.1 101 X\r\n{ANSWER_HEADER}: {asked.proof(101, b'')}\r\n\r\n".encode())
        else:
            answer(200, body)(connection, asked)

    def close(self) -> None:
        self._server.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Hostile]]:
    made = {"ours": Hostile(OURS, tokens=True), "theirs": Hostile(THEIRS, tokens=False)}
    yield made
    for one in made.values():
        one.close()


def client_of(server: Hostile, kind: str, seconds: float) -> Client:
    """A client with this limit on all its waiting."""
    made = Client("hostile", server.base, token=TOKEN) if kind == "ours" else OsworldClient("hostile", server.base)
    made.answer_seconds = made.file_seconds = seconds
    if isinstance(made, OsworldClient):
        made.command_seconds = made.open_seconds = seconds
    return made


def ask(server: Hostile, kind: str, name: str, seconds: float) -> BaseException | None:
    """Call a method; it may only raise errors of the allowed kinds, with one-line messages."""
    client = client_of(server, kind, seconds)
    allowed = (OSError,) if name == "upgrade" else (EnvError, Unfit, FileNotFoundError)
    began = time.monotonic()
    try:
        found = CALLS[kind][name](client)
        if isinstance(found, Observation) and found.screenshot is not None:
            found.screenshot.image.load()
    except allowed as error:
        assert str(error).isprintable() and len(str(error)) < 2000
        return error
    finally:
        client.close()
        assert time.monotonic() - began < 30 + 10 * seconds
    return None


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_right_answer_is_understood(servers: dict[str, Hostile], kind: str, name: str) -> None:
    servers[kind].send = None
    assert ask(servers[kind], kind, name, 10.0) is None


@pytest.mark.parametrize(("kind", "name"), CASES)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(send=faults(), spared=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3, 4]))
def test_a_changed_answer_is_the_desktops_fault(
    servers: dict[str, Hostile], kind: str, name: str, send: Callable[[Asked, Any], bytes], spared: int
) -> None:
    servers[kind].send, servers[kind].spared = send, spared
    ask(servers[kind], kind, name, 2.0)


SLOW = {
    "head": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000,
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000,
}


@pytest.mark.parametrize("part", SLOW)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_an_answer_that_comes_a_byte_at_a_time_is_not_waited_for(
    servers: dict[str, Hostile], kind: str, name: str, part: str
) -> None:
    servers[kind].send, servers[kind].spared, servers[kind].pace = lambda asked, value: SLOW[part], 0, 0.02
    try:
        error = ask(servers[kind], kind, name, 0.3)
    finally:
        servers[kind].pace = 0.0
    assert isinstance(error, (GuestTimeout, GuestUnreachable, OSError)), error


MANY = b"[" + b"[]," * 10_000_000 + b"[]]"
LONG = b'{"a":"' + b"x" * 30_000_000 + "\N{BLACK STAR}".encode() + b'"}'
ESCAPES = b'{"a":"' + b"\\u4e2d\\ud800" * 1_490_000 + b'"}'


@pytest.mark.parametrize("junk", [MANY, LONG, ESCAPES], ids=["many", "long", "escapes"])
@pytest.mark.parametrize(("kind", "name"), [("ours", "health"), ("ours", "list_directory"), ("theirs", "run")])
def test_a_large_answer_takes_little_memory(servers: dict[str, Hostile], kind: str, name: str, junk: bytes) -> None:
    def send(asked: Asked, value: Any) -> bytes:
        proof = f"{ANSWER_HEADER}: {asked.proof(200, junk)}\r\n" if asked.signed else ""
        return f"HTTP/1.1 200 X\r\n{proof}Content-Length: {len(junk)}\r\n\r\n".encode() + junk

    servers[kind].send, servers[kind].spared = send, 0
    tracemalloc.start()
    try:
        assert ask(servers[kind], kind, name, 60.0) is not None
        assert tracemalloc.get_traced_memory()[1] < 500_000_000
    finally:
        tracemalloc.stop()
