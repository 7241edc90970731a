"""Compares two presentations (pptx) shape by shape: `compare_pptx_files` and its options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import Unreadable, checked_package, needs
from deskbench.tasks.metrics.support.told import Told, verdict
from deskbench.tasks.registry import metric

DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
PICTURE, TABLE, FREEFORM = 13, 19, 5
"""Types of shapes, in python-pptx's numbers."""
SOLID, FROM_MASTER = 1, 5
"""Types of fills, in python-pptx's numbers."""
HALF_DOWN, HALF_ACROSS, UPPER = 3_600_000, 4_320_000, 1_980_000
"""Positions in EMU (1/914400 inch) that OSWorld's three tasks about moving require."""
ROUNDING = 360
"""EMU in 1/100 mm: LibreOffice rounds positions to this."""
MOVED_TITLE, SHIFTED = "Product Comparison", "Elaborate on what you want to discuss."
"""Texts of the shapes that two of OSWorld's tasks move."""


def pptx_of(path: Path) -> Any:
    """A presentation.

    Raises:
        Unreadable: it is not a presentation.
    """
    try:
        import pptx
        from lxml.etree import XMLSyntaxError
        from pptx.exc import PythonPptxError
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        return pptx.Presentation(str(checked_package(path)))
    except (PythonPptxError, XMLSyntaxError, KeyError, ValueError) as error:
        raise Unreadable(f"{path.name} is not a presentation: {error}", path) from None


@dataclass(frozen=True)
class Examine:
    """What to compare; the names are those of the options, without `examine_`."""

    number_of_slides: bool = True
    shape: bool = True
    text: bool = True
    indent: bool = True
    font_name: bool = True
    font_size: bool = True
    font_bold: bool = True
    font_italic: bool = True
    color_rgb: bool = True
    font_underline: bool = True
    strike_through: bool = True
    alignment: bool = True
    run_count: bool = True
    bullets: bool = True
    background_color: bool = True
    note: bool = True
    title_bottom_position: bool = False
    table_bottom_position: bool = False
    right_position: bool = False
    top_position: bool = False
    shape_for_shift_size: bool = False
    image_size: bool = False
    modify_height: bool = False
    shape_lenient_height: bool = False
    tolerance: float = 0.005
    place: list[str] = field(default_factory=list, compare=False)
    """The current place of the comparison, for the note."""


@metric("compare_pptx_files")
def compare_pptx_files(  # noqa: PLR0913  the options are OSWorld's
    result: Path,
    expected: Path,
    *,
    examine_number_of_slides: bool = True,
    examine_shape: bool = True,
    examine_text: bool = True,
    examine_indent: bool = True,
    examine_font_name: bool = True,
    examine_font_size: bool = True,
    examine_font_bold: bool = True,
    examine_font_italic: bool = True,
    examine_color_rgb: bool = True,
    examine_font_underline: bool = True,
    examine_strike_through: bool = True,
    examine_alignment: bool = True,
    examine_run_count: bool = True,
    examine_bullets: bool = True,
    examine_background_color: bool = True,
    examine_note: bool = True,
    examine_title_bottom_position: bool = False,
    examine_table_bottom_position: bool = False,
    examine_right_position: bool = False,
    examine_top_position: bool = False,
    examine_shape_for_shift_size: bool = False,
    examine_image_size: bool = False,
    examine_modify_height: bool = False,
    examine_shape_lenient_height: bool = False,
    approximately_tolerance: float = 0.005,
    enable_debug: bool = True,
) -> float:
    """1 when two presentations agree in everything that is examined; the options are OSWorld's.

    Positions and sizes may differ by `approximately_tolerance` of the larger. `examine_shape_lenient_height` and
    `enable_debug` change nothing, in OSWorld either.
    """
    options = {k.removeprefix("examine_"): v for k, v in locals().items() if k.startswith("examine_")}
    examine = Examine(**options, tolerance=approximately_tolerance)
    problem = next(_problems(pptx_of(result), pptx_of(expected), examine), None)
    return Told(1.0) if problem is None else verdict(" ".join([*examine.place, problem]))


def _problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    """Every difference between two presentations, in order."""
    if examine.number_of_slides and len(one.slides) != len(other.slides):
        yield f"{len(one.slides)} slides; {len(other.slides)} are expected"
    for number, (slide, wanted) in enumerate(zip(one.slides, other.slides, strict=False), 1):
        examine.place[:] = [f"slide {number}:"]
        yield from _slide_problems(number, slide, wanted, examine)


def _slide_problems(number: int, one: Any, other: Any, examine: Examine) -> Iterator[str]:
    bullets = _bullets(one, other)  # read first: python-pptx adds properties to a paragraph when it reads the alignment
    if examine.background_color and background(one) != background(other):
        yield f"background {background(one)}, not {background(other)}"
    if examine.note and _notes(one) != _notes(other):
        yield f"notes {_notes(one)!r}, not {_notes(other)!r}"
    if len(one.shapes) != len(other.shapes):
        yield f"{len(one.shapes)} shapes; {len(other.shapes)} are expected"
    for index, (shape, wanted) in enumerate(zip(one.shapes, other.shapes, strict=False), 1):
        examine.place[1:] = [f"shape {index}:"]
        yield from _geometry_problems(number, shape, wanted, examine)
        yield from _content_problems(shape, wanted, examine)
    examine.place[1:] = []
    yield from _grouped_problems(one, other, examine)
    if examine.bullets and _has_runs(one, other) and bullets[0] != bullets[1]:
        yield "bullets differ"


def background(slide: Any) -> str | None:
    """The colour of a slide or its master, as RRGGBB or the theme's name; None without a colour."""
    fill = slide.background.fill
    if fill.type == FROM_MASTER:
        fill = slide.slide_layout.slide_master.background.fill
    return fill_colour(fill)


def fill_colour(fill: Any) -> str | None:
    """The colour of a solid fill; None for other fills."""
    if fill.type != SOLID:
        return None
    rgb = getattr(fill.fore_color, "rgb", None)
    return str(rgb) if rgb is not None else f"theme {fill.fore_color.theme_color}"


def _notes(slide: Any) -> str:
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    return "" if frame is None else str(frame.text.strip())


def _geometry(shape: Any) -> tuple[Any, Any, Any, Any]:
    return shape.left, shape.top, shape.width, shape.height


def _near(one: int | None, other: int | None, tolerance: float) -> bool:
    if one == other:
        return True
    if one is None or other is None:
        return False
    if not as_upstream("position-zero") and abs(one - other) <= ROUNDING:
        return True
    return 0 not in (one, other) and abs(one - other) / max(abs(one), abs(other)) <= tolerance


def _same_place(one: Any, other: Any, examine: Examine) -> bool:
    pairs = zip(_geometry(one), _geometry(other), strict=True)
    return all(_near(a, b, examine.tolerance) for a, b in pairs)


def _has_text(shape: Any) -> bool:
    return hasattr(shape, "text")


def _both(test: Callable[[Any], bool], one: Any, other: Any) -> bool:
    return test(one) and test(other)


def _kind(kind: int) -> Callable[[Any], bool]:
    return lambda shape: shape.shape_type == kind


def _geometry_problems(number: int, one: Any, other: Any, examine: Examine) -> Iterator[str]:
    """Differences in the position and size of shapes, taking into account moves that a task demands."""
    same = _same_place(one, other, examine)
    texts = [shape.text if _has_text(shape) else None for shape in (one, other)]
    if examine.shape and not same and not _both(_place_is_free, one, other):
        yield f"position or size {_geometry(one)}, not {_geometry(other)}"
    if examine.shape_for_shift_size and not same and texts != [SHIFTED, SHIFTED]:
        yield f"position or size {_geometry(one)}, not {_geometry(other)}"
    for wrong, what in (
        (examine.title_bottom_position and _title_wrong(one, other, texts, same), "the title is not at the bottom"),
        (examine.table_bottom_position and _table_wrong(number, one, other, same), "the table is not at the bottom"),
        (examine.right_position and number == 2 and _right_wrong(one, other), "not at the right"),
        (examine.top_position and number == 2 and _top_wrong(one, other), "the picture is not at the top"),
        (examine.image_size and _size_wrong(one, other, examine, same), "the picture's size differs"),
        (examine.modify_height and _height_wrong(one, other, examine, same), "the height differs"),
    ):
        if wrong:
            yield what


def _place_is_free(shape: Any) -> bool:
    """Whether a shape's position does not matter: a placeholder without text is invisible."""
    if as_upstream("empty-placeholder"):
        return False
    blank = not (getattr(shape, "text", None) or "").strip()
    return blank and (as_upstream("picture-place") or bool(shape.is_placeholder and shape.has_text_frame))


def _title_wrong(one: Any, other: Any, texts: list[str | None], same: bool) -> bool:
    if None in texts or texts[0] != texts[1]:
        return not same
    return texts[0] == MOVED_TITLE and _not_lower(one, other)


def _not_lower(one: Any, other: Any) -> bool:
    """Whether a shape did not move down, or is not in the lower half."""
    return bool(one.top <= other.top or one.top < HALF_DOWN)


def _table_wrong(number: int, one: Any, other: Any, same: bool) -> bool:
    return _not_lower(one, other) if number == 3 and _both(_kind(TABLE), one, other) else not same


def _right_wrong(one: Any, other: Any) -> bool:
    if _has_text(one) or _has_text(other):
        return False
    return bool(one.left <= other.left or one.left < HALF_ACROSS)


def _top_wrong(one: Any, other: Any) -> bool:
    return _both(_kind(PICTURE), one, other) and bool(one.top >= other.top or one.top > UPPER)


def _size_wrong(one: Any, other: Any, examine: Examine, same: bool) -> bool:
    if not _both(_kind(PICTURE), one, other):
        return not same
    return not all(_near(getattr(one, s), getattr(other, s), examine.tolerance) for s in ("width", "height"))


def _height_wrong(one: Any, other: Any, examine: Examine, same: bool) -> bool:
    no_text = not _has_text(one) and not _has_text(other)
    if no_text or _both(_kind(FREEFORM), one, other):
        return not _near(one.height, other.height, examine.tolerance)
    return not same


def _content_problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    if one.shape_type == TABLE and getattr(other, "has_table", False):
        yield from _table_problems(one.table, other.table, examine)
    if _both(_has_text, one, other):
        yield from _text_problems(one, other, examine)


def _table_problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    sizes = [(len(table.rows), len(table.columns)) for table in (one, other)]
    if sizes[0] != sizes[1]:
        yield f"a table of {sizes[0]}, not {sizes[1]}, rows and columns"
        return
    # Whatever the options, OSWorld compares four properties of a table's letters, but not the text.
    strict, counted = as_upstream("table-cells"), examine.run_count or as_upstream("run-count")
    looks = _looks_of_cells(examine) if strict else _looks(examine)
    for row in range(sizes[0][0]):
        for column in range(sizes[0][1]):
            cells = [table.cell(row, column) for table in (one, other)]
            if examine.text and not strict and cells[0].text.strip() != cells[1].text.strip():
                yield f"cell {row + 1}, {column + 1}: {cells[0].text!r}, not {cells[1].text!r}"
            found, wanted = (cell.text_frame.paragraphs for cell in cells)
            yield from _paragraph_problems(found, wanted, looks, counted=counted)


def _text_problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    if examine.text and one.text.strip() != other.text.strip():
        yield f"text {one.text.strip()[:60]!r}, not {other.text.strip()[:60]!r}"
    sides = [shape.text_frame.paragraphs for shape in (one, other)]
    for found, wanted in zip(*sides, strict=False):
        yield from _layout_problems(found, wanted, examine)
    counted = examine.run_count or as_upstream("run-count")
    yield from _paragraph_problems(sides[0], sides[1], _looks(examine), counted=counted)


def _layout_problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    if examine.alignment and (one.alignment or 1) != (other.alignment or 1):  # 1 means left, and so does no value
        yield f"alignment {one.alignment}, not {other.alignment}, of {one.text[:40]!r}"
    if examine.text and one.text != other.text:
        yield f"text {one.text[:60]!r}, not {other.text[:60]!r}"
    free = {0, 1} if as_upstream("level-one") else set()
    if examine.indent and one.level != other.level and not {one.level, other.level} <= free:
        yield f"indent {one.level}, not {other.level}, of {one.text[:40]!r}"


Look = tuple[str, Callable[[Any], Any], Callable[[Any, Any], bool]]
"""A property of letters: its name, a function that reads it from a run's font, and one that compares two values."""


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def _same_flag(one: Any, other: Any) -> bool:
    """Compare two flags; unset means off."""
    return bool(one) == bool(other)


def _same_underline(one: Any, other: Any) -> bool:
    if not as_upstream("underline-kinds"):
        return (one or None) == (other or None)
    if one is None or other is None:
        return True not in (one, other) or one is other
    return bool(one == other)


def _colour(font: Any) -> str | None:
    """A font's colour as RRGGBB or the theme's name for it; None if the letters have no colour of their own."""
    rgb = getattr(font.color, "rgb", None)
    if rgb is not None or as_upstream("colour-none"):
        return None if rgb is None else str(rgb)
    theme = getattr(font.color, "theme_color", None)
    return None if theme is None else f"theme {theme}"


def _same_colour(one: Any, other: Any) -> bool:
    if None in (one, other) and as_upstream("colour-none"):
        return True
    return bool(one == other)


_LOOKS: tuple[Look, ...] = (
    ("font_name", lambda font: font.name, _equal),
    ("font_size", lambda font: font.size, _equal),
    ("font_bold", lambda font: font.bold, _same_flag),
    ("font_italic", lambda font: font.italic, _same_flag),
    ("color_rgb", _colour, _same_colour),
    ("font_underline", lambda font: font.underline, _same_underline),
    ("strike_through", lambda font: font._element.get("strike", "noStrike"), _equal),
)


def _looks(examine: Examine) -> list[Look]:
    return [look for look in _LOOKS if getattr(examine, look[0])]


def _looks_of_cells(examine: Examine) -> list[Look]:
    always = ("font_bold", "font_italic", "font_underline")
    return [look for look in _LOOKS if look[0] in always or (look[0] == "color_rgb" and examine.color_rgb)]


def _paragraph_problems(one: Iterable[Any], other: Iterable[Any], looks: list[Look], *, counted: bool) -> Iterator[str]:
    """Paragraphs that look different: compared run by run if runs count, else letter by letter."""
    sides = [list(side) for side in (one, other)]
    if len(sides[0]) != len(sides[1]):
        yield f"{len(sides[0])} paragraphs; {len(sides[1])} are expected"
    for found, wanted in zip(*sides, strict=False):
        runs = _runs(found, wanted)
        if counted and len(runs[0]) != len(runs[1]):
            yield f"{len(runs[0])} runs of text of the same look; {len(runs[1])} are expected, in {found.text[:40]!r}"
        pairs = zip(*runs, strict=False) if counted or as_upstream("run-pairs") else _by_letter(*runs)
        yield from (problem for a, b in pairs if (problem := _look_problem(a, b, looks)))


def _runs(one: Any, other: Any) -> tuple[list[Any], list[Any]]:
    """The runs of two paragraphs; empty if both are blank, since their formatting is invisible."""
    blank = not one.text.strip() and not other.text.strip() and not as_upstream("blank-runs")
    return ([], []) if blank else (list(one.runs), list(other.runs))


def _by_letter(one: list[Any], other: list[Any]) -> Iterator[tuple[Any, Any]]:
    """The runs of the first letters, the second letters and so on, each pair once."""
    letters = [[run for run in runs for _ in run.text] for runs in (one, other)]
    seen: set[tuple[int, int]] = set()
    for pair in zip(*letters, strict=False):
        key = (id(pair[0]), id(pair[1]))
        if key not in seen:
            seen.add(key)
            yield pair


def _look_problem(one: Any, other: Any, looks: list[Look]) -> str | None:
    for name, read, same in looks:
        found, wanted = read(one.font), read(other.font)
        if not same(found, wanted):
            return f"{name} {found}, not {wanted}, of {one.text[:40]!r}"
    return None


def text_shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    """Shapes with text, including those in groups."""
    for shape in shapes:
        if _has_text(shape) and hasattr(shape, "text_frame"):
            yield shape
        yield from text_shapes(getattr(shape, "shapes", ()))


def _grouped_problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    """Differences in text within groups: OSWorld compares its alignment, we compare everything that is examined."""
    sides = [list(text_shapes(slide.shapes)) for slide in (one, other)]
    if len(sides[0]) != len(sides[1]):
        yield f"{len(sides[0])} shapes with text; {len(sides[1])} are expected"
        return
    for found, wanted in zip(*sides, strict=True):
        if not as_upstream("groups"):
            yield from _text_problems(found, wanted, examine)
        elif examine.alignment:
            yield from _alignment_problems(found, wanted, examine)


def _alignment_problems(one: Any, other: Any, examine: Examine) -> Iterator[str]:
    if examine.text and one.text.strip() != other.text.strip():
        yield "text within a group differs"
    pairs = zip_longest(one.text_frame.paragraphs, other.text_frame.paragraphs)
    if any(a is None or b is None or (a.alignment or 1) != (b.alignment or 1) for a, b in pairs):
        yield "alignment within a group differs"


def _has_runs(one: Any, other: Any) -> bool:
    """Whether some pair of shapes has a pair of runs: only then does OSWorld compare bullets."""
    return any(all(_runs(*pair)) for pair in _pairs(one, other))


def _pairs(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """The paragraphs of the shapes with text, in the order of comparison."""
    for a, b in zip(one.shapes, other.shapes, strict=False):
        if _both(_has_text, a, b):
            yield from zip(a.text_frame.paragraphs, b.text_frame.paragraphs, strict=False)


def _bullets(one: Any, other: Any) -> list[list[tuple[str, str, str]]]:
    """Level, bullet and text of every non-blank paragraph of both slides.

    OSWorld reads them at the first runs. By then its queries have added properties to the paragraphs up to that point,
    and only to these.
    """
    touched: set[Any] = set()
    for pair in _pairs(one, other):
        touched |= {paragraph._p for paragraph in pair}
        if all(_runs(*pair)):
            break
    found = [[_bullet(p, p in touched) for p in slide._element.iter(f"{DRAWING}p")] for slide in (one, other)]
    return [[bullet for bullet in side if bullet[2].strip()] for side in found]


def _bullet(paragraph: Any, touched: bool) -> tuple[str, str, str]:
    properties = paragraph.find(f"{DRAWING}pPr")
    text = "".join(t.text or "" for t in paragraph.iter(f"{DRAWING}t"))
    if properties is None:
        return ("none" if as_upstream("bullet-levels") and not touched else "0"), "", text
    mark = properties.find(f"{DRAWING}buChar")
    number = properties.find(f"{DRAWING}buAutoNum")
    bullet = "" if mark is None else mark.get("char", "")
    if number is not None and not as_upstream("bullet-numbers"):
        bullet = f"numbered {number.get('type')}"
    level = properties.get("lvl") or "0"
    return level if bullet or as_upstream("bullet-levels") else "0", bullet, text
