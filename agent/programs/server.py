"""The desktop as a server on loopback, for one episode: MCP over streamable HTTP, and plain HTTP.

`/mcp` is the MCP endpoint. `POST /act` takes `{"tool": …, "arguments": {…}}` and returns `{"text", "pictures", "error",
"ended"}` with PNG files in base64; `GET /task` returns `{"prompt"}`. Every request needs the episode's token.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvicorn
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deskbench.agent.programs.desk import Answer, Desk
from deskbench.agent.programs.protocol import mcp_server
from deskbench.envs import wait

HOST = "127.0.0.1"
MOST_BYTES = 1 << 20
"""The longest request in bytes."""
CONNECTIONS = 64
"""Connections at once; the requests of further ones are refused (503)."""
START_SECONDS, STOP_SECONDS = 30.0, 5.0


class Server:
    """Serves a desk until it is closed.

    Args:
        desk: takes the calls.
        prompt: returns the text for `GET /task`.

    Attributes:
        url: address of the server, without a path.
        token: what a client must present as `Authorization: Bearer`.
    """

    def __init__(self, desk: Desk, prompt: Callable[[], str]) -> None:
        self._desk, self._prompt = desk, prompt
        self._socket = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.token = secrets.token_urlsafe(32)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._application(), log_config=None, access_log=False, limit_concurrency=CONNECTIONS, ws="none",
                timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="programs-server", daemon=True
        )
        self._thread.start()
        if not wait.until(lambda: self._server.started or not self._thread.is_alive(), timeout=START_SECONDS):
            raise OSError(f"the server at {self.url} did not start within {START_SECONDS:g} s")

    def close(self) -> None:
        """Stop serving; calls that wait are broken off."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        self._socket.close()

    def _application(self) -> ASGIApp:
        mcp = mcp_server(self._call).streamable_http_app(
            json_response=True, stateless_http=True, host=HOST, max_request_body_size=MOST_BYTES
        )
        mcp.router.routes += [Route("/act", self._act, methods=["POST"]), Route("/task", self._task)]
        return RequestBodyLimitMiddleware(_Guard(mcp, self.token, self.url), MOST_BYTES)

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        return await asyncio.wrap_future(self._desk.submit(name, arguments))

    async def _act(self, request: Request) -> JSONResponse:
        try:
            value = json.loads(await request.body())
            name, arguments = value["tool"], value.get("arguments", {})
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            name, arguments = None, None
        if not isinstance(name, str) or not isinstance(arguments, dict):
            text = 'Nothing was done: send {"tool": NAME, "arguments": {…}} as JSON.'
            return JSONResponse(_json(Answer(text, error=True)), 400)
        return JSONResponse(_json(await self._call(name, arguments)))

    async def _task(self, request: Request) -> JSONResponse:
        return JSONResponse({"prompt": self._prompt()})


def _json(answer: Answer) -> dict[str, Any]:
    pictures = [base64.b64encode(picture).decode() for picture in answer.pictures]
    return {"text": answer.text, "pictures": pictures, "error": answer.error, "ended": answer.ended}


class _Guard:
    """Lets only clients in that have the token, and no page of a browser, whatever name it uses for this address."""

    def __init__(self, app: Starlette, token: str, url: str) -> None:
        self._app = app
        self._bearer = f"Bearer {token}".encode()
        port = url.rpartition(":")[2]
        self._hosts = {f"{name}:{port}" for name in (HOST, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        refused = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Callable[[Scope, Receive, Send], Awaitable[None]] | None:
        origin = headers.get("origin")
        if headers.get("host") not in self._hosts or origin not in (None, *(f"http://{host}" for host in self._hosts)):
            return PlainTextResponse("403 Forbidden\n", 403)
        if not hmac.compare_digest(headers.get("authorization", "").encode(), self._bearer):
            return PlainTextResponse("401 Unauthorized\n", 401, {"WWW-Authenticate": "Bearer"})
        return None
