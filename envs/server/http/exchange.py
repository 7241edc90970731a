"""One request and its answer, as the routes see them."""

from __future__ import annotations

import json
import math
import re
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deskbench.envs.server.http.limits import MAX_ERROR, MAX_PARTS
from deskbench.envs.wire import WireError, loads


class HttpError(Exception):
    """An answer with a status of 400 or more, and one line that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(" ".join(message.split())[:MAX_ERROR])
        self.status = status


@dataclass(frozen=True)
class Request:
    """One complete request, with header names written like `Content-Type`."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    role: str = "control"

    def json(self) -> dict[str, Any]:
        """The body as a JSON object, with finite numbers of 64 bits and text that is Unicode.

        Raises:
            HttpError: 400, it is something else.
        """
        try:
            value = loads(self.body or b"{}")
        except WireError as error:
            raise HttpError(400, f"the body is not JSON that the server accepts: {error}") from None
        if not isinstance(value, dict):
            raise HttpError(400, "the body is not a JSON object")
        return value

    def form(self) -> dict[str, str]:
        """The text fields of a urlencoded or multipart body.

        Raises:
            HttpError: 400, it is neither.
        """
        if self.headers.get("Content-Type", "").startswith("multipart/"):
            return {k: v.decode("utf-8", "replace") for k, (v, name) in self.multipart().items() if name is None}
        try:
            text = self.body.decode()
            return dict(urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARTS))
        except ValueError as error:
            raise HttpError(400, f"the body is not a form: {error}") from None

    def multipart(self) -> dict[str, tuple[bytes, str | None]]:
        """The parts of a multipart body: name to (bytes, file name or None).

        Raises:
            HttpError: 400, not a multipart body.
        """
        kind = self.headers.get("Content-Type", "")
        boundary = _BOUNDARY.search(kind)
        if not kind.startswith("multipart/form-data") or boundary is None:
            raise HttpError(400, "the body is not multipart/form-data")
        return _parts(self.body, (boundary[1] or boundary[2]).encode("latin-1"))


_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\\]{1,200})"|([^\s";,]{1,200}))')
_NAME = re.compile(rb'content-disposition:[^\r\n]*?;\s*name="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)
_FILE = re.compile(rb"content-disposition:[^\r\n]*?;\s*filename(\*?)=(\"?)([^\"\r\n;]*)", re.IGNORECASE)


def _parts(body: bytes, boundary: bytes) -> dict[str, tuple[bytes, str | None]]:
    """Parse a body by RFC 7578. The standard library's mail parser accepts nested parts and takes five times the
    memory.
    """
    mark = b"\r\n--" + boundary
    at = len(boundary) + 2 if body.startswith(mark[2:]) else len(body)
    parts: dict[str, tuple[bytes, str | None]] = {}
    for _ in range(MAX_PARTS):
        if body[at : at + 2] == b"--":
            return parts
        begin, end = body.find(b"\r\n\r\n", at), body.find(mark, at)
        if not at < begin < end:
            break
        name, file = _NAME.search(body, at, begin + 2), _FILE.search(body, at, begin + 2)
        if name is not None:
            title = file[3].decode("utf-8", "replace") if file else None
            parts[name[1].decode("utf-8", "replace")] = (body[begin + 4 : end], title)
        at = end + len(mark)
    raise HttpError(400, f"the body is not multipart/form-data of at most {MAX_PARTS - 1} parts")


# -- what a JSON body's fields may be ---------------------------------------------------------------------------------


def text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text field without NUL, which no file name or system command can hold.

    Raises:
        HttpError: 400, it is something else, or it is missing and has no default.
    """
    value = body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or "\0" in value:
        raise HttpError(400, f"{name} is {_shown(value)}; it must be text without NUL")
    return value


def number(body: Mapping[str, Any], name: str, default: float, most: float) -> float:
    """A number field above 0 and at most `most`, possibly written as text; the default if it is missing.

    Raises:
        HttpError: 400, it is something else.
    """
    value = body.get(name) or default
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (ValueError, TypeError, OverflowError):
        found = math.nan
    if not 0 < found <= most:
        raise HttpError(400, f"{name} is {_shown(value)}; it must be a number above 0, at most {most:g}")
    return found


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Whether a field is true, or the text that OSWorld's clients send for it."""
    return body.get(name) in (True, "true", "True")


def _shown(value: object) -> str:
    return json.dumps(value)[:100]


# -- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    takeover: Callable[[socket.socket], None] | None = None
    """With status 101: takes over the connection, which closes when this returns."""


def json_response(value: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(value).encode(), "application/json")


def text_response(text: str, status: int = 200) -> Response:
    """An answer in plain text, labelled `text/html` as Flask does, because OSWorld's client expects that."""
    return Response(status, text.encode("utf-8", "replace"), "text/html; charset=utf-8")


@dataclass(frozen=True)
class Route:
    """Who may call what. `role` is `agent` (either token) or `control` (the control token).

    `watch` can end the request from outside while its handler hangs.
    """

    method: str
    path: str
    handler: Callable[[Request], Response]
    role: str = "control"
    watch: Watch | None = None


class Watch:
    """What a handler depends on. This base class never reports trouble."""

    def trouble(self) -> str:
        """Why the handler cannot work now, in a few words; empty if it can."""
        return ""

    def enter(self, abandon: Callable[[str], None]) -> object:
        """A handler begins. If it must give up, another thread calls `abandon` with the reason."""
        return None

    def leave(self, token: object) -> None:
        """The handler for which `enter` returned this token has ended."""
