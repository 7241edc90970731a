"""The small HTTP server: roles, limits, errors, on real sockets."""

import concurrent.futures
import contextlib
import http.client
import json
import resource
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deskbench.envs import wait
from deskbench.envs.server import signing
from deskbench.envs.server.http.limits import HEAD_SECONDS, MAX_AGENT_BODY, MAX_CONNECTIONS, MAX_HEAD, MAX_WAITING
from deskbench.envs.server.http.server import HttpError, Request, Response, Route, Server, Tokens, Watch, json_response
from deskbench.envs.wire import MAX_BODY


def echo(request: Request) -> Response:
    return json_response({"role": request.role, "json": request.json()})


def form(request: Request) -> Response:
    return json_response(request.form())


def parts(request: Request) -> Response:
    return json_response({k: [len(v), name] for k, (v, name) in request.multipart().items()})


def broken(request: Request) -> Response:
    raise ZeroDivisionError("a fault of the handler")


def refused(request: Request) -> Response:
    raise HttpError(418, "not today")


class Ailing(Watch):
    """A watch that reports trouble when told to, and tells its handlers."""

    def __init__(self) -> None:
        self.why = ""
        self.waiting: dict[object, Callable[[str], None]] = {}

    def trouble(self) -> str:
        return self.why

    def enter(self, abandon: Callable[[str], None]) -> object:
        token = object()
        self.waiting[token] = abandon
        return token

    def leave(self, token: object) -> None:
        self.waiting.pop(token, None)


AILING, LET_GO = Ailing(), threading.Event()


def hanging(request: Request) -> Response:
    LET_GO.wait(60)
    return json_response({})


ROUTES = [
    Route("POST", "/agent", echo, "agent"),
    Route("POST", "/control", echo),
    Route("POST", "/form", form),
    Route("POST", "/setup/upload", parts),
    Route("POST", "/broken", broken),
    Route("POST", "/refused", refused),
    Route("POST", "/hanging", hanging, watch=AILING),
]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), ROUTES, Tokens(agent="agent-token", control="control-token"))
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def base(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def post(url: str, token: str | None = "control-token", **content: Any) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.post(url, headers=headers, timeout=10, **content)


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/agent", "agent-token", 200),
        ("/agent", "control-token", 200),
        ("/control", "control-token", 200),
        ("/control", "agent-token", 403),
        ("/control", "wrong", 401),
        ("/control", "", 401),
        ("/agent", None, 401),
        ("/nowhere", "control-token", 404),
        ("/nowhere", None, 401),
    ],
)
def test_each_token_opens_its_own_doors(base: str, path: str, token: str | None, status: int) -> None:
    answer = post(base + path, token, json={})
    assert answer.status_code == status
    if status != 200:
        assert "\n" not in answer.json()["error"]


def test_without_tokens_everybody_may_do_everything(tmp_path: Path) -> None:
    made = Server(("127.0.0.1", 0), ROUTES, Tokens())
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        assert post(f"http://127.0.0.1:{made.server_address[1]}/control", None, json={}).status_code == 200
    finally:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize("body", ["{", "[1]", "nul", "\xff"])
def test_a_body_that_is_no_json_object_is_the_callers_fault(base: str, body: str) -> None:
    answer = post(base + "/control", data=body.encode("latin-1"))
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]


def test_a_fault_of_a_handler_is_an_answer_and_the_server_goes_on(base: str) -> None:
    assert post(base + "/broken", json={}).json() == {"error": "ZeroDivisionError: a fault of the handler"}
    assert post(base + "/refused", json={}).status_code == 418
    assert post(base + "/control", json={"a": 1}).json() == {"role": "control", "json": {"a": 1}}


def test_forms_and_files(base: str) -> None:
    assert post(base + "/form", data={"path": "a b&c=ü"}).json() == {"path": "a b&c=ü"}
    data = bytes(range(256)) * 1000 + b"\r\n--x\r\n"
    found = post(base + "/setup/upload", data={"file_path": "/ä"}, files={"file_data": data}).json()
    assert found["file_data"][0] == len(data)
    assert found["file_path"] == [len("/ä".encode()), None]


def test_a_body_that_is_too_long_is_not_read(base: str, server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.putrequest("POST", "/control")
    connection.putheader("Authorization", "Bearer control-token")
    connection.putheader("Content-Length", str(MAX_BODY + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert str(MAX_BODY) in json.loads(answer.read())["error"]
    connection.close()


@pytest.mark.parametrize(("path", "status"), [("/control", 401), ("/nowhere", 401)])
def test_a_refusal_is_heard_by_who_sends_slowly(server: Server, path: str, status: int) -> None:
    """Head and body arrive separately, as most clients send them."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as slow:
        slow.sendall(f"POST {path} HTTP/1.1\r\nContent-Length: 40000\r\n\r\n".encode())
        for _ in range(4):
            assert not select.select([slow], [], [], 0.05)[0], "answered before the request was whole"
            slow.sendall(b"x" * 10_000)
        assert slow.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_strangers_long_body_is_not_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as stranger:
        stranger.sendall(b"POST /control HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
        assert stranger.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_stalled_client_does_not_hold_the_others_up(base: str, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_address[1])) as stalled:
        stalled.sendall(b"POST /control HTTP/1.1\r\nAuthorization: Bearer control-token\r\nContent-Length: 9\r\n\r\n{")
        assert post(base + "/control", json={}).status_code == 200


def test_one_connection_serves_many_requests(base: str) -> None:
    with requests.Session() as session:
        for number in range(20):
            answer = session.post(
                base + "/agent", json={"n": number}, headers={"Authorization": "Bearer agent-token"}, timeout=10
            )
            assert answer.json()["json"] == {"n": number}


def test_a_unix_socket_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    made = Server(str(path), ROUTES, Tokens(control="t"))
    try:
        assert path.stat().st_mode & 0o077 == 0
    finally:
        made.server_close()


# -- signatures -------------------------------------------------------------------------------------------------------

TOKENS = {"agent": "agent-token", "control": "control-token"}


class Signing:
    """Signs requests on one connection, and records what it sent."""

    def __init__(self, server: Server) -> None:
        host, port, *_ = server.server_address
        self.connection = http.client.HTTPConnection(host, port, timeout=20)
        self.last: dict[str, str] = {}

    def __call__(
        self, path: str, body: bytes = b"{}", role: str = "control", method: str = "POST", **changed: str
    ) -> tuple[int, bytes, bool]:
        """Send a signed request; returns status, body, and whether the answer was proven with the same key."""
        token = changed.get("token", TOKENS[role])
        signed = signing.sign(token, role, method, path, body, "text/x")
        headers = {"Authorization": changed.get("authorization", signed.header()), "Content-Type": "text/x"}
        self.last = headers
        return self.send(method, changed.get("sent", path), body, headers, TOKENS[role], signed.nonce)

    def send(
        self, method: str, path: str, body: bytes, headers: dict[str, str], token: str, nonce: str
    ) -> tuple[int, bytes, bool]:
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        proof = answer.headers.get(signing.ANSWER_HEADER, "")
        return answer.status, data, proof == signing.answer_proof(token, nonce, answer.status, data)


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/control", "control", 200), ("/agent", "agent", 200), ("/agent?x=1", "control", 200),
        ("/control", "agent", 403), ("/nowhere", "control", 404), ("/refused", "control", 418),
        ("/broken", "control", 500),
    ],
)  # fmt: skip
def test_every_answer_to_a_signed_request_is_proven(server: Server, path: str, role: str, status: int) -> None:
    assert Signing(server)(path, role=role)[::2] == (status, True)


@pytest.mark.parametrize("changed", [{"token": "wrong"}, {"sent": "/agent"}, {"sent": "/control?"}])
def test_a_signature_of_something_else_is_401_and_answered_proven(server: Server, changed: dict[str, Any]) -> None:
    assert Signing(server)("/control", **changed)[::2] == (401, True)


def test_an_answer_s_proof_is_of_the_role_that_signed(server: Server) -> None:
    """An agent that signs with its own key in control's name gets a proof that it cannot check."""
    assert Signing(server)("/control", token="agent-token")[0] == 401


def test_a_signed_request_counts_once(server: Server) -> None:
    ask = Signing(server)
    assert ask("/control", b'{"a": 1}')[0] == 200
    nonce = ask.last["Authorization"].split()[2]
    again = ask.send("POST", "/control", b'{"a": 1}', ask.last, "control-token", nonce)
    assert again[::2] == (401, True)
    other = ask.send("POST", "/control", b'{"a": 2}', ask.last, "control-token", nonce)
    assert other[0] == 401


@pytest.mark.parametrize(
    "header", ["Deskbench", "Deskbench control x y", "Deskbench root " + "a" * 32 + " b", "Bearer"]
)
def test_a_header_that_is_no_signature_is_a_strangers(base: str, header: str) -> None:
    answer = requests.post(base + "/control", headers={"Authorization": header}, json={}, timeout=10)
    assert answer.status_code == 401


def test_without_tokens_a_signature_is_still_checked() -> None:
    with running(Tokens("agent-token", "control-token", open=True)) as server:
        ask = Signing(server)
        assert ask("/control")[::2] == (200, True)
        assert ask("/agent", role="agent")[::2] == (200, True)
        assert ask("/control", role="agent")[::2] == (403, True)
        assert ask("/control", token="wrong")[0] == 401
        base = f"http://127.0.0.1:{server.server_address[1]}"
        assert post(base + "/control", None, json={}).json()["role"] == "control"


def test_a_connection_that_is_made_into_another_is_proven_first() -> None:
    def takeover(request: Request) -> Response:
        return Response(101, takeover=lambda connection: connection.sendall(b"taken"))

    signed = signing.sign("control-token", "control", "POST", "/take", b"", "")
    with running(Tokens("agent-token", "control-token"), [Route("POST", "/take", takeover)]) as server:
        said = raw(server, f"POST /take HTTP/1.1\r\nAuthorization: {signed.header()}\r\n\r\n".encode()).decode()
    assert said.startswith("HTTP/1.1 101 ") and said.endswith("\r\n\r\ntaken")
    assert f"{signing.ANSWER_HEADER}: {signing.answer_proof('control-token', signed.nonce, 101, b'')}" in said


@contextlib.contextmanager
def running(
    tokens: Tokens, routes: list[Route] = ROUTES, address: tuple[str, int] | str | socket.socket = ("127.0.0.1", 0)
) -> Iterator[Server]:
    made = Server(address, routes, tokens)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def test_a_socket_that_listens_already_is_served(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    with running(Tokens(control="t"), address=listener), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(b"POST /control HTTP/1.0\r\nAuthorization: Bearer t\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


# -- pages in a browser -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:80", 200), ("127.0.0.1", "localhost", 200), ("127.0.0.1", "[::1]:5", 200),
        ("127.0.0.1", "desktop", 200), ("127.0.0.1", "evil.example", 403), ("127.0.0.1", "10.0.0.5", 403),
        ("127.0.0.1", "localhost.evil.example", 403), ("127.0.0.1", "127.0.0.1.evil.example", 403),
        ("0.0.0.0", "10.0.0.5:5000", 200), ("0.0.0.0", "evil.example", 403), ("localhost", "localhost", 200),
        ("localhost", "10.0.0.5", 403),
    ],
)  # fmt: skip
def test_without_tokens_only_this_machine_s_names_are_answered(bound: str, host: str, status: int) -> None:
    with running(Tokens("a", "c", open=True), address=(bound, 0)) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/control"
        answer = requests.post(url, headers={"Host": host, "Content-Type": "text/plain"}, data="{}", timeout=10)
        assert answer.status_code == status


def test_who_holds_a_token_may_use_the_machine_s_own_name(server: Server, base: str) -> None:
    for header in ("Bearer control-token", signing.sign("control-token", "control", "POST", "/control", b"").header()):
        headers = {"Host": "desk5.example:5000", "Authorization": header}
        assert requests.post(base + "/control", headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize("token", [None, "control-token"])
def test_no_page_is_answered(token: str | None) -> None:
    with running(Tokens("agent-token", "control-token", open=token is None)) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/control"
        headers = {"Origin": "http://127.0.0.1", **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = requests.post(url, headers=headers, data="{}", timeout=10)
        assert answer.status_code == 403
        assert answer.headers["Connection"] == "close", "its body would be the next request"


# -- limits -----------------------------------------------------------------------------------------------------------


def raw(server: Server, data: bytes) -> bytes:
    with socket.create_connection(server.server_address[:2], timeout=20) as made:
        made.sendall(data)
        return b"".join(iter(lambda: made.recv(4096), b""))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 400), (b"GET  HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400), (b"GET http://evil/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411), (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(100)) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431), (b"x" * (MAX_HEAD + 1000), 431),
        (b"GET /\xff%zz HTTP/1.1\r\nConnection: close\r\n\r\n", 401),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_no_request_is_answered_and_over(server: Server, base: str, request_: bytes, status: int) -> None:
    assert raw(server, request_).startswith(b"HTTP/1.1 %d " % status)
    assert post(base + "/control", json={}).status_code == 200


def test_slow_connections_keep_nobody_out(server: Server, base: str) -> None:
    """1,500 strangers send one byte each and wait; a client with a token is answered, and the strangers are dropped."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    slow = []
    try:
        for number in range(1500):
            one = socket.create_connection(server.server_address[:2], timeout=20)
            one.sendall((b"P", b"POST /agent HTTP/1.1\r\nContent-Length: 9\r\n\r\n")[number % 2])
            slow.append(one)
            if number % 300 == 299:
                assert Signing(server)("/control")[::2] == (200, True)
        assert threading.active_count() < 200
        assert post(base + "/control", json={}).status_code == 200
        assert wait.until(lambda: closed(slow[-1]), timeout=HEAD_SECONDS + 30)
    finally:
        for one in slow:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_strangers_with_long_bodies_keep_nobody_out(server: Server, base: str) -> None:
    """Strangers claim to be control and send nothing; the real one has signed, too."""
    claim = signing.sign("guess", "control", "POST", "/control", b"").header()
    head = f"POST /control HTTP/1.1\r\nAuthorization: {claim}\r\nContent-Length: {MAX_BODY}\r\n\r\n".encode()
    slow = [socket.create_connection(server.server_address[:2], timeout=20) for _ in range(100)]
    try:
        for one in slow:
            one.sendall(head)
        assert Signing(server)("/control")[::2] == (200, True)
        assert threading.active_count() < 100
    finally:
        for one in slow:
            one.close()


def test_a_body_that_is_only_claimed_to_be_signed_is_not_read_without_end(server: Server) -> None:
    """Gigabytes of upload need a connection that has proven something, or a bearer token."""
    claim = signing.sign("guess", "control", "POST", "/setup/upload", b"").header()
    head = f"POST /setup/upload HTTP/1.1\r\nAuthorization: {claim}\r\nContent-Length: {2**32}\r\n\r\n"
    assert raw(server, head.encode()).startswith(b"HTTP/1.1 413 ")
    long = MAX_AGENT_BODY + 1
    head = f"POST /agent HTTP/1.1\r\nAuthorization: Bearer agent-token\r\nContent-Length: {long}\r\n\r\n"
    assert raw(server, head.encode()).startswith(b"HTTP/1.1 413 ")


def test_after_a_proof_a_long_upload_is_taken(server: Server) -> None:
    ask = Signing(server)
    assert ask("/control")[0] == 200
    body = b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + b"\0" * (MAX_BODY + 1) + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    signed = signing.sign("control-token", "control", "POST", "/setup/upload", body, kind)
    headers = {"Authorization": signed.header(), "Content-Type": kind}
    status, said, proven = ask.send("POST", "/setup/upload", body, headers, "control-token", signed.nonce)
    assert (status, json.loads(said), proven) == (200, {"f": [MAX_BODY + 1, None]}, True)


def test_an_agent_cannot_take_the_controllers_connections(server: Server, base: str) -> None:
    asks = [Signing(server) for _ in range(MAX_CONNECTIONS["agent"] + 5)]
    answers = [ask("/agent", role="agent") for ask in asks]
    assert [status for status, _, _ in answers].count(503) == 5
    assert all(proven for _, _, proven in answers)
    assert post(base + "/control", json={}).status_code == 200
    for ask in asks:
        ask.connection.close()
    assert wait.until(lambda: Signing(server)("/agent", role="agent")[0] == 200, timeout=20)


def test_connections_beyond_the_limit_are_refused_at_once(server: Server) -> None:
    asks = [Signing(server) for _ in range(MAX_CONNECTIONS["control"] + 1)]
    assert [ask("/control")[0] for ask in asks] == [200] * MAX_CONNECTIONS["control"] + [503]
    assert asks[0]("/control")[0] == 200
    for ask in asks:
        ask.connection.close()


def test_waiting_connections_are_bounded(server: Server) -> None:
    """The oldest is dropped for a new one."""
    waiting = [socket.create_connection(server.server_address[:2], timeout=20) for _ in range(MAX_WAITING + 1)]
    try:
        assert wait.until(lambda: closed(waiting[0]), timeout=5)
        assert not closed(waiting[-1])
    finally:
        for one in waiting:
            one.close()


# -- handlers that hang ----------------------------------------------------------------------------------------------


def test_a_handler_that_hangs_is_answered_for(server: Server) -> None:
    LET_GO.clear()
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            asked = threads.submit(Signing(server), "/hanging")
            assert wait.until(lambda: AILING.waiting, timeout=20)
            [abandon] = AILING.waiting.values()
            abandon("it is ill")
            assert asked.result(20) == (503, b'{"error": "it is ill"}', True)
    finally:
        LET_GO.set()
    assert wait.until(lambda: not AILING.waiting, timeout=20)


def test_a_handler_that_would_hang_is_not_begun(server: Server) -> None:
    AILING.why = "it is ill"
    try:
        assert Signing(server)("/hanging") == (503, b'{"error": "it is ill"}', True)
    finally:
        AILING.why = ""
    LET_GO.set()
    assert Signing(server)("/hanging")[0] == 200


# -- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"a":' * 1000 + b"1" + b"}" * 1000, b'{"a": NaN}', b'{"a": 1e400}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\xff"}', b'{"a": 1, "a": 2}', b"\0", b"1",
    ],
    ids=lambda body: str(body[:12]),
)  # fmt: skip
def test_json_that_breaks_its_readers_is_the_callers_fault(base: str, body: bytes) -> None:
    assert post(base + "/control", data=body).status_code == 400


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""), ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x"), ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nno end"),
        ("multipart/form-data; boundary=" + "x" * 1000, b""),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\n\r\n" * 1000 + b"--x--"),
        ("application/json", b"{}"),
    ],
)  # fmt: skip
def test_what_is_not_multipart_is_the_callers_fault(base: str, kind: str, body: bytes) -> None:
    headers = {"Authorization": "Bearer control-token", "Content-Type": kind}
    assert requests.post(base + "/setup/upload", headers=headers, data=body, timeout=10).status_code == 400


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff=1", b"&".join(b"a=%d" % n for n in range(100))])
def test_a_form_that_is_no_text_is_the_callers_fault(base: str, body: bytes) -> None:
    assert post(base + "/form", data=body).status_code == 400
