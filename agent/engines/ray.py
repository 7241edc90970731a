"""The engine for many machines: each desktop has an actor on a node of a Ray cluster.

Workers, leases and the ledger stay in this process. The thread of a worker begins an attempt in its seat and asks, in
short calls, what becomes of it: a long call cannot be told from a hang. Ray restarts and repeats nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import deskbench
from deskbench.agent.build import Prepared, make_provider
from deskbench.agent.engines.base import Attempt, SeatLost
from deskbench.agent.engines.cluster import DESKTOP, START_COMMAND, Cluster, demand_of, last_line, told
from deskbench.agent.engines.keys import keys_of
from deskbench.agent.engines.seat import Look, SeatProcess, Terms
from deskbench.agent.engines.store import Store
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeRecord, Written
from deskbench.agent.workers import Worker
from deskbench.envs import wait
from deskbench.envs.errors import DeskbenchError, EnvError, UsageError

LOOK_SECONDS = 1.0
"""How long a seat waits for news before it answers: with 200 seats, 200 calls a second."""
PLACING_SECONDS = 0.3
"""Time between two looks at whether a seat has been placed, or another one is free."""
ANSWER_SECONDS = 15.0
"""A seat that does not answer for so long is lost. Ray itself says so at once if the process or the node has died."""
PATIENCE_SECONDS = 60.0
"""How long workers wait for a node when none is left that could have a seat."""
MOST_DEATHS = 3
"""Seats in a row that die before their first attempt; then something is wrong with the nodes."""
HEADLESS = "the head of the Ray cluster is lost: resume the run with another cluster, or with --engine threads"
THREADS = 8
"""Calls that a seat answers at once."""


@dataclass(frozen=True)
class _Placed:
    """A seat, and the node where it is."""

    actor: Any
    node: str


class Ray:
    """Places attempts on the nodes of a cluster.

    Args:
        prepared: the run.
        end_seconds: how long the end of a desktop may take.
        patience: seconds to wait for a node when none is left.

    Raises:
        UsageError: the run's settings do not fit.
    """

    def __init__(self, prepared: Prepared, end_seconds: float, *, patience: float = PATIENCE_SECONDS) -> None:
        self.notice: str | None = None
        self._config = prepared.config
        self._end_seconds = end_seconds
        self._patience = patience
        self._demand = demand_of(prepared.config.desktop_mb)
        self._joined: Cluster | None = None
        self._left = 0
        self._lock = threading.Lock()
        self._seats: dict[Worker, _Placed] = {}
        self._free: list[_Placed] = []
        self._retired: list[threading.Thread] = []
        self._store = Store(prepared.config.results_url) if prepared.config.results_url else None
        self._there = uuid4().hex

    def room(self) -> None:
        """Join the cluster, and look whether a node can have a desktop."""
        config = self._config
        if config.take_over or config.agent == "human":
            raise UsageError("a person can only use desktops of this machine: leave out --engine ray")
        provider = make_provider(config.provider)
        capacity = provider.capacity
        provider.close()
        if capacity is not None:
            raise UsageError(f"provider {config.provider}: one process hands out its machines: leave out --engine ray")
        self._joined = Cluster(config.ray_address, config.parallel)
        places = self._joined.places(self._demand)
        if places == 0:
            raise UsageError(f"{self._joined.lacks(self._demand)}; start nodes with {START_COMMAND}")
        if places < config.parallel:
            one = told(self._demand, self._demand)
            self.notice = (
                f"the cluster has room for {places} of {config.parallel} desktops ({one} each); the others wait"
            )

    def open(self, todo: int) -> int:
        """Workers beyond the room of the cluster wait for seats, so that nodes which join are used."""
        self._left = todo
        return min(self._config.parallel, todo)

    def seat(self, worker: Worker, wanted: Callable[[], bool]) -> bool:
        """A free seat, or a new one."""
        deaths = 0
        while worker not in self._seats:
            if self._cluster.headless:
                raise EnvError(HEADLESS)
            placed = self._take_free()
            if placed is None and wanted():
                try:
                    placed = self._place(wanted)
                except SeatLost as error:
                    deaths += self._still_has_a_node(wanted)
                    if deaths == MOST_DEATHS:
                        raise EnvError(f"{deaths} desktops in a row found no place: {error}") from error
                    continue
            if placed is None:
                return False
            with self._lock:
                self._seats[worker] = placed
        return True

    def _still_has_a_node(self, wanted: Callable[[], bool]) -> bool:
        """Whether a node could have the seat that was lost; if none is left, wait for one.

        Raises:
            EnvError: none came.
        """
        wait.sleep(PLACING_SECONDS)  # that a node has died is known a moment later
        began = wait.now()
        while wanted() and not self._cluster.places(self._demand):
            if wait.now() - began > self._patience:
                raise EnvError(f"{self._cluster.lacks(self._demand)} (waited {self._patience:.0f} s)")
            wait.sleep(PLACING_SECONDS)
        return wait.now() - began < PLACING_SECONDS

    def _take_free(self) -> _Placed | None:
        with self._lock:
            return self._free.pop() if self._free else None

    def _place(self, wanted: Callable[[], bool]) -> _Placed | None:
        """Start a seat, or take one that becomes free meanwhile; None if none is wanted any more.

        Raises:
            SeatLost: the seat died.
            EnvError: no node can have one any more.
            UsageError: the node that has it cannot start desktops.
        """
        actor = self._remote.options(
            num_cpus=0, memory=self._demand.get("memory"), resources={DESKTOP: self._demand[DESKTOP]}, max_restarts=0,
            max_task_retries=0, max_concurrency=THREADS,
        ).remote()  # fmt: skip
        terms = Terms(self._config, deskbench.__version__, self._end_seconds, self._there)
        opened = actor.open.remote(terms, keys_of(self._config))
        since = None
        while wanted():
            if self._ray.wait([opened], timeout=PLACING_SECONDS)[0]:
                return self._opened(actor, opened)
            placed = self._take_free()
            if placed is not None:
                self._ray.kill(actor)
                return placed
            since = None if self._cluster.places(self._demand) else since or wait.now()
            if since is not None and wait.now() - since > self._patience:
                break
        self._ray.kill(actor)
        if since is not None and wanted():
            raise EnvError(f"{self._cluster.lacks(self._demand)} (waited {self._patience:.0f} s)")
        return None

    def _opened(self, actor: Any, answer: Any) -> _Placed:
        try:
            return _Placed(actor, self._got("a desktop's process", answer))
        except BaseException:
            self._ray.kill(actor)
            raise

    def carry_out(self, attempt: Attempt) -> None:
        """Begin an attempt in a seat, and watch over it."""
        worker = attempt.worker
        placed = self._seats[worker]
        try:
            self._watch(attempt, placed)
        except BaseException as error:
            self._retire(worker, ANSWER_SECONDS if isinstance(error, SeatLost) else self._end_seconds)
            raise

    def _watch(self, attempt: Attempt, placed: _Placed) -> None:
        began = told_to_end = False
        self._ask(placed, "begin", attempt.plan, attempt.token, attempt.folder, self._ahead())
        while not attempt.worker.lost:
            if self._cluster.headless:
                raise SeatLost(HEADLESS)
            look: Look = self._ask(placed, "look", LOOK_SECONDS)
            attempt.doing.phase, attempt.doing.step, attempt.doing.actions = look.phase, look.step, look.actions
            attempt.worker.alive(look.left)
            if look.began and not began:
                began = True
                attempt.begin()
            if look.handed is not None:
                self._ask(placed, "answer", self._hand_in(attempt, *look.handed))
            if look.ended:
                if look.error is not None:
                    raise look.error
                self._fetch_rest(attempt)
                return
            if attempt.interrupted() and not told_to_end:
                told_to_end = True
                self._ask(placed, "interrupt")

    def _ahead(self) -> int:
        """How many warm desktops a seat keeps from now on: one, as long as every seat will have another episode."""
        with self._lock:
            self._left -= 1
            return int(self._left >= len(self._seats))

    def _hand_in(self, attempt: Attempt, record: EpisodeRecord, written: Written) -> bool:
        if self._store is not None:
            attempt.worker.alive(self._end_seconds)
            EpisodeFolder(attempt.folder).files.mkdir(parents=True, exist_ok=True)  # it may be empty there
            self._store.fetch(f"{self._there}/{attempt.token}", attempt.folder)
            written = Written(attempt.folder / written.file.name, attempt.folder / written.record.name)
        counts = attempt.hand_in(record, written)
        if self._store is not None and not counts:
            written.file.unlink(missing_ok=True)
        return counts

    def _fetch_rest(self, attempt: Attempt) -> None:
        """Fetch what was written after the record: a film, how the desktop ended."""
        if self._store is not None:
            self._store.fetch(f"{self._there}/{attempt.token}", attempt.folder, hidden=False)
            self._store.remove(f"{self._there}/{attempt.token}")

    def leave(self, worker: Worker) -> None:
        """Free its seat."""
        with self._lock:
            placed = self._seats.pop(worker, None)
            if placed is not None:
                self._free.append(placed)

    def give_up(self, worker: Worker) -> None:
        """End its seat, which may hang; another one is started where there is room."""
        self._retire(worker, self._end_seconds)

    def _retire(self, worker: Worker, seconds: float) -> None:
        with self._lock:
            placed = self._seats.pop(worker, None)
            if placed is not None:
                thread = threading.Thread(target=self._end, args=(placed, seconds), daemon=True)
                self._retired.append(thread)
                thread.start()

    def close(self) -> None:
        """End all seats, then leave the cluster."""
        if self._joined is None:
            return
        with self._lock:
            seats = [*self._seats.values(), *self._free]
            self._seats.clear()
            self._free.clear()
        problems: list[Exception] = []
        threads = [
            threading.Thread(target=self._end, args=(one, self._end_seconds, problems), daemon=True) for one in seats
        ]
        for thread in threads:
            thread.start()
        for thread in (*threads, *self._retired):
            thread.join()
        if self._store is not None:
            self._store.remove(self._there)  # of attempts that were lost
        self._joined.leave()
        if problems:
            raise problems[0]

    def _end(self, placed: _Placed, seconds: float, problems: list[Exception] | None = None) -> None:
        """Stop a seat's desktops within so many seconds, and its process."""
        try:
            self._got(placed.node, placed.actor.close.remote(), seconds)
        except SeatLost:
            pass  # the node ended them, or they end with it
        except Exception as error:  # noqa: BLE001  (the boundary to providers, users' own among them)
            if problems is not None:
                problems.append(error)
        finally:
            if not self._cluster.headless:  # then it ends with its node, and nobody takes the order
                self._ray.kill(placed.actor)

    def _ask(self, placed: _Placed, method: str, *args: Any) -> Any:
        return self._got(placed.node, getattr(placed.actor, method).remote(*args))

    def _got(self, node: str, answer: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """The answer to a question.

        Raises:
            SeatLost: there is none.
            Exception: what the seat raised.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(answer, timeout=seconds)
        except errors.GetTimeoutError:
            raise SeatLost(f"{node} did not answer within {seconds:g} s") from None
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, DeskbenchError):
                raise cause from None
            raise EnvError(f"{node}: {last_line(error)}") from error
        except errors.ActorUnavailableError:
            raise SeatLost(f"{node} is lost: the connection to the desktop's process broke") from None
        except errors.RayError as error:
            raise SeatLost(f"{node} is lost: {last_line(error)}") from None

    @property
    def _cluster(self) -> Cluster:
        assert self._joined is not None, "the engine has not joined a cluster"
        return self._joined

    @property
    def _ray(self) -> Any:
        return self._cluster.ray

    @property
    def _remote(self) -> Any:
        return self._ray.remote(SeatProcess)
