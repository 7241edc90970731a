"""Check that an action's points are on the screen."""

from __future__ import annotations

from deskbench.agent.base import ReplyError
from deskbench.envs.types import Action, Zoom


def check_screen(action: Action, screen: tuple[int, int]) -> None:
    """Raise ReplyError if a point is outside a screen of this width and height (pixels)."""
    width, height = screen
    for x, y in action.points:
        if not (0 <= x < width and 0 <= y < height):
            point = f"({x}, {y})" if max(abs(x), abs(y)) < 10**9 else "far away"
            raise ReplyError(f"{action.type}: the point {point} is off the screen, which is {width}x{height} pixels")
    if isinstance(action, Zoom) and not (0 <= action.region[0] < action.region[2] <= width
                                         and 0 <= action.region[1] < action.region[3] <= height):  # fmt: skip
        raise ReplyError(f"zoom: the region is off the screen, which is {width}x{height} pixels")
