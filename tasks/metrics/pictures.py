"""Pictures. They come from the desktop and are hostile: the size is looked at before a pixel is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, UnidentifiedImageError

from deskbench.tasks.registry import metric

MAX_PIXELS = 100_000_000
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]


def opened(path: Path) -> Image.Image | None:
    """The decoded picture; None when it is none, is broken, or is too large."""
    try:
        picture = Image.open(path, formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            return None
        picture.load()
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return picture


@metric("check_image_size")
def check_image_size(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when the picture has `width` and `height` in pixels (each where it is given)."""
    picture = opened(result)
    return float(
        picture is not None
        and all(getattr(picture, side) == rules[side] for side in ("width", "height") if side in rules)
    )


@metric("image_format")
def image_format(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when the file's content is a picture of the format `expected` (PNG, JPEG, ...), whatever its name says."""
    picture = opened(result)
    return float(picture is not None and picture.format == rules["expected"])


@metric("compare_images", "images_equal")
def compare_images(result: Path, expected: Path, *, tolerance: float = 0.0, rotate: int = 0) -> float:
    """1 when two pictures have the same size and pixels.

    Args:
        result, expected: picture files.
        tolerance: mean difference per channel (0 to 255) that still passes: JPEG loses a little.
        rotate: degrees by which the expected picture is turned clockwise first.
    """
    found, wanted = opened(result), opened(expected)
    if found is None or wanted is None:
        return 0.0
    pictures = [found.convert("RGB"), wanted.convert("RGB").rotate(-rotate, expand=True)]
    if pictures[0].size != pictures[1].size:
        return 0.0
    histogram = ImageChops.difference(*pictures).histogram()
    total = sum(count * (index % 256) for index, count in enumerate(histogram))
    return float(total / (3 * found.width * found.height) <= tolerance)
