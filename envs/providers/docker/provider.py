"""Desktops in containers of a Docker engine, on this machine or another (DOCKER_HOST).

The server runs as the container's root, and programs as an ordinary user. The root file system is read-only; what the
user writes is kept in memory, within a limit. No port is published. The controller reaches the server through the
engine itself: `docker exec` of socat to the server's Unix socket, which only root may open. So a desktop can do without
any network, and an engine on another machine works the same way. The server ends when its standard input does, and the
engine then removes the container: a killed controller leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deskbench.envs.clients.http import Client, new_tokens
from deskbench.envs.clients.transport import seconds_left
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.docker import ssh as docker_ssh
from deskbench.envs.providers.docker.image import NAMES, REPOSITORY, building, outdated
from deskbench.envs.providers.payload import session_arguments

if TYPE_CHECKING:
    import docker

DEFAULT_IMAGE = f"{REPOSITORY}:light"
LABEL = "org.deskbench.desktop"
"""Container label: the process id of the controller."""
SOCKET = "/run/deskbench/socket"
MEMORY, PIDS, CPUS = 6 * 2**30, 1024, 2.0
"""Limits of one container: bytes of memory (files take at most SCRATCH of it), processes and threads, cores."""
CAPABILITIES = ("SETUID", "SETGID", "KILL")
"""Capabilities that the server needs to start programs as the user and to end them. Programs get no capabilities."""
SCRATCH = {
    "/home/user": "rw,exec,nosuid,nodev,size=2g,uid=1000,gid=1000,mode=755",
    "/tmp": "rw,exec,nosuid,nodev,size=1g,mode=1777",
    "/var/tmp": "rw,exec,nosuid,nodev,size=256m,mode=1777",
    "/run": "rw,nosuid,nodev,noexec,size=64m,mode=755",
    "/run/user/1000": "rw,nosuid,nodev,size=64m,uid=1000,gid=1000,mode=700",
    "/run/deskbench": "rw,nosuid,nodev,noexec,size=1m,mode=700",
}
START_SECONDS = 60.0
ENGINE_SECONDS = 60.0
LOG_LINES, MAX_LINE = 12, 65_536
"""Limits for quoting a desktop's log: lines in an error, and bytes of a line."""


class DockerDesktop(Client):
    """A desktop in a container."""

    def __init__(self, engine: docker.DockerClient, container: str, tokens: dict[str, str], image: str) -> None:
        name = f"docker-{container[:12]}"
        super().__init__(name, token=tokens["control_token"], connect=Tunnel(engine, container))
        self.container, self.tokens, self.image = container, tokens, image
        self.log: deque[str] = deque(maxlen=200)
        self.leash: Stream | None = None


@dataclass(frozen=True)
class Tunnel:
    """Connects to the server in a container through the engine; `Client` takes it as `connect`."""

    engine: docker.DockerClient
    container: str

    def __call__(self) -> socket.socket:
        """Open a socket to the server; two threads carry its bytes.

        Raises:
            OSError: the engine cannot be reached or takes too long, or the container is not running.
        """
        stream = _within(seconds_left(), self._stream)
        near, far = socket.socketpair()
        threading.Thread(target=_to_engine, args=(far, stream), daemon=True).start()
        threading.Thread(target=_from_engine, args=(stream, far), daemon=True).start()
        return near

    def _stream(self) -> Stream:
        with engine_errors():
            api = self.engine.api
            made = api.exec_create(
                self.container, ["socat", "-t", "60", "-", f"UNIX-CONNECT:{SOCKET}"], stdin=True, user="root"
            )
            return Stream(api.exec_start(made["Id"], socket=True))


def _within(seconds: float | None, make: Callable[[], Stream]) -> Stream:
    """Run `make` with a deadline, and close a result that comes late. In a full container, exec hangs for a minute.

    Raises:
        TimeoutError: the time is up.
        OSError: raised by `make`.
    """
    made: Future[Stream] = Future()

    def work() -> None:
        try:
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001  (the waiting thread gets the error)
            made.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return made.result(seconds)
    except TimeoutError:
        made.add_done_callback(_unwanted)
        raise


def _unwanted(late: Future[Stream]) -> None:
    if late.exception() is None:
        late.result().close()


def label() -> dict[str, str]:
    """The label of this controller's containers."""
    return {LABEL: str(os.getpid())}


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Turn the SDK's errors into OSError, which callers of `connect` expect."""
    import docker
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise ConnectionError(f"the Docker engine: {_line(error)}") from error


def _line(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return " ".join(str(explanation or error).split())[:300]


class Stream:
    """The engine's end of an attach or exec. Uses the socket below the SDK's object, which closes it when collected."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._socket = getattr(response, "_sock", response)
        self._socket.settimeout(None)  # a desktop may stay silent longer than the engine's timeout

    def sendall(self, data: bytes) -> None:
        """Send all bytes."""
        self._socket.sendall(data)

    def end(self) -> None:
        """Close the sending side."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close it, even while another thread reads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._response.close()

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield what arrives: 1 for standard output or 2 for errors, and bytes ("Stream format" in the engine's API).

        Raises:
            OSError: the connection was lost.
        """
        while head := self._exactly(8):
            kind, length = struct.unpack(">BxxxL", head)
            while length:
                data = self._socket.recv(min(length, 1 << 18))
                if not data:
                    return
                length -= len(data)
                yield kind, data

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                return b""
            data += part
        return data


def _to_engine(near: socket.socket, engine: Stream) -> None:
    try:
        while data := near.recv(1 << 18):
            engine.sendall(data)
    except OSError:
        pass  # one end is gone; the other thread notices it, too
    finally:
        engine.end()


def _from_engine(engine: Stream, near: socket.socket) -> None:
    try:
        for kind, data in engine.frames():
            if kind == 1:
                near.sendall(data)
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)
        near.close()
        engine.close()


class DockerProvider:
    """Starts containers; `deskbench.envs.providers.pool` keeps one warm.

    Args:
        image: the desktop's image: light (also for ""), full, full-code, or any image name.

    Raises:
        UsageError: no engine answers, or the image is missing or has an older server.
    """

    name = "docker"
    capacity: int | None = None
    platform: str | None = "Linux"

    def __init__(self, image: str = "") -> None:
        self._image_name = f"{REPOSITORY}:{image or NAMES[0]}" if image in ("", *NAMES) else image
        self._engine = engine()
        self._image = find_image(self._engine, self._image_name)
        self._cpus = min(CPUS, float(self._engine.info()["NCPU"]))
        self._running: dict[str, DockerDesktop] = {}
        self._lock = threading.Lock()

    def describe(self) -> dict[str, str]:
        """The image's name and digest, for the manifest."""
        return {"image": self._image_name, "digest": self._image}

    def start(self, spec: DesktopSpec) -> DockerDesktop:
        """Start a fresh container.

        Raises:
            StartError: it did not start; the message has the last lines of its log.
        """
        tokens = new_tokens()
        try:
            with engine_errors():
                desktop = self._create(spec, tokens)
        except OSError as error:
            raise StartError(f"could not create a container: {error}") from None
        try:
            _await_ready(desktop)
            desktop.health()
            if isinstance(spec.network, tuple):
                desktop.allow(spec.network)
        except BaseException:
            self._end(desktop)
            raise
        with self._lock:
            self._running[desktop.name] = desktop
        return desktop

    def _create(self, spec: DesktopSpec, tokens: dict[str, str]) -> DockerDesktop:
        api = self._engine.api
        container = api.create_container(
            self._image,
            _server_arguments(spec), hostname="desktop", stdin_open=True, labels=label(),
            host_config=self._host_config(spec), environment={"XDG_RUNTIME_DIR": "/run/user/1000"},
        )["Id"]  # fmt: skip
        desktop = DockerDesktop(self._engine, container, tokens, self._image)
        try:
            everything = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            desktop.leash = Stream(api.attach_socket(container, params=everything))
            api.start(container)
            desktop.leash.sendall(json.dumps(tokens).encode() + b"\n")
        except BaseException:
            self._end(desktop)
            raise
        return desktop

    def _host_config(self, spec: DesktopSpec) -> dict[str, Any]:
        config: dict[str, Any] = self._engine.api.create_host_config(
            auto_remove=True, init=True, read_only=True, tmpfs=SCRATCH, shm_size="512m", cap_drop=["ALL"],
            cap_add=list(CAPABILITIES), security_opt=["no-new-privileges"], mem_limit=MEMORY, memswap_limit=MEMORY,
            pids_limit=PIDS, nano_cpus=int(self._cpus * 1e9),
            network_mode="bridge" if spec.network == "full" else "none",
        )  # fmt: skip
        return config

    def stop(self, desktop: Desktop) -> None:
        """Remove a container and everything in it."""
        assert isinstance(desktop, DockerDesktop)
        with self._lock:
            self._running.pop(desktop.name, None)
        self._end(desktop)

    def _end(self, desktop: DockerDesktop) -> None:
        """Remove the container. It, or the engine, may already be gone: the server then ends by itself."""
        desktop.close()
        with contextlib.suppress(OSError), engine_errors():
            self._engine.api.remove_container(desktop.container, force=True, v=True)
        if desktop.leash is not None:
            desktop.leash.close()

    def close(self) -> None:
        """Remove every container that this provider started."""
        for desktop in list(self._running.values()):
            self.stop(desktop)
        self._engine.close()

    def doctor(self) -> list[Check]:
        """Which engine this is, and whether a desktop comes up in it."""
        from deskbench.envs.providers.doctor import try_desktop

        version = self._engine.version()
        return [
            Check("engine", True, f"Docker {version['Version']} at {self._engine.api.base_url}"),
            Check("image", True, f"{self._image_name} {self._image[:19]}"),
            try_desktop(self),
        ]


def _server_arguments(spec: DesktopSpec) -> list[str]:
    return ["--leash", "--socket", SOCKET, *session_arguments(spec)]


def engine() -> docker.DockerClient:
    """The Docker engine that DOCKER_HOST names. The current docker context is not read.

    Raises:
        UsageError: no engine answers; the message gives the fix.
    """
    import docker

    environment = dict(os.environ)
    if environment.get("DOCKER_HOST", "").startswith("ssh://"):
        environment["DOCKER_HOST"] = docker_ssh.reach(environment["DOCKER_HOST"])
    try:
        found = docker.from_env(timeout=int(ENGINE_SECONDS), max_pool_size=8, environment=environment)
        found.ping()
    except Exception as error:  # noqa: BLE001  (the SDK lets errors of four libraries through)
        raise UsageError(
            f"no Docker engine answers ({_line(error)}): start it (systemctl start docker), install it "
            "(apt-get install docker.io), or name another machine's engine in DOCKER_HOST"
        ) from None
    return found


def find_image(engine: docker.DockerClient, name: str) -> str:
    """An image's id, `sha256:…`.

    Raises:
        UsageError: the engine lacks it, or it was built from other sources; the message gives the fix.
    """
    import docker

    try:
        image = engine.images.get(name)
    except docker.errors.ImageNotFound:
        raise UsageError(f"the engine has no image {name}: build it with: {building(name)}") from None
    if outdated(image.labels):
        raise UsageError(f"{name} was built from another version of deskbench: rebuild it with: {building(name)}")
    return str(image.id)


def _await_ready(desktop: DockerDesktop) -> None:
    """Wait until the server says that it is ready. From then on, a thread reads its log.

    Raises:
        StartError: it ended or took too long; the message has its last lines.
    """
    said = threading.Event()
    answer: dict[str, Any] = {}
    threading.Thread(target=_listen, args=(desktop, answer, said), daemon=True).start()
    began = time.monotonic()
    heard = said.wait(START_SECONDS)
    if answer.get("ready"):
        return
    why = answer.get("error") or ("it ended" if heard else f"no answer for {time.monotonic() - began:.0f} s")
    log = "\n".join(list(desktop.log)[-LOG_LINES:])
    raise StartError(f"{desktop.name} did not start: {why}\n{log}")


def _listen(desktop: DockerDesktop, answer: dict[str, Any], said: threading.Event) -> None:
    """Read a container's output to its end: the one line on the server's standard output, and the log."""
    assert desktop.leash is not None
    rests = {1: b"", 2: b""}
    try:
        for kind, data in desktop.leash.frames():
            *lines, rest = (rests[kind] + data).split(b"\n")
            rests[kind] = rest[-MAX_LINE:]  # programs write errors here, too, and a line may never end
            for line in lines:
                if kind == 2:
                    desktop.log.append(line[:MAX_LINE].decode("utf-8", "replace").rstrip())
                elif not said.is_set():
                    answer.update(json.loads(line))
                    said.set()
    except (OSError, ValueError) as error:
        desktop.log.append(f"{type(error).__name__}: {error}")
    finally:
        said.set()
