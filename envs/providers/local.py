"""The embedded provider: a desktop on this machine, in a sandbox of its own.

One bubblewrap holds everything: X server, session, the server of `deskbench.envs.server`, the programs. It has its
own users, processes, network and files; of the host it sees /usr and a few files of /etc, read-only. The controller
talks to it through a Unix socket in a small folder that both see.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from deskbench.envs import wait
from deskbench.envs.client import Client, new_tokens, unix
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers import limits

ENVS = Path(__file__).resolve().parent.parent
SHARED_FILES = ("__init__.py", "wire.py", "actions.py", "keys.py", "wait.py", "pipe.py", "signing.py")
"""What the server needs beside its own folder. Nothing of `tasks`: the answers are not in the exam room."""
PURE_LIBRARIES = ("mss", "jeepney", "pyautogui", "pyscreeze", "pytweening", "pymsgbox", "mouseinfo", "pyperclip")
ETC = (
    "alternatives", "fonts", "gtk-2.0", "gtk-3.0", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "mime.types", "xdg", "X11", "ImageMagick-6", "ImageMagick-7", "dconf", "pango", "login.defs",
    "libreoffice", "chromium.d", "gimp", "thunderbird",
)  # fmt: skip
"""Of /etc: what programs read to find libraries, fonts, themes and file types; no names, keys or configuration."""
START_SECONDS = 60.0
NETWORK_SECONDS = 10.0
NS_GET_USERNS = 0xB701
"""ioctl_ns(2): the user namespace that owns another namespace."""
LOG_LINES = 12

# A thread's end is its children's parent's death (PR_SET_PDEATHSIG counts threads): so one that never ends starts all.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawn")


@dataclass(frozen=True)
class _Processes:
    """What runs on the host for one desktop: the sandbox, its network's other end where it has one, their groups."""

    sandbox: subprocess.Popen[bytes]
    network: subprocess.Popen[bytes] | None
    groups: list[Path]


class LocalDesktop(Client):
    """A running desktop on this machine."""

    def __init__(self, name: str, folder: Path, processes: _Processes, tokens: dict[str, str]) -> None:
        self.socket = str(folder / "socket")
        super().__init__(name, token=tokens["control_token"], connect=unix(self.socket))
        self.folder, self.tokens = folder, tokens
        self.process, self.network, self.groups = processes.sandbox, processes.network, processes.groups
        self.log: deque[str] = deque(maxlen=200)


class LocalProvider:
    """Starts desktops on this machine; `deskbench.envs.providers.pool` keeps one warm."""

    name = "local"
    capacity: int | None = None
    platform: str | None = "Linux"

    def __init__(self) -> None:
        self._running: dict[str, LocalDesktop] = {}
        self._lock = threading.Lock()
        sweep()

    def describe(self) -> dict[str, str]:
        """Nothing: desktops are made of this machine's programs."""
        return {}

    def start(self, spec: DesktopSpec) -> LocalDesktop:
        """A fresh desktop; about half a second.

        Raises:
            UsageError: this machine cannot make a sandbox; says why and what to do.
            StartError: with the last lines of its log.
        """
        if spec.isolated and shutil.which("bwrap") is None:
            raise UsageError("bubblewrap is not installed: apt-get install bubblewrap, or run with --unisolated")
        if spec.network == "full" and shutil.which("slirp4netns") is None:
            raise UsageError("a desktop with network needs slirp4netns: apt-get install slirp4netns")
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        (folder / "owner").write_text(str(os.getpid()))
        tokens = new_tokens()
        try:
            command = self._command(folder, spec)
            processes = _spawner.submit(_spawn, command, folder, spec).result()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        desktop = LocalDesktop(f"{self.name}-{folder.name[len(PREFIX) :]}", folder, processes, tokens)
        try:
            _await_ready(desktop)
            if isinstance(spec.network, tuple):
                desktop.allow(spec.network)
        except BaseException:
            _end(desktop)
            raise
        with self._lock:
            self._running[desktop.name] = desktop
        return desktop

    def _command(self, folder: Path, spec: DesktopSpec) -> list[str]:
        """What starts a desktop whose things are in the folder."""
        if not spec.isolated:
            return _server_command(str(folder / "socket"), spec)
        return sandbox(folder, spec, _server_command("/run/deskbench/socket", spec))

    def stop(self, desktop: Desktop) -> None:
        """End it and everything in it."""
        assert isinstance(desktop, LocalDesktop)
        with self._lock:
            self._running.pop(desktop.name, None)
        _end(desktop)

    def close(self) -> None:
        """Stop every desktop that this provider started."""
        for desktop in list(self._running.values()):
            self.stop(desktop)

    def doctor(self) -> list[Check]:
        """What this machine has and lacks; starts a desktop to prove it."""
        from deskbench.envs.providers.doctor import examine

        return examine(self)


PREFIX = "deskbench-"
SLIRP_DNS = "10.0.2.3"
"""Where slirp4netns answers names (its manual page)."""


def sweep() -> None:
    """Remove the folders of controllers that are no more."""
    limits.sweep(PREFIX)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            owner = int((folder / "owner").read_text())
        except (OSError, ValueError):
            continue
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _spawn(command: list[str], folder: Path, spec: DesktopSpec) -> _Processes:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    if not spec.isolated:
        home = folder / "home"
        home.mkdir()
        (folder / "run").mkdir(mode=0o700)
        environment |= {"HOME": str(home), "PYTHONPATH": str(folder / "lib"), "XDG_RUNTIME_DIR": str(folder / "run")}
        link_libraries(folder / "lib")
    networked = spec.isolated and spec.network == "full"
    read, write = os.pipe() if networked else (-1, -1)
    groups = limits.make(folder.name)
    if networked:
        command = [command[0], "--info-fd", str(write), *command[1:]]
    process = subprocess.Popen(
        limits.entering(groups, command),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        start_new_session=True, pass_fds=(write,) if networked else (),
    )  # fmt: skip
    try:
        return _Processes(process, join_network(read, write) if networked else None, groups)
    except BaseException:
        kill_sandbox(process)
        limits.remove(groups)
        raise


def join_network(read: int, write: int) -> subprocess.Popen[bytes]:
    """Give the sandbox a network of its own, from which neither the host's loopback nor its sockets can be reached."""
    os.close(write)
    with os.fdopen(read) as pipe:
        pid = str(json.load(pipe)["child-pid"])
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    owner = fcntl.ioctl(network, NS_GET_USERNS)  # not always the one that the programs are in
    ready, tell = os.pipe()
    command = ["slirp4netns", "--configure", "--disable-host-loopback", f"--ready-fd={tell}", "--exit-fd=0"]
    process = subprocess.Popen(  # it ends when its standard input does, which is when we do
        [*command, f"--userns-path=/proc/self/fd/{owner}", pid, "tap0"], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, pass_fds=(owner, tell),
    )  # fmt: skip
    for descriptor in (network, owner, tell):
        os.close(descriptor)
    with os.fdopen(ready) as pipe:
        if select.select([pipe], [], [], NETWORK_SECONDS)[0] and pipe.read(1):
            return process
    process.kill()
    said = process.communicate()[1].decode("utf-8", "replace").strip().replace("\n", "; ")
    raise UsageError(f"a desktop with network cannot be made: slirp4netns: {said} (/dev/net/tun must be writable)")


def end_network(process: subprocess.Popen[bytes]) -> None:
    """End what `join_network` has started."""
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def _server_command(socket: str, spec: DesktopSpec) -> list[str]:
    return ["/usr/bin/python3", "-m", "deskbench.envs.server", "--socket", socket, *session_arguments(spec)]


def session_arguments(spec: DesktopSpec) -> list[str]:
    """What the server is told of the desktop that is wanted."""
    proxy = ["--proxy"] if isinstance(spec.network, tuple) else []
    no_auth = [] if spec.tokens else ["--no-auth"]
    return ["--session", f"{spec.width}x{spec.height}", *proxy, *no_auth]


def library_paths() -> dict[str, Path]:
    """The pure-Python libraries that the server and OSWorld's commands import, as they are installed here."""
    found = {}
    for name in PURE_LIBRARIES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            found[origin.parent.name if origin.name == "__init__.py" else origin.name] = (
                origin.parent if origin.name == "__init__.py" else origin
            )
    return found


def link_libraries(folder: Path) -> None:
    """Make a folder from which the system's Python runs the server (PYTHONPATH)."""
    (folder / "deskbench/envs").mkdir(parents=True)
    for name, path in library_paths().items():
        (folder / name).symlink_to(path)
    for shared in (*SHARED_FILES, "server"):
        (folder / "deskbench/envs" / shared).symlink_to(ENVS / shared)


def _scratch(path: str, megabytes: int) -> list[str]:
    """An empty folder in memory with a limit: all of them together leave programs some of the desktop's memory."""
    return ["--size", str(megabytes * 2**20), "--tmpfs", path]


def system_folders() -> list[str]:
    """The folders beside /usr that programs and libraries are looked for in, for a sandbox that has /usr."""
    options = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            options += ["--ro-bind", str(path), str(path)]
    return options


def sandbox(folder: Path, spec: DesktopSpec, inside: list[str], binds: Sequence[str] = ()) -> list[str]:
    """The command that runs another in a sandbox.

    Args:
        folder: for the desktop's few files on the host; `folder/socket` becomes the server's.
        spec: network.
        inside: what runs in it.
        binds: more of bubblewrap's options.
    """
    (folder / "passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000:User:/home/user:/bin/bash\n")
    (folder / "group").write_text("root:x:0:\nuser:x:1000:\n")
    (folder / "hosts").write_text("127.0.0.1 localhost desktop\n")
    (folder / "resolv.conf").write_text(f"nameserver {SLIRP_DNS}\n" if spec.network == "full" else "")
    (folder / "shared").mkdir()
    command = [
        "bwrap", "--unshare-all", "--uid", "1000", "--gid", "1000", "--hostname", "desktop", "--die-with-parent",
        "--new-session", "--clearenv", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev",
        *_scratch("/dev/shm", 512), *_scratch("/tmp", 1024), *_scratch("/run", 64), *_scratch("/home", 2048),
        *_scratch("/var", 256),
        "--perms", "0700", "--dir", "/run/user/1000", "--dir", "/home/user", "--perms", "1777", "--dir", "/var/tmp",
        "--dir", "/tmp/.X11-unix",
    ]  # fmt: skip
    command += system_folders()
    for name in (*ETC, *(("ssl", "ca-certificates") if spec.network == "full" else ())):
        command += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("passwd", "group", "hosts", "resolv.conf"):
        command += ["--ro-bind", str(folder / name), f"/etc/{name}"]
    for name, path in library_paths().items():
        command += ["--ro-bind", str(path), f"/opt/deskbench/{name}"]
    for shared in (*SHARED_FILES, "server"):
        command += ["--ro-bind", str(ENVS / shared), f"/opt/deskbench/deskbench/envs/{shared}"]
    command += [
        "--bind",
        str(folder / "shared"),
        "/run/deskbench",
        *binds,
        "--remount-ro",
        "/",
        "--chdir",
        "/home/user",
    ]
    environment = {
        "HOME": "/home/user", "USER": "user", "LOGNAME": "user", "SHELL": "/bin/bash",
        "PATH": "/usr/bin:/bin:/usr/games", "PYTHONPATH": "/opt/deskbench", "XDG_RUNTIME_DIR": "/run/user/1000",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    for key, value in environment.items():
        command += ["--setenv", key, value]
    (folder / "socket").symlink_to("shared/socket")
    return [*command, "--", *inside]


def _await_ready(desktop: LocalDesktop) -> None:
    process = desktop.process
    assert process.stdin and process.stdout and process.stderr
    draining = threading.Thread(target=_drain, args=(desktop,), daemon=True)
    draining.start()
    try:
        process.stdin.write(json.dumps(desktop.tokens).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it ended at once; what it said on the way is in the log
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if readable else b""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = {}
    if answer.get("ready"):
        return
    if not readable:
        why = f"nothing heard for {START_SECONDS:g} s"
    else:
        wait.until(lambda: process.poll() is not None, timeout=1.0)
        draining.join(1.0)  # what it said last
        why = answer.get("error") or f"it ended with status {process.poll()}"
    log = "\n".join(list(desktop.log)[-LOG_LINES:])
    if "bwrap:" in log and "namespace" in log:
        raise UsageError(
            f"this machine does not let bubblewrap make namespaces ({log.splitlines()[-1]}); allow unprivileged user "
            "namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu), or run with --unisolated"
        )
    raise StartError(f"{desktop.name} did not start: {why}\n{log}")


def _drain(desktop: LocalDesktop) -> None:
    assert desktop.process.stderr
    for line in desktop.process.stderr:
        desktop.log.append(line.decode("utf-8", "replace").rstrip())


def kill_sandbox(process: subprocess.Popen[bytes]) -> None:
    """Kill a sandbox from the inside out: bubblewrap then ends by itself and leaves no zombie to the host's init."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children():
            child.kill()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end(desktop: LocalDesktop) -> None:
    desktop.close()
    kill_sandbox(desktop.process)
    if desktop.network is not None:
        end_network(desktop.network)
    for stream in (desktop.process.stdin, desktop.process.stdout):
        if stream:
            with contextlib.suppress(BrokenPipeError):  # what it never read is still in the buffer
                stream.close()
    limits.remove(desktop.groups)
    shutil.rmtree(desktop.folder, ignore_errors=True)
