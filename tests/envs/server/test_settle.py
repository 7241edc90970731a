"""Settling as a state machine: what counts as quiet, and what does not delay an answer."""

from collections.abc import Callable

import pytest

from deskbench.envs.server.settle import MAXIMUM, QUIET, QUIET_LAUNCH, REACTION, Change, Sample, Settling

BIG = (0, 0, 400, 300)
CARET = (100, 100, 2, 16)
CLOCK = (1200, 5, 38, 18)


def change(time: float, box: tuple[int, int, int, int]) -> Change:
    return Change(time, *box)


def answered(
    changes: list[Change],
    *,
    history: list[Change] | None = None,
    launching: bool = False,
    sample: Callable[[float], Sample] = Sample,
    step: float = 0.01,
) -> tuple[float, bool]:
    """The time when a wait that began at 0 ends, and whether the screen had settled."""
    settling = Settling(0.0, 0.0, sample(-0.01), history or [], launching)
    now = 0.0
    while True:
        verdict = settling.verdict(sample(now), [c for c in changes if c.time <= now])
        if verdict is not None:
            return now, verdict
        now += step


def test_a_screen_that_does_not_react_is_soon_answered() -> None:
    time, settled = answered([])
    assert settled
    assert REACTION <= time <= REACTION + 0.05


def test_an_ordinary_reaction_is_waited_for_to_its_end() -> None:
    changes = [change(0.03 + 0.02 * i, BIG) for i in range(10)]
    time, settled = answered(changes)
    assert settled
    assert changes[-1].time + QUIET <= time <= changes[-1].time + QUIET + 0.05


@pytest.mark.parametrize("late", [0.155, 0.265])
def test_what_a_timer_does_after_a_key_is_waited_for(late: float) -> None:
    """GTK draws the name at once and enables the button 150 ms later; a button looks pressed for 250 ms."""
    time, _ = answered([change(0.005, BIG), change(late, BIG)])
    assert time > late


def test_a_caret_that_is_drawn_with_its_whole_line_does_not_hold_it_up() -> None:
    """gnome-terminal's cursor, whose rectangle covers the line; text in that line has a different one."""
    line = (5, 79, 722, 22)
    blinks = [change(0.6 * i, line) for i in range(20)]
    time, settled = answered(blinks)
    assert settled and time < 1.5
    typed = [change(0.6 * i, (5, 79, 10 + i, 22)) for i in range(4)]
    time, _ = answered([change(0.01, BIG), *typed], history=blinks[:1])
    assert time > 0.01 + QUIET


def test_a_program_that_has_only_reached_the_x_server_is_waited_for() -> None:
    def sample(now: float) -> Sample:
        programs = frozenset({10, 11}) if now >= 0 else frozenset({10})
        windows = frozenset({1, 2}) if now >= 2.5 else frozenset({1})
        return Sample(now, windows, programs, 0, frozenset({7, 8}) if now >= 0.3 else frozenset({7}))

    time, settled = answered([], launching=True, sample=sample)
    assert settled and 2.5 + QUIET_LAUNCH <= time <= 2.6 + QUIET_LAUNCH


@pytest.mark.parametrize("idle", [(0.2, 0.9), (0.5, 3.0)])
def test_a_program_that_a_click_has_started_is_waited_for_while_it_waits_for_others(idle: tuple[float, float]) -> None:
    """Under load the session's own services need time; a program that waits for them does not run."""

    def sample(now: float) -> Sample:
        programs = frozenset({10, 11}) if now >= 0.05 else frozenset({10})
        windows = frozenset({1, 2}) if now >= idle[1] else frozenset({1})
        clients = frozenset({7, 8}) if now >= 0.4 else frozenset({7})
        return Sample(now, windows, programs, int(0.05 <= now < idle[0] or now >= idle[1]), clients)

    changes = [change(idle[1] + 0.02 * i, BIG) for i in range(10)]
    time, _ = answered(changes, sample=sample)
    assert time >= changes[-1].time + QUIET


def test_a_command_that_goes_on_in_the_background_costs_little() -> None:
    def sample(now: float) -> Sample:
        return Sample(now, frozenset({1}), frozenset({10, 11}) if now >= 0 else frozenset({10}))

    time, settled = answered([change(0.03, BIG)], sample=sample)
    assert settled and time <= 0.03 + QUIET_LAUNCH + 0.05


def test_a_screen_that_never_rests_is_answered_at_the_maximum_and_says_so() -> None:
    time, settled = answered([change(0.02 * i, BIG) for i in range(1000)])
    assert not settled
    assert time == pytest.approx(MAXIMUM, abs=0.02)


def test_a_blinking_caret_does_not_hold_it_up() -> None:
    blinks = [change(-5 + 0.6 * i, CARET) for i in range(40)]
    time, settled = answered([c for c in blinks if c.time >= 0], history=[c for c in blinks if c.time < 0])
    assert settled
    assert time <= REACTION + 0.05


def test_a_clock_does_not_hold_it_up() -> None:
    ticks = [change(-4.5 + i, CLOCK) for i in range(20)]
    time, settled = answered(
        [c for c in ticks if c.time >= 0] + [change(0.05, BIG)], history=[c for c in ticks if c.time < 0]
    )
    assert settled
    assert time <= 0.05 + QUIET + 0.05


def test_a_small_change_that_is_new_counts() -> None:
    """The last glyph of a word is small too, but it is new there."""
    time, _ = answered([change(0.02, (50, 50, 9, 14)), change(0.09, (59, 50, 9, 14))])
    assert time >= 0.09 + QUIET


def test_a_program_that_computes_holds_the_answer_up_for_a_while() -> None:
    """A large dialog takes 400 ms before its first pixel."""

    def sample(now: float) -> Sample:
        return Sample(now, frozenset({1}), frozenset({10}), running=1 if 0 <= now < 0.4 else 0)

    time, settled = answered([change(0.42, BIG)], sample=sample)
    assert settled
    assert time >= 0.5


def test_a_program_that_computes_for_ever_does_not() -> None:
    def sample(now: float) -> Sample:
        return Sample(now, frozenset({1}), frozenset({10}), running=1)

    time, settled = answered([change(0.05, BIG)], sample=sample)
    assert settled
    assert time <= 2.0


def test_a_launch_is_answered_when_its_window_is_there_and_quiet() -> None:
    """A long quiet time before the window appears proves nothing while the new program computes."""

    def sample(now: float) -> Sample:
        windows = frozenset({1, 2}) if now >= 1.8 else frozenset({1})
        programs = frozenset({10, 11}) if now >= 0 else frozenset({10})
        return Sample(now, windows, programs, running=1 if 0 <= now < 2.0 else 0)

    time, settled = answered([change(1.85 + 0.05 * i, BIG) for i in range(8)], sample=sample, launching=True)
    assert settled
    assert time >= 2.2 + 0.5


def test_a_program_without_a_window_does_not_hold_a_launch_up_once_it_is_idle() -> None:
    def sample(now: float) -> Sample:
        return Sample(now, frozenset({1}), frozenset({10, 11}) if now >= 0 else frozenset({10}), 0)

    time, settled = answered([], sample=sample, launching=True)
    assert settled
    assert time <= 1.0
