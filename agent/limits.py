"""A desktop as an episode uses it: set-up and scoring end, whatever it does, and so does a run that is to end."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestTimeout

SETUP_SECONDS = 3600.0
SCORE_SECONDS = 1800.0
"""For all calls together. Each has a limit of its own: only a desktop that is slow at every one comes near."""
GRACE_SECONDS = 30.0
"""How long set-up and scoring go on after Ctrl-C: an episode that is nearly done keeps its score."""


class Limited:
    """Passes every call on, but begins none when time is up.

    Args:
        desktop: who is called; or why there is no desktop, which every call then raises.
        interrupted: whether the run is to end soon.
        grace: seconds that it has from then on.
    """

    def __init__(
        self, desktop: Desktop | Exception, interrupted: Callable[[], bool], grace: float = GRACE_SECONDS
    ) -> None:
        self._desktop = desktop
        self._interrupted = interrupted
        self._grace = grace
        self._deadline = math.inf
        self._late = ""
        self._ends = math.inf

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        """Calls within are begun for so long; `what` stands in the error."""
        self._deadline, self._late = time.monotonic() + seconds, f"{what} was not done within {seconds:g} s"
        try:
            yield
        finally:
            self._deadline = math.inf

    def __getattr__(self, name: str) -> Any:
        if isinstance(self._desktop, Exception):
            raise self._desktop
        found = getattr(self._desktop, name)
        return functools.partial(self._call, found) if callable(found) else found

    def _call(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        now = time.monotonic()
        if self._interrupted():
            self._ends = min(self._ends, now + self._grace)
        if now > self._ends:
            raise GuestTimeout(f"{self.name}: the run is ending")
        if now > self._deadline:
            raise GuestTimeout(f"{self.name}: {self._late}")
        return method(*args, **named)
