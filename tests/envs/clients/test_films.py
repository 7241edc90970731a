"""Pictures of settlings: what they show, and what they make of names that a desktop chose."""

import dataclasses
from xml.etree import ElementTree

import pytest

from deskbench.envs.clients.films import picture, summary
from deskbench.envs.wire import Drawn, Film, Moment, Sleeper

SVG = "{http://www.w3.org/2000/svg}"
EDITOR = Sleeper(7, "editor", awake=True, moved=True, ran=True, hidden=False, wake=250.0)
FILM = Film(
    1, -5.0, 60.0, 400.0, settled=True, by="rest", launching=False,
    moments=(Moment(1.0, 2, 1), Moment(10.0, 2, 0, False, (EDITOR,)), Moment(60.0, 3, 0, True)),
    drawn=(Drawn(20.0, 0, 0, 300, 200, habitual=False), Drawn(55.0, 5, 5, 2, 16, habitual=True)),
)  # fmt: skip
LATE = Drawn(251.0, 0, 0, 300, 200, habitual=False)


def shapes(film: Film) -> list[str]:
    """The kinds of the shapes in a film's picture, from left to right."""
    found = ElementTree.fromstring(picture(film)).iter()
    marks = [one for one in found if one.tag in (f"{SVG}rect", f"{SVG}circle") and one.get("class")]
    marks.sort(key=lambda one: float(one.get("x", one.get("cx", "0"))))
    return [one.get("class", "") for one in marks]


def test_a_picture_shows_what_ran_and_what_was_drawn_in_order() -> None:
    assert shapes(FILM) == ["ran", "ran", "drawn", "habit"]
    assert "editor 7" in picture(FILM) and "settled by rest after 60 ms" in picture(FILM)
    assert "verdict wrong" not in picture(FILM)


def test_what_was_drawn_after_the_answer_and_the_timer_that_set_it_off_are_shown() -> None:
    film = dataclasses.replace(FILM, drawn=(*FILM.drawn, LATE))
    assert shapes(film) == ["ran", "ran", "drawn", "habit", "timer", "late"]
    assert summary(film) == "settled by rest after 60 ms; drawn later, first at 251 ms"
    assert "verdict wrong" in picture(film)


def test_a_caret_after_the_answer_does_not_make_it_wrong() -> None:
    film = dataclasses.replace(FILM, drawn=(dataclasses.replace(LATE, habitual=True),))
    assert "late" not in shapes(film) and "verdict wrong" not in picture(film)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ended": None, "settled": None}, "not yet answered"),
        ({"settled": False}, "not settled after 60 ms"),
        ({"moments": (), "drawn": ()}, "settled by rest"),
        ({"began": 0.0, "ended": 0.0, "now": 0.0}, "after 0 ms"),
    ],
)
def test_every_film_has_a_picture(change: dict[str, object], said: str) -> None:
    film = dataclasses.replace(FILM, **change)  # type: ignore[arg-type]
    ElementTree.fromstring(picture(film))
    assert said in picture(film)


def test_a_programs_name_is_no_markup() -> None:
    bad = dataclasses.replace(EDITOR, name="<script>\x1b\x00")
    text = picture(dataclasses.replace(FILM, moments=(Moment(1.0, 1, 0, True, (bad,)),)))
    assert [one.tag for one in ElementTree.fromstring(text).iter() if "script" in one.tag] == []
    assert "\x1b" not in text and "&lt;script&gt;" in text


def test_numbers_without_sense_are_drawn_all_the_same() -> None:
    """A desktop's server may say anything that is a number."""
    wild = Drawn(-(2.0**63), -1, -1, -9, 9, habitual=False)
    ElementTree.fromstring(picture(dataclasses.replace(FILM, began=2.0**63, ended=-(2.0**63), drawn=(wild,))))
