"""OpenEnv: desktops behind OpenEnv's routes, for its clients and the trainers that use them (extra `openenv`).

A WebSocket at `/ws` is a session: one episode after another, on a desktop of its own. Plain HTTP requests share one
session. Routes, messages and codes of errors are those of openenv/core/env_server/http_server.py and types.py, 0.10.0.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from deskbench.agent.report.guard import is_loopback, names_us
from deskbench.agent.training.env import Env, House, Info
from deskbench.agent.training.reading import Sent
from deskbench.agent.training.settings import Settings
from deskbench.envs.errors import DeskbenchError, UsageError
from deskbench.envs.foreign import first_fault
from deskbench.envs.types import ACTION_TYPES, ActionError, Observation

NAME = "deskbench"
"""The environment's name, also in the paths of the routes that list tasks."""
SPLIT = "test"
"""The only split of tasks."""
INTERFACE = "1.0.0"
"""The version of the HTTP interface, which OpenEnv's own server and validator call `openenv-http/1.x`."""
IDLE_SECONDS = 600.0
"""How long a session may send nothing."""
MOST_BYTES = 1 << 20
"""The longest request or message in bytes."""
MOST_WAITING = 16
"""Messages of a session that may wait while an earlier one is answered."""
CONNECTIONS = 64
"""Connections at once apart from the sessions; the requests of further ones are refused (503)."""
LEAVE_SECONDS = 30
"""How long connections may take to end when the server stops; a second Ctrl-C does not wait for them."""
INVALID_REQUEST, NO_METHOD, NO_JSON = -32600, -32601, -32700
"""Codes of JSON-RPC 2.0, 5.1."""
Found = TypeVar("Found")
Json = dict[str, Any]


class Full(DeskbenchError):
    """All sessions are taken."""


class Begin(BaseModel):
    """What `reset` takes: `task` names the task, `index` counts the tasks from 0; else the seed chooses one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int | None = Field(None, ge=0, lt=2**63)
    episode_id: str | None = Field(None, max_length=255)
    task: str | None = None
    split: str | None = None
    index: int | None = None


class Desktops:
    """The tasks, and the desktops of all sessions.

    Args:
        task, settings: as for `deskbench.Env`.
        sessions: how many there may be at once; each has one desktop.

    Raises:
        UsageError, StorageError: as `Env`; or the provider cannot have that many desktops.
    """

    def __init__(self, task: str | Path, sessions: int, settings: Settings) -> None:
        self.sessions = sessions
        self.grammar = settings.get("grammar") is not None
        self.record = settings.get("record")
        given: Settings = {"warm": max(1, sessions // 4), "name": "openenv", **settings, "on_failure": "mask"}
        self._house = House(task, given)
        pool = self._house.pool
        if pool.capacity is not None and sessions > pool.capacity:
            self._house.close()
            raise UsageError(f"{sessions} sessions are too many: {pool.name} has {pool.capacity} desktops at most")
        self.tasks = [{"id": one.key, "instruction": one.instruction} for one in self._house.tasks.values()]
        self._threads = ThreadPoolExecutor(2 * sessions, thread_name_prefix="openenv")  # a call and its interruption
        self._open: set[Session] = set()
        self._stopping = False

    def find(self, name: str) -> str:
        """The key of a task.

        Raises:
            UsageError: names the nearest one.
        """
        return self._house.find(name).key

    def open(self) -> Session:
        """A new session, which `end` must end.

        Raises:
            Full: there is no room for it, or the server stops.
        """
        if self._stopping:
            raise Full("the server stops")
        if len(self._open) >= self.sessions:
            raise Full(f"all sessions ({self.sessions}) are taken: close one, or start the server with a higher -n")
        session = Session(Env.sharing(self._house), self)
        self._open.add(session)
        return session

    async def end(self, session: Session) -> None:
        """End a session and its desktop, also if the caller is cancelled meanwhile."""
        await asyncio.shield(asyncio.ensure_future(self._end(session)))

    async def _end(self, session: Session) -> None:
        await self.do(session.leave)
        self._open.discard(session)

    async def stop(self) -> None:
        """Let no session begin, and let the running calls of all end soon."""
        self._stopping = True
        await asyncio.gather(*(self.do(session.interrupt) for session in self._open))

    async def do(self, call: Callable[[], Found]) -> Found:
        """Make a call in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """End all sessions and stop all desktops."""
        for session in self._open:
            session.interrupt()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for session in self._open:
            session.leave()
        self._house.close()


class Session:
    """Episodes of one client, one after another."""

    def __init__(self, env: Env, desktops: Desktops) -> None:
        self._env, self._desktops = env, desktops
        self.interrupt, self.leave = env.interrupt, env.leave
        self.state = NO_EPISODE

    async def reset(self, data: Mapping[str, Any]) -> Json:
        """Begin an episode; the answer is the first observation.

        Raises:
            UsageError: the data is wrong.
            EnvError, CheckError: no desktop could be made ready.
        """
        try:
            begin = Begin.model_validate(dict(data))
        except ValidationError as error:
            raise UsageError(f"reset: {first_fault(error, Begin.model_fields)}") from None
        task = self._chosen(begin)
        self.state = NO_EPISODE
        observation, info = await self._desktops.do(partial(self._env.reset, seed=begin.seed, task=task))
        self.state = {
            "episode_id": begin.episode_id or uuid4().hex, "step_count": 0, "task": info["task"], "seed": info["seed"],
            "done": False,
        }  # fmt: skip
        return self._told(observation, info, None, {})

    async def step(self, data: Mapping[str, Any]) -> Json:
        """Carry out actions; the answer is the next observation, at the end with the score as its reward.

        Raises:
            ActionError: they are no actions; the episode goes on.
            UsageError: there is no episode.
        """
        sent = self._sent(data)
        observation, reward, terminated, truncated, info = await self._desktops.do(partial(self._env.step, sent))
        self.state = {**self.state, "step_count": info["step"], "done": terminated or truncated}
        return self._told(observation, info, reward, {"truncated": truncated} if self.state["done"] else {})

    def _chosen(self, begin: Begin) -> str | None:
        if begin.split not in (None, SPLIT):
            raise UsageError(f"reset: split is {begin.split!r}; the only one is {SPLIT!r}")
        if begin.index is None:
            return None if begin.task is None else self._desktops.find(begin.task)
        if begin.task is not None:
            raise UsageError("reset: give task or index, not both")
        return str(_task(self._desktops.tasks, begin.index)["id"])

    def _sent(self, data: Mapping[str, Any]) -> Sent:
        fields = {name: value for name, value in data.items() if name != "metadata"}  # OpenEnv's actions may have it
        if "type" in fields:
            return fields
        match fields:
            case {"actions": list() as several, **others} if not others:
                return several
            case {"text": str() as text, **others} if not others:
                if not self._desktops.grammar:
                    raise UsageError("step: this server reads no model's text; start it with --grammar FAMILY")
                return text
        raise ActionError('step: send {"type": …} for an action, {"actions": […]} for several, or {"text": "…"}')

    def _told(self, observation: Observation, info: Info, reward: float | None, more: Json) -> Json:
        metadata = {**{name: self.state[name] for name in ("episode_id", "task", "seed")}, "masked": info["masked"]}
        metadata |= more | {name: value for name, value in info.items() if name in ("ending", "error")}
        if (score := info.get("score")) is not None and score.value is not None:
            metadata["reason"] = score.reason
            metadata["checks"] = [check.model_dump(mode="json") for check in score.checks]
        if "folder" in info and self._desktops.record is not None:
            metadata["folder"] = os.path.relpath(info["folder"], self._desktops.record)
        picture = observation.screenshot
        shown = {
            "instruction": info.get("instruction", ""),
            "screenshot": None if picture is None else base64.b64encode(picture.png).decode(),
            "size": [observation.width, observation.height],
            "cursor": list(observation.cursor),
            "step": info["step"],
            "problem": info.get("problem"),
            "errors": [one.error for one in observation.results if not one.ok],
            "answer": observation.answer,
            "metadata": metadata,
        }
        return {"observation": shown, "reward": reward, "done": self.state["done"], "metadata": metadata}


NO_EPISODE: Json = {"episode_id": None, "step_count": 0, "task": None, "seed": None, "done": False}
"""The state of a session before its first episode."""


def _task(tasks: list[dict[str, str]], index: object) -> dict[str, str]:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(tasks):
        raise UsageError(f"index is {index!r}; it must be a whole number from 0 to {len(tasks) - 1}")
    return tasks[index]


class Routes:
    """What the server answers."""

    def __init__(self, desktops: Desktops, idle_seconds: float) -> None:
        self._desktops, self._idle = desktops, idle_seconds
        self._shared: Session | None = None
        self._state = NO_EPISODE
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None

    def application(self) -> Starlette:
        """The routes as an application."""
        listed = f"/{NAME}"
        routes: list[Route | WebSocketRoute] = [
            Route("/health", _fixed({"status": "healthy"})),
            Route("/metadata", _fixed(self._metadata())),
            Route("/schema", _fixed(schemas())),
            Route("/openapi.json", _fixed(openapi())),
            Route("/list_environments", _fixed([NAME])),
            Route(f"{listed}/splits", _fixed([{"name": SPLIT, "type": SPLIT}])),
            *(Route(f"{listed}/{name}", self.listing, methods=["POST"]) for name in LISTINGS),
            Route("/reset", self.reset, methods=["POST"]),
            Route("/step", self.step, methods=["POST"]),
            Route("/state", self.state),
            Route("/mcp", self.mcp, methods=["POST"]),
            WebSocketRoute("/ws", self.session),
        ]
        wrong = dict.fromkeys((UsageError, ActionError, DeskbenchError, HTTPException), _refused)
        return Starlette(routes=routes, exception_handlers=wrong)

    def _metadata(self) -> Json:
        count = len(self._desktops.tasks)
        about = f"Desktop tasks ({count}): look at the screen, use mouse and keyboard; the score is the last reward."
        return {"name": NAME, "description": about, "version": version("deskbench")}

    async def session(self, client: WebSocket) -> None:
        """A session by WebSocket; it ends with the connection, and when the client is idle for too long."""
        await client.accept()
        with suppress(WebSocketDisconnect):
            try:
                session = self._desktops.open()
            except Full as full:
                await client.send_json(_error("CAPACITY_REACHED", str(full)))
                return await client.close(1013)
            try:
                last = await self._converse(client, session)
            finally:
                await self._desktops.end(session)
            if last is not None:
                await client.send_json(last)
            await client.close()
        return None

    async def _converse(self, client: WebSocket, session: Session) -> Json | None:
        """Answer a client until it leaves; returns the message to end with."""
        inbox: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)
        reading = asyncio.create_task(self._read(client, inbox, session))
        try:
            while True:
                try:
                    text = await asyncio.wait_for(inbox.get(), self._idle)
                except TimeoutError:
                    return _error("SESSION_ERROR", f"the session was idle for {self._idle:g} s")
                if text is None:
                    raise WebSocketDisconnect
                answer = await self._answer(session, text)
                if answer is None:
                    return None
                await client.send_json(answer)
        finally:
            reading.cancel()

    async def _read(self, client: WebSocket, inbox: asyncio.Queue[str | None], session: Session) -> None:
        """Pass on a client's messages; None once it has gone, which also lets its running call end soon."""
        while (message := await client.receive())["type"] != "websocket.disconnect":
            await inbox.put(message.get("text") or (message.get("bytes") or b"").decode(errors="replace"))
        await self._desktops.do(session.interrupt)
        await inbox.put(None)

    async def _answer(self, session: Session, text: str) -> Json | None:
        """The answer to a message; None if the client ends the session."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            return _error("INVALID_JSON", f"Invalid JSON: {error}")
        try:
            return await _carry(session, message)
        except (UsageError, ActionError) as error:
            return _error("VALIDATION_ERROR", str(error))
        except DeskbenchError as error:
            return _error("EXECUTION_ERROR", str(error))

    async def reset(self, request: Request) -> Response:
        """`POST /reset`: begin an episode in the session that all HTTP requests share."""
        data = await _body(request)
        async with self._lock:
            self._shared = self._shared or self._desktops.open()
            return JSONResponse(await self._carried(self._shared, self._shared.reset(data)))

    async def step(self, request: Request) -> Response:
        """`POST /step`: carry out `action` in that session. `timeout_s` and `request_id` have no effect."""
        data = await _body(request)
        action = data.get("action")
        if not isinstance(action, dict):
            raise ActionError('step: send {"action": {…}}')
        async with self._lock:
            if self._shared is None:
                raise UsageError("there is no episode: POST /reset first")
            return JSONResponse(await self._carried(self._shared, self._shared.step(action)))

    async def _carried(self, session: Session, call: Any) -> Json:
        """The answer of a call; the session ends with its episode, or when no request comes for too long."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            answer: Json = await call
            return answer
        finally:
            self._state = session.state
            if session.state is NO_EPISODE or session.state["done"]:
                self._shared = None
                await self._desktops.end(session)
            else:
                self._timer = asyncio.get_running_loop().call_later(self._idle, self._give_up, session, session.state)

    def _give_up(self, session: Session, state: Json) -> None:
        async def leave() -> None:
            async with self._lock:
                if self._shared is session and session.state is state:
                    self._shared = None
                    await self._desktops.end(session)

        self._leaving = asyncio.create_task(leave())

    async def state(self, request: Request) -> Response:
        """`GET /state`: of the last episode in that session."""
        return JSONResponse(self._state)

    async def listing(self, request: Request) -> Response:
        """The tasks: all, their number, one, or a range."""
        data, tasks = await _body(request), self._desktops.tasks
        if data.get("split") != SPLIT:
            raise UsageError(f"split is {data.get('split')!r}; the only one is {SPLIT!r}")
        match request.url.path.rpartition("/")[2]:
            case "num_tasks":
                return JSONResponse({"num_tasks": len(tasks)})
            case "task":
                return JSONResponse({"task": _task(tasks, data.get("index"))})
            case "task_range":
                start, stop = data.get("start"), data.get("stop")
                if not all(
                    end is None or (isinstance(end, int) and not isinstance(end, bool)) for end in (start, stop)
                ):
                    raise UsageError("start and stop must be whole numbers or null")
                return JSONResponse({"tasks": tasks[start:stop]})
        return JSONResponse({"tasks": tasks, "env_name": NAME})

    async def mcp(self, request: Request) -> Response:
        """`POST /mcp`: errors of JSON-RPC, since there are no MCP tools."""
        try:
            return JSONResponse(rpc(json.loads(await _read_body(request))))
        except (ValueError, RecursionError):
            return JSONResponse(_rpc_error(NO_JSON, "the body is not JSON", None))


LISTINGS = ("tasks", "num_tasks", "task", "task_range")


async def _carry(session: Session, message: object) -> Json | None:
    """The answer to a message; None if the client ends the session.

    Raises:
        UsageError, ActionError, EnvError, CheckError: as `Session`.
    """
    if not isinstance(message, dict) or not isinstance(data := message.get("data", {}), dict):
        raise UsageError('a message is {"type": …, "data": {…}}')
    match message.get("type"):
        case "reset":
            return {"type": "observation", "data": await session.reset(data)}
        case "step":
            return {"type": "observation", "data": await session.step(data)}
        case "state":
            return {"type": "state", "data": session.state}
        case "mcp":
            return {"type": "mcp", "data": rpc(data)}
        case "close":
            return None
        case other:
            return _error("UNKNOWN_TYPE", f"unknown message type {other!r}; known: reset, step, state, close")


async def _read_body(request: Request) -> bytes:
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > MOST_BYTES:
            raise HTTPException(413, f"the request is longer than {MOST_BYTES} bytes")
    return bytes(read)


async def _body(request: Request) -> Json:
    try:
        value = json.loads(await _read_body(request) or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return value


async def _refused(request: Request, error: Exception) -> Response:
    """An error as an answer: 422 for the client's mistakes, 503 for what failed here."""
    if isinstance(error, HTTPException):
        return JSONResponse({"detail": error.detail}, error.status_code)
    return JSONResponse({"detail": str(error)}, 422 if isinstance(error, UsageError | ActionError) else 503)


def _fixed(value: Any) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return JSONResponse(value)

    return answer


def _error(code: str, text: str) -> Json:
    return {"type": "error", "data": {"message": text, "code": code}}


def rpc(value: object) -> Json:
    """The answer to a request of JSON-RPC 2.0: an error, since there are no methods."""
    if not isinstance(value, dict):
        return _rpc_error(INVALID_REQUEST, "a request is an object", None)
    number = value.get("id")
    known = number if isinstance(number, str | int) else None
    if value.get("jsonrpc") != "2.0" or not isinstance(value.get("method"), str):
        return _rpc_error(INVALID_REQUEST, 'a request has jsonrpc "2.0", a method and an id', known)
    return _rpc_error(NO_METHOD, f"there is no method {value['method']}: use reset and step at /ws", known)


def _rpc_error(code: int, text: str, number: str | int | None) -> Json:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}


def schemas() -> Json:
    """JSON schemas of actions, observations and states."""
    text, number, either = {"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}
    pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    one = [action_schema(name, kind) for name, kind in ACTION_TYPES.items()]
    several = {"type": "object", "properties": {"actions": {"type": "array", "items": {"oneOf": one}}}}
    reply = {"type": "object", "properties": {"text": text}, "required": ["text"], "description": "A model's reply."}
    shown = {
        "instruction": text, "screenshot": {**either, "contentEncoding": "base64", "contentMediaType": "image/png"},
        "size": pair, "cursor": pair, "step": number, "problem": either, "errors": {"type": "array", "items": text},
        "answer": either, "metadata": {"type": "object"},
    }  # fmt: skip
    state = {"episode_id": either, "step_count": number, "task": either, "seed": {"type": ["integer", "null"]},
             "done": {"type": "boolean"}}  # fmt: skip
    return {
        "action": {"oneOf": [*one, {**several, "required": ["actions"]}, reply]},
        "observation": {"type": "object", "properties": shown, "required": list(shown)},
        "state": {"type": "object", "properties": state, "required": list(state)},
    }


def action_schema(name: str, kind: type) -> Json:
    """The JSON schema of a kind of action."""
    found = TypeAdapter(kind).json_schema()
    properties = {"type": {"const": name}, **found.get("properties", {})}
    return {**found, "properties": properties, "required": ["type", *found.get("required", [])]}


def openapi() -> Json:
    """The routes as OpenAPI 3.1."""
    told = {"200": {"description": "JSON"}}
    gets = ("/health", "/metadata", "/schema", "/state", "/list_environments", f"/{NAME}/splits")
    posts = ("/reset", "/step", "/mcp", *(f"/{NAME}/{name}" for name in LISTINGS))
    body = {"content": {"application/json": {"schema": {"type": "object"}}}}
    paths: Json = {path: {"get": {"responses": told}} for path in gets}
    paths |= {path: {"post": {"requestBody": body, "responses": told}} for path in posts}
    return {"openapi": "3.1.0", "info": {"title": NAME, "version": INTERFACE}, "paths": paths}


class Guard:
    """Lets no page of a browser in, and if there is a token only who presents it (`Authorization: Bearer`)."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._bearer = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or connection (ASGI 3)."""
        refused = self._refusal(Headers(scope=scope), scope["server"][0])
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refused)
        else:
            await refused(scope, receive, send)

    def _refusal(self, headers: Headers, address: str) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not names_us(hosts[0], address) or "origin" in headers:
            return PlainTextResponse("403 Forbidden\n", 403)
        given = headers.get("authorization", "").encode()
        if self._bearer is not None and not hmac.compare_digest(given, self._bearer):
            return PlainTextResponse("401 Unauthorized\n", 401, {"WWW-Authenticate": "Bearer"})
        return None


class _Uvicorn(uvicorn.Server):
    """Also ends running calls when it ends, which would keep it waiting."""

    def __init__(self, config: uvicorn.Config, desktops: Desktops) -> None:
        super().__init__(config)
        self._desktops = desktops

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._desktops.stop()
        await super().shutdown(sockets)


class Server:
    """A server that is bound, and serves in `serve` until it is stopped or interrupted; then no desktop is left.

    Args:
        task, settings: as for `deskbench.Env`; an episode that has no score is masked.
        sessions: how many there may be at once.
        host, port: where to listen; the port 0 picks a free one.
        idle_seconds: how long a session may send nothing.

    Attributes:
        address: its URL.
        token: what clients must present as `Authorization: Bearer`; None on loopback.

    Raises:
        UsageError, StorageError: as `Env`; or the provider cannot have that many desktops.
        OSError: the address is in use.
    """

    def __init__(
        self,
        task: str | Path,
        settings: Settings,
        *,
        sessions: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        try:
            self.desktops = Desktops(task, sessions, settings)
        except BaseException:
            self._socket.close()
            raise
        bound = self._socket.getsockname()
        self.token = None if is_loopback(bound[0]) else secrets.token_urlsafe(24)
        self.address = f"http://{f'[{host}]' if family == socket.AF_INET6 else host}:{bound[1]}"
        app = Guard(Routes(self.desktops, idle_seconds).application(), self.token)
        self._server = _Uvicorn(
            uvicorn.Config(
                app, ws=WebSocketsSansIOProtocol, ws_max_size=MOST_BYTES, lifespan="off", log_config=None,
                log_level="error", access_log=False, server_header=False, proxy_headers=False,
                limit_concurrency=CONNECTIONS + sessions, timeout_graceful_shutdown=LEAVE_SECONDS,
            ),
            self.desktops,
        )  # fmt: skip

    def serve(self) -> None:
        """Serve until stopped or interrupted."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Let `serve` return soon; may be called from any thread."""
        self._server.should_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.desktops.close()
