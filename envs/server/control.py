"""Our own control routes: health, commands, windows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deskbench.envs.server import commands
from deskbench.envs.server.http.limits import MAX_SECONDS
from deskbench.envs.server.http.server import HttpError, Request, Response, Route, flag, json_response, number, text

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk


def routes(desk: Desk) -> list[Route]:
    """The routes, bound to a desktop."""

    def health(request: Request) -> Response:
        return json_response(dataclasses.asdict(desk.health()))

    def windows(request: Request) -> Response:
        return json_response(desk.windows.listing())

    def settlings(request: Request) -> Response:
        return json_response(dataclasses.asdict(desk.films.shown()))

    def window(request: Request) -> Response:
        body = request.json()
        acts = {"activate": desk.windows.activate, "close": desk.windows.close}
        action, name = text(body, "action"), text(body, "name")
        if action not in acts:
            raise HttpError(400, "a window request needs an action (activate or close) and a name")
        acts[action](name, strict=flag(body, "strict"), by_class=flag(body, "by_class"))
        return json_response({})

    return [
        Route("GET", "/v1/health", health, "agent"),
        Route("POST", "/v1/run", run),
        Route("GET", "/v1/windows", windows, watch=desk.watch),
        Route("GET", "/v1/settlings", settlings),
        Route("POST", "/v1/window", window, watch=desk.watch),
    ]


def run(request: Request) -> Response:
    """`POST /v1/run`."""
    body = request.json()
    seconds = number(body, "timeout", 120.0, MAX_SECONDS)
    parts = commands.argv(body.get("command"), shell=flag(body, "shell"))
    try:
        done = commands.run(parts, timeout=seconds, cwd=text(body, "cwd", "") or None)
    except commands.CommandTimeout as error:
        raise HttpError(504, str(error)) from None
    except OSError as error:
        raise HttpError(400, f"cannot run {parts[0]!r}: {error.strerror or error}") from None
    return json_response(dataclasses.asdict(done))
