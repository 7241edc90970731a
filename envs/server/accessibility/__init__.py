"""The accessibility tree as OSWorld's XML, and the text of the focused terminal."""

from __future__ import annotations

from deskbench.envs.server.accessibility.bus import AccessibilityError
from deskbench.envs.server.accessibility.linux import terminal_text, tree, why_not

__all__ = ["AccessibilityError", "terminal_text", "tree", "why_not"]
