"""The live pages: a small server on loopback that reads run folders while runs are in progress.

It answers only GET and changes nothing in a run. `guard` says who may read.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from deskbench.agent.report.catalog import Catalog, ShownRun
from deskbench.agent.report.comparing import Comparisons
from deskbench.agent.report.frames import find_film, read_difference, read_frame, read_tree, webp
from deskbench.agent.report.guard import Guard, is_loopback
from deskbench.agent.report.index import Index
from deskbench.agent.report.page import application, page_json
from deskbench.agent.report.reading import boxes
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.offers import offered
from deskbench.envs.errors import UsageError

CONNECTIONS = 64
"""Connections at once; the requests of further ones are refused (503). A browser uses six."""
REQUEST_SECONDS = 10.0
"""Limit from the first byte of a request, or from the connection, to the end of its headers."""
LOOK_SECONDS = 1.0
"""Time between two looks at a run that a page shows."""
READ_SECONDS = 0.5
"""How long one answer may read episodes that are new; the page asks again for the rest."""
MOST_STEPS = 10**6
THUMBNAIL = 320
"""Width of the small pictures in pixels."""
THUMBNAILS = 4000
"""Small pictures to keep in memory; one has about 2 kB."""
SCREEN = 800
"""Width of the pictures in the grid of live desktops in pixels."""
SCREENS = 64
"""Of them to keep in memory; one has about 10 kB."""
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""For what is named by the hash of its content (RFC 8246)."""
_PAGE_POLICY = "frame-ancestors 'none'"
"""The page contains the rest of its policy; this directive only works in a header (CSP level 3, 6.4.2)."""


class Pages:
    """The routes. A client's text never becomes a path: it names runs and episodes by hashes, which we look up."""

    def __init__(self, catalog: Catalog, stop: asyncio.Event, *, take_over: bool = False) -> None:
        self._catalog = catalog
        self._take_over = take_over
        self._stop = stop
        self._comparisons = Comparisons()
        self._page = application(None, {}, live=True)
        self._small = lru_cache(THUMBNAILS)(partial(_small, width=THUMBNAIL))
        self._screen = lru_cache(SCREENS)(partial(_small, width=SCREEN))

    def routes(self) -> list[Route]:
        """All routes."""
        episode = "/api/runs/{run}/episodes/{episode}"
        return [
            Route("/", self.page),
            Route("/api/runs", self.runs),
            Route("/api/runs/{run}", self.run),
            Route("/api/compare/{runs}", self.compare),
            Route("/api/runs/{run}/episodes", self.episodes),
            Route("/api/runs/{run}/events", self.events),
            Route("/api/runs/{run}/desktops", self.desktops),
            Route("/api/runs/{run}/differences/{step:int}.png", self.difference),
            Route(episode, self.episode),
            Route(f"{episode}/frames/{{name}}.png", self.frame),
            Route(f"{episode}/thumbnails/{{name}}.webp", self.thumbnail),
            Route(f"{episode}/screens/{{name}}.webp", self.screen),
            Route(f"{episode}/video.mp4", self.video),
            Route(f"{episode}/trees/{{name}}", self.tree),
        ]

    def page(self, request: Request) -> Response:
        """The application."""
        return Response(self._page, 200, {"Content-Security-Policy": _PAGE_POLICY}, "text/html")

    def runs(self, request: Request) -> Response:
        """The heads of all runs; `pending` of them are still to be read."""
        heads, pending = self._catalog.heads(READ_SECONDS)
        return _json({"runs": heads, "pending": pending})

    def run(self, request: Request) -> Response:
        """The head of a run."""
        found = self._found(request)
        if found is None:
            return _nothing()
        if not found.read:
            found.refresh(READ_SECONDS)
        try:
            return _json(found.head(wait=False))
        except UsageError as error:
            return _json({"id": found.id, "name": found.folder.path.name, "broken": str(error)})

    def compare(self, request: Request) -> Response:
        """The comparison of runs, their names joined by `+`, each later one with the first."""
        found = [self._catalog.run(name) for name in request.path_params["runs"].split("+")]
        runs = [run for run in found if run is not None]
        return _json(self._comparisons.of(runs)) if len(runs) == len(found) else _nothing()

    def episodes(self, request: Request) -> Response:
        """The rows of a run's episodes, or those that changed since the token `since`."""
        found = self._found(request)
        if found is None:
            return _nothing()
        pending = found.refresh(READ_SECONDS)
        return _json({**found.rows(request.query_params.get("since", "")), "pending": pending})

    def episode(self, request: Request) -> Response:
        """Everything about an episode."""
        found = self._found(request)
        shown = found.episode(request.path_params["episode"]) if found else None
        return _nothing() if shown is None else _json(shown)

    def frame(self, request: Request) -> Response:
        """A screenshot."""
        place = self._place(request)
        data = read_frame(place, request.path_params["name"]) if place else None
        return Response(data, 200, _FOREVER, "image/png") if data else _nothing()

    def difference(self, request: Request) -> Response:
        """Both screens where a replay first differs from the recorded episode."""
        found = self._found(request)
        step = request.path_params["step"]
        data = read_difference(found.folder, step) if found and step < MOST_STEPS else None
        return Response(data, 200, None, "image/png") if data else _nothing()

    def thumbnail(self, request: Request) -> Response:
        """A screenshot, made small."""
        place = self._place(request)
        data = self._small(place, request.path_params["name"]) if place else None
        return Response(data, 200, _FOREVER, "image/webp") if data else _nothing()

    def screen(self, request: Request) -> Response:
        """A screenshot for the grid of live desktops."""
        place = self._place(request)
        data = self._screen(place, request.path_params["name"]) if place else None
        return Response(data, 200, _FOREVER, "image/webp") if data else _nothing()

    def video(self, request: Request) -> Response:
        """The film of an episode; browsers ask for ranges of it (RFC 9110, 14)."""
        place = self._place(request)
        film = find_film(place) if place else None
        return FileResponse(film, media_type="video/mp4") if film else _nothing()

    def desktops(self, request: Request) -> Response:
        """Where each running desktop can be taken over, by its episode, if the user allowed it for run and pages."""
        found = self._found(request)
        if found is None:
            return _nothing()
        places = found.running() if self._take_over else {}
        addresses = {name: offered(place.path) for name, place in places.items()}
        return _json({name: address for name, address in addresses.items() if address})

    def tree(self, request: Request) -> Response:
        """The elements of an accessibility tree that have a place on the screen."""
        place = self._place(request)
        text = read_tree(place, request.path_params["name"]) if place else None
        return _nothing() if text is None else _json(boxes(text), _FOREVER)

    async def events(self, request: Request) -> Response:
        """Server-sent events: the run's token whenever something in it has changed."""
        found = self._found(request)
        return _nothing() if found is None else StreamingResponse(self._changes(found), 200, {}, "text/event-stream")

    async def _changes(self, run: ShownRun) -> AsyncIterator[str]:
        told = ""
        while not self._stop.is_set():
            await run_in_threadpool(run.refresh, READ_SECONDS)
            state = f"{run.token()} {run.stamp()} {run.going}"
            if state != told:
                told = state
                yield f"data: {run.token()}\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    def _found(self, request: Request) -> ShownRun | None:
        return self._catalog.run(request.path_params["run"])

    def _place(self, request: Request) -> EpisodeFolder | None:
        found = self._found(request)
        return found.place(request.path_params["episode"]) if found else None


def _small(place: EpisodeFolder, name: str, *, width: int) -> bytes | None:
    data = read_frame(place, name)
    return webp(data, width) if data else None


def _json(value: object, headers: dict[str, str] | None = None) -> Response:
    return Response(page_json(value), 200, headers, "application/json")


def _nothing(*_: object) -> Response:
    return PlainTextResponse("404 Not Found\n", 404)


class Server:
    """A server that is bound, and serves in `serve` until `stop`.

    Args:
        folders: run folders, and folders of runs.
        host: the address to listen on.
        port: the port; 0 picks a free one.
        index: the file of the index; None keeps it in memory.
        request_seconds: how long a client may take to send a request.
        take_over: offer the desktops of runs that allow it; the pages then need a token on every address.

    Raises:
        OSError: the address is in use.
        UsageError: a folder is no run and holds none.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        index: Path | None = None,
        request_seconds: float = REQUEST_SECONDS,
        take_over: bool = False,
    ) -> None:
        self._index = Index(index)
        catalog = Catalog(folders, self._index)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        address = self._socket.getsockname()
        open_ = is_loopback(address[0]) and not take_over
        self.token = None if open_ else secrets.token_urlsafe(24)
        self._stop = asyncio.Event()
        pages = Pages(catalog, self._stop, take_over=take_over)
        app = Starlette(routes=pages.routes(), exception_handlers={404: _nothing})
        app.router.redirect_slashes = False
        protocol = type("Protocol", (_Protocol,), {"request_seconds": request_seconds})
        config = uvicorn.Config(
            Guard(app, self.token), http=protocol, ws="none", lifespan="off", log_config=None,
            server_header=False, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=1, timeout_keep_alive=30,
            proxy_headers=False, log_level="critical", access_log=False,
        )  # fmt: skip
        self._server = _Uvicorn(config, self._stop)
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{address[1]}"

    @property
    def link(self) -> str:
        """The address to open, with the token if one is needed."""
        return self.address + ("/" if self.token is None else f"/?token={self.token}")

    def serve(self) -> None:
        """Serve until stopped or interrupted."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Let `serve` return soon; may be called from any thread."""
        self._server.should_exit = True

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._index.close()


class _Uvicorn(uvicorn.Server):
    """Also ends the streams of events when it ends, which would keep it waiting."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        await super().shutdown(sockets)


class _Protocol(H11Protocol):
    """Closes the connection of a client that sends its request too slowly, however often a byte arrives."""

    request_seconds = REQUEST_SECONDS

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._slow: asyncio.TimerHandle | None = self.loop.call_later(self.request_seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._slow is None and (self.cycle is None or self.cycle.response_complete):
            self._slow = self.loop.call_later(self.request_seconds, self.transport.close)
        super().data_received(data)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._in_time()

    def _in_time(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None


def serve(
    folders: Sequence[Path],
    host: str,
    port: int,
    ready: Callable[[str], None],
    index: Path | None,
    *,
    take_over: bool = False,
) -> None:
    """Serve until interrupted; calls `ready` with the address to open.

    Raises:
        OSError: the address is in use.
        UsageError: a folder is no run and holds none.
    """
    with Server(folders, host, port, index=index, take_over=take_over) as server:
        ready(server.link)
        server.serve()
