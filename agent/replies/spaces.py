"""The coordinate spaces in which models give points, and the conversion of each to pixels of the screen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deskbench.agent.prompting.scaling import pixel_at
from deskbench.agent.replies.calls import Malformed

KINDS = ("screen", "image", "unit", "auto", "grid", "auto_grid")


@dataclass(frozen=True)
class Space:
    """The coordinate space of a model's points.

    Attributes:
        kind: `screen` and `image` are pixels of the screen and of the picture that was sent; `unit` is 0 to 1; `auto`
            is `unit` if neither number is above 1, else `screen`; `grid` is 0 to `grid` whatever the picture's size;
            `auto_grid` is `unit` or `grid` in the same way.
        screen, image: (width, height) in pixels.
        grid: 999 or 1000, depending on the family's training.
    """

    kind: str
    screen: tuple[int, int]
    image: tuple[int, int]
    grid: int = 1000

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Convert a point to pixels of the screen; a space's far edge counts as the last pixel.

        Raises:
            Malformed: the point is outside the space.
        """
        kind = self.kind
        if kind.startswith("auto"):
            kind = "unit" if x <= 1 and y <= 1 else {"auto": "screen", "auto_grid": "grid"}[kind]
        sizes = {"screen": self.screen, "image": self.image, "unit": (1, 1), "grid": (self.grid, self.grid)}[kind]
        # Models trained on 0-999 sometimes write 1000 for the edge.
        slack = 1 if kind == "grid" else 0
        if not (math.isfinite(x) and math.isfinite(y)) or not all(
            0 <= value <= size + slack for value, size in zip((x, y), sizes, strict=True)
        ):
            raise Malformed(f"the point ({x:g}, {y:g}) is outside of {self.described(kind)}")
        across, down = self._half(kind, x, y)
        return pixel_at((x + across, y + down), sizes, self.screen)

    def _half(self, kind: str, x: float, y: float) -> tuple[float, float]:
        """The offset from a point to the centre of its pixel.

        Whole numbers are pixels of the picture. In `unit`, a point is the edge of a pixel of the screen, rounded.
        """
        if kind == "unit":
            return 0.5 / self.screen[0], 0.5 / self.screen[1]
        return (0.5, 0.5) if kind == "image" and float(x).is_integer() and float(y).is_integer() else (0.0, 0.0)

    def described(self, kind: str | None = None) -> str:
        """The space in words, for a model or a table."""
        kind = kind or self.kind
        if kind in ("screen", "image"):
            width, height = self.screen if kind == "screen" else self.image
            return f"the {'screen' if kind == 'screen' else 'picture'}, which is {width}x{height} pixels"
        texts = {"unit": "0 to 1", "grid": f"0 to {self.grid}", "auto_grid": f"0 to 1, or 0 to {self.grid}"}
        return texts.get(kind, "0 to 1, or the screen's pixels")

    @property
    def resolution(self) -> tuple[int, int]:
        """The screen size that the model is given."""
        return {"image": self.image, "grid": (1000, 1000)}.get(self.kind, self.screen)

    def to_model(self, x: int, y: int) -> tuple[float, float]:
        """A pixel of the screen in the model's space: the inverse of `place`, for examples and tests."""
        width, height = self.screen
        if self.kind in ("unit", "auto", "auto_grid"):
            return round(x / width, 4), round(y / height, 4)
        across, down = {"screen": self.screen, "image": self.image}.get(self.kind, (self.grid, self.grid))
        return min(across, round((x + 0.5) * across / width)), min(down, round((y + 0.5) * down / height))
