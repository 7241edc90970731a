"""A desktop over HTTP: `Desktop` for whatever answers the protocol, through TCP or a Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager

from deskbench.envs import wait
from deskbench.envs.desktop import CommandResult, Window
from deskbench.envs.errors import EnvError, GuestError, GuestTimeout, GuestUnreachable, NotThere, UsageError
from deskbench.envs.pipe import splice
from deskbench.envs.relay import Relay
from deskbench.envs.types import Action, Exec, Observation, Screenshot, Type, Wait
from deskbench.envs.wire import MAX_BODY, Health, Observe, Seen, StepReply, StepRequest, WireError, decode, parse_policy

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""Beyond what the request itself may take (its waits, its settling, its command); `Client.answer_seconds` at first."""
SETTLE_SECONDS = 12.0
TRIES = 3
"""Times that a request is sent, with the same id, when no answer came: the server carries it out once."""
_CHUNK = 1 << 20


Connect = Callable[[], socket.socket]
"""Makes a connected stream socket to the server in a desktop.

Raises:
    OSError: it cannot be reached.
"""


def new_tokens() -> dict[str, str]:
    """Two new bearer tokens, as the server reads them from its standard input."""
    return {"agent_token": secrets.token_urlsafe(32), "control_token": secrets.token_urlsafe(32)}


def unix(path: str) -> Connect:
    """Connects to a Unix socket."""

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(CONNECT_SECONDS)
            made.connect(path)
        except BaseException:
            made.close()
            raise
        return made

    return connect


class _Connection(HTTPConnection):
    def __init__(self, connect: Connect) -> None:
        super().__init__("desktop")
        self._make = connect

    def connect(self) -> None:
        self.sock = self._make()


class _Pool(HTTPConnectionPool):
    def __init__(self, connect: Connect) -> None:
        super().__init__("desktop", maxsize=4)
        self._make = connect

    def _new_conn(self) -> HTTPConnection:
        return _Connection(self._make)


class _Adapter(HTTPAdapter):
    """Sends everything through sockets that `connect` makes, whatever the URL's host says."""

    def __init__(self, connect: Connect) -> None:
        self._pool = _Pool(connect)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.poolmanager = PoolManager()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()


class Client:
    """The `Desktop` protocol over HTTP.

    Args:
        name: for logs and errors.
        base_url: `http://host:port`; with `connect` its host means nothing.
        token: sent as a bearer token; the control token for a harness.
        connect: makes the sockets, where the desktop is not behind an address of this machine's network.
    """

    def __init__(
        self, name: str, base_url: str = "http://desktop", *, token: str | None = None, connect: Connect | None = None
    ) -> None:
        self.name = name
        self.answer_seconds = ANSWER_SECONDS
        self._base = base_url.rstrip("/")
        self.address = None if connect is not None else self._base
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy of the person's must not see a desktop's traffic
        self._http.headers.clear()  # each costs time on both ends
        self._prepared: dict[tuple[str, str], requests.PreparedRequest] = {}
        if connect is not None:
            self._http.mount("http://", _Adapter(connect))
        if token is not None:
            self._http.headers["Authorization"] = f"Bearer {token}"
        self._frame: Screenshot | None = None
        self._connect = connect
        self._forwards: dict[int, Forward] = {}
        self._exposed: list[Forward] = []
        self._relay: Relay | None = None

    def close(self) -> None:
        """Close the connections; the desktop goes on."""
        for forward in (*self._forwards.values(), *self._exposed):
            forward.close()
        if self._relay is not None:
            self._relay.close()
        self._http.close()

    # -- other connections ----------------------------------------------------------------------------------------

    def forward(self, port: int) -> str:
        """Where a port of the desktop's loopback can be reached on this machine: `127.0.0.1:PORT`, while this lives."""
        if port not in self._forwards:
            self._forwards[port] = Forward(lambda: self.upgrade("/v1/tunnel", {"port": port}))
        return self._forwards[port].address

    def expose(self, port: int = 0) -> str:
        """Where the desktop's server can be reached on this machine, too, while this lives: `127.0.0.1:PORT`.

        Raises:
            UsageError: the port is taken.
        """
        try:
            self._exposed.append(Forward(self._connect or (lambda: _dial(self._base)), port))
        except OSError as error:
            raise UsageError(f"port {port} cannot be listened at: {error.strerror or error}") from None
        return self._exposed[-1].address

    def allow(self, entries: Sequence[str]) -> None:
        """Let the desktop's programs reach these names of the network, and no others (`envs.relay`).

        Raises:
            UsageError: an entry cannot be read.
            GuestUnreachable: the server cannot be reached, or was not started with `--proxy`.
        """
        try:
            self._relay = Relay(entries, lambda: self.upgrade("/v1/relay", {}))
        except OSError as error:
            raise GuestUnreachable(str(error)) from None

    def upgrade(self, path: str, body: Mapping[str, Any]) -> socket.socket:
        """A connection that the server has made into another one (status 101).

        Raises:
            OSError: it cannot be reached, or refused; with what it said.
        """
        made = self._connect() if self._connect is not None else _dial(self._base)
        try:
            data = json.dumps(body).encode()
            head = [f"POST {path} HTTP/1.1", "Host: desktop", f"Content-Length: {len(data)}"]
            head += [f"{name}: {value!s}" for name, value in self._http.headers.items()]
            made.sendall("\r\n".join([*head, "", ""]).encode() + data)
            made.settimeout(self.answer_seconds)
            answer = b""
            while not answer.endswith(b"\r\n\r\n") and len(answer) < 4096:  # what follows is not ours to read
                part = made.recv(1)
                if not part:
                    raise ConnectionError(f"{self.name}: {path}: the connection ended")
                answer += part
            if b" 101 " not in answer.split(b"\r\n")[0]:
                said = made.recv(4096).decode("utf-8", "replace")
                raise ConnectionError(f"{self.name}: {path}: {answer.split(maxsplit=2)[1].decode()}: {said[:300]}")
            made.settimeout(None)
        except BaseException:
            made.close()
            raise
        return made

    # -- looking and acting ---------------------------------------------------------------------------------------

    def health(self) -> Health:
        """What works here and what does not."""
        value = self._json(self._send("GET", "/v1/health", timeout=self.answer_seconds))
        try:
            health = decode(Health, value, "health")
        except WireError as error:
            raise GuestError(f"{self.name}: {error}") from None
        assert isinstance(health, Health)
        return health

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        """Carry the actions out and observe, in one round trip."""
        return self._step("/v1/step", tuple(actions), observe or Observe())

    def observe(self, observe: Observe | None = None) -> Observation:
        """Look without acting."""
        return self._step("/v1/observe", (), observe or Observe())

    def _step(self, path: str, actions: tuple[Action, ...], observe: Observe) -> Observation:
        if self._frame is not None and observe.unless is None and observe.screenshot:
            observe = Observe(**{**vars(observe), "unless": self._frame.sha256})
        request = StepRequest(uuid.uuid4().hex, actions, observe)
        body = request.to_json()
        if path == "/v1/observe":
            del body["actions"]
        began = time.monotonic()
        answer = self._send(
            "POST", path, timeout=self.answer_seconds + _step_seconds(actions, observe), retry=True, json=body
        )
        try:
            reply, png = StepReply.decode(answer)
        except WireError as error:
            raise GuestError(f"{self.name}: {path}: {error}") from None
        if reply.id != request.id or (reply.seen is None) != (observe.policy == "none"):
            raise GuestError(f"{self.name}: {path}: the answer is not to this request")
        return self._observation(reply, png, observe, (time.monotonic() - began) * 1e3)

    def _observation(self, reply: StepReply, png: bytes | None, asked: Observe, ms: float) -> Observation:
        results = tuple((r.ok, r.error, r.output) for r in reply.results)
        seen = reply.seen
        if seen is None:
            return Observation(None, 0, 0, act_ms=reply.act_ms, roundtrip_ms=ms, results=results)
        return Observation(
            screenshot=self._picture(seen, png) if asked.screenshot else None,
            width=seen.width,
            height=seen.height,
            cursor=seen.cursor,
            accessibility=seen.accessibility,
            accessibility_complete=seen.accessibility_complete,
            terminal=seen.terminal,
            settled=seen.settled,
            settle_ms=seen.settle_ms,
            capture_ms=seen.capture_ms,
            act_ms=reply.act_ms,
            roundtrip_ms=ms,
            results=results,
            problems=seen.problems,
        )

    def _picture(self, seen: Seen, png: bytes | None) -> Screenshot:
        if png is not None:
            picture = Screenshot.of(png)
            if picture.sha256 != seen.frame:
                raise GuestError(f"{self.name}: the screenshot is not the frame {seen.frame} that the answer names")
            self._frame = picture
            return picture
        if self._frame is None or self._frame.sha256 != seen.frame:
            raise GuestError(f"{self.name}: the answer has no screenshot, and frame {seen.frame} is not known here")
        return self._frame

    # -- set-up and grading ---------------------------------------------------------------------------------------

    def run(
        self, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0, cwd: str | None = None
    ) -> CommandResult:
        """Run a command in the desktop's session to its end."""
        body = {"command": _plain(command), "shell": shell, "timeout": timeout, "cwd": cwd}
        found = self._json(self._send("POST", "/v1/run", timeout=timeout + self.answer_seconds, json=body))
        return CommandResult(int(found["returncode"]), str(found["stdout"]), str(found["stderr"]))

    def launch(self, command: str | Sequence[str], *, shell: bool = False) -> None:
        """Start a program and return when its window is mapped and quiet, or when it is idle without one."""
        self._send(
            "POST", "/v1/launch", timeout=2 * self.answer_seconds, json={"command": _plain(command), "shell": shell}
        )

    def open(self, path: str) -> None:
        """Open a file with its program and return when the window is there."""
        self._send("POST", "/v1/open", timeout=2 * self.answer_seconds, json={"path": path})

    def read_file(self, path: str, *, max_bytes: int = 256 * 2**20) -> bytes:
        """A file's bytes."""
        return self._send("POST", "/file", timeout=600.0, limit=max_bytes, data={"file_path": path}, missing=path)

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file, making its folders."""
        self._send("POST", "/setup/upload", timeout=600.0, data={"file_path": path}, files={"file_data": data})

    def list_directory(self, path: str) -> dict[str, object]:
        """OSWorld's directory tree."""
        found = self._json(self._send("POST", "/list_directory", timeout=60.0, json={"path": path}, missing=path))
        return dict(found["directory_tree"])

    def windows(self) -> list[Window]:
        """The top-level windows, bottom to top."""
        found = json.loads(self._send("GET", "/v1/windows", timeout=self.answer_seconds))
        return [decode(Window, item, "window") for item in found]

    def activate_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Raise and focus a window."""
        self._window("activate", name, strict, by_class)

    def close_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Ask a window to close."""
        self._window("close", name, strict, by_class)

    def _window(self, action: str, name: str, strict: bool, by_class: bool) -> None:
        body = {"action": action, "name": name, "strict": strict, "by_class": by_class}
        self._send("POST", "/v1/window", timeout=self.answer_seconds, json=body)

    def wallpaper(self) -> bytes | None:
        """The file of the picture behind everything; None when there is none."""
        try:
            return self._send("POST", "/wallpaper", timeout=self.answer_seconds, missing="wallpaper")
        except FileNotFoundError:
            return None

    def set_wallpaper(self, path: str) -> None:
        """Put a picture behind everything, by its path in the desktop."""
        self._send("POST", "/setup/change_wallpaper", timeout=self.answer_seconds, json={"path": path})

    def start_recording(self) -> None:
        """Begin to film the screen."""
        self._send("POST", "/start_recording", timeout=self.answer_seconds)

    def end_recording(self) -> bytes:
        """End it and return the MP4's bytes."""
        return self._send("POST", "/end_recording", timeout=60.0, limit=2**30)

    # -- the wire -------------------------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        retry: bool = False,
        limit: int = MAX_BODY,
        missing: str | None = None,
        **content: Any,
    ) -> bytes:
        """One exchange. `retry` is for requests with an id, which the server never carries out twice.

        Raises:
            GuestUnreachable, GuestTimeout, GuestError; FileNotFoundError for a 404 where `missing` names a file.
        """
        last: EnvError | None = None
        for attempt in range(TRIES if retry else 1):
            wait.sleep(0.05 * attempt)
            try:
                status, body = self._exchange(method, path, timeout, limit, content)
            except requests.Timeout:
                raise GuestTimeout(f"{self.name}: {path} did not answer within {timeout:g} s") from None
            except (requests.RequestException, http.client.HTTPException, OSError) as error:
                last = GuestUnreachable(f"{self.name}: {path}: {_cause(error)}")
                continue
            if status < 400:
                return body
            if status == 404 and missing is not None:
                raise FileNotFoundError(missing)
            kind = NotThere if status == 404 else GuestError
            raise kind(f"{self.name}: {path}: {_said(status, body)}")
        assert last is not None
        raise last

    def _exchange(
        self, method: str, path: str, timeout: float, limit: int, content: Mapping[str, Any]
    ) -> tuple[int, bytes]:
        deadline = time.monotonic() + timeout
        request = self._request(method, path, content)
        with self._http.send(request, timeout=(CONNECT_SECONDS, timeout), stream=True, allow_redirects=False) as answer:
            parts, size = [], 0
            for part in answer.iter_content(_CHUNK):
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise GuestError(f"{self.name}: {path} answers with more than {limit} bytes")
                if time.monotonic() > deadline:
                    raise GuestTimeout(f"{self.name}: {path} was still sending after {timeout:g} s")
            return answer.status_code, b"".join(parts)

    def _request(self, method: str, path: str, content: Mapping[str, Any]) -> requests.PreparedRequest:
        """A request; what all of a route have in common is prepared once: a quarter of a small exchange."""
        if set(content) - {"json"}:
            return self._http.prepare_request(requests.Request(method, self._base + path, **content))
        known = self._prepared.get((method, path))
        if known is None:
            known = self._http.prepare_request(requests.Request(method, self._base + path))
            self._prepared[method, path] = known
        request = known.copy()
        if "json" in content:
            request.prepare_body(None, None, content["json"])
        return request

    def _json(self, body: bytes) -> dict[str, Any]:
        try:
            value = json.loads(body)
        except ValueError as error:
            raise GuestError(f"{self.name}: the answer is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise GuestError(f"{self.name}: the answer is not a JSON object")
        return value


class Forward:
    """A port of this machine's loopback that leads elsewhere: each connection to one that `connect` makes."""

    def __init__(self, connect: Connect, port: int = 0) -> None:
        self._connect = connect
        self._listener = socket.create_server(("127.0.0.1", port))
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """No new connection is taken."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        try:
            there = self._connect()
        except OSError:
            client.close()  # whoever connected hears that there is nothing
            return
        splice(client, there)


def _dial(base: str) -> socket.socket:
    parts = urlsplit(base)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    made = socket.create_connection((str(parts.hostname), port), CONNECT_SECONDS)
    if parts.scheme == "https":
        return ssl.create_default_context().wrap_socket(made, server_hostname=parts.hostname)
    return made


def _plain(command: str | Sequence[str]) -> str | list[str]:
    return command if isinstance(command, str) else list(command)


def _step_seconds(actions: Sequence[Action], observe: Observe) -> float:
    """What the request itself may take."""
    waits = sum(SETTLE_SECONDS if a.seconds is None else a.seconds for a in actions if isinstance(a, Wait))
    codes = 120.0 * sum(isinstance(a, Exec) for a in actions)
    text = sum(len(a.text) for a in actions if isinstance(a, Type)) * 0.02
    return waits + codes + text + parse_policy(observe.policy)[1] + (observe.max_settle or 0.0)


def _said(status: int, body: bytes) -> str:
    """The one line of an error answer."""
    try:
        value = json.loads(body)
        text = value.get("error") or value.get("message") or body.decode("utf-8", "replace")
    except (ValueError, AttributeError):
        text = re.sub(r"<title>.*?</title>|<[^>]*>", " ", body[:2000].decode("utf-8", "replace"), flags=re.DOTALL)
    return f"status {status}: {' '.join(str(text).split())[:500]}"


def _cause(error: BaseException) -> str:
    """The innermost cause of requests' nested errors, in a few words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
