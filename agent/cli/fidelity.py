"""The option `--osworld-strict`, alone or with a revision: `--osworld-strict=REVISION`."""

from __future__ import annotations

from typing import Any, Literal

import typer.core

from deskbench.envs.errors import UsageError
from deskbench.tasks.metrics.support.differences import REVISIONS, Revision
from deskbench.tasks.metrics.support.fidelity import OLDEST

FLAG = "--osworld-strict"
STRICT_HELP = f"Score as OSWorld does, mistakes included: {' or '.join(REVISIONS)}; alone, {OLDEST}."


class StrictCommand(typer.core.TyperCommand):
    """A command with this option; a word after the option is an argument, as after any switch."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add the default revision where the option stands alone."""
        return super().parse_args(ctx, [f"{FLAG}={OLDEST}" if word == FLAG else word for word in args])


def strict_choice(named: str | None, *, not_at_all: bool) -> Revision | Literal["no"] | None:
    """The choice that `rescore` was given: a revision, `no`, or None if neither option was used.

    Raises:
        UsageError: there is no such revision, or both options were used.
    """
    if named is not None and not_at_all:
        raise UsageError(f"{FLAG} and --no-osworld-strict cannot be used together")
    if named is not None and named not in REVISIONS:
        raise UsageError(f"{FLAG}={named}: use {' or '.join(REVISIONS)}")
    return "no" if not_at_all else named
