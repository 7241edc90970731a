"""The embedded provider: a desktop on this machine, in its own sandbox.

One bubblewrap holds everything: the X server, the session, the server of `deskbench.envs.server` and the programs,
under ids that own nothing on this machine (`ids`, `sandbox`). The controller makes the listening socket and hands it to
the server, so nothing inside can take its place. When the server ends, the desktop has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.clients.http import Client, new_tokens, unix
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers import ids, limits
from deskbench.envs.providers.leftovers import PREFIX, own, sweep
from deskbench.envs.providers.payload import SERVER, payload, session_arguments
from deskbench.envs.providers.sandbox import end_network, filtered, join_network, kill_sandbox, sandbox

START_SECONDS = 60.0
LOG_LINES, LOG_KEPT, LOG_LINE = 60, 200, 4096
"""Limits for a desktop's log: lines in an error, lines kept, bytes of a line."""
BACKLOG = 64
NOBODY = 65534
"""The id of nobody, in the kernel and all distributions."""
# PR_SET_PDEATHSIG kills a child when the thread that started it ends, so one thread that never ends starts them all.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawn")


@dataclass(frozen=True)
class _Processes:
    """One desktop's processes on the host: the sandbox, the process behind its network (if any), their groups."""

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
        self.log: deque[str] = deque(maxlen=LOG_KEPT)


class LocalProvider:
    """Starts desktops on this machine; `deskbench.envs.providers.pool` keeps one warm."""

    name = "local"
    capacity: int | None = None
    platform: str | None = "Linux"
    ptrace = False
    """Whether programs in the desktop may trace each other."""

    def __init__(self) -> None:
        self._running: dict[str, LocalDesktop] = {}
        self._lock = threading.Lock()
        sweep()

    def describe(self) -> dict[str, str]:
        """Nothing: desktops use this machine's programs."""
        return {}

    def start(self, spec: DesktopSpec) -> LocalDesktop:
        """Start a fresh desktop; takes about half a second.

        Raises:
            UsageError: this machine cannot make a sandbox; the message says why and what to do.
            StartError: it did not start; the message has the last lines of its log.
        """
        self._check(spec)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        own(folder)
        folder.chmod(0o711)  # the sandbox's ids find their files here; only its owner may use the socket
        tokens = new_tokens()
        try:
            processes = _spawner.submit(self._spawn, folder, spec).result()
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

    def _check(self, spec: DesktopSpec) -> None:
        """Check that this machine has what the spec needs.

        Raises:
            UsageError: something is missing; the message gives the fix.
        """
        if spec.isolated and shutil.which("bwrap") is None:
            raise UsageError("bubblewrap is not installed: apt-get install bubblewrap, or run with --unisolated")
        if spec.network == "full" and shutil.which("slirp4netns") is None:
            raise UsageError("a desktop with network needs slirp4netns: apt-get install slirp4netns")

    def _inside(self, listener: int, spec: DesktopSpec, chosen: ids.Ids | None) -> list[str]:
        """The command that runs in the sandbox: the server, with the number of the socket that it inherits."""
        user = ["--user", "user"] if chosen is not None else []
        return [*SERVER, "--listen", str(listener), *user, *session_arguments(spec)]

    def _binds(self) -> list[str]:
        """More options for the sandbox."""
        return []

    def _spawn(self, folder: Path, spec: DesktopSpec) -> _Processes:
        chosen = ids.allocate() if spec.isolated else None
        groups = limits.make(folder.name)
        with _listening(folder / "socket") as listener:
            inside = self._inside(listener.fileno(), spec, chosen)
            try:
                if spec.isolated:
                    command = sandbox(folder, spec, inside, chosen, self._binds())
                    process, network = self._start(command, folder, spec, chosen, groups, listener.fileno())
                else:
                    process, network = _start_unisolated(inside, folder, groups, listener.fileno()), None
            except BaseException:
                limits.remove(groups)
                raise
        return _Processes(process, network, groups)

    def _start(
        self, command: list[str], folder: Path, spec: DesktopSpec, chosen: ids.Ids | None, groups: list[Path],
        listener: int,
    ) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes] | None]:  # fmt: skip
        """Start a sandbox and, if the spec has a network, the process behind that."""
        networked = spec.network == "full"
        read, write = os.pipe() if networked else (-1, -1)
        info = ["--info-fd", str(write)] if networked else []
        with ids.entry(chosen) as entry, filtered(ptrace=self.ptrace) as (forbidding, rules):
            command = entry.command([command[0], *info, *forbidding, *command[1:]])
            inherited = (listener, rules, *entry.descriptors, *((write,) if networked else ()))
            process = _popen(limits.entering(groups, command), inherited, {})
            try:
                entry.map(process)
                return process, join_network(read, write, folder, chosen) if networked else None
            except BaseException:
                kill_sandbox(process)
                raise

    def stop(self, desktop: Desktop) -> None:
        """End a desktop and everything in it."""
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


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A listening Unix socket that only its owner may connect to; the process that inherits it answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
        yield listener


def _start_unisolated(inside: list[str], folder: Path, groups: list[Path], listener: int) -> subprocess.Popen[bytes]:
    """Start a server without a sandbox. Root starts it as nobody, because programs need an id with a name."""
    home, run = folder / "home", folder / "run"
    home.mkdir()
    run.mkdir(mode=0o700)
    command = inside
    if os.geteuid() == 0:
        for path in (home, run):
            os.chown(path, NOBODY, NOBODY)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *inside]
    environment = {"HOME": str(home), "PYTHONPATH": str(payload()), "XDG_RUNTIME_DIR": str(run)}
    return _popen(limits.entering(groups, command), (listener,), environment)


def _popen(command: list[str], inherited: Sequence[int], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        pass_fds=inherited, env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **environment},
    )  # fmt: skip


def _await_ready(desktop: LocalDesktop) -> None:
    process = desktop.process
    assert process.stdin and process.stdout and process.stderr
    draining = threading.Thread(target=_drain, args=(desktop,), daemon=True)
    draining.start()
    try:
        process.stdin.write(json.dumps(desktop.tokens).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it ended at once; the log has its messages
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if readable else b""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = {}
    if answer.get("ready"):
        return
    if not readable:
        why = f"no answer for {START_SECONDS:g} s"
    else:
        wait.until(lambda: process.poll() is not None, timeout=1.0)
        draining.join(1.0)  # wait for its last messages
        why = answer.get("error") or f"it ended with status {process.poll()}"
    log = "\n".join(list(desktop.log)[-LOG_LINES:])
    if "bwrap:" in log and "namespace" in log:
        raise UsageError(
            f"this machine does not let bubblewrap create namespaces ({log.splitlines()[-1]}); allow unprivileged user "
            "namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu), or run with --unisolated"
        )
    raise StartError(f"{desktop.name} did not start: {why}\n{log}")


def _drain(desktop: LocalDesktop) -> None:
    stream = desktop.process.stderr
    assert stream
    for line in iter(lambda: stream.readline(LOG_LINE), b""):  # programs write here, too, and a line may never end
        desktop.log.append(line.decode("utf-8", "replace").rstrip())


def _end(desktop: LocalDesktop) -> None:
    desktop.close()
    kill_sandbox(desktop.process)
    if desktop.network is not None:
        end_network(desktop.network)
    for stream in (desktop.process.stdin, desktop.process.stdout):
        if stream:
            with contextlib.suppress(BrokenPipeError):  # the buffer still holds what it never read
                stream.close()
    limits.remove(desktop.groups)
    shutil.rmtree(desktop.folder, ignore_errors=True)
