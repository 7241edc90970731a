"""Pictures: PNG and JPEG files. The model is the decoded picture, or encoded bytes to use as they are."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageEnhance, ImageOps, PngImagePlugin, UnidentifiedImageError

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

MOST_PIXELS = 4_000_000
SHIFT = 8
"""How many pixels a picture is moved to the right."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture and its format; `data` is file content to use as it is."""

    image: Image.Image
    form: str
    data: bytes | None = None


Change = Iterator[tuple[Picture, str]]


def _read_as(form: str) -> Callable[[Raw], Picture]:
    def read(raw: Raw) -> Picture:
        try:
            image = Image.open(io.BytesIO(raw), formats=(form,))
            if image.width * image.height > MOST_PIXELS:
                raise Unlike(f"it has more than {MOST_PIXELS} pixels")
            image.load()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise Unlike(f"not {form}: {error}") from None
        return Picture(image, form)

    return read


def _write(model: Picture, raw: Raw) -> bytes:
    return _encoded(model.image, model.form) if model.data is None else model.data


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    if form == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    plain = image.convert("RGB") if form in ("JPEG", "BMP") and image.mode not in ("RGB", "L") else image
    plain.save(out, form, **options)
    return out.getvalue()


def _key(model: Picture) -> dict[str, object]:
    """Size, format and pixels; encoded bytes are decoded first."""
    image = model.image if model.data is None else Image.open(io.BytesIO(model.data))
    pixels = hashlib.sha256(image.convert("RGBA").tobytes()).hexdigest()
    return {"size": image.size, "form": image.format or model.form, "pixels": pixels}


kind("png", "PNG pictures", read=_read_as("PNG"), write=_write, key=_key)
kind("jpeg", "JPEG pictures", read=_read_as("JPEG"), write=_write, key=_key)


def _repainted(image: Image.Image) -> Image.Image:
    """A copy with a square painted over its middle, a quarter of the shorter side wide."""
    copy = image.convert("RGBA" if "A" in image.getbands() or image.mode == "P" else "RGB")
    side = max(2, min(copy.size) // 4)
    left, top = (copy.width - side) // 2, (copy.height - side) // 2
    middle = copy.getpixel((copy.width // 2, copy.height // 2))
    dark = not isinstance(middle, tuple) or sum(middle[:3]) < 384
    ImageDraw.Draw(copy).rectangle((left, top, left + side, top + side), fill="white" if dark else "black")
    return copy


def _rgb(image: Image.Image) -> Image.Image:
    return image.convert("RGBA" if "A" in image.getbands() else "RGB")


def _moved(image: Image.Image) -> Image.Image:
    copy = image.copy()
    copy.paste(image, (SHIFT, 0))
    return copy


def _other_hue(image: Image.Image) -> Image.Image:
    bands = _rgb(image).split()
    return Image.merge(_rgb(image).mode, (bands[1], bands[2], bands[0], *bands[3:]))


def _scaled(image: Image.Image) -> Image.Image:
    return _rgb(image).resize((max(1, image.width * 9 // 10), max(1, image.height * 9 // 10)))


def _cropped(image: Image.Image) -> Image.Image:
    x, y = max(1, image.width // 20), max(1, image.height // 20)
    return image.crop((x, y, image.width - x, image.height - y)) if min(image.size) > 2 else image


def _contrast(by: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: ImageEnhance.Contrast(_rgb(image)).enhance(by)


_CHANGES: dict[str, tuple[str, Callable[[Image.Image], Image.Image]]] = {
    "repainted": ("a square in the middle is painted over", _repainted),
    "moved": (f"it is moved {SHIFT} pixels to the right", _moved),
    "mirrored": ("left and right are swapped", ImageOps.mirror),
    "upside-down": ("it is upside down", lambda image: image.transpose(Image.Transpose.ROTATE_180)),
    "turned": ("it is rotated by 90 degrees", lambda image: image.transpose(Image.Transpose.ROTATE_90)),
    "other-hue": ("red, green and blue are swapped", _other_hue),
    "grey": ("it is grey", lambda image: _rgb(image).convert("L").convert("RGB")),
    "more-contrast": ("it has 15 % more contrast", _contrast(1.15)),
    "less-contrast": ("it has 15 % less contrast", _contrast(0.85)),
    "scaled": ("it is a tenth smaller", _scaled),
    "cropped": ("a twentieth is cut off at each side", _cropped),
}  # fmt: skip


def _register(form: str, name: str, words: str, change: Callable[[Image.Image], Image.Image]) -> None:
    def changed(picture: Picture, about: About) -> Change:
        yield Picture(change(picture.image), picture.form), words

    changed.__doc__ = f"{words[0].upper()}{words[1:]}."
    operator(f"{form}/{name}", kind=form, must="fail")(changed)


for _form in ("png", "jpeg"):
    for _name, (_words, _change) in _CHANGES.items():
        _register(_form, _name, _words, _change)


@operator("png/opaque", kind="png", must="fail")
def opaque(picture: Picture, about: About) -> Change:
    """Transparent parts are opaque."""
    if "A" in picture.image.getbands() and picture.image.getchannel("A").getextrema() != (255, 255):
        yield Picture(picture.image.convert("RGB"), picture.form), "transparent parts are opaque"


@operator("png/other-form", kind="png", must="fail")
def png_other_form(picture: Picture, about: About) -> Change:
    """The file has a different format under its name."""
    for form in ("BMP", "JPEG"):
        yield Picture(picture.image, picture.form, _encoded(picture.image, form)), f"it is a {form} file"


@operator("jpeg/other-form", kind="jpeg", must="fail")
def jpeg_other_form(picture: Picture, about: About) -> Change:
    """The file has a different format under its name."""
    yield Picture(picture.image, picture.form, _encoded(picture.image, "PNG")), "it is a PNG file"


@operator("png/recompressed", kind="png", must="stay")
def recompressed(picture: Picture, about: About) -> Change:
    """The same pixels are compressed differently."""
    for level in (1, 9):
        data = _encoded(picture.image, "PNG", compress_level=level)
        yield Picture(picture.image, picture.form, data), f"it is compressed with level {level}"


@operator("png/metadata", kind="png", must="stay")
def png_metadata(picture: Picture, about: About) -> Change:
    """The file names the program that made it."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Software", "another program")
    yield Picture(picture.image, picture.form, _encoded(picture.image, "PNG", pnginfo=told)), "it names a program"


@operator("jpeg/recompressed", kind="jpeg", must="stay")
def jpeg_recompressed(picture: Picture, about: About) -> Change:
    """The picture is compressed again, with quality 90 or as progressive JPEG."""
    yield Picture(picture.image, picture.form, _encoded(picture.image, "JPEG", quality=90)), "its quality is 90"
    yield Picture(picture.image, picture.form, _encoded(picture.image, "JPEG", progressive=True)), "it is progressive"


@operator("jpeg/comment", kind="jpeg", must="stay")
def jpeg_comment(picture: Picture, about: About) -> Change:
    """The file contains a comment."""
    data = _encoded(picture.image, "JPEG")
    comment = b"\xff\xfe\x00\x0canother one"[:14]
    marked = re.sub(rb"^\xff\xd8", lambda m: m[0] + comment, data, count=1)
    yield Picture(picture.image, picture.form, marked), "it contains a comment"
