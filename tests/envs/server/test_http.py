"""The small HTTP server: roles, limits, errors, on real sockets."""

import http.client
import json
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deskbench.envs.server.http import HttpError, Request, Response, Route, Server, Tokens, json_response
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


ROUTES = [
    Route("POST", "/agent", echo, "agent"),
    Route("POST", "/control", echo),
    Route("POST", "/form", form),
    Route("POST", "/setup/upload", parts),
    Route("POST", "/broken", broken),
    Route("POST", "/refused", refused),
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


def post(url: str, token: str | None = "control-token", **content: object) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.post(url, headers=headers, timeout=10, **content)  # type: ignore[arg-type]


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
    """Head and body come apart, as most clients send them."""
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
