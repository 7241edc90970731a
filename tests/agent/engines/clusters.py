"""A small Ray cluster on this machine, whose nodes can be killed; the one place that uses Ray's `Cluster`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psutil

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

    def close(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()


@contextmanager
def machines(nodes: int, desktops: int) -> Iterator[Machines]:
    """A cluster; at the end nothing of it is left, nor of what ran on it."""
    with marked():
        found = Machines(nodes, desktops)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def marked() -> Iterator[None]:
    """Mark every process that starts in the block; at the end none of them is left."""
    before, mark = os.environ.get(MARK), uuid4().hex
    os.environ[MARK] = mark
    try:
        yield
    finally:
        os.environ.pop(MARK)
        if before is not None:
            os.environ[MARK] = before
        assert wait.until(lambda: not _left(mark), timeout=PATIENCE), [one.cmdline() for one in _left(mark)]


def _left(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter() if _has(one, mark)]


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except psutil.Error:  # it has ended
        return False
