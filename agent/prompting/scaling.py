"""Convert between pixels of the screen and pixels of the picture that the model sees. Only this module does this."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image

from deskbench.envs.errors import ReplyError
from deskbench.envs.types import Action


@dataclass(frozen=True)
class Scale:
    """A screen of one size shown as a picture of another; both are (width, height) in pixels."""

    screen: tuple[int, int]
    image: tuple[int, int]

    @classmethod
    def fit(cls, screen: tuple[int, int], exact: tuple[int, int] | None, max_side: int | None) -> Scale:
        """An exact size, or the longer side at most `max_side` (never enlarged), or the screen's own size."""
        if exact is not None:
            return cls(screen, exact)
        factor = min(1.0, max_side / max(screen)) if max_side else 1.0
        width, height = (max(1, round(side * factor)) for side in screen)
        return cls(screen, (width, height))

    def to_image(self, x: int, y: int) -> tuple[int, int]:
        """Convert a point on the screen to a point in the picture."""
        return pixel_at((x + 0.5, y + 0.5), self.screen, self.image)

    def to_screen(self, x: int, y: int) -> tuple[int, int]:
        """Convert a point in the picture to a point on the screen; the picture's far edge counts as its last pixel.

        Raises:
            ReplyError: the point is outside the picture.
        """
        width, height = self.image
        if not (0 <= x <= width and 0 <= y <= height):
            raise ReplyError(f"The point ({x}, {y}) is outside the picture, which is {width}x{height} pixels.")
        return pixel_at((x + 0.5, y + 0.5), self.image, self.screen)

    def action_to_screen(self, action: Action) -> Action:
        """The same action with its points on the screen.

        Raises:
            ReplyError: a point is outside the picture.
        """
        return action.moved(self.to_screen)

    def picture(self, image: Image.Image) -> Image.Image:
        """The screen's image at the size for the model."""
        return image if image.size == self.image else image.resize(self.image, Image.Resampling.LANCZOS)


def png_bytes(image: Image.Image) -> bytes:
    """An image as the bytes of a PNG file, encoded for speed rather than size."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def pixel_at(at: tuple[float, float], size: tuple[float, float], whole: tuple[int, int]) -> tuple[int, int]:
    """The pixel of a screen or picture that contains a position in another picture or a grid; always rounded down.

    Args:
        at: x and y. Pixel n reaches from n to n + 1, so the centre of a pixel is n + 0.5.
        size: (width, height) of the picture or grid that the position is in.
        whole: (width, height) in pixels of the result's picture. A position beyond the edge counts as on the edge.
    """
    across, down = (
        min(pixels - 1, max(0, math.floor(value * pixels / side)))
        for value, side, pixels in zip(at, size, whole, strict=True)
    )
    return across, down
