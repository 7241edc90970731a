"""A small Ray cluster on this machine, whose nodes can be killed; the one place that uses Ray's `Cluster`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psutil
from pytest import MonkeyPatch

from deskbench.agent.engines.cluster import OBJECT_STORE_BYTES, load
from deskbench.envs import wait

MARK = "DESKBENCH_TEST_CLUSTER"
"""An environment variable that all processes of a cluster inherit."""
PATIENCE = 30.0


class Machines:
    """A head without desktops, and nodes with some.

    Attributes:
        address: HOST:PORT, to join it.
    """

    def __init__(self, nodes: int, desktops: int) -> None:
        load(local=True)
        from ray.cluster_utils import Cluster

        self._small: dict[str, Any] = {
            "num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "node_ip_address": "127.0.0.1",
            "include_dashboard": False,
        }  # fmt: skip
        self._cluster = Cluster(initialize_head=True, head_node_args=self._small)
        self.address = str(self._cluster.address)
        self._nodes = [self._cluster.add_node(**self._small, resources={"desktop": desktops}) for _ in range(nodes)]

    def kill(self, number: int) -> None:
        """Kill a node with all that runs on it, as a power cut does."""
        self._cluster.remove_node(self._nodes.pop(number), allow_graceful=False)

    def kill_head(self) -> None:
        """Kill the process that all nodes report to."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def close(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()


@contextmanager
def machines(nodes: int, desktops: int) -> Iterator[Machines]:
    """A cluster; at the end nothing of it is left, nor of what ran on it.

    Its files are in a folder with a short path, since sockets are among them.
    """
    with TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as scratch, marked(scratch):
        Path(scratch).chmod(0o755)  # desktops' users read theirs in it
        found = Machines(nodes, desktops)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def marked(scratch: str = "") -> Iterator[None]:
    """Mark every process that starts in the block; at the end none of them is left.

    Args:
        scratch: the folder for the temporary files of these processes, which may be killed before they remove them.
    """
    mark = uuid4().hex
    try:
        with MonkeyPatch.context() as patch:
            patch.setenv(MARK, mark)
            if scratch:
                patch.setenv("TMPDIR", scratch)
            yield
    finally:
        assert wait.until(lambda: not _left(mark), timeout=PATIENCE), [one.cmdline() for one in _left(mark)]


def _left(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter() if _has(one, mark)]


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except psutil.Error:  # it has ended
        return False
