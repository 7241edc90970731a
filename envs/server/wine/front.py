"""The front of a Windows desktop: answers the controller from outside Wine, under an id that no Windows program has.

Only the front knows the controller's tokens. It reads files and folders itself, from the prefix, so no Windows program
can falsify them. It passes everything else to the server inside Wine, with tokens that are valid only there.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import socket
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

from deskbench.envs import wait
from deskbench.envs.server import files, tunnel
from deskbench.envs.server.http.server import HttpError, Request, Response, Route, json_response

PORT = 5000
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 3700.0
MAX_ANSWER = 2**30
HOME = "C:\\users\\user"
VARIABLES = {
    "USERPROFILE": HOME, "HOMEDRIVE": "C:", "HOMEPATH": HOME[2:], "PUBLIC": "C:\\users\\Public",
    "APPDATA": HOME + "\\AppData\\Roaming", "LOCALAPPDATA": HOME + "\\AppData\\Local",
    "TEMP": HOME + "\\AppData\\Local\\Temp", "TMP": HOME + "\\AppData\\Local\\Temp", "USERNAME": "user",
    "PROGRAMDATA": "C:\\ProgramData", "PROGRAMFILES": "C:\\Program Files", "SYSTEMDRIVE": "C:",
    "SYSTEMROOT": "C:\\windows", "WINDIR": "C:\\windows",
}  # fmt: skip
"""The variables that Wine sets for its user."""


class Behind:
    """The server inside Wine.

    Args:
        port: the loopback port where it listens.
    """

    def __init__(self, port: int = PORT) -> None:
        self._port = port
        self.tokens = {name: secrets.token_urlsafe(32) for name in ("agent_token", "control_token")}

    def ask(self, request: Request) -> Response:
        """Pass a request on; returns the answer.

        Raises:
            HttpError: 502, it does not answer, or not in HTTP.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        connection.sock = self._connect()
        try:
            connection.request(request.method, request.path, request.body, self._headers(request))
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise HttpError(502, f"the server inside Wine: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if len(body) > MAX_ANSWER:
            raise HttpError(502, f"the server inside Wine answers with more than {MAX_ANSWER} bytes")
        return Response(answer.status, body, answer.headers.get("Content-Type", "application/octet-stream"))

    def _headers(self, request: Request) -> dict[str, str]:
        kept = {name: request.headers[name] for name in ("Content-Type",) if name in request.headers}
        token = self.tokens["agent_token" if request.role == "agent" else "control_token"]
        return {**kept, "Authorization": f"Bearer {token}"}

    def _connect(self) -> socket.socket:
        address = ("127.0.0.1", self._port)
        try:
            made = wait.retry(
                lambda: socket.create_connection(address, CONNECT_SECONDS), OSError, timeout=CONNECT_SECONDS
            )
        except OSError:
            raise HttpError(502, "the server inside Wine is not running") from None
        made.settimeout(ANSWER_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def routes(prefix: Path) -> list[Route]:
    """The routes that are answered here: files, folders, and connections to ports of the desktop."""
    return [*_files(prefix), *tunnel.routes()]


def others(behind: Behind) -> Route:
    """All other routes. The server inside Wine knows them and who may call them."""
    return Route("*", "*", behind.ask, "agent")


def _files(prefix: Path) -> list[Route]:
    def file(request: Request) -> Response:
        path = request.form().get("file_path")
        if not path:
            raise HttpError(400, "file_path is required")
        return Response(200, files.read(str(located(path, prefix))))

    def listing(request: Request) -> Response:
        path = request.json().get("path")
        if not isinstance(path, str) or not path:
            raise HttpError(400, "path is required")
        return json_response({"directory_tree": files.listing(str(located(path, prefix)))})

    return [Route("POST", "/file", file), Route("POST", "/list_directory", listing)]


def located(path: str, prefix: Path) -> Path:
    """Where Wine keeps the file that Windows knows by this path. Drives are links, and case does not matter.

    Raises:
        HttpError: 404, there is no such drive.
    """
    whole = _expanded(path)
    plain = PureWindowsPath(HOME, whole)
    if not re.fullmatch(r"[A-Za-z]:", plain.drive):
        raise HttpError(404, f"no such drive: {path}")
    where = prefix / "dosdevices" / plain.drive.lower()
    if not where.exists():
        raise HttpError(404, f"no such drive: {path}")
    for part in plain.parts[1:]:
        where = _entry(where, part)
    return where


def _expanded(path: str) -> str:
    path = re.sub(r"%(\w+)%|\$\{(\w+)\}|\$(\w+)", _value, path)
    return HOME + path[1:] if path == "~" or path.startswith(("~/", "~\\")) else path


def _value(found: re.Match[str]) -> str:
    name = next(group for group in found.groups() if group)
    return VARIABLES.get(name.upper(), found[0])


def _entry(folder: Path, name: str) -> Path:
    """A folder's entry by its name in any case; an exact match wins."""
    exact = folder / name
    if name == ".." or os.path.lexists(exact):
        return exact
    same: Callable[[str], bool] = lambda other: other.casefold() == name.casefold()  # noqa: E731
    try:
        return next((folder / other for other in sorted(os.listdir(folder)) if same(other)), exact)  # noqa: PTH208
    except OSError:
        return exact


def tell(tokens: dict[str, str]) -> bytes:
    """A line of tokens, in the form that a server reads from standard input."""
    return json.dumps(tokens).encode() + b"\n"
