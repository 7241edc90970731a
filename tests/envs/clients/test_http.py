"""The client and misbehaving servers: each fault becomes an error of ours, and no action runs twice."""

import gzip
import json
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deskbench.envs.clients import transport
from deskbench.envs.clients.http import Client, unix
from deskbench.envs.errors import EnvError, GuestError, GuestTimeout, GuestUnreachable, NotThere, Unfit
from deskbench.envs.server.signing import ANSWER_HEADER
from deskbench.envs.types import Key, Screenshot
from deskbench.envs.wire import ActionResult, Observe, Seen, StepReply

from ..pictures import headed, png, two_headed
from ..scripted import TOKEN, Asked, Scripted, Talk, answer, hang_up, slowly, unsigned

BLIND = Observe(screenshot=False)


def fine(connection: socket.socket, asked: Asked) -> None:
    """A step's answer without a picture."""
    body = asked.json()
    seen = Seen(None, False, 100, 50, (1, 2), True, 3.0)
    results = tuple(ActionResult(True) for _ in body.get("actions", ()))
    answer(200, StepReply(str(body["id"]), results, 1.0, seen).encode(None))(connection, asked)


def stall(connection: socket.socket, asked: Asked) -> None:
    connection.settimeout(10)
    connection.recv(1)  # until the client gives up


def drip(connection: socket.socket, asked: Asked) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 50_000)
        threading.Event().wait(0.1)


def flood(connection: socket.socket, asked: Asked) -> None:
    connection.sendall(f"HTTP/1.1 200 X\r\n{ANSWER_HEADER}: {'0' * 64}\r\n\r\n".encode())
    while True:
        connection.sendall(b"x" * (1 << 20))


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Client, Scripted]]]:
    servers: list[Scripted] = []
    clients: list[Client] = []

    def make(*talks: Talk) -> tuple[Client, Scripted]:
        servers.append(Scripted(list(talks)))
        clients.append(Client("scripted", servers[-1].base, token=TOKEN))
        return clients[-1], servers[-1]

    yield make
    for client in clients:
        client.close()
    for server in servers:
        server.close()


Start = Callable[..., tuple[Client, Scripted]]


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_id(start: Start) -> None:
    client, server = start(hang_up, hang_up, fine)
    assert client.act([Key(("a",))], BLIND).cursor == (1, 2)
    assert len({str(r["id"]) for r in server.requests}) == 1
    assert len(server.requests) == 3


def test_each_step_has_an_id_of_its_own(start: Start) -> None:
    client, server = start(fine)
    client.act([Key(("a",))], BLIND)
    client.act([Key(("a",))], BLIND)
    assert len({str(r["id"]) for r in server.requests}) == 2


def test_a_command_whose_answer_was_lost_is_not_sent_again(start: Start) -> None:
    client, server = start(hang_up)
    with pytest.raises(GuestUnreachable, match="/v1/run"):
        client.run(["true"])
    assert len(server.requests) == 1


def test_a_server_that_is_gone(start: Start) -> None:
    client, server = start(fine)
    server.close()
    with pytest.raises(GuestUnreachable, match="scripted"):
        client.observe()


@pytest.mark.parametrize("talk", [stall, drip])
def test_a_server_that_is_too_slow(start: Start, talk: Talk) -> None:
    client, _ = start(talk)
    began = time.monotonic()
    with pytest.raises(GuestTimeout):
        client._send("POST", "/v1/step", timeout=0.4, json={})
    assert time.monotonic() - began < 5


def test_a_server_that_floods(start: Start) -> None:
    client, _ = start(flood)
    with pytest.raises(GuestError, match="more than 1000 bytes"):
        client._send("GET", "/screenshot", timeout=10, limit=1000)


def test_an_answer_that_is_cut_off(start: Start) -> None:
    client, _ = start(answer(200, b'{"id": "x"', length=5000))
    with pytest.raises(GuestUnreachable):
        client.observe()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]\n",
        b'{"id": 1}\nPNG',
        b'{"seen": {"frame": 5}}\n',
        b'{"id": "another"}\n',
        b'{"unknown": 1}\n',
        b"\xff\xfe\n",
    ],
)
def test_an_answer_that_is_rubbish(start: Start, body: bytes) -> None:
    client, _ = start(answer(200, body))
    with pytest.raises(GuestError):
        client.observe()


def test_a_picture_that_is_not_the_frame_that_was_named(start: Start) -> None:
    seen = Seen("0" * 64, False, 100, 50, (1, 2), True, 3.0)

    def talk(connection: socket.socket, asked: Asked) -> None:
        reply = StepReply(str(asked.json()["id"]), (), 0.0, seen)
        answer(200, reply.encode(b"\x89PNG other"))(connection, asked)

    client, _ = start(talk)
    with pytest.raises(GuestError, match="is not the frame"):
        client.observe()


def test_an_error_of_the_server_is_one_line(start: Start) -> None:
    client, _ = start(answer(500, json.dumps({"error": "first\nsecond"}).encode()))
    with pytest.raises(GuestError, match="status 500: first second"):
        client.launch("x")


def test_a_redirect_is_not_followed(start: Start) -> None:
    client, server = start(answer(302, b"", head="Location: http://127.0.0.1:1/\r\n"))
    with pytest.raises(GuestError, match="status 302"):
        client.observe()
    assert len(server.requests) == 1


def test_a_missing_file_is_an_answer_and_other_404s_are_errors(start: Start) -> None:
    client, _ = start(answer(404, b"{}"))
    with pytest.raises(FileNotFoundError):
        client.read_file("~/x")
    with pytest.raises(GuestError, match="404"):
        client.open("~/x")


# -- who answers --------------------------------------------------------------------------------------------------


def test_the_token_never_crosses_the_wire(start: Start) -> None:
    client, server = start(fine, answer(502, b""))
    client.observe(BLIND)
    with pytest.raises(OSError, match="status 502"):
        client.upgrade("/v1/tunnel", {"port": 1})
    assert len(server.asked) == 2 and server.refused == 0
    assert not any(TOKEN.encode() in one.raw for one in server.asked)


def test_a_request_that_is_sent_again_has_a_number_of_its_own(start: Start) -> None:
    client, server = start(hang_up, fine)
    client.act([Key(("a",))], BLIND)
    first, second = (one.signed for one in server.asked)
    assert first is not None and second is not None and first.nonce != second.nonce and server.refused == 0


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422, 500, 504])
def test_an_answer_without_a_proof_is_nobodys(start: Start, status: int) -> None:
    said = json.dumps({"error": "come back later"}).encode()
    client, _ = start(unsigned(status, said))
    for ask in (client.health, lambda: client.read_file("~/x"), lambda: client.list_directory("~"), client.wallpaper):
        with pytest.raises(GuestError, match="something else answered") as raised:
            ask()
        assert raised.value.status == status


def test_the_proof_is_of_this_answer_and_no_other(start: Start) -> None:
    def another_status(connection: socket.socket, asked: Asked) -> None:
        proof = f"{ANSWER_HEADER}: {asked.proof(200, b'data')}\r\n"
        unsigned(404, b"data", head=proof)(connection, asked)

    def another_body(connection: socket.socket, asked: Asked) -> None:
        proof = f"{ANSWER_HEADER}: {asked.proof(200, b'data')}\r\n"
        unsigned(200, b"DATA", head=proof)(connection, asked)

    kept: list[str] = []

    def another_request(connection: socket.socket, asked: Asked) -> None:
        kept.append(f"{ANSWER_HEADER}: {asked.proof(200, b'data')}\r\n")
        unsigned(200, b"data", head=kept[0])(connection, asked)

    for talk in (another_status, another_body):
        client, _ = start(talk)
        with pytest.raises(GuestError, match="something else answered"):
            client.read_file("~/x")
    client, _ = start(another_request)
    assert client.read_file("~/x") == b"data"
    with pytest.raises(GuestError, match="something else answered"):
        client.read_file("~/x")


def test_a_proof_of_odd_characters_is_a_wrong_one(start: Start) -> None:
    client, _ = start(unsigned(200, b"{}", head=f"{ANSWER_HEADER}: \xe9\xff\r\n"))
    with pytest.raises(GuestError, match="something else answered"):
        client.health()


def test_without_a_token_nothing_is_signed(start: Start) -> None:
    server = Scripted([fine], tokens=False)
    client = Client("open", server.base)
    assert client.observe(BLIND).width == 100
    assert "authorization" not in server.asked[0].headers
    client.close()
    server.close()


def test_an_agents_token_says_so(start: Start) -> None:
    _, server = start(fine)
    Client("agent", server.base, token=TOKEN, role="agent").observe(BLIND)
    assert server.asked[0].signed is not None and server.asked[0].signed.role == "agent"


# -- upgraded connections -----------------------------------------------------------------------------------------


def test_a_connection_is_made_into_another(start: Start) -> None:
    def talk(connection: socket.socket, asked: Asked) -> None:
        head = f"HTTP/1.1 101 X\r\n{ANSWER_HEADER}: {asked.proof(101, b'')}\r\n\r\n"
        connection.sendall(head.encode() + b"first")
        connection.sendall(connection.recv(10))

    client, _ = start(talk)
    with client.upgrade("/v1/tunnel", {"port": 1}) as made:
        made.sendall(b"second")
        found = b""
        while part := made.recv(100):
            found += part
    assert found == b"firstsecond" and made.gettimeout() is None


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (answer(502, b'{"error": "nothing listens"}'), "status 502: nothing listens"),
        (unsigned(502, b'{"error": "nothing listens"}'), "something else answered"),
        (unsigned(200, b"x" * 70_000), "70000 bytes"),
        (unsigned(200, b"", length=9), "the connection ended"),
        (lambda c, a: c.sendall(b"HTTP/1.1 101 X\r\n\r\n"), "something else answered"),
        (lambda c, a: c.sendall(b"HTTP/1.1 1O1 X\r\n\r\n"), "begins with"),
        (lambda c, a: c.sendall(b"HTTP/1.1 101 X\r\n" + b"a: b\r\n" * 200 + b"\r\n"), "head"),
        (lambda c, a: c.sendall(b"x" * 100_000), "no end"),
        (hang_up, "the connection ended"),
        (slowly(b"HTTP/1.1 101 X\r\n" + b"a: b\r\n" * 1000), "time"),
        (stall, "time"),
    ],
)
def test_a_connection_that_is_not_made_into_another(start: Start, talk: Talk, said: str) -> None:
    client, _ = start(talk)
    client.answer_seconds = 0.5 if said == "time" else 10.0
    with pytest.raises(OSError, match=said):
        client.upgrade("/v1/tunnel", {"port": 1})


# -- duration and size of an answer -------------------------------------------------------------------------------

SLOW = {
    "status": slowly(b"HTTP/1.1 200 OK" + b" " * 1000),
    "head": slowly(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000),
    "line": slowly(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1000),
    "continue": slowly(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "body": slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"b" * 1000),
    "body without a length": slowly(b"HTTP/1.1 200 OK\r\n\r\n" + b"b" * 1000),
    "chunks": slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1000),
    "chunk size": slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 1000),
    "trailer": slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 1000),
}


@pytest.mark.parametrize("part", SLOW)
def test_the_time_is_for_all_of_an_answer(start: Start, part: str) -> None:
    client, server = start(SLOW[part])
    began = time.monotonic()
    with pytest.raises(GuestTimeout, match=r"within 0\.4 s"):
        client._send("POST", "/v1/step", timeout=0.4, retry=True, json={})
    assert time.monotonic() - began < 10 and len(server.asked) == 1


def test_the_time_is_for_all_tries_together(start: Start) -> None:
    def late(connection: socket.socket, asked: Asked) -> None:
        threading.Event().wait(0.6)  # and hangs up

    client, server = start(late)
    with pytest.raises(GuestTimeout):
        client._send("POST", "/v1/step", timeout=1.0, retry=True, json={})
    assert len(server.asked) <= 2


def test_the_time_is_for_a_request_that_nobody_reads(start: Start) -> None:
    held = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = Client("deaf", f"http://127.0.0.1:{deaf.getsockname()[1]}", token=TOKEN)
        with pytest.raises(GuestTimeout):
            client._send("POST", "/setup/upload", timeout=0.5, data=b"x" * 50_000_000)
        client.close()
    held.set()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's context with a certificate that this machine trusts during the test."""
    own = Path(__file__).with_name("localhost.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    transport.tls.cache_clear()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own)
    yield context
    transport.tls.cache_clear()


def test_encrypted_all_is_the_same(trusted: ssl.SSLContext) -> None:
    server = Scripted([fine, SLOW["body"], SLOW["head"], fine], wrap=lambda s: trusted.wrap_socket(s, server_side=True))
    client = Client("tls", server.base.replace("http:", "https:"), token=TOKEN)
    assert client.observe(BLIND).width == 100
    for _ in range(2):
        with pytest.raises(GuestTimeout, match=r"within 0\.5 s"):
            client._send("POST", "/v1/step", timeout=0.5, json={})
    assert client.observe(BLIND).width == 100
    assert server.asked[0].headers["host"] == server.base.removeprefix("http://")
    client.close()
    server.close()


def test_an_encrypted_connection_that_is_never_made(start: Start) -> None:
    silent = Scripted([fine], wrap=lambda s: (threading.Event().wait(3), s)[1])
    client = Client("tls", silent.base.replace("http:", "https:"), token=TOKEN)
    with pytest.raises(GuestTimeout, match=r"within 0\.4 s"):
        client._send("GET", "/v1/health", timeout=0.4)
    silent.close()


def test_a_certificate_of_nobody_is_refused(trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    transport.tls.cache_clear()
    server = Scripted([fine], wrap=lambda s: trusted.wrap_socket(s, server_side=True))
    client = Client("tls", server.base.replace("http:", "https:"), token=TOKEN)
    with pytest.raises(GuestUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        client.observe()
    assert server.asked == []
    server.close()


def endless(head: bytes, again: bytes) -> Talk:
    def talk(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(f"HTTP/1.1 200 X\r\n{ANSWER_HEADER}: {'0' * 64}\r\n".encode() + head)
        while True:
            connection.sendall(again)

    return talk


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "talk",
    [
        endless(CHUNKED, b"10000\r\n" + b"a" * 65536 + b"\r\n"),
        endless(CHUNKED, b"1\r\na\r\n" * 1000),
        endless(CHUNKED, b"0" * 65536),
        endless(CHUNKED + b"1;", b"e" * 65536),
        endless(CHUNKED + b"0\r\n", b"a: b\r\n" * 1000),
        endless(b"", b"a" * 65536),
        endless(b"", b"a: b\r\n" * 1000),
        endless(b"\r\n", b"a" * 65536),
        endless(b"Content-Length: 99999999999999999999999\r\n\r\n", b"a" * 65536),
    ],
)
def test_an_answer_without_end_takes_neither_time_nor_memory(start: Start, talk: Talk) -> None:
    client, _ = start(talk)
    tracemalloc.start()
    try:
        with pytest.raises(EnvError):
            client._send("GET", "/v1/health", timeout=20, limit=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_what_is_packed_is_not_unpacked(start: Start) -> None:
    bomb = gzip.compress(b" " * 200_000_000, 9)
    client, server = start(answer(200, bomb, head="Content-Encoding: gzip\r\n"))
    tracemalloc.start()
    try:
        assert client.read_file("~/x") == bomb
        with pytest.raises(GuestError, match="not JSON"):
            client.health()
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert server.asked[0].headers.get("accept-encoding") == "identity"


def test_a_large_file_is_in_memory_once(start: Start) -> None:
    client, _ = start(answer(200, b"x" * 50_000_000))
    tracemalloc.start()
    try:
        assert len(client.read_file("~/x")) == 50_000_000
        assert tracemalloc.get_traced_memory()[1] < 75_000_000
    finally:
        tracemalloc.stop()


# -- something other than requested -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [413, 422])
def test_what_is_not_fit_to_be_sent_is_an_answer(start: Start, status: int) -> None:
    client, _ = start(answer(status, b'{"error": "~/x is a folder"}'))
    for ask in (client.read_file, client.list_directory):
        with pytest.raises(Unfit, match="~/x is a folder"):
            ask("~/x")
    with pytest.raises(GuestError) as raised:
        client.open("~/x")
    assert raised.value.status == status


def test_a_file_that_is_too_large_is_an_answer(start: Start) -> None:
    client, _ = start(answer(200, b"x" * 1001))
    assert len(client.read_file("~/x", max_bytes=1001)) == 1001
    with pytest.raises(Unfit, match="more than 1000 bytes"):
        client.read_file("~/x", max_bytes=1000)


def test_an_error_that_is_too_large_is_no_answer(start: Start) -> None:
    """Nobody checked its proof."""
    for status in (404, 422, 500):
        client, _ = start(answer(status, b"x" * 1001))
        with pytest.raises(GuestError, match="more than 1000 bytes"):
            client.read_file("~/x", max_bytes=1000)


def folders(depth: int) -> bytes:
    inner = '{"type": "directory", "name": "a", "children": ['
    return f'{{"directory_tree": {inner * depth}{"]}" * depth}}}'.encode()


def test_a_listing_that_is_too_deep_or_too_large_is_an_answer(start: Start) -> None:
    found: dict[str, object] = start(answer(200, folders(200)))[0].list_directory("~")
    assert found["name"] == "a"
    many = b'{"directory_tree": {"type": "directory", "name": "a", "children": [%s]}}' % (
        b",".join([b'{"type": "file", "name": "%d"}' % number for number in range(500_000)])
    )
    for body in (folders(1500), folders(100_000), many):
        client, _ = start(answer(200, body))
        with pytest.raises(Unfit, match="cannot be listed"):
            client.list_directory("~")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../etc", "a\0b", "x" * 2000, 5, None])
def test_a_name_that_is_none_is_refused(start: Start, name: object) -> None:
    tree = {"type": "directory", "name": "home", "children": [{"type": "file", "name": name}]}
    client, _ = start(answer(200, json.dumps({"directory_tree": tree}).encode()))
    with pytest.raises(GuestError, match="listing"):
        client.list_directory("~")


def test_a_name_that_is_no_text_has_marks_in_it(start: Start) -> None:
    tree = {"type": "directory", "name": "home", "children": [{"type": "file", "name": "caf\udce9"}]}
    client, _ = start(answer(200, json.dumps({"directory_tree": tree}).encode()))
    assert client.list_directory("~")["children"] == [{"type": "file", "name": "caf\ufffd"}]


def test_what_is_missing_has_its_status(start: Start) -> None:
    client, _ = start(answer(404, b'{"error": "no window"}'))
    with pytest.raises(NotThere) as raised:
        client.activate_window("x")
    assert raised.value.status == 404


# -- pictures -----------------------------------------------------------------------------------------------------


def shows(picture: bytes, width: int, height: int) -> Talk:
    def talk(connection: socket.socket, asked: Asked) -> None:
        seen = {**vars(Seen(Screenshot.of(picture).sha256, False, 9, 9, (1, 2), True, 3.0)), "width": width}
        head = {"id": asked.json()["id"], "results": [], "act_ms": 1.0, "seen": {**seen, "height": height}}
        answer(200, json.dumps(head).encode() + b"\n" + picture)(connection, asked)

    return talk


@pytest.mark.parametrize(
    ("picture", "width", "height"),
    [
        (png(30, 20), 30, 21),
        (headed(30_000, 30_000), 30_000, 30_000),
        (headed(30_000, 30_000), 30, 20),
        (headed(0, 20), 0, 20),
        (headed(2**31, 1), 30, 20),
        (b"\x89PNG\r\n\x1a\n", 30, 20),
        (b"GIF89a", 30, 20),
    ],
)
def test_a_picture_that_is_not_of_the_screen_is_refused(start: Start, picture: bytes, width: int, height: int) -> None:
    client, _ = start(shows(picture, width, height))
    with pytest.raises(GuestError):
        client.observe()


def test_a_picture_of_the_screen_is_taken(start: Start) -> None:
    seen = start(shows(png(30, 20), 30, 20))[0].observe()
    assert seen.screenshot is not None and seen.screenshot.image.size == (30, 20)


def test_a_picture_with_two_heads_is_refused() -> None:
    """Readers use the second one."""
    small = png(30, 20)
    for broken in (two_headed(30_000, 30_000), small[:45], small[:33] + b"\0" * 500, headed(3000, 2000)):
        with pytest.raises(GuestError, match="not a picture"):
            Screenshot.of(broken).image.load()


def test_a_persons_proxy_does_not_see_a_desktops_traffic(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client, _ = start(fine)
    assert client.observe(BLIND).width == 100


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    client = Client("none", connect=unix(str(tmp_path / "socket")))
    with pytest.raises(GuestUnreachable, match="No such file"):
        client.health()
