"""When has the screen settled? A state machine over changes, running programs and windows.

The numbers come from timelines of real programs. Ordinary reactions begin within 60 ms and have no gaps over 260 ms.
The gaps come from GTK's timers: a button pressed by Enter acts after 250 ms, and a file dialog's button becomes
sensitive 150 ms after the name was typed. Dialogs of large programs begin after 120 ms. A program that is being
launched is quiet for a second or more before its window is mapped. So quiet time proves nothing while a program
computes: programs that the kernel counts as running delay the answer for a while. Carets and clocks do not: they are
small and come back at the same place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

REACTION = 0.15
"""Seconds in which an idle screen may begin to react; after that, it has nothing to show."""
QUIET = 0.3
"""Seconds without change after an ordinary reaction."""
QUIET_WINDOW = 0.35
"""Seconds without change after a window has appeared or gone."""
QUIET_LAUNCH = 0.8
"""Seconds without change, and idle, after a launched program's window has been mapped."""
REST_LAUNCH = 0.25
"""Seconds for which every program must have slept, with nothing drawn, after a launched program's window was mapped. At
one moment of rest, it may wait for an answer from a program that is just being started.
"""
QUIET_WINDOWLESS = 3.0
"""The same while a launched program talks to the X server but has shown no window: it is about to."""
IDLE = 0.06
"""Seconds without a running program after which programs count as idle. Shorter gaps are waits for an answer."""
IDLE_LOOKS = 3
"""The same in looks: on a busy machine they may be farther apart than such gaps."""
BUSY = 1.5
"""Seconds for which programs that run without drawing delay an ordinary answer."""
BUSY_LAUNCH = 6.0
"""The same while a new program has shown no window yet."""
MAXIMUM = 10.0
"""Seconds after which the answer comes anyway, marked as not settled."""
CARET = (40, 48)
"""A change up to this width and height is a caret, a spinner's arm or a clock's digit if it comes back. A wider one,
such as a caret for which a terminal redraws the whole line, must come back exactly.
"""
PERIOD = 0.25
"""Minimum seconds between two changes of a caret or clock."""
HORIZON, HORIZON_LAUNCH = 0.3, 0.075
"""Seconds within which a timer may belong to the reaction, as long as `QUIET`; and the same when a starting program has
slept for `REST_LAUNCH`. GTK's programs have a timer 500 ms after their window is mapped, at which nothing is drawn.
"""
HORIZON_OWN = 0.05
"""The same for the desktop's own programs that the action woke: a panel draws the next frame of its buttons."""
HORIZON_DRAWING = 1.0
"""Seconds after the last change within which a program may show what it has drawn: Java's do so up to 500 ms later."""
TICKING, TICKS = 0.1, 4
"""A thread that wakes at equal intervals, so often and for so many seconds since the screen last changed, is ticking
and not reacting: LibreOffice works off what is left to do every 20 ms, and draws nothing. A chain of timers, as GTK's
after Enter in a dialog (248, 9 and 234 ms), has unequal intervals.

Only `HORIZON` after the first change: a thread tells only the first of its timers, so ticks hide what is due behind
them. LibreOffice draws its toolbars 300 ms after a key.
"""
EVEN = 0.012
"""Seconds by which equal intervals may differ: the work of a tick is part of them."""
EARLY = 0.004
"""Seconds by which a timer that is looked at twice may seem to differ: calls count in milliseconds."""
MOMENTS = 500
"""How many moments of a settling are kept for a film; beyond these, only the last."""
HISTORY = 5.0
"""Seconds before an action. Changes in that time show where carets and clocks are."""


@dataclass(frozen=True)
class Change:
    """A rectangle of the screen that was drawn to, at `time` (monotonic seconds)."""

    time: float
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Sample:
    """The state at one moment.

    Attributes:
        time: monotonic seconds.
        windows: ids of the managed top-level windows.
        programs: ids of the session's processes other than the desktop's own.
        running: how many of those were running or waiting for a core.
        clients: the X server's clients.
    """

    time: float
    windows: frozenset[int] = frozenset()
    programs: frozenset[int] = frozenset()
    running: int = 0
    clients: frozenset[int] = frozenset()


class Timer(NamedTuple):
    """Whose timer: a process and its thread. Thread 0 is that of a timer that is a file."""

    process: int
    thread: int


@dataclass(frozen=True)
class Rest:
    """What two looks in a row say about the programs; the desktop's own processes are not among them.

    Attributes:
        still: it is proved that at a moment between the looks, nothing in the session ran or was about to.
        ran: programs that have run since the actions began.
        wakes: when each thread wakes by itself, monotonic seconds; those without a timer are left out, as are those of
            the desktop's own processes, but for `own`.
        hidden: programs whose timers are unknown.
        awake: processes, the desktop's own among them, that were running or about to.
        moved: processes that have run since the last `Rest`.
        names: of the processes.
        soonest: when each thread wakes by itself at the earliest, where that is not known exactly.
        drawing: when programs show what they have drawn, monotonic seconds; those that show it at once are left out.
        own: the desktop's own processes that have run since the actions began.
    """

    still: bool
    ran: frozenset[int]
    wakes: Mapping[Timer, float]
    hidden: frozenset[int]
    awake: frozenset[int] = frozenset()
    moved: frozenset[int] = frozenset()
    names: Mapping[int, str] = field(default_factory=dict, compare=False)
    soonest: Mapping[Timer, float] = field(default_factory=dict, compare=False)
    drawing: Mapping[int, float] = field(default_factory=dict, compare=False)
    own: frozenset[int] = frozenset()


class Tick(NamedTuple):
    """A moment at which a thread is to wake, and whether it may have woken since the one before."""

    due: float
    missed: bool


@dataclass
class Settling:
    """One wait. Feed it samples and changes, and ask for the `verdict`.

    Attributes:
        began: monotonic seconds just before the first action; changes count from here.
        start: monotonic seconds just after the last action.
        before: the sample from before the actions.
        history: changes before the actions, which show carets and clocks.
        launching: a program is being started on purpose, so its window is awaited.
        maximum: seconds.
        patience: how many times slower this machine is than the one that the numbers were measured on.
        rest: tells what the programs wait for, given a function that says whether it matters that a `Rest` is
            `still`; None where that cannot be seen.
        looking_back: there were no actions; what ran before is not known, so every program's timers count.
        by: the evidence of the verdict: `rest` (every program sleeps, and no timer is due) or `quiet` (nothing changed
            for long enough).
        answer: the verdict, once it is there.
        seen: what it was given, for a film.
        awaited: when the timer is due that it waits for, monotonic seconds; until then, nothing happens by itself.
        spent: seconds of a core that looking has taken, where that is measured.
    """

    began: float
    start: float
    before: Sample
    history: Sequence[Change] = ()
    launching: bool = False
    maximum: float = MAXIMUM
    patience: float = 1.0
    rest: Callable[[Callable[[Rest], bool]], Rest] | None = None
    looking_back: bool = False
    by: str = field(default="quiet", init=False)
    answer: bool | None = field(default=None, init=False)
    seen: list[tuple[Sample, Rest | None]] = field(default_factory=list, init=False)
    awaited: float | None = field(default=None, init=False)
    spent: float = field(default=0.0, init=False)
    _last_running: float = field(default=-1.0, init=False)
    _idle_looks: int = field(default=0, init=False)
    _still_since: float = field(default=0.0, init=False)
    _window_change: float = field(default=-1.0, init=False)
    _windows: frozenset[int] = field(default=frozenset(), init=False)
    _new_window: bool = field(default=False, init=False)
    _woken: dict[int, float] = field(default_factory=dict, init=False)
    _shown: float = field(default=0.0, init=False)
    _ticks: dict[Timer, list[Tick]] = field(default_factory=dict, init=False)
    _missed: set[Timer] = field(default_factory=set, init=False)
    _reacting: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._windows = self.before.windows

    def verdict(self, sample: Sample, changes: Sequence[Change]) -> bool | None:
        """True: settled. False: the maximum has passed. None: not yet.

        Args:
            sample: the newest sample.
            changes: all changes since the actions began, oldest first.
        """
        times = [c.time for c in changes if not self.habitual(c, changes)]
        last = max(times, default=None)
        self._reacting = max(self.start, min(times, default=0.0))
        rest, self.awaited = None, None
        if self.rest is not None and not sample.running:
            rest = self.rest(lambda rest: self._asleep(sample, rest, last))
        self._film(sample, rest)
        self.answer = self._judge(sample, last, rest)
        return self.answer

    def _judge(self, sample: Sample, last: float | None, rest: Rest | None) -> bool | None:
        now = sample.time
        self._note(sample, rest)
        if rest is not None:
            for process in rest.ran:
                self._woken.setdefault(process, now)
            self._shown = max(self._drawing(rest, last), default=0.0)
            self._count_ticks(rest, now, self._since(last))
        else:
            self._missed |= self._ticks.keys()
        if now - self.start >= self.maximum:
            return False
        if rest is not None and self._at_rest(sample, rest, last):
            self.by = "rest"
            return True
        if self._busy(sample, now, last):
            return None
        return True if now >= self._quiet_at(sample, last) else None

    def _quiet_at(self, sample: Sample, last: float | None) -> float:
        """When it has been quiet for long enough, if nothing changes until then."""
        quiet_since = max(self.start if last is None else last, self._window_change, self.start)
        if last is None and self._window_change < 0 and not self._starting(sample):
            return max(quiet_since + REACTION, self._expected_until() + IDLE, self._shown + IDLE)
        return max(quiet_since + self._needed(sample), self._shown + IDLE)

    def _expected_until(self) -> float:
        """When the last of the timers is due that may draw a reaction for which nothing has been drawn yet.

        They are the first few of each thread of the programs that the actions concern, within `HORIZON` of when the
        program ran. Later ones do not count, so that a program whose timers never end is not waited for.
        """
        return max(
            (
                tick.due
                for timer, ticks in self._ticks.items()
                for tick in ticks[:TICKS]
                if tick.due <= self._woken.get(timer.process, -HORIZON) + HORIZON
            ),
            default=0.0,
        )

    def _since(self, last: float | None) -> float:
        """The moment of the last change, or of the last action."""
        return max(self.start, last or 0.0, self._window_change)

    def _drawing(self, rest: Rest, last: float | None) -> Iterator[float]:
        """When the programs that the actions concern show what they have drawn.

        One that has shown nothing for long is at work on something else, and may be so without end.
        """
        for process, moment in rest.drawing.items():
            concerned = self.looking_back or process in rest.ran
            if concerned and moment <= self._since(last) + HORIZON_DRAWING:
                yield moment

    def _count_ticks(self, rest: Rest, now: float, since: float) -> None:
        """Note the moments at which each thread was to wake since the last change; the last of them is to come.

        While a program works, a look does not see when it is to wake, and may miss a tick.
        """
        self._missed |= {timer for timer in self._ticks if timer.process in rest.awake}
        for timer, wake in rest.wakes.items():
            ticks = [tick for tick in self._ticks.get(timer, ()) if tick.due > since]
            missed = timer in self._missed
            if ticks and (ticks[-1].due > now or wake - ticks[-1].due < EARLY):
                missed |= ticks.pop().missed  # the same timer, or it was set anew before it was due
            self._ticks[timer] = [*ticks, Tick(wake, missed)]
            self._missed.discard(timer)

    def _ticking(self, timer: Timer, now: float) -> bool:
        """Whether a thread wakes at equal intervals and draws nothing, and what its ticks hide has had its time."""
        if now < self._reacting + HORIZON:
            return False
        ticks = self._ticks.get(timer, [])
        first = next(
            (n for n in range(len(ticks) - TICKS, -1, -1) if ticks[-1].due - ticks[n].due > TICKING - EARLY), None
        )
        if first is None:
            return False
        intervals = [two.due - one.due for one, two in itertools.pairwise(ticks[first:]) if not two.missed]
        return len(intervals) >= TICKS - 2 and max(intervals) - min(intervals) <= EVEN

    def _at_rest(self, sample: Sample, rest: Rest, last: float | None) -> bool:
        """Nothing runs, and no timer of the programs that the actions concern is due soon.

        While a program starts, its window must be there, and nothing may have run or been drawn for a while.
        """
        if not self._asleep(sample, rest, last):
            return False
        calm = sample.time - max(self._still_since, self._window_change, last or 0.0)
        return not self._starting(sample) or (self._new_window and calm >= REST_LAUNCH * self.patience)

    def _asleep(self, sample: Sample, rest: Rest, last: float | None) -> bool:
        """Nothing runs, and no timer is due that may belong to the reaction.

        Nothing happens before the first of the timers. If it will have been quiet for long enough by then, there is
        nothing to wait for.
        """
        if not rest.still or rest.ran & rest.hidden:
            return False
        expected = list(self._expected(sample, rest))
        quiet = max(self._quiet_at(sample, last), self._last_running + IDLE * self.patience)
        if all(rest.soonest.get(timer, rest.wakes[timer]) > quiet for timer in expected):
            expected = []
        moments = [*(rest.wakes[timer] for timer in expected), *self._drawing(rest, last)]
        self.awaited = min(moments, default=None)
        return self.awaited is None

    def _expected(self, sample: Sample, rest: Rest) -> Iterator[Timer]:
        """The timers that are due soon, and may belong to the reaction."""
        now = sample.time
        horizon = HORIZON_LAUNCH if self._starting(sample) else HORIZON
        for timer, wake in rest.wakes.items():
            if timer.process in rest.own:
                until = now + HORIZON_OWN
            else:
                concerned = self.looking_back or timer.process in rest.ran
                until = now + horizon if concerned else self.start + REACTION
            if wake <= until and not self._ticking(timer, now):
                yield timer

    def _film(self, sample: Sample, rest: Rest | None) -> None:
        if self.seen and len(self.seen) >= MOMENTS:
            self.seen.pop()
        self.seen.append((sample, rest))

    def _note(self, sample: Sample, rest: Rest | None) -> None:
        if sample.windows != self._windows:
            self._new_window |= bool(sample.windows - self._windows)
            self._windows, self._window_change = sample.windows, sample.time
        running = sample.running or (rest is not None and not rest.awake.isdisjoint(sample.programs))
        if rest is None or not (rest.moved | rest.awake).isdisjoint(sample.programs):
            self._still_since = sample.time
        self._idle_looks = 0 if running else self._idle_looks + 1
        if running:
            self._last_running = sample.time

    def _fresh(self, sample: Sample) -> bool:
        """Whether a program that appeared after the actions is still there."""
        return bool(sample.programs - self.before.programs)

    def _starting(self, sample: Sample) -> bool:
        """Whether a program is starting, on purpose or by a click on its icon. It may wait for others meanwhile."""
        return self.launching or self._fresh(sample)

    def _busy(self, sample: Sample, now: float, last: float | None) -> bool:
        """Whether programs are computing. Those that have long computed without drawing no longer count."""
        idle = now - self._last_running > IDLE * self.patience and self._idle_looks >= IDLE_LOOKS
        if self._last_running < 0 or idle:
            return False
        waiting_for_window = self._fresh(sample) and not self._new_window
        longest = BUSY_LAUNCH if waiting_for_window or self.launching else BUSY
        return now - max(self.start, last or 0.0, self._window_change) < longest * self.patience

    def _needed(self, sample: Sample) -> float:
        if self._starting(sample):
            windowless = not self._new_window and sample.clients - self.before.clients
            return QUIET_WINDOWLESS if windowless else QUIET_LAUNCH
        return QUIET_WINDOW if self._window_change >= 0 else QUIET

    def habitual(self, change: Change, changes: Sequence[Change]) -> bool:
        """Whether a change is a caret or a clock: small, and seen before at the same place after a pause."""
        if change.height > CARET[1]:
            return False
        alike = _same if change.width > CARET[0] else _near
        return any(alike(c, change) and change.time - c.time >= PERIOD for c in (*self.history, *changes))


def _same(one: Change, other: Change) -> bool:
    return (one.x, one.y, one.width, one.height) == (other.x, other.y, other.width, other.height)


def _near(one: Change, other: Change) -> bool:
    small = one.width <= CARET[0] and one.height <= CARET[1]
    return small and abs(one.x - other.x) <= 2 and abs(one.y - other.y) <= 2
