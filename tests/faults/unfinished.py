"""A user's own module that cannot be imported."""

AGENT = anwsers  # type: ignore[name-defined]  # noqa: F821
