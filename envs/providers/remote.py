"""Machines that already run and answer our protocol or OSWorld's: one by its URL, or many from a TOML file.

    [[machine]]
    url = "http://10.0.0.5:5000"
    token_env = "DESK5_TOKEN"                       # the environment variable that holds the control token
    reset = "ssh host5 virsh snapshot-revert desk clean"   # a command, a URL to POST to, or "none"

The machine decides its own network and screen size; the settings of a run do not apply.
"""

from __future__ import annotations

import queue
import re
import shlex
import subprocess
import threading
from pathlib import Path

import requests
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deskbench.envs import wait
from deskbench.envs.actions import nearest
from deskbench.envs.clients.http import Client
from deskbench.envs.clients.osworld import OsworldClient
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, GuestError, StartError, UsageError
from deskbench.envs.foreign import read_toml
from deskbench.envs.redact import secret_of
from deskbench.envs.wire import PROTOCOL, Health

RESET_SECONDS = 600.0
READY_SECONDS = 300.0
"""Seconds that a machine may take to answer after its reset. Without KVM, it boots for a minute or two."""
FREE_SECONDS = 3600.0
"""Seconds that a start waits while all machines are in use."""
KEEP = "none"
"""The `reset` of a machine that is used as it is, whatever happened on it before."""


class Machine(BaseModel):
    """One machine: its address, the environment variable with its token, and how to reset it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://[^/\s]+")
    token_env: str | None = None
    reset: str | None = None
    ports: dict[int, str] = Field(default_factory=dict)


FIVE_PARTS = re.compile(r"([^:/\s]+):(\d+):(\d+):(\d+):(\d+)")
"""An address in the form of OSWorld's docker provider: host, and the ports of the server, Chrome, VNC and VLC."""


class RemoteProvider:
    """Resets machines and hands each out to one user at a time.

    Args:
        source: a machine's URL, OSWorld's five-part address (HOST:5000:9222:8006:8080), or the path of a TOML file.

    Raises:
        UsageError: the file cannot be read or has an error, or a token is missing.
    """

    name = "remote"
    platform: str | None = None

    def __init__(self, source: str = "") -> None:
        self._machines = machines_of(source)
        for machine in self._machines:
            _token(machine)  # raises now if its token is missing
        self.capacity: int | None = len(self._machines)
        self._free: queue.Queue[Machine] = queue.Queue()
        for machine in self._machines:
            self._free.put(machine)
        self._used: set[str] = set()
        self._running: dict[int, tuple[Client, Machine]] = {}
        self._lock = threading.Lock()

    def describe(self) -> dict[str, str]:
        """The machines' addresses."""
        return {"machines": " ".join(machine.url for machine in self._machines)}

    def start(self, spec: DesktopSpec) -> Client:
        """Wait for a free machine, and reset it.

        Raises:
            UsageError: it was used and has no reset, or speaks neither protocol, or its token is missing.
            StartError: the reset failed, or the machine does not answer; the message gives the last state seen.
        """
        try:
            machine = self._free.get(timeout=FREE_SECONDS)
        except queue.Empty:
            raise StartError(f"all {self.capacity} machines were in use for {FREE_SECONDS:g} s") from None
        try:
            self._freshen(machine)
            desktop, _ = reach(machine, READY_SECONDS)
        except BaseException:
            self._free.put(machine)
            raise
        with self._lock:
            self._running[id(desktop)] = desktop, machine
        return desktop

    def _freshen(self, machine: Machine) -> None:
        with self._lock:
            used = machine.url in self._used
            self._used.add(machine.url)
        if machine.reset is not None:
            reset(machine)
        elif used:
            raise UsageError(
                f"{machine.url} has been used and has no reset: name one in a file (--provider remote:FILE.toml), or "
                f'say reset = "{KEEP}" there to use it as it is'
            )

    def stop(self, desktop: Desktop) -> None:
        """Release a machine. It keeps running, and is reset before the next user gets it."""
        with self._lock:
            mine, machine = self._running.pop(id(desktop), (None, None))
        if mine is not None and machine is not None:
            mine.close()
            self._free.put(machine)

    def close(self) -> None:
        """Release all machines."""
        for desktop, _ in list(self._running.values()):
            self.stop(desktop)

    def doctor(self) -> list[Check]:
        """Whether each machine answers, and what it cannot do. Resets nothing."""
        return [_look(machine) for machine in self._machines]


def machines_of(source: str) -> tuple[Machine, ...]:
    """One machine from a URL, or those of a TOML file.

    Raises:
        UsageError: names the file, the key and the bad value.
    """
    if source.startswith(("http://", "https://")):
        return (_machine({"url": source}, source),)
    if five := FIVE_PARTS.fullmatch(source):
        return (_five_parts(*five.groups()),)
    if not source:
        raise UsageError("provider remote: name the machine: remote:http://HOST:5000, or remote:FILE.toml")
    content = read_toml(Path(source), source)
    unknown = next((key for key in content if key != "machine"), None)
    if unknown is not None:
        raise UsageError(f"{source}: unknown key {unknown!r}{nearest(unknown, ('machine',))}")
    found = content.get("machine")
    if not isinstance(found, list) or not found:
        raise UsageError(f"{source} has no [[machine]]")
    machines = tuple(_machine(one, f"{source}: machine {number}") for number, one in enumerate(found, 1))
    for machine in machines:
        if sum(other.url == machine.url for other in machines) > 1:
            raise UsageError(f"{source}: {machine.url} is listed twice")
    return machines


def _five_parts(host: str, server: str, chrome: str, vnc: str, vlc: str) -> Machine:
    ports = {9222: chrome, 8006: vnc, 8080: vlc}
    return Machine(url=f"http://{host}:{server}", ports={inner: f"{host}:{outer}" for inner, outer in ports.items()})


def _machine(value: object, where: str) -> Machine:
    try:
        return Machine.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        hint = nearest(name, Machine.model_fields) if first["type"] == "extra_forbidden" else ""
        raise UsageError(f"{where}: {name or 'it'} is {first['input']!r}: {first['msg']}{hint}") from None


def _token(machine: Machine) -> str | None:
    if machine.token_env is None:
        return None
    token = secret_of(machine.token_env)
    if not token:
        raise UsageError(f"{machine.url}: the environment variable {machine.token_env!r} is not set")
    return token


def reset(machine: Machine) -> None:
    """Reset a machine with its own command or URL.

    Raises:
        StartError: it failed; the message has the last line of its output.
    """
    wanted = machine.reset
    if wanted is None or wanted == KEEP:
        return
    if wanted.startswith(("http://", "https://")):
        try:
            requests.post(wanted, timeout=RESET_SECONDS).raise_for_status()
        except requests.RequestException as error:
            raise StartError(f"{machine.url}: the reset {wanted} failed: {error}") from None
        return
    try:
        done = subprocess.run(
            shlex.split(wanted), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False, timeout=RESET_SECONDS,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise StartError(f"{machine.url}: the reset {wanted!r} failed: {error}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        tail = f": {said[-1]}" if said else ""
        raise StartError(f"{machine.url}: the reset {wanted!r} ended with status {done.returncode}{tail}")


def reach(machine: Machine, seconds: float) -> tuple[Client, Health]:
    """Connect to a machine, once it answers our protocol, or else OSWorld's.

    Raises:
        StartError: it does not answer; the message gives the last state seen.
        UsageError: it speaks neither protocol or another version of ours, or rejects the token.
    """
    ours = Client(machine.url, machine.url, token=_token(machine))
    theirs = OsworldClient(machine.url, machine.url, machine.ports)

    def answers() -> tuple[Client, Health]:
        try:
            return ours, ours.health()
        except GuestError as error:
            # If the user set a token, do not fall back to a server that cannot prove itself.
            if error.status in (401, 403) or (error.status == 404 and machine.token_env is not None):
                hint = "name the token's environment variable as token_env; OSWorld's server has none"
                raise UsageError(f"{error} ({hint})") from None
            found = _as_osworld(theirs) if error.status == 404 else None
            if found is None:
                raise
            return found

    try:
        found = wait.retry(answers, EnvError, timeout=seconds, interval=0.1, max_interval=2.0)
    except EnvError as error:
        raise StartError(f"{machine.url} did not answer within {seconds:g} s; last: {error}") from None
    if found[1].protocol != PROTOCOL:
        raise UsageError(f"{machine.url} speaks protocol {found[1].protocol}; this is protocol {PROTOCOL}")
    return found


def _as_osworld(client: OsworldClient) -> tuple[Client, Health] | None:
    try:
        return client, client.health()
    except GuestError as error:
        if error.status == 404:
            raise UsageError(f"{client.name} answers neither deskbench's protocol nor OSWorld's routes") from None
        return None  # OSWorld's server starts before its display does
    except EnvError:
        return None


def _look(machine: Machine) -> Check:
    try:
        desktop, health = reach(machine, 0.0)
        desktop.close()
    except (EnvError, UsageError) as error:
        return Check(machine.url, False, str(error), "start the server there, and check that this machine can reach it")
    lacks = [f"{name}: {why}" for name, why in health.features.items() if why]
    fresh = {None: "no reset: only one episode", KEEP: "used as it is"}.get(machine.reset, f"reset: {machine.reset}")
    size = f"{health.screen[0]}x{health.screen[1]}"
    by = "" if health.server == "deskbench" else f" by {health.server}'s routes"
    return Check(machine.url, True, "; ".join([f"{health.platform}{by}, {size}, {fresh}", *lacks]))
