"""Cases for pictures, sound and videos."""

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from tests.differential.case import Case, Files
from tests.differential.plain import USED, rules

ROUNDED = ("less colour", "more contrast", "blurred", "noisy", "smaller", "palette", "jpeg")
"""Variants of the photo that are darker by less than half of one level in 255."""


def photo(size: tuple[int, int] = (120, 90), seed: int = 1) -> Image.Image:
    """A picture with smooth and sharp parts and many colours."""
    random = np.random.default_rng(seed)
    base = Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(base)
    draw.rectangle([size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2], fill=(200, 40, 40))
    draw.ellipse([size[0] // 2, size[1] // 3, size[0] - 10, size[1] - 10], fill=(30, 90, 200))
    return base


def _save(files: Files, picture: Image.Image, name: str = "a.png", **options: Any) -> Path:
    path = files.new(name)
    picture.save(path, **options)
    return path


def variants(files: Files) -> dict[str, Path]:
    """The photo, and variants with one different property."""
    base = photo()
    noise = np.clip(np.array(base, dtype=np.int16) + np.random.default_rng(2).integers(-60, 60, (90, 120, 3)), 0, 255)
    made = {
        "equal": base, "darker": ImageEnhance.Brightness(base).enhance(0.6), "brighter": ImageEnhance.Brightness(base).enhance(1.3),
        "more colour": ImageEnhance.Color(base).enhance(1.4), "less colour": ImageEnhance.Color(base).enhance(0.4),
        "more contrast": ImageEnhance.Contrast(base).enhance(1.4), "less contrast": ImageEnhance.Contrast(base).enhance(0.6),
        "mirrored": base.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "turned": base.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        "blurred": base.filter(ImageFilter.GaussianBlur(3)), "noisy": Image.fromarray(noise.astype(np.uint8)),
        "smaller": base.resize((60, 45)), "other": photo(seed=7), "palette": base.quantize(64), "grey": base.convert("L"),
        "transparent": base.convert("RGBA"), "tiny": base.resize((6, 5)), "black": Image.new("RGB", (120, 90)),
    }  # fmt: skip
    found = {name: _save(files, picture) for name, picture in made.items()}
    found["jpeg"] = _save(files, base, "a.jpg", quality=90)
    return found


PAIRED = ("check_structure_sim", "check_file_exists_and_structure_sim", "check_structure_sim_resized", "check_image_mirror",
          "check_palette_and_structure_sim", "check_saturation_increase_and_structure_sim", "increase_saturation",
          "decrease_brightness", "check_sharper", "compare_image_list")  # fmt: skip


def resized(files: Files, made: dict[str, Path]) -> Iterator[Case]:
    """`check_structure_sim_with_threshold`, which the release does not have."""
    metric = "check_structure_sim_with_threshold"
    tiny = [_save(files, photo().resize(size)) for size in ((40, 6), (5, 5), (2, 2))]
    for one in ({}, {"ssim_threshold": 0.5}, *(one["options"] for one in USED[metric] if "options" in one)):
        for name, found in made.items():
            yield Case(metric, f"{name} {one}", (found, made["equal"]), one)
        yield Case(metric, f"a smaller one is wanted {one}", (made["equal"], made["smaller"]), one)
        yield from (Case(metric, f"a tiny one is wanted {one}", (made["equal"], wanted), one) for wanted in tiny)
        yield from (Case(metric, f"tiny {one}", (found, made["equal"]), one) for found in tiny)


def pairs(files: Files) -> Iterator[Case]:
    """Metrics that compare two pictures."""
    made = variants(files)
    wanted = made["equal"]
    for metric in PAIRED:
        for name, found in made.items():
            rounding = metric == "check_sharper" and name == "less colour"
            yield Case(metric, name, (found, wanted), differs="grey" if rounding else "")
        differs = "rounding" if metric == "decrease_brightness" else ""
        yield Case(metric, "a smaller one is wanted", (wanted, made["smaller"]), differs=differs)
    yield from resized(files, made)
    for one in ({}, *({"threshold": 0.15} for _ in USED["check_brightness_decrease_and_structure_sim"][:1])):
        for name, found in made.items():
            if name == "palette" and not one:  # two differences at once
                continue
            differs = "palette-brightness" if name == "black" else "rounding" if name in ROUNDED else ""
            yield Case("check_brightness_decrease_and_structure_sim", f"{name} {one}", (found, wanted), one, differs)
        dark = _save(files, ImageEnhance.Brightness(photo()).enhance(0.7).quantize(16))
        yield Case("check_brightness_decrease_and_structure_sim", f"a darker palette {one}", (dark, wanted), one,
                   differs="palette-brightness")  # fmt: skip
    for name, found in made.items():
        differs = "contrast-alpha" if name == "transparent" else ""
        yield Case("check_contrast_increase_and_structure_sim", name, (found, wanted), differs=differs)
    bases = (None, *(one["options"]["reference_base_result"] for one in USED["compare_images"] if "options" in one))
    for base in bases:
        options = {} if base is None else {"reference_base_result": base}
        for name, found in made.items():
            yield Case("compare_images", f"{name} {base}", (found, wanted), options, "tiny" if name == "tiny" else "")
    yield Case("compare_images", "a negative", (_save(files, ImageOps.invert(photo())), wanted), differs="range")
    contrast, less = photo(), photo()
    contrast.putpixel((0, 0), (255, 255, 255))  # exactly one of 10,800 pixels is lighter
    less.putpixel((0, 0), (0, 0, 0))
    for metric, picture in (("check_contrast_increase_and_structure_sim", contrast),
                            ("check_brightness_decrease_and_structure_sim", less)):  # fmt: skip
        yield Case(metric, "by one pixel", (_save(files, picture), wanted), differs="rounding")
    lists = [made["equal"], made["other"]]
    yield Case("compare_image_list", "lists, equal", (lists, lists))
    yield Case("compare_image_list", "lists, turned", (lists[::-1], lists))
    yield Case("compare_image_list", "lists, one lacks", ([lists[0], None], lists))
    yield Case("compare_image_list", "lists, one less", (lists[:1], lists), differs="list-lengths")
    broken = files.text("a.png", "no picture")
    yield Case("check_structure_sim", "no picture", (broken, wanted))
    yield Case("check_palette_and_structure_sim", "no picture", (broken, wanted))
    yield Case("compare_images", "no picture", (broken, wanted), differs="raises")
    yield Case(
        "compare_triangle_positions",
        "yellow",
        (_triangle(files, (90, 20)), _triangle(files, (60, 45))),
        differs="yellow",
    )


def _triangle(
    files: Files, middle: tuple[int, int], rim: bool = False, colour: tuple[int, ...] = (250, 250, 10)
) -> Path:
    picture = Image.new("RGB", (120, 90), (255, 255, 255))
    x, y = middle
    draw = ImageDraw.Draw(picture)
    draw.polygon([(x, y - 14), (x - 12, y + 7), (x + 12, y + 7)], fill=colour)
    if rim:
        for index, value in enumerate((90, 110, 130)):
            draw.point((2 + index, 2), fill=(value, value, value))
    return _save(files, picture)


def single(files: Files) -> Iterator[Case]:
    """Metrics of one picture and its file."""
    made = variants(files)
    clear = Image.new("RGBA", (700, 600), (0, 0, 0, 0))
    clear.paste((10, 200, 10, 255), (50, 40, 178, 552))
    marked = Image.new("P", (128, 128), 0)
    marked.putpalette([0, 0, 0, 255, 0, 0])
    marked.paste(1, (0, 0, 64, 64))
    sizes = {"photo": made["equal"], "128": _save(files, Image.new("RGB", (128, 128))), "512": _save(files, Image.new("RGB", (300, 512))),
             "visible": _save(files, clear), "invisible": _save(files, Image.new("RGBA", (9, 9), (0, 0, 0, 0)))}  # fmt: skip
    for rule in (*rules("check_image_size"), {"width": 128}, {"width": 120, "height": 90}):
        for name, path in sizes.items():
            yield Case("check_image_size", f"{name} {rule}", (path, rule))
    half = files.text("a.png", made["equal"].read_bytes()[:600])
    yield Case(
        "check_image_size", "a picture that breaks off", (half, {"width": 120, "height": 90}), differs="truncated"
    )
    with_colour = _save(files, marked, transparency=0)
    yield Case(
        "check_image_size",
        "a transparent colour",
        (with_colour, {"width": 128, "height": 128}),
        differs="transparent-size",
    )
    yield Case("check_image_size", "what is visible", (with_colour, {"width": 64, "ignore_transparent": True}))
    for rule in (*rules("check_image_file_size"), {"max_size": 100}):
        for name in ("equal", "jpeg"):
            yield Case("check_image_file_size", f"{name} {rule}", (made[name], rule))
    for x in (0, 4, 5, 6, 40):
        picture = Image.new("RGB", (120, 90), (255, 255, 255))
        ImageDraw.Draw(picture).rectangle([x, 20, x + 20, 30], fill=(0, 0, 0))
        yield Case("check_textbox_on_leftside", f"at {x}", (_save(files, picture),))
    yield Case("check_textbox_on_leftside", "nothing", (_save(files, Image.new("L", (50, 50), 255)),))
    for middle, differs in (
        ((60, 48), ""),
        ((62, 49), ""),
        ((90, 20), "triangle-colour"),
        ((60, 80), "triangle-colour"),
    ):
        yield Case("check_triangle_position", f"at {middle}", (_triangle(files, middle),), differs=differs)
    rimmed = _triangle(files, (60, 48), rim=True)
    yield Case("check_triangle_position", "with a rim", (rimmed,), differs="triangle-colour")
    yield from green(files)


def green(files: Files) -> Iterator[Case]:
    """`check_green_background`."""
    size = (40, 40)
    figure = Image.new("RGB", size, (255, 255, 255))
    figure.paste((0, 0, 0), (10, 10, 20, 30))
    wanted = _save(files, figure)
    for name, colour, spot in (("green", (10, 200, 20), None), ("red", (200, 10, 20), None), ("grey", (90, 90, 90), None),
                               ("a spot is red", (10, 200, 20), (30, 5)), ("a spot of the figure is red", (10, 200, 20), (15, 15))):  # fmt: skip
        picture = Image.new("RGB", size, colour)
        if spot:
            picture.putpixel(spot, (255, 0, 0))
        yield Case("check_green_background", name, (_save(files, picture), wanted))
    wide = (
        _save(files, Image.new("RGB", (60, 40), (10, 200, 20))),
        _save(files, Image.new("RGB", (60, 40), (255, 255, 255))),
    )
    yield Case("check_green_background", "not square", wide, differs="green-axes")


def _sound(files: Files, notes: list[float], rate: int = 22_050, volume: float = 0.4) -> Path:
    path = files.new("a.wav")
    time = np.arange(int(rate * 0.4)) / rate
    samples = np.concatenate([np.sin(2 * np.pi * f * time) + 0.3 * np.sin(4 * np.pi * f * time) for f in notes])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * volume * 20_000).astype("<i2").tobytes())
    return path


def sound(files: Files) -> Iterator[Case]:
    """`compare_audios`."""
    wanted = _sound(files, [440, 550, 660, 880])
    near = 1e-4
    for name, found in (
        ("equal", wanted), ("louder", _sound(files, [440, 550, 660, 880], volume=0.9)), ("another rate", _sound(files, [440, 550, 660, 880], 44_100)),
        ("another order", _sound(files, [880, 440, 660, 550])), ("longer", _sound(files, [440, 550, 660, 880, 440])), ("other", _sound(files, [200, 210])),
    ):  # fmt: skip
        yield Case("compare_audios", name, (found, wanted), near=near)
    broken, also = files.text("a.mp3", "no sound"), files.text("b.mp3", "none")
    yield Case("compare_audios", "no sound", (broken, wanted))
    yield Case("compare_audios", "neither is", (broken, also), differs="audio-broken")


def _film(files: Files, frames: list[Image.Image], name: str = "a.mp4") -> Path:
    import av

    path = files.new(name)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for picture in frames:
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                film.mux(packet)
        for packet in stream.encode():
            film.mux(packet)
    return path


def film(files: Files) -> Iterator[Case]:
    """`compare_videos`."""
    frames = [photo((160, 120), seed) for seed in range(12) for _ in range(3)]
    wanted = _film(files, frames)
    dark = [ImageEnhance.Brightness(f).enhance(0.8) for f in frames]
    turned = [f.transpose(Image.Transpose.FLIP_TOP_BOTTOM) for f in frames]
    for name, found in (
        ("equal", wanted), ("a copy", _film(files, frames)), ("darker", _film(files, dark)), ("turned", _film(files, turned)),
        ("shorter", _film(files, frames[:-4])), ("longer", _film(files, [*frames, *frames[:3]])), ("other", _film(files, frames[::-1])),
        ("a few frames", _film(files, [*turned[:3], *frames[3:]])),
    ):  # fmt: skip
        yield Case("compare_videos", name, (found, wanted))
    broken, also = files.text("a.mp4", "no film"), files.text("b.mp4", "none")
    yield Case("compare_videos", "no film", (broken, wanted))
    yield Case("compare_videos", "neither is", (broken, also), differs="film-broken")


def tags(files: Files) -> Iterator[Case]:
    """`check_mp3_meta`."""
    from mutagen.id3 import ID3, TIT2, TPE1

    for rule in rules("check_mp3_meta"):
        title, artist = rule["title"]["ref"], rule["artist"]["ref"]
        for name, found in (
            ("as wanted", (title, artist)),
            ("another title", ("x", artist)),
            ("no artist", (title, None)),
            ("case", (title.lower(), artist)),
        ):
            path = files.text("a.mp3", bytes.fromhex("fffb9064") + bytes(413))
            id3 = ID3()
            id3.add(TIT2(encoding=3, text=found[0]))
            if found[1]:
                id3.add(TPE1(encoding=3, text=found[1]))
            id3.save(path)
            yield Case("check_mp3_meta", name, (path, rule))
    yield Case("check_mp3_meta", "no tags", (files.text("a.mp3", "x"), rule), differs="tags")


def as_bytes(picture: Image.Image, kind: str = "PNG") -> bytes:
    """A picture encoded as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


FAMILIES = {"pairs": pairs, "single": single, "sound": sound, "film": film, "tags": tags}
