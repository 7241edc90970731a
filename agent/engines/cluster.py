"""The Ray cluster of a run: joined, or started on this machine. What it has, what it lacks, and why actors died."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deskbench.envs import wait
from deskbench.envs.errors import UsageError

DESKTOP = "desktop"
"""The custom resource of Ray that says how many desktops a node may have."""
MB = 2**20
OBJECT_STORE_BYTES = 80 * MB
"""About the least that Ray allows: frames never go through it."""
START_COMMAND = "ray start --address=HOST:PORT --resources='{\"desktop\": N}'"
REACH_SECONDS = 10.0
HEAD_LOOK_SECONDS = 2.0
"""Time between two looks at whether the head is there, and the most that a look may take."""
HEAD_SECONDS = 30.0
"""A head that is silent for so long counts as lost."""
AUTH_MODE = "RAY_AUTH_MODE"
"""Ray's environment variable: `token` or `disabled`; clusters of Ray 2.60 ask for a token where they find one."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def load(*, local: bool) -> Any:
    """Import Ray.

    Args:
        local: let a cluster that this process starts listen on the loopback interface alone.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads both when it is imported
    if local:  # else it replaces 127.0.0.1 by an address of the network
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--engine ray: {error.name} is not installed: pip install 'deskbench[ray]'") from None
    return ray


class Cluster:
    """A cluster that this process has joined or started.

    Args:
        address: HOST:PORT of its head; None starts one here.
        desktops: how many desktops this machine may have, if it is started here.

    Raises:
        UsageError: Ray is missing, or the cluster cannot be reached.
    """

    def __init__(self, address: str | None, desktops: int) -> None:
        if address is not None:
            _reach(address)
        self.ray = load(local=address is None)
        self._own = not self.ray.is_initialized()
        self._scratch: Path | None = None
        self._lock = threading.Lock()
        self._looked = wait.now()
        self._silent: float | None = None  # since when nobody listens at the head's address
        if self._own:
            self._join(address, desktops)

    def _join(self, address: str | None, desktops: int) -> None:
        options: dict[str, Any] = {"address": address}
        if address is None:
            # Sockets are in it, whose paths may have 107 characters; TMPDIR may be long.
            self._scratch = Path(tempfile.mkdtemp(prefix="deskbench-ray-", dir="/tmp" if os.name == "posix" else None))
            options = {
                "address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False,
                "resources": {DESKTOP: desktops}, "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": str(self._scratch),
            }  # fmt: skip
        try:
            with _same_handlers():
                self.ray.init(log_to_driver=False, logging_level="ERROR", **options)
            _silence(self.ray)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self.leave()
            where = "--engine ray" if address is None else f"--address {address}"
            raise UsageError(f"{where}: {last_line(error)}{_token_hint(address)}") from None

    def nodes(self) -> dict[str, Mapping[str, float]]:
        """What each living node has in all, by address."""
        return {
            f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}": node["Resources"]
            for node in self.ray.nodes()
            if node["Alive"]
        }

    def places(self, demand: Mapping[str, float]) -> int:
        """How many actors with this demand the living nodes can have at once."""
        return sum(
            min(int(have.get(name, 0) // amount) for name, amount in demand.items()) for have in self.nodes().values()
        )

    def lacks(self, demand: Mapping[str, float]) -> str:
        """What keeps every node from having one such actor, in words."""
        nodes = self.nodes()
        having = "; ".join(f"{name} has {told(have, demand)}" for name, have in nodes.items())
        return f"no node has {told(demand, demand)}: {having or 'no node is alive'}"

    @property
    def headless(self) -> bool:
        """Whether nobody has listened at the head's address for HEAD_SECONDS.

        Ray ends a process that has lost its head, in the middle of whatever it does, after 60 s.
        """
        with self._lock:
            now = wait.now()
            if now - self._looked >= HEAD_LOOK_SECONDS:
                self._looked = now
                host, _, port = str(self.ray.get_runtime_context().gcs_address).rpartition(":")
                try:
                    socket.create_connection((host.strip("[]"), int(port)), HEAD_LOOK_SECONDS).close()
                    self._silent = None
                except OSError:
                    self._silent = self._silent or now
            return self._silent is not None and now - self._silent > HEAD_SECONDS

    def leave(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._own:
            with _same_handlers():
                self.ray.shutdown()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def demand_of(desktop_mb: int | None) -> dict[str, float]:
    """What a seat asks of a node, in Ray's units: desktops, and bytes of memory."""
    return {DESKTOP: 1.0, **({} if desktop_mb is None else {"memory": float(desktop_mb * MB)})}


def told(amounts: Mapping[str, float], names: Mapping[str, float]) -> str:
    """Amounts of Ray's resources in words, for these names: `2 desktops and 1500 MB`."""
    words = []
    for name in names:
        amount = amounts.get(name, 0.0)
        words.append(f"{amount / MB:.0f} MB" if name == "memory" else f"{amount:g} {name}{'s' * (amount != 1)}")
    return " and ".join(words)


def last_line(error: BaseException) -> str:
    """The last line of an error's text: the cause, where Ray puts a traceback before it."""
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _reach(address: str) -> None:
    """See whether the head of a cluster is there: Ray itself would try for minutes.

    Raises:
        UsageError: it is not.
    """
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        raise UsageError(f"--address {address}: write HOST:PORT, and run deskbench on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"--address {address}: no Ray cluster answers there: {error}") from None


def _token_hint(address: str | None) -> str:
    """What else may be wrong: Ray only says that it cannot connect when a cluster asks for a token."""
    if address is None or os.environ.get(AUTH_MODE, "").lower() == "token":
        return ""
    return f" (if it asks for a token: set {AUTH_MODE}=token, and copy ~/.ray/auth_token from its head)"


def _silence(ray: Any) -> None:
    """Keep what nodes log off the standard output, which may be a JSON document."""
    inner = ray._private.worker
    if hasattr(inner, "print_to_stdstream"):
        inner.print_to_stdstream = lambda *args, **named: None


@contextlib.contextmanager
def _same_handlers() -> Iterator[None]:
    """Keep the handlers of signals: Ray takes SIGTERM, and only the main thread may take it back."""
    numbers = [signal.SIGTERM, signal.SIGINT] if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
