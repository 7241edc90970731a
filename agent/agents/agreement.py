"""Decide whether two actions are the same, for votes among experts and for comparing policies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deskbench.envs.types import Action, Click, Key, Type

NEAR = 14.0
"""Points less than this many pixels apart are the same target: half of a small button."""


def distance_of(one: Action | None, other: Action | None) -> float | None:
    """The distance between the points of two actions, in pixels; None if either has no point."""
    here, there = (action and action.end for action in (one, other))
    return math.dist(here, there) if here and there else None


def same_action(one: Action | None, other: Action | None, near: float = NEAR, same_element: bool | None = None) -> bool:
    """Whether two actions do the same.

    They must have the same kind, text, keys, button and count, and their points must be close or in the same element.
    """
    if one is None or other is None or one.type != other.type:
        return False
    if isinstance(one, Type) and isinstance(other, Type):
        return one.text == other.text
    if isinstance(one, Key) and isinstance(other, Key):
        return one.keys == other.keys
    distance = distance_of(one, other)
    if distance is None:
        return one == other
    if isinstance(one, Click) and isinstance(other, Click) and (one.button, one.count) != (other.button, other.count):
        return False
    return distance <= near or same_element is True


def same_actions(ours: Sequence[Action], theirs: Sequence[Action], near: float = NEAR) -> bool:
    """Whether two decisions do the same, action by action."""
    return len(ours) == len(theirs) and all(same_action(a, b, near) for a, b in zip(ours, theirs, strict=True))
