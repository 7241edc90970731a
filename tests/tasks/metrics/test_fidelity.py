"""Each of OSWorld's revisions by name, and our own behaviour by default."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.styles import Font
from PIL import Image
from pptx import Presentation
from pptx.util import Inches

from deskbench.tasks import registry
from deskbench.tasks.metrics.support.applied import apply
from deskbench.tasks.metrics.support.differences import DIFFERENCES, EVERY, GETTERS, REVISIONS, Revision
from deskbench.tasks.metrics.support.fidelity import as_upstream, osworld_strict, strict_revision


def score(revision: Revision | None, metric: str, *arguments: Any, **options: Any) -> float:
    result, expected = (*arguments, None)[:2]
    with osworld_strict(revision):
        return float(apply(registry.find("metric", metric), result, expected, options))


def scores(metric: str, *arguments: Any, **options: Any) -> tuple[float, ...]:
    """Our own score, and the scores of 1.0.2 and main."""
    return tuple(score(one, metric, *arguments, **options) for one in (None, *REVISIONS))


class TestTheSwitch:
    def test_outside_nothing_is_repeated(self) -> None:
        assert strict_revision() is None
        assert not any(as_upstream(one.key) for one in EVERY.values() if one.switched)

    @pytest.mark.parametrize("revision", REVISIONS)
    def test_a_revision_has_its_own_mistakes(self, revision: Revision) -> None:
        with osworld_strict(revision):
            found = {one.key for one in EVERY.values() if one.switched and as_upstream(one.key)}
        assert found == {one.key for one in EVERY.values() if one.switched and revision in one.revisions}

    def test_what_has_no_switch_cannot_be_asked_for(self) -> None:
        with pytest.raises(AssertionError, match="hostile"):
            as_upstream("hostile")

    @pytest.mark.parametrize(("kind", "table"), [("metric", DIFFERENCES), ("getter", GETTERS)])
    def test_the_tables_name_what_there_is(self, kind: Any, table: Any) -> None:
        named = {name for one in table for name in one.metrics} - {"*"}
        assert named <= set(registry.names(kind))

    def test_a_key_stands_once(self) -> None:
        assert len(EVERY) == len(DIFFERENCES) + len(GETTERS)


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('{"a": 1, "b": 2}', (1, 0, 1)),
            ('{"a": 1}', (1, 1, 1)),
            ('{"a": 2}', (0, 0, 0)),
            ('{"a": 1, // x\n"b": 2}', (1, 0, 0)),
            ('x {"a": 1}', (1, 0, 1)),
        ],
    )
    def test_a_configuration_holds_what_is_expected(
        self, tmp_path: Path, text: str, expected: tuple[float, ...]
    ) -> None:
        file = tmp_path / "settings.json"
        file.write_text(text)
        assert scores("compare_config", file, {"expected": '{"a": 1}'}) == expected

    def test_more_is_wrong_where_the_task_says_so(self, tmp_path: Path) -> None:
        file = tmp_path / "settings.json"
        file.write_text('{"a": 1, "b": 2}')
        assert scores("compare_config", file, {"expected": '{"a": 1}'}, containment_ok=False) == (0, 0, 0)

    def test_vlc_does_not_know_a_key_with_blanks(self, tmp_path: Path) -> None:
        file = tmp_path / "vlcrc"
        file.write_text("qt-minimal-view = 1\n")
        assert scores("check_qt_minimal_view", file, {"expected_qt_minimal_view": 1}) == (0, 0, 0)

    def test_a_filter_file_needs_no_end_of_its_last_line(self, tmp_path: Path) -> None:
        file = tmp_path / "msgFilterRules.dat"
        file.write_text('name="n"\nenabled="yes"\ncondition="ALL"')
        rules = {"expect": [{"name": "n", "condition": ["ALL"]}]}
        assert scores("check_thunderbird_filter", file, rules) == (1, 0, 0)
        file.write_text(f"{file.read_text()}\n")
        assert scores("check_thunderbird_filter", file, rules) == (1, 1, 1)

    def test_a_value_of_another_type_is_not_the_unexpected_one(self, tmp_path: Path) -> None:
        file = tmp_path / "a.json"
        rules = {"unexpect": [{"key": ["b"], "method": "re", "ref": "3"}]}
        for value, right in ((3, 1.0), ("3", 0.0)):
            file.write_text(json.dumps({"b": value}))
            assert score(None, "check_json", file, rules) == right


class TestBrowser:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("Name=Play 2048\n", (1, 1, 1)),
            ("Name=Play 2048", (1, 0, 1)),
            ("Name=play 2048 online\n", (1, 0, 1)),
            ("Name=\n", (0, 0, 1)),
            ("Name=Display 2048\n", (0, 0, 1)),
            ("Name=Other\n", (0, 0, 0)),
        ],
    )
    def test_a_shortcut_by_whole_words(self, line: str, expected: tuple[float, ...]) -> None:
        found = scores("is_shortcut_on_desktop", {"a.desktop": line}, {"type": "name", "name": "Play 2048"})
        assert found == expected

    def test_an_extension_by_its_old_name(self) -> None:
        rules = {"expected": ["Zoom for Google Chrome"]}
        assert scores("is_expected_installed_extensions", ["Zoom Chrome Extension"], rules) == (1, 0, 1)
        assert scores("is_expected_installed_extensions", ["Zoom"], rules) == (0, 0, 0)


def workbook(path: Path, **pane: Any) -> Path:
    book = openpyxl.Workbook()
    book.active["A1"] = "x"
    book.active.freeze_panes = pane.pop("frozen", "B2")
    for name, value in pane.items():
        setattr(book.active.sheet_view.pane, name, value)
    book.save(path)
    return path


class TestSheets:
    RULES = ({"type": "freeze", "sheet_idx0": 0, "sheet_idx1": "EI0"},)

    @pytest.mark.parametrize(
        ("pane", "expected"),
        [
            ({}, (1, 1, 1)),
            ({"topLeftCell": "F40"}, (1, 0, 1)),
            ({"frozen": "C3", "topLeftCell": "B2"}, (0, 1, 0)),
            ({"frozen": "C3"}, (0, 0, 0)),
        ],
    )
    def test_what_is_frozen_and_not_where_it_is_scrolled_to(
        self, tmp_path: Path, pane: dict[str, Any], expected: tuple[float, ...]
    ) -> None:
        found, wanted = workbook(tmp_path / "a.xlsx", **pane), workbook(tmp_path / "b.xlsx")
        assert scores("compare_table", found, wanted, rules=list(self.RULES)) == expected

    def test_letters_without_a_colour_are_compared(self, tmp_path: Path) -> None:
        paths = [tmp_path / name for name in ("bare.xlsx", "red.xlsx")]
        for path, colour in zip(paths, (None, "FFFF0000"), strict=True):
            book = openpyxl.Workbook()
            book.active["A1"] = "x"
            book.active["A1"].font = Font(color=colour)
            book.save(path)
        rules = [{"type": "style", "sheet_idx0": 0, "sheet_idx1": "EI0", "props": ["font_color"]}]
        assert score(None, "compare_table", paths[0], paths[0], rules=rules) == 1
        assert score(None, "compare_table", paths[0], paths[1], rules=rules) == 0

    @pytest.mark.parametrize(
        ("city", "expected"), [("São Paulo", (1, 1, 1)), ("SAO-PAULO, BR", (1, 0, 1)), ("Rio", (0, 0, 0))]
    )
    def test_cities_whatever_their_spelling(self, tmp_path: Path, city: str, expected: tuple[float, ...]) -> None:
        book = openpyxl.Workbook()
        for row in range(2, 23):
            book.active.cell(row, 3, city)
        book.save(tmp_path / "a.xlsx")
        rules = {"expected": ["São Paulo"] * 21}
        assert scores("compare_conference_city_in_order", tmp_path / "a.xlsx", rules) == expected


def deck(path: Path, *, properties: bool, level: int = 0) -> Path:
    """Two boxes; the second one's paragraph has its own properties, or none."""
    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[6])
    for place in (1, 3):
        slide.shapes.add_textbox(Inches(place), 0, Inches(1), Inches(1)).text_frame.text = "x"
    paragraph = slide.shapes[1].text_frame.paragraphs[0]
    if properties:
        paragraph._p.get_or_add_pPr()
    if level:
        paragraph.level = level
    slides.save(str(path))
    return path


class TestSlides:
    def test_bullets_are_read_when_osworld_reads_them(self, tmp_path: Path) -> None:
        """The first box's bullets are read in time, after its alignment; those of the second come too late in 1.0.2."""
        with_, without = (deck(tmp_path / f"{on}.pptx", properties=on) for on in (True, False))
        assert scores("compare_pptx_files", with_, without) == (1, 0, 1)
        first = deck(tmp_path / "first.pptx", properties=False)
        slides = Presentation(str(first))
        slides.slides[0].shapes[0].text_frame.paragraphs[0]._p.get_or_add_pPr()
        slides.save(str(first))
        assert scores("compare_pptx_files", first, without) == (1, 1, 1)

    def test_a_level_is_a_level(self, tmp_path: Path) -> None:
        plain, lower, lowest = (deck(tmp_path / f"{n}.pptx", properties=True, level=n) for n in range(3))
        assert scores("compare_pptx_files", lower, plain) == (0, 0, 1)
        assert scores("compare_pptx_files", lowest, plain) == (0, 0, 0)


class TestPictures:
    def test_a_picture_that_breaks_off_is_none(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        Image.effect_noise((90, 60), 80).save(buffer, "PNG")
        whole, half = tmp_path / "whole.png", tmp_path / "half.png"
        whole.write_bytes(buffer.getvalue())
        half.write_bytes(buffer.getvalue()[:500])
        assert scores("check_image_size", whole, {"width": 90}) == (1, 1, 1)
        assert scores("check_image_size", half, {"width": 90})[1:] == (1, 1)
        with pytest.raises(Exception, match="not a picture"):
            registry.find("metric", "check_image_size").function(half, {"width": 90})

    def test_a_picture_is_made_as_large_as_the_expected_one(self, tmp_path: Path) -> None:
        picture = Image.linear_gradient("L").convert("RGB")
        for name, size in (("a.png", (128, 128)), ("b.png", (64, 64))):
            picture.resize(size).save(tmp_path / name)
        Image.effect_noise((128, 128), 90).convert("RGB").save(tmp_path / "c.png")
        metric = "check_structure_sim_with_threshold"
        assert score(None, metric, tmp_path / "a.png", tmp_path / "b.png", ssim_threshold=0.85) == 1
        assert score(None, metric, tmp_path / "c.png", tmp_path / "b.png", ssim_threshold=0.85) == 0


class TestArchives:
    def test_files_in_folders_count(self, tmp_path: Path) -> None:
        def made(name: str, members: dict[str, str]) -> Path:
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                for member, text in members.items():
                    archive.writestr(member, text)
            return tmp_path / name

        wanted = made("gold.zip", {"a.txt": "a", "d/b.txt": "b"})
        assert score(None, "compare_archive", wanted, wanted) == 1
        assert score(None, "compare_archive", made("other.zip", {"a.txt": "a", "d/b.txt": "x"}), wanted) == 0.5
        assert score(None, "compare_archive", made("moved.zip", {"a.txt": "a", "b.txt": "b"}), wanted) == 0
