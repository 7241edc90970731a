"""Where we part from OSWorld's metrics, and the switch that goes back to them (`--osworld-strict`).

`DIFFERENCES` (of `differences.py`) is the one list: `docs/osworld.md` prints it, the differential test explains
disagreements by it, and `as_upstream` takes only keys that stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from deskbench.tasks.metrics.differences import SWITCHED

_strict: ContextVar[bool] = ContextVar("osworld_strict", default=False)


@contextmanager
def osworld_strict(on: bool = True) -> Iterator[None]:
    """Inside, metrics repeat OSWorld's mistakes, so that scores can be compared with published ones."""
    before = _strict.set(on)
    try:
        yield
    finally:
        _strict.reset(before)


def is_strict() -> bool:
    """Whether OSWorld's mistakes are wanted."""
    return _strict.get()


def as_upstream(key: str) -> bool:
    """Whether this difference, one of `DIFFERENCES` with a switch, is to be left out."""
    assert key in SWITCHED, key
    return _strict.get()
