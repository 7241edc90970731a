"""Pictures from the desktop. They may be hostile, so their size is checked before any pixel is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NotRequired

from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError
from typing_extensions import TypedDict

from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import Unreadable, needs
from deskbench.tasks.registry import closed, metric

MAX_PIXELS = 100_000_000
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]
SSIM_WINDOW = 7
"""Side of the window for structural similarity; smaller pictures have no value."""
VISIBLE = 0.5
"""Minimum difference of means, of 255 levels. Less may result from another JPEG decoder that only opens and saves."""


def opened(path: Path, *, whole: bool = True) -> Image.Image | None:
    """The decoded picture; None if it is not a picture, is too large, or (with `whole`) is broken."""
    try:
        picture = Image.open(path, formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            return None
        if whole:
            picture.load()
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return picture


def picture_of(path: Path, *, whole: bool = True) -> Image.Image:
    """The decoded picture; without `whole`, it may be cut off.

    Raises:
        Unreadable: it is not a picture, is broken, or is too large.
    """
    picture = opened(path, whole=whole)
    if picture is None:
        raise Unreadable(f"{path.name} is not a picture that can be decoded", path)
    return picture


def hash_distance(one: Image.Image, other: Image.Image) -> int:
    """The number of bits in which the perceptual hashes (64 bits) of two pictures differ."""
    try:
        import imagehash
    except ImportError as error:
        raise needs("evaluators", error) from None
    return int(imagehash.phash(one) - imagehash.phash(other))


def similarity(one: Image.Image, other: Image.Image, *, window: int = SSIM_WINDOW) -> float | None:
    """The structural similarity of two pictures of the same size, -1 to 1; None if they are too small.

    `window` is the side, in pixels, of the compared squares; it is odd.
    """
    if min(*one.size, *other.size) < window:
        return None
    try:
        import numpy as np
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise needs("evaluators", error) from None
    channel = 2 if one.mode == "RGB" else None
    return float(structural_similarity(np.array(one), np.array(other), win_size=window, channel_axis=channel))


def alike(one: Image.Image, other: Image.Image, threshold: float = 0.9) -> bool:
    """Whether two pictures of the same size have the same structure."""
    if one.size != other.size:
        return False
    found = similarity(one.convert("RGB"), other.convert("RGB"))
    return found is not None and found >= threshold


@closed
class Size(TypedDict):
    """A picture's size in pixels (either side may be missing), or the size of its opaque part."""

    width: NotRequired[int | None]
    height: NotRequired[int | None]
    ignore_transparent: NotRequired[bool]


@metric("check_image_size")
def check_image_size(result: Path, rules: Size) -> float:
    """1 when the picture has the given `width` and `height` in pixels (either may be missing)."""
    picture = picture_of(result, whole=not as_upstream("truncated"))
    size = picture.size
    marked = "transparency" in picture.info
    if rules.get("ignore_transparent"):
        size = _visible_size(picture) if marked or picture.mode in ("RGBA", "LA") else size
    elif marked and as_upstream("transparent-size"):
        size = _visible_size(picture)
    wanted = (rules.get("width"), rules.get("height"))
    return float(all(side is None or side == found for side, found in zip(wanted, size, strict=True)))


def _visible_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    return picture.convert("RGBA").getchannel("A").getbbox()


def _visible_size(picture: Image.Image) -> tuple[int, int]:
    left, top, right, bottom = _visible_box(picture) or (0, 0, 0, 0)
    return right - left, bottom - top


@closed
class FileSize(TypedDict):
    """A size in bytes that the file must stay below."""

    max_size: int


@metric("check_image_file_size")
def check_image_file_size(result: Path, rules: FileSize) -> float:
    """1 when the file is smaller than `max_size` bytes."""
    return float(result.stat().st_size < rules["max_size"])


@closed
class Format(TypedDict):
    """A picture format, as Pillow names it."""

    expected: str


@metric("image_format")
def image_format(result: Path, rules: Format) -> float:
    """1 when the file's content has the picture format `expected` (PNG, JPEG, ...), whatever its name."""
    picture = opened(result)
    return float(picture is not None and picture.format == rules["expected"])


@metric("images_equal")
def images_equal(result: Path, expected: Path, *, tolerance: float = 0.0, rotate: int = 0) -> float:
    """1 when two pictures have the same size and pixels.

    Args:
        result, expected: picture files.
        tolerance: the largest mean difference per channel (0 to 255) that passes: JPEG loses a little.
        rotate: degrees by which to turn the expected picture clockwise first.
    """
    found, wanted = picture_of(result), picture_of(expected)
    pictures = [found.convert("RGB"), wanted.convert("RGB").rotate(-rotate, expand=True)]
    if pictures[0].size != pictures[1].size:
        return 0.0
    histogram = ImageChops.difference(*pictures).histogram()
    total = sum(count * (index % 256) for index, count in enumerate(histogram))
    return float(total / (3 * found.width * found.height) <= tolerance)


@metric("compare_images")
def compare_images(result: Path, expected: Path, *, reference_base_result: float | None = None) -> float:
    """The structural similarity of two pictures in grey, scaled to the size of the narrower one.

    `reference_base_result` is the similarity of an untouched picture, which scores 0.
    """
    found, wanted = picture_of(result).convert("L"), picture_of(expected).convert("L")
    size = min(found.size, wanted.size)
    value = similarity(*(p.resize(size, Image.Resampling.LANCZOS) for p in (found, wanted)))
    value = float(found.tobytes() == wanted.tobytes()) if value is None else value
    if reference_base_result is not None:
        above = value >= reference_base_result + 0.01
        value = (value - reference_base_result) / (1 - reference_base_result) if above else 0.0
    return min(1.0, max(0.0, value))


@metric("compare_image_list")
def compare_image_list(result: Path | list[Path | None] | None, expected: Path | list[Path]) -> float:
    """1 when each picture of a list, scaled to the expected one's size, equals it pixel by pixel."""
    golds = expected if isinstance(expected, list) else [expected]
    found = result if isinstance(result, list) else [result]
    if len(found) != len(golds):
        return 0.0
    return float(all(path is not None and _same_pixels(path, gold) for path, gold in zip(found, golds, strict=True)))


def _same_pixels(path: Path, gold_path: Path) -> bool:
    picture, gold = picture_of(path), picture_of(gold_path)
    if picture.size != gold.size:
        picture = picture.resize(gold.size, Image.Resampling.LANCZOS)
    if picture.mode != gold.mode:
        picture = picture.convert(gold.mode)
    return ImageChops.difference(picture, gold).getbbox() is None


def _brightness(picture: Image.Image) -> float:
    return ImageStat.Stat(picture.convert("L")).mean[0]


def _more(one: float, other: float) -> bool:
    """Whether one mean level is visibly higher than another."""
    return one > other if as_upstream("rounding") else one - other > VISIBLE


def _saturation(picture: Image.Image) -> float:
    return ImageStat.Stat(picture.convert("HSV").getchannel("S")).mean[0]


@metric("increase_saturation")
def increase_saturation(result: Path, other: Path) -> float:
    """1 when the first picture is less saturated than the second."""
    return float(_more(_saturation(picture_of(other)), _saturation(picture_of(result))))


@metric("decrease_brightness")
def decrease_brightness(result: Path, other: Path) -> float:
    """1 when the first picture is brighter than the second."""
    return float(_more(_brightness(picture_of(result)), _brightness(picture_of(other))))


@metric("check_brightness_decrease_and_structure_sim")
def check_brightness_decrease_and_structure_sim(result: Path, expected: Path, *, threshold: float = 0.03) -> float:
    """1 when the picture is darker, and otherwise the same (mean square error at equal brightness)."""
    dark, light = picture_of(result), picture_of(expected)
    darker = _more(_brightness(light), _brightness(dark))
    return float(darker and _square_error(_levelled(dark), _levelled(light)) < threshold)


def _levelled(picture: Image.Image) -> Image.Image:
    """The picture adjusted to a mean brightness of 128."""
    brightness = _brightness(picture)
    factor = 128 / brightness if brightness else 1.0
    colours = picture.convert("RGB")
    return colours.point([min(255, int(value * factor)) for value in range(256)] * 3)


def _square_error(one: Image.Image, other: Image.Image) -> float:
    import numpy as np

    if one.size != other.size:
        one = one.resize(other.size, Image.Resampling.LANCZOS)
    arrays = [np.array(p, dtype=np.float32) / 255 for p in (one, other)]
    return float(np.mean((arrays[0] - arrays[1]) ** 2))


@metric("check_saturation_increase_and_structure_sim")
def check_saturation_increase_and_structure_sim(result: Path, expected: Path) -> float:
    """1 when the picture is more saturated and its hue and value have the same structure."""
    found, wanted = picture_of(result).convert("HSV"), picture_of(expected).convert("HSV")
    more = _more(_saturation(found), _saturation(wanted))
    return float(more and all(alike(found.getchannel(c), wanted.getchannel(c)) for c in "HV"))


@metric("check_contrast_increase_and_structure_sim")
def check_contrast_increase_and_structure_sim(result: Path, expected: Path) -> float:
    """1 when the picture has more contrast (standard deviation) and a similar structure."""
    found, wanted = picture_of(result), picture_of(expected)
    return float(_more(_contrast(found), _contrast(wanted)) and alike(found, wanted, 0.65))


def _contrast(picture: Image.Image) -> float:
    import numpy as np

    return float(
        np.std(np.asarray(picture if as_upstream("contrast-alpha") else picture.convert("RGB"), dtype=np.float32))
    )


@metric("check_structure_sim_with_threshold")
def check_structure_sim_with_threshold(result: Path, expected: Path, *, ssim_threshold: float = 0.85) -> float:
    """1 when the picture, scaled to the expected one's size, has the same structure."""
    found, wanted = picture_of(result), picture_of(expected)
    if found.size != wanted.size:
        found = found.resize(wanted.size, Image.Resampling.LANCZOS)
    window = min(SSIM_WINDOW, (min(wanted.size) - 1) // 2 * 2 + 1)
    if window == 1:  # squares of one pixel have no structure
        return 0.0
    likeness = similarity(found.convert("RGB"), wanted.convert("RGB"), window=window)
    return float(likeness is not None and likeness >= ssim_threshold)


@metric("check_structure_sim", "check_file_exists_and_structure_sim")
def check_structure_sim(result: Path, expected: Path, *, ssim_threshold: float = 0.9) -> float:
    """1 when two pictures have the same size and structure."""
    return float(alike(picture_of(result), picture_of(expected), ssim_threshold))


@metric("check_structure_sim_resized")
def check_structure_sim_resized(result: Path, expected: Path) -> float:
    """1 when the visible part of the picture, scaled to the expected one's size, has the same structure."""
    found, wanted = picture_of(result), picture_of(expected)
    if found.mode in ("RGBA", "LA") or "transparency" in found.info:
        box = _visible_box(found)
        if box is None:
            return 0.0
        found = found.convert("RGBA").crop(box).convert("RGB")
    return float(alike(found.resize(wanted.size), wanted))


@metric("check_palette_and_structure_sim")
def check_palette_and_structure_sim(result: Path, expected: Path) -> float:
    """1 when the picture has a palette and the same structure as the expected one."""
    found, wanted = picture_of(result), picture_of(expected)
    return float(found.mode == "P" and alike(found, wanted))


@metric("check_image_mirror")
def check_image_mirror(result: Path, expected: Path) -> float:
    """1 when the picture mirrors the expected one."""
    return float(alike(picture_of(result).transpose(Image.Transpose.FLIP_LEFT_RIGHT), picture_of(expected), 0.99))


@metric("check_textbox_on_leftside")
def check_textbox_on_leftside(result: Path) -> float:
    """1 when the leftmost 5 % of the picture contain something dark."""
    grey = picture_of(result).convert("L")
    box = grey.point([255 if value < 128 else 0 for value in range(256)]).getbbox()
    return float(box is not None and box[0] < grey.width * 0.05)


@metric("check_green_background")
def check_green_background(result: Path, expected: Path) -> float:
    """1 when the picture is green wherever the expected one is not black."""
    import numpy as np

    found, wanted = (np.array(picture_of(p).convert("RGB"), dtype=np.int16) for p in (result, expected))
    if found.shape != wanted.shape:
        return 0.0
    background = wanted.any(axis=2)
    green = (found[..., 1] > found[..., 0]) & (found[..., 1] > found[..., 2])
    return float(green[background].all())


@metric("check_triangle_position")
def check_triangle_position(result: Path) -> float:
    """1 when the triangle's centre is within 5 % of the picture's centre."""
    import numpy as np

    pixels = np.array(picture_of(result).convert("RGBA"))
    colours, counts = np.unique(pixels.reshape(-1, 4), axis=0, return_counts=True)
    order = np.argsort(counts)
    if len(colours) < 2:
        return 0.0
    # The most frequent colour is the background. The next is the triangle, whose edge may have many other colours.
    chosen = colours[order[1 if as_upstream("triangle-colour") else -2]]
    middle = np.argwhere((pixels == chosen).all(axis=2)).mean(axis=0)
    size = np.array(pixels.shape[:2])
    return float(bool((np.abs(middle - size / 2) < 0.05 * size).all()))


@metric("compare_triangle_positions")
def compare_triangle_positions(result: Path, other: Path) -> float:
    """1 when the yellow triangle of the first picture is farther from the centre than that of the second."""
    distances = [_yellow_distance(picture_of(path)) for path in (result, other)]
    if None in distances:
        return 0.0
    return float(distances[0] > distances[1])  # type: ignore[operator]


def _yellow_distance(picture: Image.Image) -> float | None:
    import numpy as np

    pixels = np.array(picture.convert("RGB"), dtype=np.int16)
    yellow = np.argwhere((pixels[..., 0] > 180) & (pixels[..., 1] > 180) & (pixels[..., 2] < 100))
    if not len(yellow):
        return None
    return float(np.hypot(*(yellow.mean(axis=0) - np.array(pixels.shape[:2]) / 2)))


@metric("check_sharper")
def check_sharper(result: Path, other: Path) -> float:
    """1 when the first picture is sharper than the second: the variance of its Laplacian is larger."""
    return float(_sharpness(picture_of(result)) > _sharpness(picture_of(other)))


def _sharpness(picture: Image.Image) -> float:
    try:
        import numpy as np
        from scipy.ndimage import laplace
    except ImportError as error:
        raise needs("evaluators", error) from None
    return float(np.var(laplace(np.array(picture.convert("L"), dtype=np.float64), mode="mirror")))


@closed
class ImageText(TypedDict):
    """The text that a picture must show."""

    type: Literal["text"]
    text: str


@metric("compare_image_text")
def compare_image_text(result: Path, rules: ImageText) -> float:
    """1 when the text recognised in a picture (or an X window dump) contains `text`."""
    return float(rules["text"] in _read_text(opened(result) or _window_dump(result)))


def _read_text(picture: Image.Image) -> str:
    try:
        import numpy as np
        from rapidocr import RapidOCR
    except ImportError as error:
        raise needs("ocr", error) from None
    found = RapidOCR(params={"Global.log_level": "error"})(np.array(picture.convert("RGB"))[:, :, ::-1])
    return " ".join(found.txts or ())


def _window_dump(path: Path) -> Image.Image:
    """Read a picture of `xwd` (version 7, 24 or 32 bits a pixel, least significant byte first).

    The header is 25 big-endian words (X11/XWDFile.h), followed by the colour map and the rows.
    """
    data = path.read_bytes()
    words = [int.from_bytes(data[i : i + 4], "big") for i in range(0, 100, 4)]
    if len(data) < 100 or words[1] != 7:
        raise Unreadable(f"{path.name} is not a picture that can be decoded", path)
    width, height, bits, row, colours = words[4], words[5], words[11], words[12], words[19]
    start = words[0] + 12 * colours
    mode = {32: "BGRX", 24: "BGR"}.get(bits)
    if mode is None or width * height > MAX_PIXELS or len(data) < start + row * height:
        raise Unreadable(f"{path.name} is a window dump of an unknown kind", path)
    return Image.frombytes("RGB", (width, height), data[start : start + row * height], "raw", mode, row)
