"""Between the screen's pixels and those of the picture that the model sees: the one place that converts them."""

from __future__ import annotations

import io
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
        """An exact size, else the longer side at most `max_side` (never enlarged), else as it is."""
        if exact is not None:
            return cls(screen, exact)
        factor = min(1.0, max_side / max(screen)) if max_side else 1.0
        width, height = (max(1, round(side * factor)) for side in screen)
        return cls(screen, (width, height))

    def to_image(self, x: int, y: int) -> tuple[int, int]:
        """A point of the screen in the picture."""
        return _along(x, self.screen[0], self.image[0]), _along(y, self.screen[1], self.image[1])

    def to_screen(self, x: int, y: int) -> tuple[int, int]:
        """A point of the picture on the screen; the picture's far edge counts as its last pixel.

        Raises:
            ReplyError: it is outside the picture.
        """
        width, height = self.image
        if not (0 <= x <= width and 0 <= y <= height):
            raise ReplyError(f"The point ({x}, {y}) is outside the picture, which is {width}x{height} pixels.")
        return _along(x, width, self.screen[0]), _along(y, height, self.screen[1])

    def action_to_screen(self, action: Action) -> Action:
        """The same action with its points on the screen.

        Raises:
            ReplyError: a point is outside the picture.
        """
        return action.moved(self.to_screen)

    def picture(self, image: Image.Image) -> Image.Image:
        """A picture of the screen at the model's size."""
        return image if image.size == self.image else image.resize(self.image, Image.Resampling.LANCZOS)


def png_bytes(image: Image.Image) -> bytes:
    """An image as a PNG file's bytes; quick rather than small."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _along(value: int, size: int, other: int) -> int:
    """Centre of a pixel on one axis to the pixel of the other size that holds it."""
    return min(other - 1, max(0, int((value + 0.5) * other / size)))
