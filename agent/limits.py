"""A desktop with time limits: set-up, scoring and an interrupted run always end, whatever the desktop does."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestTimeout

SETUP_SECONDS = 3600.0
SCORE_SECONDS = 1800.0
"""Limits for all calls together. Each call has its own limit, so only a desktop that is always slow reaches these."""
START_SECONDS = 3600.0
"""Limit for the start of a desktop; providers have shorter ones of their own."""
STEP_SECONDS = 900.0
"""Limit for a step beyond the time that the episode has left: a reply with all its retries, and its actions."""
END_SECONDS = 600.0
"""Limit for the end of a desktop, and for that of all desktops."""
GRACE_SECONDS = 30.0
"""How long set-up and scoring may continue after Ctrl-C, so that an episode that is nearly done gets its score."""


class Limited:
    """Passes calls on to a desktop, but starts no call after the time is up.

    Args:
        desktop: the desktop, or the error that kept it from starting, which every call then raises.
        interrupted: whether the run is to stop.
        grace: seconds during which calls may still start after that.
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
        """Allow calls to start for this many seconds; the error names `what`."""
        self._deadline, self._late = wait.now() + seconds, f"{what} did not finish within {seconds:g} s"
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
        now = wait.now()
        if self._interrupted():
            self._ends = min(self._ends, now + self._grace)
        if now > self._ends:
            raise GuestTimeout(f"{self.name}: the run is ending")
        if now > self._deadline:
            raise GuestTimeout(f"{self.name}: {self._late}")
        return method(*args, **named)
