"""The one place that sleeps: code waits for a condition, with a deadline, and reports the last state seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


def now() -> float:
    """Seconds on the clock for deadlines: nobody sets it, and it goes on while the machine is suspended.

    Only differences mean something. Where the system has no such clock, it stops in suspension.
    """
    return time.clock_gettime(_BOOT) if _BOOT is not None else time.monotonic()


_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def sleep(seconds: float) -> None:
    """Sleep for a fixed time that was requested (a `wait` action, a `sleep` set-up step, a back-off)."""
    if seconds > 0:
        time.sleep(seconds)


def until(
    probe: Callable[[], T | None],
    *,
    timeout: float,
    interval: float = 0.005,
    max_interval: float = 0.25,
) -> T | None:
    """Call `probe` until it returns something truthy, or `timeout` seconds have passed.

    Args:
        probe: returns what is awaited, or None/False until it is there. Its exceptions pass through.
        timeout: seconds; the probe is called at least once, and once more at the deadline.
        interval: first pause between calls in seconds; doubled each time up to `max_interval`.
        max_interval: longest pause between calls in seconds.

    Returns:
        What the probe returned, or None if time ran out. The caller knows the last state seen and reports it.
    """
    deadline = now() + timeout
    while True:
        found = probe()
        if found:
            return found
        left = deadline - now()
        if left <= 0:
            return None
        sleep(min(interval, left))
        interval = min(interval * 2, max_interval)


def retry(
    attempt: Callable[[], T],
    on: type[E],
    *,
    timeout: float,
    interval: float = 0.005,
    max_interval: float = 0.25,
    final: Callable[[E], bool] = lambda _: False,
) -> T:
    """Call `attempt` until it raises nothing, or `timeout` seconds have passed.

    Args:
        attempt: a call that may not work yet.
        on: the error that means "not yet"; other errors pass through at once.
        timeout, interval, max_interval: as in `until`.
        final: whether another attempt is useless after this error.

    Returns:
        What the attempt returned.

    Raises:
        E: the last one, if time ran out or it was final.
    """
    deadline = now() + timeout
    while True:
        try:
            return attempt()
        except on as error:
            left = deadline - now()
            if left <= 0 or final(error):
                raise
        sleep(min(interval, left))
        interval = min(interval * 2, max_interval)
