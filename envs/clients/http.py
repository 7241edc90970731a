"""A desktop over HTTP: `Desktop` for any server of our protocol, through TCP or a Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import socket
import threading
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from deskbench.envs import wait
from deskbench.envs.clients.relay import Relay
from deskbench.envs.clients.transport import (
    MAX_REFUSAL,
    Adapter,
    Connect,
    cause_of,
    dial,
    length_of,
    limited,
    one_line,
    read_body,
    read_head,
    receive,
    seconds_left,
    unix,
)
from deskbench.envs.desktop import CommandResult, Window
from deskbench.envs.errors import GuestError, GuestTimeout, GuestUnreachable, NotThere, Unfit, UsageError
from deskbench.envs.pipe import splice
from deskbench.envs.server import signing
from deskbench.envs.types import Action, Exec, Observation, Screenshot, Type, Wait
from deskbench.envs.wire import (
    MAX_BODY,
    TREE_DEPTH,
    Failure,
    Film,
    Films,
    Health,
    Observe,
    Ran,
    Seen,
    StepReply,
    StepRequest,
    TooMuch,
    WireError,
    decode,
    folder_tree,
    loads,
    parse_policy,
)

__all__ = ["ANSWER_SECONDS", "Client", "Connect", "Forward", "new_tokens", "unix"]

ANSWER_SECONDS = 30.0
"""Seconds added to the request's own time (waits, settling, a command); the default of `Client.answer_seconds`."""
SETTLE_SECONDS = 12.0
FILE_SECONDS = 600.0
"""Seconds to send or read a file; the default of `Client.file_seconds`."""
MAX_FILM = 384 * 2**20
"""The largest video in bytes. It is held in memory as a whole."""
UNFIT = (413, 422)
"""Statuses for something that exists but is too large or of the wrong kind to send."""
LONG_UPLOAD = 32 * 2**20
"""Bytes: half of what the server accepts at once from all unauthenticated senders."""
TRIES = 3
"""How often to send a request with the same id when no answer comes. The server carries it out only once."""
MAX_HEAD = 2**20
"""Bytes allowed beyond an answer's body: its head and chunk lengths (together with an eighth of the body's size)."""
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
"""What the libraries raise for a broken connection, or for an answer that is not HTTP."""


def new_tokens() -> dict[str, str]:
    """Two new tokens, as the server reads them from its standard input."""
    return {"agent_token": secrets.token_urlsafe(32), "control_token": secrets.token_urlsafe(32)}


class Client:
    """The `Desktop` protocol over HTTP.

    Args:
        name: for logs and errors.
        base_url: `http://host:port`; with `connect`, the host is ignored.
        token: signs the requests and verifies the answers (`envs.server.signing`). It is never sent. None for a server
            that has no token.
        connect: makes the sockets, if the desktop has no address on this machine's network.
        role: the token's role: `control` or `agent`.
    """

    def __init__(
        self,
        name: str,
        base_url: str = "http://desktop",
        *,
        token: str | None = None,
        connect: Connect | None = None,
        role: str = "control",
    ) -> None:
        self.name = name
        self.answer_seconds, self.file_seconds = ANSWER_SECONDS, FILE_SECONDS
        self._base = base_url.rstrip("/")
        self.address = None if connect is not None else self._base
        self._connect: Connect = connect or partial(dial, self._base)
        self._http = Adapter(self._connect, self._base)
        self._prepared: dict[tuple[str, str], requests.PreparedRequest] = {}
        self._token, self._role = token, role
        self._frame: Screenshot | None = None
        self._forwards: dict[int, Forward] = {}
        self._exposed: list[Forward] = []
        self._relay: Relay | None = None

    def close(self) -> None:
        """Close the connections; the desktop keeps running."""
        for forward in (*self._forwards.values(), *self._exposed):
            forward.close()
        if self._relay is not None:
            self._relay.close()
        self._http.close()

    # -- other connections ----------------------------------------------------------------------------------------

    def forward(self, port: int) -> str:
        """Forward a port of the desktop's loopback to this machine; returns `127.0.0.1:PORT`, valid until `close`."""
        if port not in self._forwards:
            self._forwards[port] = Forward(lambda: self.upgrade("/v1/tunnel", {"port": port}))
        return self._forwards[port].address

    def expose(self, port: int = 0) -> str:
        """Also serve the desktop's server on this machine, at `127.0.0.1:PORT`, until `close`.

        Raises:
            UsageError: the port is taken.
        """
        try:
            self._exposed.append(Forward(self._connect, port))
        except OSError as error:
            raise UsageError(f"cannot listen on port {port}: {error.strerror or error}") from None
        return self._exposed[-1].address

    def allow(self, entries: Sequence[str]) -> None:
        """Let the desktop's programs reach only these names on the network (`envs.clients.relay`).

        Raises:
            UsageError: an entry cannot be read.
            GuestUnreachable: the server cannot be reached, or was not started with `--proxy`.
        """
        try:
            self._relay = Relay(entries, lambda: self.upgrade("/v1/relay", {}))
        except OSError as error:
            raise GuestUnreachable(str(error)) from None

    def upgrade(self, path: str, body: Mapping[str, Any]) -> socket.socket:
        """Open a connection that the server switches to another protocol (status 101).

        Raises:
            OSError: the server cannot be reached, or refused; the message says why.
        """
        with limited(wait.now() + self.answer_seconds, MAX_REFUSAL):
            made = self._connect()
            try:
                self._shake_hands(made, path, json.dumps(body).encode())
                made.settimeout(None)
            except BaseException:
                made.close()
                raise
            return made

    def _shake_hands(self, made: socket.socket, path: str, data: bytes) -> None:
        head = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(self._base).netloc}", f"Content-Length: {len(data)}"]
        signed = None
        if self._token is not None:
            signed = signing.sign(self._token, self._role, "POST", path, data)
            head.append(f"Authorization: {signed.header()}")
        made.settimeout(seconds_left())
        made.sendall("\r\n".join([*head, "", ""]).encode() + data)
        status, headers = read_head(made)
        body = b"" if status == 101 else receive(made, length_of(headers))
        try:
            self._check_proof(signed, headers.get(signing.ANSWER_HEADER), path, status, body)
        except GuestError as error:
            raise ConnectionError(str(error)) from None
        if status != 101:
            raise ConnectionError(f"{self.name}: {path}: {_said(status, body)}")

    # -- looking and acting ---------------------------------------------------------------------------------------

    def health(self) -> Health:
        """What works on this desktop and what does not."""
        body = self._send("GET", "/v1/health", timeout=self.answer_seconds)
        health: Health = self._answer(Health, "/v1/health", body)
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
        began = wait.now()
        answer = self._send(
            "POST", path, timeout=self.answer_seconds + _step_seconds(actions, observe), retry=True, json=body
        )
        try:
            reply, png = StepReply.decode(answer)
        except WireError as error:
            raise GuestError(f"{self.name}: {path}: {error}") from None
        fits = reply.id == request.id and len(reply.results) == len(actions)
        if not fits or (reply.seen is None) != (observe.policy == "none"):
            raise GuestError(f"{self.name}: {path}: the answer belongs to another request")
        return self._observation(reply, png, observe, (wait.now() - began) * 1e3)

    def _observation(self, reply: StepReply, png: bytes | None, asked: Observe, ms: float) -> Observation:
        results, seen = reply.results, reply.seen
        if seen is None:
            return Observation(None, 0, 0, act_ms=reply.act_ms, roundtrip_ms=ms, results=results)
        shot = self._picture(seen, png) if asked.screenshot else None
        facts = {name: value for name, value in vars(seen).items() if name not in ("frame", "unchanged")}
        return Observation(shot, **facts, act_ms=reply.act_ms, roundtrip_ms=ms, results=results)

    def _picture(self, seen: Seen, png: bytes | None) -> Screenshot:
        if png is not None:
            picture = Screenshot.of(png)
            if picture.sha256 != seen.frame:
                raise GuestError(f"{self.name}: the screenshot is not the frame {seen.frame} that the answer names")
            if picture.size != (seen.width, seen.height):
                raise GuestError(
                    f"{self.name}: the screenshot has {picture.size}, but the screen {seen.width}x{seen.height}"
                )
            self._frame = picture
            return picture
        if self._frame is None or self._frame.sha256 != seen.frame:
            raise GuestError(f"{self.name}: the answer has no screenshot, and this client lacks the frame {seen.frame}")
        return self._frame

    # -- set-up and grading ---------------------------------------------------------------------------------------

    def run(
        self, command: str | Sequence[str], *, shell: bool = False, timeout: float = 120.0, cwd: str | None = None
    ) -> CommandResult:
        """Run a command in the desktop's session to its end."""
        body = {"command": _plain(command), "shell": shell, "timeout": timeout, "cwd": cwd}
        said = self._send("POST", "/v1/run", timeout=timeout + self.answer_seconds, json=body)
        found: Ran = self._answer(Ran, "/v1/run", said)
        return CommandResult(found.returncode, found.stdout, found.stderr)

    def launch(self, command: str | Sequence[str], *, shell: bool = False) -> None:
        """Start a program and return when its window is mapped and quiet, or when it is idle without one."""
        self._send(
            "POST", "/v1/launch", timeout=2 * self.answer_seconds, json={"command": _plain(command), "shell": shell}
        )

    def open(self, path: str) -> None:
        """Open a file with its program and return when the window is there."""
        self._send("POST", "/v1/open", timeout=2 * self.answer_seconds, json={"path": path})

    def read_file(self, path: str, *, max_bytes: int = 256 * 2**20) -> bytes:
        """A file's bytes.

        Raises:
            FileNotFoundError: there is no such file.
            Unfit: it is not a regular file, or is larger.
        """
        form = {"file_path": path}
        return self._send("POST", "/file", timeout=self.file_seconds, limit=max_bytes, data=form, asked=path)

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file, making its folders."""
        if len(data) > LONG_UPLOAD:
            self.health()  # the server accepts little on a connection that has proven nothing yet
        form, files = {"file_path": path}, {"file_data": data}
        self._send("POST", "/setup/upload", timeout=self.file_seconds, data=form, files=files)

    def list_directory(self, path: str) -> dict[str, object]:
        """OSWorld's directory tree.

        Raises:
            FileNotFoundError: there is no such folder.
            Unfit: it is not a folder, or it contains too much.
        """
        body = self._send("POST", "/list_directory", timeout=2 * self.answer_seconds, json={"path": path}, asked=path)
        try:
            found = loads(body, TREE_DEPTH)
            return folder_tree(found.get("directory_tree") if isinstance(found, dict) else found)
        except TooMuch as error:
            raise Unfit(f"{path} cannot be listed: {error}") from None
        except WireError as error:
            raise GuestError(f"{self.name}: /list_directory: {error}") from None

    def windows(self) -> list[Window]:
        """The top-level windows, bottom to top."""
        found = self._value("/v1/windows", self._send("GET", "/v1/windows", timeout=self.answer_seconds))
        try:
            if not isinstance(found, list):
                raise WireError("not a JSON list")
            return [decode(Window, item, "window") for item in found]
        except WireError as error:
            raise GuestError(f"{self.name}: /v1/windows: {error}") from None

    def settlings(self) -> tuple[Film, ...]:
        """The last settlings, oldest first, each with what was drawn after it."""
        found: Films = self._answer(
            Films, "/v1/settlings", self._send("GET", "/v1/settlings", timeout=self.answer_seconds)
        )
        return found.films

    def activate_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Raise and focus a window."""
        self._window("activate", name, strict, by_class)

    def close_window(self, name: str, *, strict: bool = False, by_class: bool = False) -> None:
        """Ask a window to close."""
        self._window("close", name, strict, by_class)

    def _window(self, action: str, name: str, strict: bool, by_class: bool) -> None:
        body = {"action": action, "name": name, "strict": strict, "by_class": by_class}
        self._send("POST", "/v1/window", timeout=2 * self.answer_seconds, json=body)

    def wallpaper(self) -> bytes | None:
        """The file of the desktop's background; None if there is none."""
        try:
            return self._send("POST", "/wallpaper", timeout=self.answer_seconds, asked="wallpaper")
        except FileNotFoundError:
            return None

    def set_wallpaper(self, path: str) -> None:
        """Set the desktop's background to a picture, by its path in the desktop."""
        self._send("POST", "/setup/change_wallpaper", timeout=self.answer_seconds, json={"path": path})

    def start_recording(self) -> None:
        """Start recording the screen."""
        self._send("POST", "/start_recording", timeout=self.answer_seconds)

    def end_recording(self) -> bytes:
        """Stop recording and return the MP4's bytes."""
        return self._send("POST", "/end_recording", timeout=2 * self.answer_seconds, limit=MAX_FILM)

    # -- the wire -------------------------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        retry: bool = False,
        limit: int = MAX_BODY,
        asked: str | None = None,
        **content: Any,
    ) -> bytes:
        """Send one request and return the answer's body, within `timeout` seconds in any case.

        Args:
            retry: for requests with an id, which the server carries out only once.
            asked: the file or folder that is requested. Its absence, or that it cannot be sent, is then a result.

        Raises:
            GuestUnreachable, GuestTimeout, GuestError; with `asked`: FileNotFoundError, Unfit.
        """
        until, last = wait.now() + timeout, "the time is up"
        for attempt in range(TRIES if retry else 1):
            wait.sleep(0.05 * attempt)
            try:
                with limited(until, limit + limit // 8 + MAX_HEAD):
                    status, body = self._exchange(method, path, limit, content)
            except _FAULTS as error:
                if wait.now() >= until:
                    raise GuestTimeout(f"{self.name}: {path} did not answer within {timeout:g} s") from None
                last = cause_of(error)
                continue
            if body is None:
                found = asked if 200 <= status < 300 else None
                raise self._unwanted(path, f"more than {limit} bytes", None, found)
            if 200 <= status < 300:
                return body
            raise self._unwanted(path, _said(status, body), status, asked)
        raise GuestUnreachable(f"{self.name}: {path}: {last}")

    def _unwanted(self, path: str, said: str, status: int | None, asked: str | None) -> Exception:
        """The error for an answer without the requested value. `status` is None if the answer was too large to read."""
        if asked is not None and status == 404:
            return FileNotFoundError(asked)
        if asked is not None and (status is None or status in UNFIT):
            return Unfit(f"{asked}: {said}")
        kind = NotThere if status == 404 else GuestError
        return kind(f"{self.name}: {path}: {said}", status)

    def _exchange(self, method: str, path: str, limit: int, content: Mapping[str, Any]) -> tuple[int, bytes | None]:
        """Send a request; return the status and body of an answer that provably comes from the server.

        The body is None if it is larger than `limit`.
        """
        request = self._request(method, path, content)
        signed = self._sign(request, path)
        with contextlib.closing(self._http.send(request, stream=True)) as answer:
            proof, status = answer.headers.get(signing.ANSWER_HEADER), answer.status_code
            body = read_body(answer.raw, limit)
            if body is not None or proof is None:
                self._check_proof(signed, proof, path, status, body or b"")
            return status, body

    def _sign(self, request: requests.PreparedRequest, path: str) -> signing.Signed | None:
        if self._token is None:
            return None
        body = request.body or b""
        data = body.encode() if isinstance(body, str) else bytes(body)
        kind = request.headers.get("Content-Type", "")
        signed = signing.sign(self._token, self._role, str(request.method), path, data, str(kind))
        request.headers["Authorization"] = signed.header()
        return signed

    def _check_proof(
        self, signed: signing.Signed | None, proof: str | None, path: str, status: int, body: bytes
    ) -> None:
        """Verify that whoever answered a signed request knows the token.

        Raises:
            GuestError: it does not; carries the answer's status.
        """
        if signed is None or self._token is None:
            return
        if proof is None or not signing.same(proof, signing.answer_proof(self._token, signed.nonce, status, body)):
            what = f"{self.name}: {path}: the answer is not signed by the desktop's server: something else answered"
            raise GuestError(f"{what} ({_said(status, body)})" if status >= 400 else what, status)

    def _request(self, method: str, path: str, content: Mapping[str, Any]) -> requests.PreparedRequest:
        """Build a request. The part common to a route is prepared once; that saves a quarter of a small exchange."""
        if set(content) - {"json"}:
            return requests.Request(method, self._base + path, **content).prepare()
        known = self._prepared.get((method, path))
        if known is None:
            known = self._prepared[method, path] = requests.Request(method, self._base + path).prepare()
        request = known.copy()
        if "json" in content:
            request.prepare_body(None, None, content["json"])
        return request

    def _value(self, path: str, body: bytes) -> Any:
        """The JSON of an answer.

        Raises:
            GuestError: the answer is not JSON.
        """
        try:
            return loads(body)
        except WireError as error:
            raise GuestError(f"{self.name}: {path}: the answer is {error}") from None

    def _answer(self, cls: type[Any], path: str, body: bytes, *, closed: bool = True) -> Any:
        """An answer as one of the wire's types.

        Raises:
            GuestError: the answer does not have that type.
        """
        try:
            return decode(cls, loads(body), path, closed=closed)
        except WireError as error:
            raise GuestError(f"{self.name}: {path}: {error}") from None


class Forward:
    """A port on this machine's loopback. Each connection to it is forwarded over one that `connect` makes."""

    def __init__(self, connect: Connect, port: int = 0) -> None:
        self._connect = connect
        self._listener = socket.create_server(("127.0.0.1", port))
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no new connections."""
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
            client.close()  # tells the client that nothing is there
            return
        splice(client, there)


def _plain(command: str | Sequence[str]) -> str | list[str]:
    return command if isinstance(command, str) else list(command)


def _step_seconds(actions: Sequence[Action], observe: Observe) -> float:
    """Seconds that the request itself may take."""
    waits = sum(SETTLE_SECONDS if a.seconds is None else a.seconds for a in actions if isinstance(a, Wait))
    codes = 120.0 * sum(isinstance(a, Exec) for a in actions)
    text = sum(len(a.text) for a in actions if isinstance(a, Type)) * 0.02
    return waits + codes + text + parse_policy(observe.policy)[1] + (observe.max_settle or 0.0)


def _said(status: int, body: bytes) -> str:
    """The one line of an error answer."""
    text = body[:2000].decode("utf-8", "replace")
    try:
        failure: Failure = decode(Failure, loads(body), "error", closed=False)
        text = failure.error or failure.message or text
    except WireError:
        text = re.sub(r"<title>.*?</title>|<[^>]*>", " ", text, flags=re.DOTALL)
    return f"status {status}: {one_line(text, 500)}"
