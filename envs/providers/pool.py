"""Warm desktops: a reset hands one over, and the next one boots meanwhile."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor

from deskbench.envs.desktop import Check, Desktop, DesktopSpec, Provider
from deskbench.envs.errors import EnvError


class Pool:
    """Wraps a provider and keeps its promises, but starts the next desktop of a spec ahead of time.

    Args:
        provider: starts and stops the desktops.
        ahead: how many warm desktops to keep per spec; 0 starts each one on demand.

    Attributes:
        ahead: may be changed at any time; a desktop that is warm already stays so until it is taken.
    """

    def __init__(self, provider: Provider, ahead: int = 1) -> None:
        self.name, self.capacity, self.platform = provider.name, provider.capacity, provider.platform
        self._provider = provider
        self.ahead = ahead
        self._warm: dict[DesktopSpec, list[Future[Desktop]]] = defaultdict(list)
        self._starters = ThreadPoolExecutor(max(1, ahead), thread_name_prefix="warm")
        self._lock = threading.Lock()
        self._closed = False

    def describe(self) -> dict[str, str]:
        """Describes the wrapped provider."""
        return self._provider.describe()

    def start(self, spec: DesktopSpec) -> Desktop:
        """A fresh desktop: a warm one if there is one alive."""
        try:
            return self._warm_one(spec) or self._provider.start(spec)
        finally:
            self._refill(spec)  # not before, because a desktop that boots would slow down this one

    def _warm_one(self, spec: DesktopSpec) -> Desktop | None:
        while (future := self._take(spec)) is not None:
            if not future.done():
                self._refill(spec)
            desktop = future.result()
            try:
                desktop.health()
            except EnvError:  # it died while waiting
                self._provider.stop(desktop)
                continue
            return desktop
        return None

    def ready(self, spec: DesktopSpec) -> None:
        """Wait until there is a warm desktop of this spec; used to measure a hand-over.

        Raises:
            StartError: it did not start.
        """
        with self._lock:
            waiting = list(self._warm[spec])
        for future in waiting:
            future.result()

    def _take(self, spec: DesktopSpec) -> Future[Desktop] | None:
        with self._lock:
            warm = self._warm[spec]
            return warm.pop(0) if warm and not self._closed else None

    def _refill(self, spec: DesktopSpec) -> None:
        with self._lock:
            warm = self._warm[spec]
            while len(warm) < self.ahead and not self._closed:
                warm.append(self._starters.submit(self._provider.start, spec))

    def stop(self, desktop: Desktop) -> None:
        """End a desktop; it is never handed out again."""
        self._provider.stop(desktop)

    def close(self) -> None:
        """Stop all desktops, warm ones included."""
        with self._lock:
            self._closed = True
            waiting = [future for warm in self._warm.values() for future in warm]
        for future in waiting:
            future.cancel()
        self._starters.shutdown(wait=True)
        self._provider.close()

    def doctor(self) -> list[Check]:
        """Runs the wrapped provider's checks."""
        return self._provider.doctor()
