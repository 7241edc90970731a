"""The default engine: every attempt runs in the thread of its worker, on a desktop of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from deskbench.agent.build import Prepared, make_provider
from deskbench.agent.engines.attempt import perform, stopped
from deskbench.agent.engines.base import Attempt
from deskbench.agent.workers import Worker
from deskbench.envs.providers.pool import Pool


class Threads:
    """Places nothing: an attempt runs where its worker is.

    Args:
        prepared: the run.
        end_seconds: how long the end of a desktop may take.
    """

    def __init__(self, prepared: Prepared, end_seconds: float) -> None:
        self.notice: str | None = None
        self._prepared = prepared
        self._end_seconds = end_seconds
        self._opened: Pool | None = None
        self._lock = threading.Lock()
        self._left = 0

    def room(self) -> None:
        """This process always has room; a provider that cannot start desktops says so when it is asked for one."""

    def open(self, todo: int) -> int:
        """Make the provider, with a warm desktop for the next episode."""
        owner = make_provider(self._prepared.config.provider)
        self._opened = Pool(owner, ahead=0)
        self._left = todo
        return min(self._prepared.config.parallel, todo, owner.capacity or todo)

    def seat(self, worker: Worker, wanted: Callable[[], bool]) -> bool:
        """A worker always has a place."""
        return True

    def carry_out(self, attempt: Attempt) -> None:
        """Run an attempt here and now, and start a desktop for the next one, if there is one.

        A provider with few machines does not start one ahead of time.
        """
        with self._lock:
            self._left -= 1
            self._provider.ahead = int(self._left > 0 and self._provider.capacity is None)
        perform(attempt, self._prepared, self._provider, self._end_seconds)

    def leave(self, worker: Worker) -> None:
        """Nothing: it had no place of its own."""

    def give_up(self, worker: Worker) -> None:
        """Stop its desktop in a thread of its own."""
        desktop = worker.take()
        if desktop is not None:
            threading.Thread(target=stopped, args=(self._provider, desktop), daemon=True).start()

    def close(self) -> None:
        """Stop all desktops."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _provider(self) -> Pool:
        assert self._opened is not None, "the engine was not opened"
        return self._opened
