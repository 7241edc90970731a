"""Where deskbench differs from OSWorld, and the switch back to one of its revisions (`--osworld-strict=REVISION`).

`DIFFERENCES` and `GETTERS` (of `differences.py`) are the one list: `docs/tables/differences.md` prints it, the
differential test explains disagreements by it, and `as_upstream` takes only keys that stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import BeforeValidator

from deskbench.tasks.metrics.support.differences import EVERY, Revision

OLDEST: Revision = "1.0.2"
"""What the switch means where no revision is named."""
_strict: ContextVar[Revision | None] = ContextVar("osworld_strict", default=None)


def _named(value: Any) -> Any:
    """Settings and records may say only yes or no."""
    return {"true": OLDEST, "false": None}.get(str(value).lower(), value)


Strict = Annotated[Revision | None, BeforeValidator(_named)]
"""A revision of OSWorld's, or None for what is right; true is the oldest."""


@contextmanager
def osworld_strict(revision: Revision | None) -> Iterator[None]:
    """Inside, a revision's mistakes are repeated, so that scores can be compared with published ones; None: none."""
    before = _strict.set(revision)
    try:
        yield
    finally:
        _strict.reset(before)


def strict_revision() -> Revision | None:
    """The revision whose mistakes are wanted."""
    return _strict.get()


def as_upstream(key: str) -> bool:
    """Whether to undo this difference, one of the list with a switch."""
    difference = EVERY[key]
    assert difference.switched, key
    return _strict.get() in difference.revisions
