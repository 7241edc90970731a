"""The size of the screen's picture for a family."""

from __future__ import annotations

import math

from deskbench.agent.agents.profile import ImagePolicy
from deskbench.agent.prompting.scaling import Scale


def scale_for(policy: ImagePolicy, screen: tuple[int, int]) -> Scale:
    """The scale from a screen's (width, height) to the picture that is sent."""
    if policy.fit == "smart":
        return Scale(screen, smart_resize(screen, policy.factor, policy.min_pixels, policy.max_pixels))
    exact = policy.size if policy.fit == "size" else None
    return Scale.fit(screen, exact, policy.longest if policy.fit == "longest" else None)


def smart_resize(size: tuple[int, int], factor: int, least: int, most: int) -> tuple[int, int]:
    """A size whose sides are multiples of `factor`, with `least` to `most` pixels and nearly the same aspect ratio.

    This is the rule of Qwen2-VL's image processor: round first, then shrink (rounding down) or grow (rounding up).
    """
    width, height = (max(factor, round(side / factor) * factor) for side in size)
    pixels = size[0] * size[1]
    if width * height > most:
        by = math.sqrt(pixels / most)
        width, height = (max(factor, math.floor(side / by / factor) * factor) for side in size)
    elif width * height < least:
        by = math.sqrt(least / pixels)
        width, height = (math.ceil(side * by / factor) * factor for side in size)
    return width, height
