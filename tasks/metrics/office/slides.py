"""Presentations: single properties of slides that OSWorld's tasks check."""

from __future__ import annotations

from collections.abc import Iterator
from math import dist, sqrt
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError
from deskbench.tasks.metrics.office.presentation import DRAWING, FROM_MASTER, PICTURE, SOLID, pptx_of
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import Unreadable, member, opened_zip, parse_xml
from deskbench.tasks.registry import closed, metric

SLIDES = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
HALF_INCH = 457_200
"""Half an inch in EMU (1/914400 inch)."""


@metric("check_image_stretch_and_center")
def check_image_stretch_and_center(result: Path, expected: Path) -> float:
    """1 when the first slide's picture fills the slide and is centred, to within half an inch."""
    original, modified = pptx_of(expected), pptx_of(result)
    before = _first_slide_pictures(original)
    if not before:
        raise Unreadable(f"{expected.name} has no picture on its first slide", expected)
    same = [shape for shape in _first_slide_pictures(modified) if shape.image.blob == before[0].image.blob]
    if not same:
        return 0.0
    picture, width, height = same[-1], original.slide_width, original.slide_height
    off = (
        picture.width - width,
        picture.height - height,
        picture.left - (width - picture.width) / 2,
        picture.top - (height - picture.height) / 2,
    )
    return float(all(abs(distance) <= HALF_INCH for distance in off))


def _first_slide_pictures(presentation: Any) -> list[Any]:
    slides = list(presentation.slides)[:1]
    return [shape for slide in slides for shape in slide.shapes if shape.shape_type == PICTURE]


@metric("check_slide_numbers_color")
def check_slide_numbers_color(result: Path) -> float:
    """1 when some slide shows its number and the master's number is red."""
    presentation = pptx_of(result)
    texts = (shape.text for slide in presentation.slides for shape in slide.shapes if hasattr(shape, "text"))
    return float(any(text.isdigit() for text in texts) and _master_number_rgb(presentation) == (255, 0, 0))


def _master_number_rgb(presentation: Any) -> Any:
    for master in presentation.slide_masters:
        for shape in master.placeholders:
            if shape.has_text_frame and shape.text == "<number>":
                return getattr(shape.text_frame.paragraphs[0].font.color, "rgb", None)
    return None


@closed
class Indices(TypedDict):
    """Indices of slides, of their shapes and of the shapes' paragraphs, from 0."""

    slide_index_s: list[int]
    shape_index_s: list[int]
    paragraph_index_s: list[int]


@metric("check_strikethrough")
def check_strikethrough(result: Path, rules: Indices) -> float:
    """1 when the first run of each given paragraph is struck through."""
    slides = list(pptx_of(result).slides)
    try:
        paragraphs = [
            slides[slide].shapes[shape].text_frame.paragraphs[paragraph]
            for slide in rules["slide_index_s"]
            for shape in rules["shape_index_s"]
            for paragraph in rules["paragraph_index_s"]
        ]
        return float(all(_is_struck(paragraph.runs[0]) for paragraph in paragraphs))
    except (IndexError, AttributeError):
        return 0.0


def _is_struck(run: Any) -> bool:
    mark = run.font._element.get("strike")
    return mark is not None if as_upstream("strike-none") else mark not in (None, "noStrike")


@metric("check_slide_orientation_Portrait")
def check_slide_orientation_portrait(result: Path) -> float:
    """1 when the slides are taller than wide."""
    presentation = pptx_of(result)
    return float(presentation.slide_width < presentation.slide_height)


@closed
class Fill(TypedDict):
    """A colour as red, green, blue; and the original colour, which does not count."""

    rgb: list[int]
    original_rgb: NotRequired[list[int]]


@metric("evaluate_presentation_fill_to_rgb_distance")
def evaluate_presentation_fill_to_rgb_distance(result: Path, rules: Fill) -> float:
    """The mean closeness of the slides' backgrounds to a colour, 0 to 1."""
    slides = list(pptx_of(result).slides)
    if not slides:
        return 0.0
    return 1 - sum(_colour_distance(slide, rules["rgb"], rules.get("original_rgb")) for slide in slides) / len(slides)


def _colour_distance(slide: Any, wanted: list[int], before: list[int] | None) -> float:
    fill = slide.background.fill
    if fill.type == FROM_MASTER:
        fill = slide.slide_layout.slide_master.background.fill
    rgb = getattr(fill.fore_color, "rgb", None) if fill.type == SOLID else None
    if rgb is None or list(rgb) == before:
        return 1.0
    return dist(rgb, wanted) / (255 * sqrt(3))


@metric("check_left_panel")
def check_left_panel(result: str) -> float:
    """1 when the accessibility tree has Impress's slide panel."""
    try:
        root = parse_xml(result)
    except Unreadable as error:
        raise CheckError(f"the accessibility tree is {error}") from None
    return float(any(frame.get("name") == "Slides View" for frame in root.iter("document-frame")))


@closed
class Transition(TypedDict):
    """A slide's index, from 0, and the XML element of its transition."""

    slide_idx: int
    transition_type: str


@metric("check_transition")
def check_transition(result: Path, rules: Transition) -> float:
    """1 when the slide has the given transition."""
    root = _slide_root(result, rules["slide_idx"])
    marks = [] if root is None else list(root.iter(f"{SLIDES}transition"))
    marks = marks[:1] if as_upstream("transition-first") else marks
    return float(any(next(mark.iter(f"{SLIDES}{rules['transition_type']}"), None) is not None for mark in marks))


def _slide_root(path: Path, index: int) -> Any:
    """A slide's XML, by its index in the presentation."""
    if not as_upstream("transition-first"):
        slides = list(pptx_of(path).slides)
        return slides[index]._element if index < len(slides) else None
    with opened_zip(path) as archive:
        data = member(archive, f"ppt/slides/slide{index + 1}.xml")
    return None if data is None else parse_xml(data, path)


@closed
class Colour(TypedDict):
    """A colour by its name."""

    color: Literal["red", "blue", "green", "black"]


MARGIN = 50
"""By how much a colour's own component must exceed the others (OSWorld's)."""


@metric("check_page_number_colors")
def check_page_number_colors(result: Path, rules: Colour) -> float:
    """1 when the slide numbers have the given colour, in the master or on the slides."""
    if as_upstream("number-colour"):
        found = _second_last_colour(result)
    else:
        found = _last_colour(result) if as_upstream("number-guess") else _number_colours(result)
    return float(bool(found) and all(_is_colour(value, rules["color"]) for value in found))


def _is_colour(value: str, name: str) -> bool:
    parts = [int(value[i : i + 2], 16) for i in (0, 2, 4)]
    if as_upstream("number-colour"):
        # OSWorld skips the first letter of RRGGBB, as if it were a #.
        parts = [int(value[i : i + 2], 16) for i in (1, 3, 5)]
    if name == "black":
        return all(part < MARGIN for part in parts)
    own = {"red": 0, "green": 1, "blue": 2}[name]
    return all(parts[own] > part + MARGIN for index, part in enumerate(parts) if index != own)


def _second_last_colour(path: Path) -> list[str]:
    """The second-last colour of the first master: that of the slide number in LibreOffice's own templates."""
    return _filled(_first_master(path))[-2:-1]


def _first_master(path: Path) -> Any:
    with opened_zip(path) as archive:
        data = member(archive, "ppt/slideMasters/slideMaster1.xml")
    return parse_xml(data or b"<none/>", path)


def _filled(root: Any) -> list[str]:
    return [c.get("val") or "" for f in root.iter(f"{DRAWING}solidFill") for c in f.iter(f"{DRAWING}srgbClr")]


def _last_colour(path: Path) -> list[str]:
    """The last colour in the first master that is not black, preferring letters; else its last colour."""
    root = _first_master(path)
    everything = _filled(root)
    letters = [colour for look in root.iter(f"{DRAWING}rPr") for colour in _filled(look)]
    seen = [colour for colour in (*everything, *letters) if colour != "000000"]
    return seen[-1:] or everything[-1:]


def _number_colours(path: Path) -> list[str]:
    """The colours of the fields that show slide numbers, on the slides or else on the masters."""
    presentation = pptx_of(path)
    own = [c for slide in presentation.slides for c in _field_colours(slide._element)]
    masters = [c for master in presentation.slide_masters for c in _field_colours(master._element)]
    return own or masters or _second_last_colour(path)


def _field_colours(root: Any) -> Iterator[str]:
    for fld in root.iter(f"{DRAWING}fld"):
        if fld.get("type") == "slidenum":
            yield from (c.get("val") or "" for c in fld.iter(f"{DRAWING}srgbClr"))
