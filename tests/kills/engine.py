"""Two engines: the threads of `deskbench run`, and workers in processes of their own that ask for leases over a socket.

The second one is what an engine on several machines would be: only the controller has the ledger, and the workers are
on nodes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from deskbench.agent import manifest
from deskbench.agent.batch import Batch
from deskbench.agent.build import ASSETS, Prepared
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Lease, Ledger, Planned, Result
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter, Written
from deskbench.agent.runs.recovery import recover
from deskbench.envs import wait
from tests.kills.machines import Machines, tag
from tests.kills.processes import become

RENEWALS = 4
NODES = 2


def threads(prepared: Prepared, folder: Path) -> None:
    """Begin or resume a run as the command does."""
    Batch(prepared, folder).run(resume=RunFolder(folder).exists)


def processes(prepared: Prepared, folder: Path) -> None:
    """Begin or resume a run with a process for each worker."""
    run = RunFolder(folder)
    folder.mkdir(exist_ok=True)
    if not run.exists:
        run.write_manifest(manifest.manifest(prepared))
    ledger = Ledger(run.ledger)
    recover(ledger, run)
    tasks, config = prepared.tasks, prepared.config
    ledger.plan(Planned(task.key, n, config.seed + n) for n in range(config.repeats) for task in tasks)
    ledger.begin_session(config.retries)
    with _workers(prepared, folder) as listener:
        offices = []
        while ledger.open_episodes():
            _expire(ledger)
            listener.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                office = threading.Thread(target=_serve, args=(listener.accept()[0], ledger, config.lease_seconds))
                office.start()
                offices.append(office)
    for office in offices:
        office.join()
    ledger.close()


def _expire(ledger: Ledger) -> None:
    """Take episodes from workers that no longer renew their leases."""
    for token in ledger.expired():
        ledger.supersede(token, "the worker gave no sign of life")


@contextlib.contextmanager
def _workers(prepared: Prepared, folder: Path) -> Iterator[socket.socket]:
    """A process that keeps nodes alive, and the socket that their workers call; forked while there are no threads."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"\0{tag()}-{os.getpid()}")
    listener.listen(64)
    rack = os.fork()
    if rack == 0:
        address = listener.getsockname()
        listener.close()
        become(f"{tag()}-rack")
        _keep(NODES, "node", lambda: _node(prepared, folder, address))
    try:
        yield listener
    finally:
        listener.close()
        os.kill(rack, signal.SIGKILL)
        os.waitpid(rack, 0)


def _node(prepared: Prepared, folder: Path, address: bytes) -> None:
    """A node: its workers end with it, and their desktops with them."""

    def work() -> None:
        with contextlib.suppress(EOFError, OSError):
            _work(prepared, folder, address)

    _keep(prepared.config.parallel // NODES, "worker", work)


def _keep(count: int, role: str, run: Callable[[], None]) -> None:
    """Keep this many processes alive."""
    alive = 0
    while True:
        while alive < count:
            if os.fork() == 0:
                become(f"{tag()}-{role}")
                run()
                os._exit(0)
            alive += 1
        os.wait()
        alive -= 1
        wait.sleep(0.02)


class _Office:
    """The worker's end of its connection to the controller; safe to use from two threads."""

    def __init__(self, address: bytes) -> None:
        called = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        called.connect(address)
        self._connection = Connection(called.detach())
        self._lock = threading.Lock()

    def ask(self, what: str, *args: Any) -> Any:
        with self._lock:
            self._connection.send((what, args))
            return self._connection.recv()


def _serve(called: socket.socket, ledger: Ledger, seconds: float) -> None:
    """The controller's end."""
    connection = Connection(called.detach())
    answer: object = None
    with contextlib.suppress(EOFError, OSError), connection:
        while True:
            what, args = connection.recv()
            if what == "lease":
                answer = ledger.lease(args[0], seconds)
            elif what == "renew":
                answer = ledger.renew(args, seconds)
            elif what == "accept":
                token, result, written = args
                answer = ledger.accept(token, result, written.publish).counts
            connection.send(answer)


def _work(prepared: Prepared, folder: Path, address: bytes) -> None:
    provider, office = Machines(), _Office(address)
    while True:
        lease: Lease | None = office.ask("lease", f"process {os.getpid()}")
        if lease is None:
            wait.sleep(0.05)
            continue
        ended = threading.Event()
        renewing = threading.Thread(
            target=_renew, args=(office, lease.token, prepared.config.lease_seconds, ended), daemon=True
        )
        renewing.start()
        try:
            _attempt(prepared, folder, lease, office, provider)
        finally:
            ended.set()


def _renew(office: _Office, token: int, seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds / RENEWALS):
        with contextlib.suppress(EOFError, OSError):
            office.ask("renew", token)


def _attempt(prepared: Prepared, folder: Path, lease: Lease, office: _Office, provider: Machines) -> None:
    task = {task.key: task for task in prepared.tasks}[lease.episode.task]

    def hand_in(record: EpisodeRecord, written: Written) -> bool:
        return bool(office.ask("accept", lease.token, Result.of(record), written))

    writer = EpisodeWriter(RunFolder(folder).episode(task.key, lease.number).path, hand_in)
    desktop = provider.start(prepared.spec(task))
    plan = Plan(
        task, "writer", "machines", ASSETS, repeat=lease.episode.repeat, attempt=lease.number, deaths=lease.deaths
    )
    try:
        run_episode(plan, prepared.make_agent(task), desktop, writer)
    finally:
        provider.stop(desktop)
        writer.close()


ENGINES = {"threads": threads, "processes": processes}
