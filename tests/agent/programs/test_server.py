"""The server of an episode: who may call, and that the official MCP client and plain HTTP get the same."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import requests
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from deskbench.agent.programs.desk import Answer, Desk
from deskbench.agent.programs.server import MOST_BYTES, Server
from deskbench.agent.programs.tools import TOOLS

PICTURE = b"\x89PNG picture"


class Played:
    """A server whose calls are answered with what was called; `taken` has them."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.open()
        self.server = Server(self.desk, lambda: "the task")
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        while not self._stop.is_set():
            call = self.desk.take(0.05)
            if call is not None:
                self.taken.append((call.name, dict(call.arguments)))
                call.answer.set_result(Answer(f"did {call.name}", (PICTURE,), error=call.name == "fail"))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()

    def send(self, path: str, data: bytes | None = None, **headers: str) -> requests.Response:
        made = requests.Session()
        made.trust_env = False
        given = {"Authorization": f"Bearer {self.server.token}", **headers}
        return made.request("POST" if data is not None else "GET", self.server.url + path, data=data, headers=given)


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    made = Played()
    yield made
    made.close()


# Two ways to call.


def test_the_official_client_finds_the_tools_and_calls_them(played: Played) -> None:
    async def talk() -> tuple[list[str], Any, Any]:
        headers = {"Authorization": f"Bearer {played.server.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as http,
            Client(streamable_http_client(f"{played.server.url}/mcp", http_client=http)) as client,
        ):
            names = [tool.name for tool in (await client.list_tools()).tools]
            first = await client.call_tool("computer", {"action": "left_click", "coordinate": [1, 2]})
            return names, first, await client.call_tool("fail", {"reason": "no"})

    names, first, second = asyncio.run(talk())
    assert names == [tool.name for tool in TOOLS]
    picture, text = first.content
    assert (base64.b64decode(picture.data), picture.mime_type, text.text) == (PICTURE, "image/png", "did computer")
    assert (first.is_error, second.is_error) == (False, True)
    assert ("computer", {"action": "left_click", "coordinate": [1, 2]}) in played.taken


def test_plain_http_gets_the_same(played: Played) -> None:
    body = json.dumps({"tool": "computer", "arguments": {"action": "screenshot"}}).encode()
    answer = played.send("/act", body).json()
    assert answer == {
        "text": "did computer", "pictures": [base64.b64encode(PICTURE).decode()], "error": False, "ended": False,
    }  # fmt: skip
    assert played.send("/task").json() == {"prompt": "the task"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'"computer"', b'{"tool": 1}', b'{"tool": "computer", "arguments": []}', b"[" * 100_000,
     b"\xff\xfe"],
)  # fmt: skip
def test_a_body_that_is_no_call_is_refused(played: Played, body: bytes) -> None:
    before = len(played.taken)
    answer = played.send("/act", body)
    assert (answer.status_code, answer.json()["error"], len(played.taken)) == (400, True, before)


# Who may call.


@pytest.mark.parametrize("path", ["/act", "/mcp", "/task", "/"])
@pytest.mark.parametrize(
    "token", ["", "Bearer ", "Bearer guess", "Basic {token}", "{token}", "Bearer {token}x", "Bearer é"]
)
def test_a_guessed_token_gets_nowhere(played: Played, path: str, token: str) -> None:
    before = len(played.taken)
    given = token.format(token=played.server.token).encode("utf-8").decode("latin-1")
    for data in (None, b'{"tool": "done"}'):
        answer = played.send(path, data, Authorization=given)
        assert (answer.status_code, answer.text) == (401, "401 Unauthorized\n")
    assert len(played.taken) == before


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "127.0.0.1:1"}],
)
@pytest.mark.parametrize("path", ["/act", "/mcp"])
def test_a_page_of_another_origin_is_refused_even_with_the_token(
    played: Played, path: str, headers: dict[str, str]
) -> None:
    before = len(played.taken)
    assert played.send(path, b'{"tool": "done"}', **headers).status_code == 403
    assert len(played.taken) == before


@pytest.mark.parametrize("path", ["/act", "/mcp"])
def test_a_request_may_not_be_large(played: Played, path: str) -> None:
    assert played.send(path, b" " * (MOST_BYTES + 1)).status_code == 413


def test_it_listens_on_this_machine_alone(played: Played) -> None:
    assert played.server.url.startswith("http://127.0.0.1:")
