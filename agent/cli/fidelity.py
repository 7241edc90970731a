"""`--osworld-strict`, which may stand alone or name a revision after `=`."""

from __future__ import annotations

from typing import Any, Literal

import typer.core

from deskbench.envs.errors import UsageError
from deskbench.tasks.metrics.support.differences import REVISIONS, Revision
from deskbench.tasks.metrics.support.fidelity import OLDEST

FLAG = "--osworld-strict"
STRICT_HELP = f"Score as OSWorld does, mistakes included: {' or '.join(REVISIONS)}; {OLDEST} where none is named."


class StrictCommand(typer.core.TyperCommand):
    """A command with that option; a word after it is an argument, as after any switch."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the revision where none is named."""
        return super().parse_args(ctx, [f"{FLAG}={OLDEST}" if word == FLAG else word for word in args])


def strict_choice(named: str | None, *, not_at_all: bool) -> Revision | Literal["no"] | None:
    """What `rescore` was asked for; None for nothing.

    Raises:
        UsageError: no such revision, or both.
    """
    if named is not None and not_at_all:
        raise UsageError(f"{FLAG} and --no-osworld-strict exclude each other")
    if named is not None and named not in REVISIONS:
        raise UsageError(f"{FLAG}={named}: write {' or '.join(REVISIONS)}")
    return "no" if not_at_all else named
