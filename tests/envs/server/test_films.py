"""Films of settlings: which are kept, and what they hold."""

from collections.abc import Sequence

from deskbench.envs.server.films import DRAWN, KEPT, Films
from deskbench.envs.server.settle import REACTION, Change, Rest, Sample, Settling, Timer

BIG = (0, 0, 400, 300)


def settle(films: Films, began: float, changes: Sequence[Change] = ()) -> Settling:
    """A settling of a screen on which these changes happen."""
    settling = Settling(began, began, Sample(began))
    films.add(settling)
    now = began
    while settling.verdict(Sample(now), [one for one in changes if began <= one.time <= now]) is None:
        now += 0.01
    return settling


def test_a_film_holds_what_was_drawn_before_and_after_the_answer() -> None:
    changes = [Change(100.05, *BIG), Change(100.9, *BIG), Change(103.0, *BIG)]
    films = Films(lambda moment: [one for one in changes if one.time >= moment])
    settle(films, 100.0, changes)
    settle(films, 102.0, changes)
    first, second = films.shown().films
    assert (first.number, first.settled, first.by) == (1, True, "quiet")
    assert first.ended is not None and 350 <= first.ended <= 400
    assert [one.ms for one in first.drawn] == [50.0, 900.0]  # what comes later is the next one's
    assert [one.ms for one in second.drawn] == [1000.0]


def test_the_last_ones_are_kept() -> None:
    films = Films(lambda moment: [])
    for number in range(KEPT + 3):
        settle(films, 10.0 * number)
    assert [film.number for film in films.shown().films] == list(range(4, KEPT + 4))


def test_moments_without_news_are_left_out() -> None:
    films = Films(lambda moment: [])
    settling = settle(films, 0.0)
    assert len(settling.seen) > REACTION / 0.01
    assert [moment.ms for moment in films.shown().films[0].moments] == [0.0]


def test_a_moment_names_the_programs_that_ran_or_will_soon() -> None:
    films = Films(lambda moment: [])
    wakes = {Timer(2, 2): 60.0, Timer(2, 20): 0.4, Timer(3, 3): 60.0}
    rest = Rest(True, frozenset({1}), wakes, frozenset({1}), frozenset(), frozenset({1}), {1: "editor"})
    settling = Settling(0.0, 0.0, Sample(0.0), rest=lambda _: rest)
    films.add(settling)
    settling.verdict(Sample(0.0), [])
    [moment] = films.shown().films[0].moments
    assert [(one.id, one.name, one.moved, one.hidden, one.wake) for one in moment.programs] == [
        (1, "editor", True, True, None), (2, "", False, False, 400.0)
    ]  # fmt: skip


def test_a_screen_that_never_stops_changing_fills_no_film() -> None:
    changes = [Change(0.001 * number, *BIG) for number in range(20_000)]
    films = Films(lambda moment: changes)
    settling = Settling(0.0, 0.0, Sample(0.0), maximum=1.0)
    films.add(settling)
    assert settling.verdict(Sample(1.0), changes) is False
    assert len(films.shown().films[0].drawn) == 2 * DRAWN


def test_a_settling_that_has_only_begun_can_be_shown() -> None:
    films = Films(lambda moment: [])
    films.add(Settling(0.0, 0.0, Sample(0.0)))
    [film] = films.shown().films
    assert (film.ended, film.settled, film.moments) == (None, None, ())
