"""Who may read the pages: this machine's own browser, or a person who has the token.

A page of another origin cannot read the data: requests are refused that name another host (a name may point to our
address: DNS rebinding) or that a browser marks as coming from another site, and no answer may be framed or embedded.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""For every answer that is not the page. The page has a policy of its own (CSP level 3)."""


class Guard:
    """Refuses what is not a reading request of our own page or of a person, and says how answers may be used.

    Args:
        app: what answers the other requests.
        token: what a client must present, in the address once and then in a cookie; None if everybody may read.
    """

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] == "http":
            answer = self._refusal(scope) or self._login(scope)
            await (answer or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["method"] != "GET":
            return _status(405, "Method Not Allowed", {"Allow": "GET"})
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not names_us(hosts[0], scope["server"][0]):
            return _status(403, "Forbidden")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{hosts[0]}":
            return _status(403, "Forbidden")
        return None if _is_from_here(headers, scope["path"]) else _status(403, "Forbidden")

    def _login(self, scope: Scope) -> Response | None:
        """The answer to a client without the token, or with it in the address; None lets the request through."""
        if self._token is None:
            return None
        cookie = f"deskbench-{scope['server'][1]}"
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._same(given):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(cookie, given, httponly=True, samesite="strict", path="/")
            return answer
        held: SimpleCookie = SimpleCookie()
        try:
            held.load(Headers(scope=scope).get("cookie", ""))
        except CookieError:
            return _status(401, "Unauthorized")
        known = cookie in held and self._same(held[cookie].value)
        return None if known else _status(401, "Unauthorized")

    def _same(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())


def _is_from_here(headers: Headers, path: str) -> bool:
    """Whether the browser reports no other site as the source (W3C Fetch Metadata); links may come from one."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return True
    return path == "/" and (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")


def _status(code: int, phrase: str, headers: dict[str, str] | None = None) -> Response:
    """Only the status: the answer repeats nothing from the request."""
    return PlainTextResponse(f"{code} {phrase}\n", code, {"Connection": "close", **(headers or {})})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("Content-Security-Policy", _DATA_POLICY)
        await send(message)

    return sending


def names_us(host: str, address: str) -> bool:
    """Whether a Host header names this server: a loopback name if it listens on loopback, else an address or this
    machine's name. Any other name may be a stranger's that points to us. The port may differ, because of a tunnel.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?", host)
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    try:
        named = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or (not is_loopback(address) and name == socket.gethostname().lower())
    return named.is_loopback or not is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of this machine alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
