"""The workers of a run: one thread each. They hold leases, which are renewed as long as they are alive."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Callable

from deskbench.agent.runs.ledger import Lease, Ledger, Verdict
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.envs import wait
from deskbench.envs.desktop import Desktop

RENEWALS = 4
"""Renewals of a lease before it would end."""
LONGEST_TICK = 1.0
"""Seconds between two looks at the workers, at most."""


class Worker:
    """One thread, and what it is at.

    Attributes:
        slot: number of the desktop, from 0.
        name: its name in the ledger.
        lease: the attempt that it runs, or None.
        handed: the verdict on its result and the record, once it has handed them in.
        desktop: its desktop; whoever stops it takes it first.
        lost: whether it was given up: its result does not count, and another worker has its slot.
    """

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.name = f"{socket.gethostname()}/{os.getpid()}/{slot}"
        self.lease: Lease | None = None
        self.desktop: Desktop | None = None
        self.handed: tuple[Verdict, EpisodeRecord] | None = None
        self.lost = False
        self.ends = math.inf
        self._lock = threading.Lock()

    def begin(self, lease: Lease, seconds: float) -> None:
        """Begin an attempt, whose first part may take this many seconds."""
        with self._lock:
            self.lease, self.handed = lease, None
        self.alive(seconds)

    def alive(self, seconds: float) -> None:
        """Show a sign of life; the next one comes within this many seconds, or the worker hangs."""
        self.ends = wait.now() + seconds

    def take(self) -> Desktop | None:
        """Its desktop, for the one who asks first."""
        with self._lock:
            found, self.desktop = self.desktop, None
            return found

    def done(self) -> bool:
        """End the attempt; returns False if the worker was given up before."""
        with self._lock:
            if not self.lost:
                self.lease, self.ends = None, math.inf
            return not self.lost

    def give_up(self) -> bool:
        """Let the worker be lost; returns False if it ended its attempt meanwhile."""
        with self._lock:
            self.lost = self.lease is not None
            return self.lost


class Workers:
    """Starts workers and replaces those that hang.

    Args:
        ledger: gives out the leases.
        lease_seconds: how long a lease lasts without renewal.
        work: what a worker does until it ends; raises nothing.
    """

    def __init__(self, ledger: Ledger, lease_seconds: float, work: Callable[[Worker], None]) -> None:
        self._ledger = ledger
        self._seconds = lease_seconds
        self._work = work
        self._ended = threading.Event()
        self._threads: dict[Worker, threading.Thread] = {}

    def run(
        self, count: int, *, stopping: Callable[[], bool], lost: Callable[[Worker, Verdict | None, str], None]
    ) -> None:
        """Run this many workers until all have ended; the threads of lost ones may go on.

        Args:
            count: how many.
            stopping: whether lost workers are no longer replaced.
            lost: called for a worker that was given up, with the ledger's verdict (None: its result counts already) and
                the cause.

        Raises:
            StorageError: the ledger cannot be written.
        """
        for slot in range(count):
            self._start(slot)
        tick = min(LONGEST_TICK, self._seconds / RENEWALS)
        renewed = wait.now()
        while self._threads:
            self._ended.wait(tick)
            self._ended.clear()
            self._threads = {one: thread for one, thread in self._threads.items() if thread.is_alive()}
            hung = [one for one in self._threads if one.ends < wait.now()]
            causes = dict.fromkeys(hung, "the worker hung: it did not end a step or a phase in its time")
            if wait.now() - renewed >= self._seconds / RENEWALS:
                renewed = wait.now()
                lapsed = dict.fromkeys(self._renew(hung), "its lease ended: the run stood still")
                causes = {**lapsed, **causes}
            for worker, cause in causes.items():
                if self._give_up(worker, cause, lost) and not stopping():
                    self._start(worker.slot)

    def _start(self, slot: int) -> None:
        worker = Worker(slot)
        thread = threading.Thread(target=self._run, args=(worker,), name=f"episode-{slot}", daemon=True)
        self._threads[worker] = thread
        thread.start()

    def _run(self, worker: Worker) -> None:
        try:
            self._work(worker)
        finally:
            self._ended.set()

    def _renew(self, hung: list[Worker]) -> list[Worker]:
        """Renew the leases of all others; returns the workers whose leases ended before."""
        held = {one.lease.token: one for one in self._threads if one.lease is not None and one not in hung}
        return [held[token] for token in self._ledger.renew(held, self._seconds)]

    def _give_up(self, worker: Worker, cause: str, lost: Callable[[Worker, Verdict | None, str], None]) -> bool:
        lease = worker.lease
        if lease is None:
            return False
        verdict = self._ledger.supersede(lease.token, cause)
        if (verdict is None and worker.ends >= wait.now()) or not worker.give_up():
            return False  # it ended its attempt meanwhile
        del self._threads[worker]
        lost(worker, verdict, cause)
        return True
