"""The differences from OSWorld, and the switch back to one of its revisions (`--osworld-strict=REVISION`).

`DIFFERENCES` and `GETTERS` (in `differences.py`) are the only list: `docs/tables/differences.md` prints it, the
differential test explains disagreements with it, and `as_upstream` accepts only its keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import BeforeValidator

from deskbench.tasks.metrics.support.differences import EVERY, Revision

OLDEST: Revision = "1.0.2"
"""The revision that the switch means if none is named."""
_strict: ContextVar[Revision | None] = ContextVar("osworld_strict", default=None)


def _named(value: Any) -> Any:
    """Accept yes or no, which settings and records may contain."""
    return {"true": OLDEST, "false": None}.get(str(value).lower(), value)


Strict = Annotated[Revision | None, BeforeValidator(_named)]
"""A revision of OSWorld, or None for deskbench's own behaviour; true is the oldest."""


@contextmanager
def osworld_strict(revision: Revision | None) -> Iterator[None]:
    """Repeat a revision's bugs during the block, to compare scores with published ones; None repeats none."""
    before = _strict.set(revision)
    try:
        yield
    finally:
        _strict.reset(before)


def strict_revision() -> Revision | None:
    """The revision whose bugs are repeated, or None."""
    return _strict.get()


def as_upstream(key: str) -> bool:
    """Whether to undo this difference, which must have a switch."""
    difference = EVERY[key]
    assert difference.switched, key
    return _strict.get() in difference.revisions
