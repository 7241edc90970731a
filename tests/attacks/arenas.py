"""The desktops under attack: one of each provider for harmless attacks, and fresh ones for the rest."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deskbench.envs import wait
from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import DesktopSpec, Provider
from deskbench.envs.errors import EnvError
from deskbench.envs.providers.doctor import SERVER_PYTHON
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.providers.payload import payload
from deskbench.envs.providers.pool import Pool
from deskbench.envs.providers.remote import RemoteProvider
from deskbench.envs.providers.wine import WINE as WINE_PROGRAM
from deskbench.envs.providers.wine import WineProvider
from tests.attacks.base import CONTROLLER, DOCKER, QEMU, REMOTE, ROOT, USER, WINE

PROGRAMS = Path(__file__).with_name("programs")
PYTHON = "/usr/bin/python3"
SPEC = DesktopSpec()


class CannotRun(Exception):
    """This machine lacks something that a provider needs; the message says what."""


class Arena:
    """A place for attacks.

    Args:
        name: the column.
        make: creates the provider when the first desktop is needed.
    """

    slow = 1.0
    """How much slower things may be here."""

    def __init__(self, name: str, make: Callable[[], Provider]) -> None:
        self.name = name
        self._make = make
        self._provider: Provider | None = None
        self._kept: Client | None = None
        self._fresh: list[Client] = []

    @property
    def provider(self) -> Provider:
        """The provider that starts desktops here."""
        if self._provider is None:
            self._provider = self._make()
        return self._provider

    def start(self, spec: DesktopSpec = SPEC) -> Client:
        """Start another desktop; stop it with `stop`."""
        desktop = self.provider.start(spec)
        assert isinstance(desktop, Client)
        return desktop

    def pool(self) -> Pool:
        """A pool with its own provider; the caller closes it."""
        return Pool(self._make())

    def stop(self, desktop: Client) -> None:
        """Stop a desktop."""
        if self._provider is not None:
            self._provider.stop(desktop)

    @property
    def desktop(self) -> Client:
        """The desktop under attack."""
        if self._fresh:
            return self._fresh[-1]
        if self._kept is not None and not lives(self._kept):
            self.stop(self._kept)
            self._kept = None
        if self._kept is None:
            self._kept = self.start()
        return self._kept

    @contextlib.contextmanager
    def fresh(self, spec: DesktopSpec = SPEC) -> Iterator[Client]:
        """Start a fresh desktop for the block."""
        desktop = self.start(spec)
        self._fresh.append(desktop)
        try:
            yield desktop
        finally:
            self._fresh.remove(desktop)
            self.stop(desktop)

    def close(self) -> None:
        """Stop everything."""
        if self._provider is not None:
            self._provider.close()
            self._provider = self._kept = None

    def program(self, name: str, *arguments: object, timeout: float = 60.0, on: Client | None = None) -> dict[str, Any]:
        """Run one of PROGRAMS as the agent; returns the line of JSON that it prints."""
        source = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
        words = [str(argument) for argument in arguments]
        done = (on or self.desktop).run([PYTHON, "-c", source, *words], timeout=timeout * self.slow)
        lines = done.stdout.strip().splitlines()
        if not lines:
            raise AssertionError(f"{name} {words} said nothing: {done.stderr.strip()[-300:]}")
        found = json.loads(lines[-1])
        assert isinstance(found, dict)
        return found


def lives(desktop: Client) -> bool:
    """Whether the desktop answers."""
    try:
        desktop.health()
    except EnvError:
        return False
    return True


def tokens_of(desktop: Client) -> dict[str, str]:
    """The tokens of the agent and the controller."""
    found: dict[str, str] = getattr(desktop, "tokens", {})
    assert found, "the desktop has no tokens"
    return found


def newcomer(desktop: Client) -> Client:
    """Another client of a desktop, without a connection yet."""
    tokens = tokens_of(desktop)
    return Client(f"{desktop.name}-too", desktop.address or "http://desktop", token=tokens["control_token"],
                  connect=None if desktop.address else desktop._connect)  # fmt: skip


class WineArena(Arena):
    """Wine: Windows programs can start Linux programs (`start /unix`), so they can try everything that those can."""

    def program(self, name: str, *arguments: object, timeout: float = 60.0, on: Client | None = None) -> dict[str, Any]:
        """Exchange data through files, since a Linux program started from here has no standard output."""
        desktop, mark = on or self.desktop, secrets.token_hex(4)
        desktop.write_file(rf"Z:\tmp\{name}-{mark}.py", (PROGRAMS / f"{name}.py").read_bytes())
        run = f"import runpy, sys; sys.argv[1:] = {[str(a) for a in arguments]!r}; "
        run += f"sys.stdout = open('/tmp/{mark}.part', 'w', buffering=1); "
        run += f"runpy.run_path('/tmp/{name}-{mark}.py', run_name='__main__')\n"
        desktop.write_file(rf"Z:\tmp\run-{mark}.py", run.encode())
        desktop.run(["cmd", "/c", "start", "/unix", PYTHON, f"/tmp/run-{mark}.py"], timeout=timeout)

        def said() -> str:
            with contextlib.suppress(FileNotFoundError):
                text = desktop.read_file(rf"Z:\tmp\{mark}.part").decode()
                return text.strip().splitlines()[-1] if text.endswith("\n") else ""
            return ""

        found = wait.until(said, timeout=timeout, interval=0.1)
        if not found:
            raise AssertionError(f"{name} {arguments} said nothing within {timeout:g} s")
        value = json.loads(found)
        assert isinstance(value, dict)
        return value


class QemuArena(Arena):
    """Emulated, if there is no KVM."""

    slow = 8.0


class RemoteArena(Arena):
    """A remote computer, as far as this machine can act as one: our server runs as root, its programs as a user."""

    def __init__(self) -> None:
        self.machine = RemoteMachine()
        super().__init__(REMOTE, self._booted)

    def _booted(self) -> RemoteProvider:
        self.machine.boot()
        os.environ["DESKBENCH_ATTACKED_TOKEN"] = self.machine.tokens["control_token"]
        file = self.machine.folder / "machines.toml"
        file.write_text(f'[[machine]]\nurl = "{self.machine.url}"\ntoken_env = "DESKBENCH_ATTACKED_TOKEN"\n'
                        'reset = "none"\n')  # fmt: skip
        return RemoteProvider(str(file))

    def start(self, spec: DesktopSpec = SPEC) -> Client:
        """Reboot the machine, which removes everything done on it before."""
        if self._provider is not None:
            self._provider.close()
        self._provider = self._kept = None  # old clients know a different port and different tokens
        desktop = super().start(spec)
        desktop.tokens = self.machine.tokens  # type: ignore[attr-defined]
        return desktop

    def close(self) -> None:
        """Shut down the machine, too."""
        super().close()
        self.machine.remove()


class RemoteMachine:
    """`python3 -m deskbench.envs.server --user NAME --port N` as root, with its own processes and /tmp."""

    user = "deskbench-attack"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attacked-"))
        self.folder.chmod(0o755)
        self.tokens: dict[str, str] = {}
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start fresh, with an empty home."""
        self.halt()
        _have_user(self.user)
        home = Path(f"~{self.user}").expanduser()
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        shutil.chown(home, self.user, self.user)
        library = payload()
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.tokens = {"agent_token": secrets.token_urlsafe(32), "control_token": secrets.token_urlsafe(32)}
        elsewhere = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--unshare-ipc", "--proc", "/proc", "--tmpfs", "/tmp",
                     "--perms", "1777", "--dir", "/tmp/.X11-unix", "--chmod", "1777", "/tmp", "--bind", str(self.folder),
                     str(self.folder), "--tmpfs", "/dev/shm", "--chmod", "1777", "/dev/shm", "--tmpfs", "/var/tmp", "--chmod",
                     "1777", "/var/tmp", "--die-with-parent"]  # fmt: skip
        elsewhere += ["--ro-bind", str(library), "/tmp/lib"]
        server = [SERVER_PYTHON, "-m", "deskbench.envs.server", "--user", self.user, "--port", str(port),
                  "--session", "1280x800"]  # fmt: skip
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": "/tmp/lib", "HOME": str(home)}
        self._process = subprocess.Popen(
            [*elsewhere, *server], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(self.tokens).encode() + b"\n")
        self._process.stdin.close()
        said = self._process.stdout.readline()
        assert json.loads(said or b"{}").get("ready"), f"the server did not start: {said!r}"

    def halt(self) -> None:
        """Switch it off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout
            self._process.stdout.close()
            self._process = None

    def remove(self) -> None:
        """Switch it off and delete it."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)
        _drop_user(self.user)


def _have_user(name: str) -> None:
    if subprocess.run(["id", name], capture_output=True, check=False).returncode != 0:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True, capture_output=True)


def _drop_user(name: str) -> None:
    """Retry, because the last process of a machine that shuts down may still belong to the user."""
    wait.until(lambda: subprocess.run(["userdel", "-r", name], capture_output=True, check=False).returncode in (0, 6, 12),
               timeout=10.0, interval=0.5)  # fmt: skip


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def arena(name: str) -> Iterator[Arena]:
    """The arena of a column; everything in it ends with the block.

    Raises:
        CannotRun: says what this machine lacks.
    """
    with MAKERS[name]() as made:
        try:
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def _local(name: str) -> Iterator[Arena]:
    if (os.geteuid() == 0) != (name == ROOT):
        raise CannotRun(f"the controller is {'root' if os.geteuid() == 0 else 'not root'}")
    yield Arena(name, LocalProvider)


@contextlib.contextmanager
def _docker() -> Iterator[Arena]:
    from deskbench.envs.providers.docker.provider import DockerProvider
    from tests.engine import docker_engine

    if shutil.which("dockerd") is None and not Path("/usr/sbin/dockerd").exists():
        raise CannotRun("there is no Docker engine")
    with docker_engine():
        yield Arena(DOCKER, DockerProvider)


@contextlib.contextmanager
def _qemu() -> Iterator[Arena]:
    from deskbench.envs.providers.qemu.image import build_vm
    from deskbench.envs.providers.qemu.provider import QemuProvider

    if shutil.which("qemu-system-x86_64") is None:
        raise CannotRun("QEMU is not installed")
    build_vm("light", lambda line: None)
    yield QemuArena(QEMU, QemuProvider)


@contextlib.contextmanager
def _wine() -> Iterator[Arena]:
    if not WINE_PROGRAM.exists():
        raise CannotRun("Wine is not installed")
    yield WineArena(WINE, WineProvider)


@contextlib.contextmanager
def _remote() -> Iterator[Arena]:
    if os.geteuid() != 0:
        raise CannotRun("only root can serve another user's desktop")
    yield RemoteArena()


@contextlib.contextmanager
def _controller() -> Iterator[Arena]:
    yield Arena(CONTROLLER, LocalProvider)


MAKERS: dict[str, Callable[[], contextlib.AbstractContextManager[Arena]]] = {
    ROOT: lambda: _local(ROOT), USER: lambda: _local(USER), DOCKER: _docker, QEMU: _qemu, WINE: _wine,
    REMOTE: _remote, CONTROLLER: _controller,
}  # fmt: skip
