"""A module of somebody's own that cannot be imported."""

AGENT = anwsers  # type: ignore[name-defined]  # noqa: F821
