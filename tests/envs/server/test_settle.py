"""Settling as a state machine: what counts as quiet, and what does not delay an answer."""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from deskbench.envs.server.settle import (
    HORIZON_DRAWING,
    HORIZON_LAUNCH,
    IDLE,
    MAXIMUM,
    QUIET,
    QUIET_LAUNCH,
    REACTION,
    REST_LAUNCH,
    TICKING,
    TICKS,
    Change,
    Rest,
    Sample,
    Settling,
    Timer,
)

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


MAIN = Timer(10, 10)
"""That of the program's first thread."""
LONG = 9.0
"""A moment after all that these tests wait for."""


def rests(
    since: float = 0.0, timers: dict[float, float] | None = None, program: int = 10, hidden: bool = False
) -> Callable[[float], Rest]:
    """Nothing runs from `since` on; the program sets its timers at some moments, each for another."""

    def now(time: float) -> Rest:
        wake = next((wake for begin, wake in (timers or {}).items() if begin <= time < wake), LONG)
        return Rest(
            time >= since, frozenset({10}), {Timer(program, program): wake}, frozenset({program} if hidden else ())
        )

    return now


def rested(rest: Callable[[float], Rest], changes: Sequence[Change] = (), **options: Any) -> tuple[float, str]:
    """When the wait that began at 0 ends, and by which evidence."""
    now = 0.0
    settling = Settling(0.0, 0.0, Sample(-0.01), rest=lambda _: rest(now), **options)
    while settling.verdict(Sample(now), [c for c in changes if c.time <= now]) is None:
        now += 0.01
    return now, settling.by


def test_a_screen_has_settled_as_soon_as_every_program_sleeps() -> None:
    time, by = rested(rests(since=0.04), [change(0.03, BIG)])
    assert by == "rest" and 0.04 <= time < 0.06


def test_an_action_that_changes_nothing_is_answered_at_once() -> None:
    assert rested(rests()) == (0.0, "rest")


def test_a_timer_that_is_due_soon_is_waited_for_and_what_it_sets_off() -> None:
    """GTK, after Enter in a file dialog: the button looks pressed for 250 ms, and acts."""
    time, by = rested(rests(timers={0.0: 0.25, 0.25: 0.48}), [change(0.01, BIG), change(0.25, BIG)])
    assert by == "rest" and 0.48 <= time < 0.5


def test_a_timer_that_draws_the_reaction_is_waited_for() -> None:
    """Nothing is drawn before it, for longer than a reaction takes; something else hides that the program sleeps."""
    timers = rests(timers={0.0: 0.25})
    late = [change(0.26, BIG)]
    now, settling = 0.0, Settling(0.0, 0.0, Sample(-0.01), rest=lambda _: replace(timers(now), still=False))
    while settling.verdict(Sample(now), [c for c in late if c.time <= now]) is None:
        now += 0.01
    assert settling.by == "quiet" and now >= 0.26 + QUIET
    time, by = rested(timers, late)
    assert by == "rest" and time >= 0.25


def test_a_reaction_behind_a_shorter_timer_is_waited_for() -> None:
    """Chromium sets timers of its own after a key, and the page one at which it draws."""
    time, by = rested(rests(timers={0.0: 0.05, 0.05: 0.1, 0.1: 0.25}), [change(0.25, BIG)])
    assert by == "rest" and time >= 0.25


def ticks(interval: float, since: float = 0.0) -> Callable[[float], Rest]:
    """A program wakes at equal intervals without end."""
    return lambda now: Rest(True, frozenset({10}), {MAIN: since + (now // interval + 1) * interval}, frozenset())


@pytest.mark.parametrize("interval", [0.01, 0.02, 0.05])
def test_a_program_that_ticks_and_draws_nothing_is_not_waited_for(interval: float) -> None:
    assert rested(ticks(interval))[0] <= max(REACTION, TICKS * interval + IDLE) + 0.02
    time, by = rested(ticks(interval), [change(0.02, BIG), change(0.3, BIG)])
    after = time - 0.3
    assert by == "rest" and TICKING - interval <= after <= max(TICKING, TICKS * interval) + 0.02


def test_ticks_do_not_hide_what_a_reaction_draws() -> None:
    """LibreOffice's toolbars come 300 ms after a key, at a timer behind the one that ticks."""
    late = [change(0.02, BIG), change(0.3, BIG)]
    time, by = rested(ticks(0.05), late)
    assert by == "rest" and time >= late[-1].time + TICKING - 0.05


def test_the_ticks_of_one_thread_do_not_hide_the_timers_of_another() -> None:
    """Firefox has a thread for each frame of the screen, and another for what a page is to do later."""
    page = Timer(10, 12)

    def rest(now: float) -> Rest:
        seen = ticks(0.0167)(now)
        return replace(seen, wakes={**seen.wakes, page: 0.6} if now < 0.6 else seen.wakes)

    time, by = rested(rest, [change(0.02, BIG), change(0.3, BIG), change(0.6, BIG)])
    assert by == "rest" and time >= 0.6


def test_a_tick_that_no_look_saw_changes_nothing() -> None:
    """The program was at work whenever it was looked at, so that nobody knows when it was to wake."""

    def rest(now: float) -> Rest:
        seen = ticks(0.025)(now)
        return replace(seen, still=False, wakes={}, awake=frozenset({10})) if 0.35 <= now < 0.375 else seen

    time, by = rested(rest, [change(0.01, BIG), change(0.3, BIG)])
    assert by == "rest" and time <= 0.3 + TICKING + 3 * 0.025


def test_a_program_that_draws_at_its_ticks_is_waited_for() -> None:
    frames = [change(0.02 * frame, BIG) for frame in range(1, 20)]
    time, _ = rested(ticks(0.02), frames)
    assert time >= frames[-1].time + TICKING - 0.02


def test_the_next_frame_of_a_panel_is_waited_for() -> None:
    """The action woke it, and it is not done; what it does later is none of the reaction."""
    panel = Timer(20, 20)

    def rest(now: float) -> Rest:
        wake = next(due for due in (0.046, 0.3, 9.0) if due > now)
        return Rest(True, frozenset({10}), {panel: wake}, frozenset(), own=frozenset({20}))

    time, by = rested(rest, [change(0.03, BIG), change(0.046, BIG)])
    assert by == "rest" and 0.046 <= time < 0.07


def test_a_chain_of_unequal_timers_is_no_ticking() -> None:
    """GTK's after Enter in a dialog, beside a program whose timers drift."""
    dues = [0.248, 0.257, 0.491]
    time, by = rested(rests(timers=dict(itertools.pairwise([0.0, *dues]))), [change(0.01, BIG), change(0.258, BIG)])
    assert by == "rest" and time >= dues[-1]


def test_a_timer_that_is_set_anew_before_it_is_due_is_no_tick() -> None:
    """Each event puts it off by as much as the one before, as a search field does while somebody types."""
    time, _ = rested(lambda now: Rest(True, frozenset({10}), {MAIN: now + 0.05}, frozenset()), [change(0.02, BIG)])
    assert time >= 0.02 + QUIET - 0.06


@pytest.mark.parametrize("changes", [[], [change(0.01, BIG)]])
@pytest.mark.parametrize("timers", [rests(), rests(timers={0.0: 0.2}), ticks(0.02)])
def test_what_a_program_has_drawn_but_not_shown_is_waited_for_by_either_evidence(
    changes: list[Change], timers: Callable[[float], Rest]
) -> None:
    """Java shows it up to 500 ms later, when quiet time is over, whatever the program's own timers are."""

    def rest(now: float) -> Rest:
        return replace(timers(now), drawing={10: 0.48} if now < 0.48 else {})

    shown = [*changes, change(0.48, BIG)]
    time, by = rested(rest, shown)
    assert by == "rest" and time >= 0.48
    time, by = rested(lambda now: replace(rest(now), still=False), shown)
    assert by == "quiet" and time >= 0.48 + QUIET
    time, by = rested(lambda now: replace(rest(now), ran=frozenset()), shown, looking_back=True)
    assert by == "rest" and time >= 0.48


@pytest.mark.parametrize("still", [True, False])
def test_a_program_that_is_for_ever_about_to_show_something_is_not_waited_for_without_end(still: bool) -> None:
    """A thread of it computes, and nobody knows whether it draws."""
    time, _ = rested(lambda now: replace(rests()(now), still=still, drawing={10: now + 0.4}))
    assert HORIZON_DRAWING - 0.4 <= time <= HORIZON_DRAWING + 0.1


def test_a_caret_that_is_due_later_is_not_waited_for() -> None:
    assert rested(rests(timers={0.0: 0.45})) == (0.0, "rest")


def test_a_timer_of_a_program_that_did_not_run_is_waited_for_as_long_as_a_reaction() -> None:
    """It may be the pause before a launch; a program that looks around every 0.2 s is none of it."""
    time, by = rested(rests(timers={0.0: 0.05}, program=11))
    assert by == "rest" and 0.05 <= time < 0.07
    time, by = rested(rests(timers={0.0: 0.2, 0.2: 0.4}, program=11))
    assert (time, by) == (0.0, "rest")
    time, by = rested(rests(timers={0.0: 0.1}, program=11), looking_back=True)
    assert time >= 0.1


def test_a_program_whose_timers_never_end_nor_repeat_is_answered_as_before() -> None:
    random_ = random.Random(1)
    dues = list(itertools.accumulate(random_.uniform(0.005, 0.08) for _ in range(40)))
    timers = dict(itertools.pairwise([0.0, *dues]))
    time, _ = rested(rests(timers=timers), [change(0.02, BIG)])
    assert 0.02 + QUIET - 0.09 <= time <= 0.02 + QUIET + 0.05


def test_a_timer_after_the_end_of_quiet_time_is_not_waited_for() -> None:
    """Nothing can happen before it, so quiet time would end with the same screen."""
    drawn = [change(0.02, BIG)]
    end = 0.02 + QUIET
    time, by = rested(rests(timers={0.0: 0.1, 0.1: end + 0.01}), drawn)
    assert by == "rest" and 0.1 <= time < 0.12
    time, by = rested(rests(timers={0.0: 0.1, 0.1: end - 0.01}), drawn)
    assert by == "rest" and time >= end - 0.01


def test_a_timer_that_may_be_due_earlier_is_waited_for() -> None:
    """The call that it is read from began at some moment before the look."""
    end = 0.02 + QUIET
    known = rests(timers={0.0: 0.1, 0.1: end + 0.01})

    def rest(now: float) -> Rest:
        return replace(known(now), soonest={MAIN: end - 0.01} if now >= 0.1 else {})

    time, by = rested(rest, [change(0.02, BIG)])
    assert by == "quiet" and time >= end


def test_a_program_that_hides_its_timers_is_answered_as_before() -> None:
    time, by = rested(rests(hidden=True), [change(0.02, BIG)])
    assert by == "quiet" and 0.02 + QUIET <= time <= 0.02 + QUIET + 0.05


def launched(windows: frozenset[int], rest: Callable[[float], Rest], drawn: Sequence[Change] = ()) -> tuple[float, str]:
    """When a launch is answered, and by which evidence; there was one window before."""
    now = 0.0
    settling = Settling(0.0, 0.0, Sample(-0.01, windows=frozenset({1})), rest=lambda _: rest(now), launching=True)
    there = frozenset({10})
    while settling.verdict(Sample(now, windows, there), [c for c in drawn if c.time <= now]) is None:
        now += 0.01
    return now, settling.by


def test_a_launch_without_a_window_has_not_settled_by_sleeping() -> None:
    time, by = launched(frozenset({1}), rests())
    assert by == "quiet" and time >= QUIET_LAUNCH


def test_a_launch_has_settled_when_its_window_is_there_and_everything_has_slept_for_a_while() -> None:
    """Not at the first moment of rest: a program may wait for another then, and ask for the focus later."""
    time, by = launched(frozenset({1, 2}), rests(), [change(0.1, BIG)])
    assert by == "rest" and 0.1 + REST_LAUNCH <= time < 0.1 + REST_LAUNCH + 0.03

    def woken(now: float) -> Rest:
        found = rests()(now)
        return replace(found, moved=frozenset({10})) if 0.2 <= now < 0.22 else found

    time, by = launched(frozenset({1, 2}), woken, [change(0.1, BIG)])
    assert by == "rest" and time >= 0.2 + REST_LAUNCH


def test_a_launched_program_waits_for_timers_that_are_due_soon_only() -> None:
    calm = 0.1 + REST_LAUNCH
    time, by = launched(frozenset({1, 2}), rests(timers={0.0: calm + HORIZON_LAUNCH + 0.05}), [change(0.1, BIG)])
    assert by == "rest" and calm <= time < calm + 0.03
    time, by = launched(frozenset({1, 2}), rests(timers={0.0: calm + 0.05}), [change(0.1, BIG)])
    assert by == "rest" and time >= calm + 0.05


def test_a_launched_program_that_hides_its_timers_is_answered_by_quiet_time() -> None:
    time, by = launched(frozenset({1, 2}), rests(hidden=True), [change(0.1, BIG)])
    assert by == "quiet" and time >= 0.1 + QUIET_LAUNCH


def test_a_program_that_a_timer_has_just_woken_is_computing() -> None:
    """On a busy machine a file dialog gets a core long after its timer, and is closed after the screen was quiet."""

    def rest(now: float) -> Rest:
        awake = frozenset({10} if 0.27 <= now < 0.34 else ())
        return Rest(not awake, frozenset({10}), {MAIN: 0.25 if now < 0.25 else LONG}, frozenset({10}), awake)

    changes = [change(0.005, BIG), change(0.342, BIG)]
    there = frozenset({10})
    now, settling = 0.0, Settling(0.0, 0.0, Sample(-0.01, programs=there), rest=lambda _: rest(now))
    while settling.verdict(Sample(now, programs=there), [c for c in changes if c.time <= now]) is None:
        now += 0.01
    assert now >= 0.342 + QUIET
