"""Our own control routes: health, commands, windows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deskbench.envs.server import commands
from deskbench.envs.server.http import HttpError, Request, Response, Route, json_response

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk

MAX_SECONDS = 3600.0


def routes(desk: Desk) -> list[Route]:
    """The routes, bound to a desktop."""

    def health(request: Request) -> Response:
        return json_response(dataclasses.asdict(desk.health()))

    def windows(request: Request) -> Response:
        return json_response(desk.windows.listing())

    def window(request: Request) -> Response:
        body = request.json()
        acts = {"activate": desk.windows.activate, "close": desk.windows.close}
        if body.get("action") not in acts or not isinstance(body.get("name"), str):
            raise HttpError(400, "a window request has an action (activate or close) and a name")
        flags = {key: bool(body.get(key)) for key in ("strict", "by_class")}
        acts[body["action"]](body["name"], **flags)
        return json_response({})

    return [
        Route("GET", "/v1/health", health, "agent"),
        Route("POST", "/v1/run", run),
        Route("GET", "/v1/windows", windows),
        Route("POST", "/v1/window", window),
    ]


def run(request: Request) -> Response:
    """`POST /v1/run`."""
    body = request.json()
    seconds = body.get("timeout", 120.0)
    if not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS:
        raise HttpError(400, f"timeout is {seconds!r}; it must be seconds up to {MAX_SECONDS:g}")
    parts = commands.argv(body.get("command"), shell=bool(body.get("shell")))
    try:
        done = commands.run(parts, timeout=seconds, cwd=body.get("cwd"))
    except commands.CommandTimeout as error:
        raise HttpError(504, str(error)) from None
    except OSError as error:
        raise HttpError(400, f"cannot run {parts[0]!r}: {error.strerror or error}") from None
    return json_response(dataclasses.asdict(done))
