"""Cases for presentations, made with python-pptx and LibreOffice."""

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.enum.text import MSO_UNDERLINE, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.util import Emu, Inches, Pt

from tests.differential.case import Case, Files
from tests.differential.office import converted, has_office
from tests.differential.pictures import as_bytes, photo
from tests.differential.plain import USED, rules

Change = Callable[[Any], Any]


def base(deck: Any) -> None:
    """Three slides: title and bullets, a picture and a box, a table and a group."""
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes[0].text_frame.text = "Product Comparison"
    frame = first.shapes[1].text_frame
    frame.text = "One"
    for text, level in (("Two", 1), ("Three", 0)):
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = text, level
    second = deck.slides.add_slide(deck.slide_layouts[6])
    second.shapes.add_picture(io.BytesIO(as_bytes(photo())), Inches(1), Inches(3), Inches(3), Inches(2))
    box = second.shapes.add_textbox(Inches(5), Inches(1), Inches(3), Inches(1))
    box.text_frame.text = "A box"
    run = box.text_frame.paragraphs[0].add_run()
    run.text, run.font.bold, run.font.size = " of two runs", True, Pt(20)
    third = deck.slides.add_slide(deck.slide_layouts[6])
    table = third.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(6), Inches(2)).table
    table.cell(0, 0).text = "cell"
    group = third.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(5), Inches(2), Inches(1)).text_frame.text = "in a group"
    first.notes_slide.notes_text_frame.text = "a note"


def made(files: Files, change: Change = lambda deck: None, name: str = "a.pptx", start: Change = base) -> Path:
    """A presentation with one changed property."""
    deck = Presentation()
    start(deck)
    change(deck)
    path = files.new(name)
    deck.save(str(path))
    return path


def _shape(slide: int, shape: int) -> Callable[[Any], Any]:
    return lambda deck: list(deck.slides)[slide].shapes[shape]


def _run(deck: Any, index: int = 0) -> Any:
    return _shape(1, 1)(deck).text_frame.paragraphs[0].runs[index]


def _set(thing: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(thing, name, value)


def _each(*changes: Change) -> Change:
    """Apply several changes in order."""

    def run_all(deck: Any) -> None:
        for change in changes:
            change(deck)

    return run_all


def _font(**looks: Any) -> Change:
    return lambda deck: _set(_run(deck).font, **looks)


def _place(slide: int, shape: int, **places: int) -> Change:
    return lambda deck: _set(_shape(slide, shape)(deck), **{name: Emu(value) for name, value in places.items()})


def _background(rgb: str | None = None, theme: Any = None) -> Change:
    def change(deck: Any) -> None:
        fill = deck.slides[0].background.fill
        fill.solid()
        if rgb:
            fill.fore_color.rgb = RGBColor.from_string(rgb)
        else:
            fill.fore_color.theme_color = theme

    return change


def _cell(deck: Any) -> Any:
    return _shape(2, 0)(deck).table.cell(0, 0)


def _cell_font(**looks: Any) -> Change:
    return lambda deck: _set(_cell(deck).text_frame.paragraphs[0].runs[0].font, **looks)


def _bullet(tag: str, **attributes: str) -> Change:
    def change(deck: Any) -> None:
        properties = _shape(0, 1)(deck).text_frame.paragraphs[0]._p.get_or_add_pPr()
        mark = properties.makeelement(qn(f"a:{tag}"), attributes)
        properties.append(mark)

    return change


def _paragraph(**values: Any) -> Change:
    return lambda deck: _set(_shape(0, 1)(deck).text_frame.paragraphs[0], **values)


def _split(deck: Any) -> None:
    """The same letters in two runs with the same formatting."""
    frame = _shape(1, 1)(deck).text_frame
    frame.paragraphs[0].runs[0].text = "A "
    second = frame.paragraphs[0].runs[0]._r
    copy = second.makeelement(second.tag, {})
    text = copy.makeelement(qn("a:t"), {})
    text.text = "box"
    copy.append(text)
    second.addnext(copy)


def _group_text(deck: Any) -> Any:
    return _shape(2, 1)(deck).shapes[0].text_frame


CHANGES: dict[str, Change] = {
    "equal": lambda deck: None,
    "a slide more": lambda deck: deck.slides.add_slide(deck.slide_layouts[6]),
    "a shape more": lambda deck: deck.slides[1].shapes.add_textbox(0, 0, 9, 9),
    "another title": lambda deck: setattr(_shape(0, 0)(deck).text_frame, "text", "Title"),
    "another word": lambda deck: setattr(_run(deck), "text", "The box"),
    "a paragraph more": lambda deck: setattr(_shape(0, 1)(deck).text_frame.add_paragraph(), "text", "Four"),
    "another level": _paragraph(level=1),
    "at the right": _paragraph(alignment=PP_ALIGN.RIGHT),
    "at the left": _paragraph(alignment=PP_ALIGN.LEFT),
    "another font": _font(name="Arial"),
    "another size": _font(size=Pt(30)),
    "bold": _font(bold=True),
    "not bold": _font(bold=False),
    "italic": _font(italic=True),
    "underlined": _font(underline=True),
    "not underlined": _font(underline=False),
    "struck through": lambda deck: _run(deck).font._element.set("strike", "sngStrike"),
    "not struck through": lambda deck: _run(deck).font._element.set("strike", "noStrike"),
    "red": lambda deck: setattr(_run(deck).font.color, "rgb", RGBColor(255, 0, 0)),
    "a bullet": _bullet("buChar", char="-"),
    "another bullet": _bullet("buChar", char="*"),
    "a blue background": _background("0000FF"),
    "a green background": _background("00FF00"),
    "another note": lambda deck: setattr(deck.slides[0].notes_slide.notes_text_frame, "text", "another"),
    "no note": lambda deck: setattr(deck.slides[0].notes_slide.notes_text_frame, "text", ""),
    "moved": _place(1, 1, left=5_000_000),
    "moved a little": _place(1, 1, left=4_580_000),
    "the title lower": _place(0, 0, left=457_200, top=4_000_000, width=8_229_600, height=1_143_000),
    "the picture at the top": _place(1, 0, top=900_000),
    "the picture at the right": _place(1, 0, left=5_000_000),
    "the picture larger": _place(1, 0, width=3_000_000, height=2_000_000),
    "the picture higher": _place(1, 0, height=2_500_000),
    "the table lower": _place(2, 0, top=4_000_000),
    "the table a little lower": _place(2, 0, top=1_500_000),
    "a cell bold": _cell_font(bold=True),
    "a cell red": lambda deck: setattr(
        _cell(deck).text_frame.paragraphs[0].runs[0].font.color, "rgb", RGBColor(255, 0, 0)
    ),
    "a cell of two lines": lambda deck: _cell(deck).text_frame.add_paragraph(),
    "the group's text": lambda deck: setattr(_group_text(deck), "text", "another"),
    "the group at the right": lambda deck: setattr(_group_text(deck).paragraphs[0], "alignment", PP_ALIGN.RIGHT),
    "two runs of one look": _split,
}
FLAGS = ("number_of_slides", "shape", "text", "indent", "font_name", "font_size", "font_bold", "font_italic", "color_rgb",
         "font_underline", "strike_through", "alignment", "bullets", "background_color", "note")  # fmt: skip
ASKED = ("title_bottom_position", "table_bottom_position", "right_position", "top_position", "shape_for_shift_size",
         "image_size", "modify_height")  # fmt: skip


def options() -> list[dict[str, Any]]:
    """No option, each flag inverted, each without positions, and all option sets in tasks."""
    found: list[dict[str, Any]] = [{}]
    found += [{f"examine_{flag}": False} for flag in FLAGS]
    found += [{"examine_shape": False, f"examine_{flag}": True} for flag in ASKED]
    found += [{"approximately_tolerance": 0.2}]
    for one in USED["compare_pptx_files"]:
        if one.get("options") and one["options"] not in found:
            found.append(one["options"])
    return found


SAMPLE = 3
"""One in this many changes without a listed difference is tried with an option; without options, all are."""


def decks(files: Files) -> Iterator[Case]:
    """`compare_pptx_files`, with every option, over every change."""
    name = "compare_pptx_files"
    found = {what: made(files, change) for what, change in CHANGES.items()}
    if has_office():
        written = converted(files, list(found.values()), "pptx")
        found |= {f"{what}, by LibreOffice": path for what, path in zip(CHANGES, written, strict=True)}
    for one in options():
        for what, path in found.items():
            gold = found["equal, by LibreOffice" if what.endswith("LibreOffice") else "equal"]
            differs = explained(what, one)
            if not (
                one == {} or differs or what.startswith("equal") or zlib.crc32(f"{what} {one}".encode()) % SAMPLE == 0
            ):
                continue
            theirs = {k: v for k, v in one.items() if not k.startswith("_")}
            yield Case(name, f"{what} {json.dumps(theirs)}", (path, gold), theirs, differs)
    plain = found["equal"]
    for what, change, one, key in (
        ("a cell's text", lambda d: setattr(_cell(d).text_frame.paragraphs[0].runs[0], "text", "other"), {}, "table-cells"),
        ("a cell bold, which is not examined", _cell_font(bold=True), {"examine_font_bold": False}, "table-cells"),
        ("underlined twice", _font(underline=MSO_UNDERLINE.DOUBLE_LINE), {}, "underline-kinds"),
        ("the group bold", lambda d: setattr(_group_text(d).paragraphs[0].runs[0].font, "bold", True), {}, "groups"),
        ("a background of the theme", _background(theme=MSO_THEME_COLOR.ACCENT_1), {}, "theme-fill"),
    ):  # fmt: skip
        yield Case(name, what, (made(files, change), plain), one, key)
    numbered, none = made(files, _bullet("buAutoNum", type="arabicPeriod")), made(files, _bullet("buNone"))
    yield Case(name, "numbered", (numbered, none), differs="bullet-numbers")
    yield from revised(files, plain)
    zero, near = made(files, _place(1, 1, left=0)), made(files, _place(1, 1, left=3))
    yield Case(name, "0 and nearly 0", (near, zero), differs="position-zero")
    yield Case(name, "no presentation", (files.text("a.pptx", "x"), plain), differs="raises")


def revised(files: Files, plain: Path) -> Iterator[Case]:
    """Differences between the main branch and the release."""
    name = "compare_pptx_files"

    def titled(deck: Any) -> None:
        base(deck)
        _shape(0, 0)(deck).text_frame.text = ""

    empty = made(files, start=titled)
    away = _place(0, 0, left=457_200, top=4_000_000, width=8_229_600, height=1_143_000)
    yield Case(
        name, "an empty placeholder elsewhere", (made(files, away, start=titled), empty), differs="empty-placeholder"
    )
    boxed = lambda d: d.slides[1].shapes.add_textbox(0, 0, 9, 9)
    aside = lambda d: d.slides[1].shapes.add_textbox(Inches(2), 0, 9, 9)
    yield Case(name, "an empty box elsewhere", (made(files, aside), made(files, boxed)), differs="picture-place")
    for level, key in ((1, "level-one"), (2, "")):
        path = made(files, _paragraph(level=level))
        yield Case(name, f"level {level}, bullets not examined", (path, plain), {"examine_bullets": False}, key)
        yield Case(
            name, f"level {level}, indents not examined", (path, plain), {"examine_indent": False}, "bullet-levels"
        )
    bulleted = made(files, _bullet("buChar", char="-"))
    lower = made(files, lambda d: (_bullet("buChar", char="-")(d), _paragraph(level=1)(d)))
    yield Case(name, "a bullet's level", (lower, bulleted), {"examine_indent": False})
    emptied: Change = lambda d: _set(_cell(d).text_frame.paragraphs[0].runs[0], text=" ")
    blank = made(files, emptied)
    blanks = made(files, _each(emptied, _cell_font(bold=True)))
    yield Case(name, "blanks that are bold", (blanks, blank), differs="blank-runs")
    for what, path in (
        ("of one look", made(files, _split)),
        ("of two", made(files, _each(_split, _font(bold=True)))),
    ):
        for other, wanted in (("one", plain), ("a bold one", made(files, _font(bold=True)))):
            yield Case(
                name,
                f"runs {what} beside {other}",
                (path, wanted),
                {"examine_run_count": False},
                "run-count run-pairs" if (what, other) == ("of one look", "one") else "",
            )


def explained(what: str, one: dict[str, Any]) -> str:
    """The listed difference that a change shows with these options."""
    plain, office = what.partition(",")[0], "LibreOffice" in what
    off = {name.removeprefix("examine_") for name, value in one.items() if value is False}
    if any(one.get(f"examine_{place}_position") for place in ("title_bottom", "table_bottom", "right", "top")):
        return ""  # 0 because of the shapes' positions, whatever else differs
    if plain == "two runs of one look" and "run_count" in off and not office:
        return "run-count run-pairs"
    if plain in ("red", "a cell red") and "color_rgb" not in off and not office:
        return "colour-none"
    if plain == "a cell bold" and "font_bold" in off:
        return "table-cells"
    if plain == "the group's text" and "alignment" in off and (not office or "font_name" in off):
        return "groups"
    if plain == "another level" and not office:  # LibreOffice formats a level in more ways, which differ for everyone
        return "level-one" if "indent" not in off else "" if "bullets" in off else "bullet-levels"
    near = plain == "the picture larger" and "approximately_tolerance" in one
    if "shape" not in off and not near and _is_moved(plain, off, office=office):
        return "picture-place"
    moved = plain == "at the left" or (plain == "at the right" and "alignment" in off)
    return "bullet-levels" if moved and "bullets" not in off and not office else ""


def _is_moved(plain: str, off: set[str], *, office: bool) -> bool:
    """Whether a shape without text has a different position: LibreOffice fits a group to its text."""
    fitted = plain == "the group's text" and "alignment" in off and office
    return fitted or plain.startswith(("the picture", "the table"))


def _with_part(files: Files, path: Path, part: str, change: Callable[[str], str]) -> Path:
    """A presentation with one part changed as text."""
    target = files.new("a.pptx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info, change(data.decode()).encode() if info.filename == part else data)
    return target


TRANSITION = (
    '<p:transition xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"><p:{0}/></p:transition>'
)


def single(files: Files) -> Iterator[Case]:
    """Metrics of single properties."""
    plain = made(files)
    for rule in rules("check_transition"):
        for kind in ("dissolve", "fade"):
            text = TRANSITION.format(kind)
            path = _with_part(files, plain, "ppt/slides/slide1.xml", lambda s: s.replace("</p:sld>", f"{text}</p:sld>"))
            yield Case("check_transition", kind, (path, rule))
        yield Case("check_transition", "none", (plain, rule))
        yield Case("check_transition", "no such slide", (plain, {**rule, "slide_idx": 9}))
        two = TRANSITION.format("fade") + TRANSITION.format("dissolve")
        path = _with_part(files, plain, "ppt/slides/slide1.xml", lambda s: s.replace("</p:sld>", f"{two}</p:sld>"))
        yield Case("check_transition", "two", (path, rule), differs="transition-first")
    for width, height in ((10, 7.5), (7.5, 10), (8, 8)):
        turned = made(files, lambda d: _set(d, slide_width=Inches(width), slide_height=Inches(height)))
        yield Case("check_slide_orientation_Portrait", f"{width} {height}", (turned,))
    for rule in (*rules("evaluate_presentation_fill_to_rgb_distance"), {"rgb": [0, 255, 0]}):
        for what, change in (
            ("none", lambda d: None),
            ("blue", _background("0000FF")),
            ("white", _background("FFFFFF")),
            ("grey", _background("777777")),
        ):
            yield Case("evaluate_presentation_fill_to_rgb_distance", f"{what} {rule}", (made(files, change), rule))
    themed = made(files, _background(theme=MSO_THEME_COLOR.ACCENT_1))
    yield Case("evaluate_presentation_fill_to_rgb_distance", "of the theme", (themed, {"rgb": [0, 0, 255]}))
    struck = made(files, CHANGES["struck through"])
    for what, path, key in (
        ("struck", struck, ""),
        ("not", plain, ""),
        ("marked as not", made(files, CHANGES["not struck through"]), "strike-none"),
    ):
        rule = {"slide_index_s": [1], "shape_index_s": [1], "paragraph_index_s": [0]}
        yield Case("check_strikethrough", what, (path, rule), differs=key)
        yield Case("check_strikethrough", f"{what}, no such shape", (path, {**rule, "shape_index_s": [1, 9]}))
    yield from stretched(files)
    yield from numbers(files)


def stretched(files: Files) -> Iterator[Case]:
    """`check_image_stretch_and_center`."""

    def start(deck: Any) -> None:
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        slide.shapes.add_picture(io.BytesIO(as_bytes(photo())), Inches(1), Inches(1), Inches(3), Inches(2))

    original = made(files, start=start)
    for what, place in (("as it was", {}), ("filling", {"left": 0, "top": 0, "width": 9_144_000, "height": 6_858_000}),
                        ("nearly", {"left": 100_000, "top": 50_000, "width": 9_000_000, "height": 6_800_000}),
                        ("not in the middle", {"left": 600_000, "top": 0, "width": 9_144_000, "height": 6_858_000})):  # fmt: skip
        path = made(files, _place(0, 0, **place), start=start)
        yield Case("check_image_stretch_and_center", what, (path, original))
    yield Case(
        "check_image_stretch_and_center",
        "no picture",
        (made(files, start=lambda d: d.slides.add_slide(d.slide_layouts[6])), original),
    )


FIELD = ('<a:p xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:fld id="{{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}}" '
         'type="slidenum"><a:rPr lang="en-US"><a:solidFill><a:srgbClr val="{0}"/></a:solidFill></a:rPr><a:t>&lt;number&gt;</a:t></a:fld></a:p>')  # fmt: skip


def numbers(files: Files) -> Iterator[Case]:
    """The colour of slide numbers."""

    def deck_with(*colours: str) -> Path:
        """A master with fields of these colours, in order."""

        def change(deck: Any) -> None:
            from lxml import etree

            for colour in colours:
                box = next(iter(deck.slide_masters)).placeholders[1]
                box.text_frame._txBody.append(etree.fromstring(FIELD.format(colour)))

        return made(files, change)

    for rule in (*rules("check_page_number_colors"), {"color": "blue"}, {"color": "green"}, {"color": "black"}):
        for colour in ("FF0000", "0000FF", "00FF00", "000000"):
            path = deck_with(colour, colour)
            text = f"{colour} {rule['color']}"
            odd = colour == "0000FF" and rule["color"] in ("blue", "black")
            yield Case("check_page_number_colors", text, (path, rule), differs="number-colour" if odd else "")
        mixed = deck_with("FF0000", "00FF00")
        yield Case(
            "check_page_number_colors",
            f"two colours {rule['color']}",
            (mixed, rule),
            differs={"red": "number-colour", "green": "number-guess"}.get(rule["color"], ""),
        )

    def inked(deck: Any) -> None:
        """Red numbers, followed by other blue letters in the master."""
        from lxml import etree

        frame = next(iter(deck.slide_masters)).placeholders[1].text_frame
        frame._txBody.append(etree.fromstring(FIELD.format("FF0000")))
        run = frame.add_paragraph().add_run()
        run.text, run.font.color.rgb = "x", RGBColor(0, 0, 255)

    yield Case(
        "check_page_number_colors", "blue letters", (made(files, inked), {"color": "red"}), differs="number-guess"
    )
    yield Case("check_page_number_colors", "no colour", (made(files), {"color": "red"}), differs="no-colour")

    def numbered(rgb: tuple[int, int, int] | None) -> Change:
        def change(deck: Any) -> None:
            deck.slides[1].shapes.add_textbox(0, 0, 99, 99).text_frame.text = "2"
            shape = list(next(iter(deck.slide_masters)).placeholders)[-1]
            shape.text_frame.text = "<number>"
            if rgb:
                shape.text_frame.paragraphs[0].font.color.rgb = RGBColor(*rgb)

        return change

    for rgb in (None, (255, 0, 0), (0, 255, 0)):
        yield Case(
            "check_slide_numbers_color", str(rgb), (made(files, numbered(rgb)),), differs="" if rgb else "no-number"
        )
    yield Case("check_slide_numbers_color", "no number", (made(files),), differs="no-number")


FAMILIES = {"decks": decks, "slides": single}
