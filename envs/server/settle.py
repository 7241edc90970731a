"""When has the screen settled? A state machine over changes, running programs and windows.

The numbers come from timelines of real programs. Ordinary reactions begin within 60 ms and have no gaps over 260 ms.
The gaps come from GTK's timers: a button pressed by Enter acts after 250 ms, and a file dialog's button becomes
sensitive 150 ms after the name was typed. Dialogs of large programs begin after 120 ms. A program that is being
launched is quiet for a second or more before its window is mapped. So quiet time proves nothing while a program
computes: programs that the kernel counts as running delay the answer for a while. Carets and clocks do not: they are
small and come back at the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

REACTION = 0.15
"""Seconds in which an idle screen may begin to react; after that, it has nothing to show."""
QUIET = 0.3
"""Seconds without change after an ordinary reaction."""
QUIET_WINDOW = 0.35
"""Seconds without change after a window has appeared or gone."""
QUIET_LAUNCH = 0.8
"""Seconds without change, and idle, after a launched program's window has been mapped."""
QUIET_WINDOWLESS = 3.0
"""The same while a launched program talks to the X server but has shown no window: it is about to."""
IDLE = 0.06
"""Seconds without a running program after which programs count as idle. Shorter gaps are waits for an answer."""
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
    """

    began: float
    start: float
    before: Sample
    history: Sequence[Change] = ()
    launching: bool = False
    maximum: float = MAXIMUM
    patience: float = 1.0
    _last_running: float = field(default=-1.0, init=False)
    _window_change: float = field(default=-1.0, init=False)
    _windows: frozenset[int] = field(default=frozenset(), init=False)
    _new_window: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._windows = self.before.windows

    def verdict(self, sample: Sample, changes: Sequence[Change]) -> bool | None:
        """True: settled. False: the maximum has passed. None: not yet.

        Args:
            sample: the newest sample.
            changes: all changes since the actions began, oldest first.
        """
        now = sample.time
        self._note(sample)
        last = max((c.time for c in changes if not self._habitual(c, changes)), default=None)
        if now - self.start >= self.maximum:
            return False
        if self._busy(sample, now, last):
            return None
        needed = self._needed(sample)
        quiet_since = max(self.start if last is None else last, self._window_change, self.start)
        if last is None and self._window_change < 0 and not self._starting(sample):
            needed = REACTION
        return True if now - quiet_since >= needed else None

    def _note(self, sample: Sample) -> None:
        if sample.windows != self._windows:
            self._new_window |= bool(sample.windows - self._windows)
            self._windows, self._window_change = sample.windows, sample.time
        if sample.running:
            self._last_running = sample.time

    def _fresh(self, sample: Sample) -> bool:
        """Whether a program that appeared after the actions is still there."""
        return bool(sample.programs - self.before.programs)

    def _starting(self, sample: Sample) -> bool:
        """Whether a program is starting, on purpose or by a click on its icon. It may wait for others meanwhile."""
        return self.launching or self._fresh(sample)

    def _busy(self, sample: Sample, now: float, last: float | None) -> bool:
        """Whether programs are computing. Those that have long computed without drawing no longer count."""
        if self._last_running < 0 or now - self._last_running > IDLE * self.patience:
            return False
        waiting_for_window = self._fresh(sample) and not self._new_window
        longest = BUSY_LAUNCH if waiting_for_window or self.launching else BUSY
        return now - max(self.start, last or 0.0, self._window_change) < longest * self.patience

    def _needed(self, sample: Sample) -> float:
        if self._starting(sample):
            windowless = not self._new_window and sample.clients - self.before.clients
            return QUIET_WINDOWLESS if windowless else QUIET_LAUNCH
        return QUIET_WINDOW if self._window_change >= 0 else QUIET

    def _habitual(self, change: Change, changes: Sequence[Change]) -> bool:
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
