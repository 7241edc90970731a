"""The accessibility tree as OSWorld's XML, and the text of the focused terminal."""

from __future__ import annotations


class AccessibilityError(RuntimeError):
    """The accessibility bus cannot be had."""


def tree(timeout: float) -> tuple[str, bool]:
    raise AccessibilityError("not built yet")


def terminal_text() -> str | None:
    raise AccessibilityError("not built yet")


def why_not() -> str | None:
    return "not built yet"
