"""Films of settlings: what was known at each moment, what was drawn, and what was drawn after the answer."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from deskbench.envs import wire
from deskbench.envs.server.settle import Change, Rest, Sample, Settling

KEPT = 8
"""How many films are kept."""
NEAR = 2.0
"""Seconds within which a timer is worth showing."""
DRAWN = 200
"""How many rectangles a film shows from before the answer, and as many from after it: the first ones."""
FINAL = 10.0
"""Seconds after an answer; what is drawn later belongs to no film."""


class Films:
    """The last settlings of a desktop. Safe to use from several threads.

    Args:
        since: what was drawn since a moment, monotonic seconds.
    """

    def __init__(self, since: Callable[[float], Sequence[Change]]) -> None:
        self._since = since
        self._kept: deque[tuple[int, Settling]] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, settling: Settling) -> None:
        """Keep this one, which is about to begin."""
        with self._lock:
            self._kept.append((next(self._numbers), settling))

    def shown(self) -> wire.Films:
        """All that are kept, oldest first."""
        with self._lock:
            kept = list(self._kept)
        ends = [settling.began for _, settling in kept[1:]] + [time.monotonic()]
        return wire.Films(tuple(self._film(*one, end) for one, end in zip(kept, ends, strict=True)))

    def _film(self, number: int, settling: Settling, end: float) -> wire.Film:
        seen, answer = list(settling.seen), settling.answer
        ended = seen[-1][0].time if answer is not None else None
        end = max(min(end, ended + FINAL) if ended is not None else end, seen[-1][0].time if seen else settling.start)
        before: list[Change] = []
        later: list[Change] = []
        for change in self._since(settling.began):
            if change.time <= end:
                (before if ended is None or change.time <= ended else later).append(change)
        changes = [*before[:DRAWN], *later[:DRAWN]]

        def after(moment: float) -> float:
            return round((moment - settling.start) * 1e3, 1)

        return wire.Film(
            number, after(settling.began), None if ended is None else after(ended), after(end), answer, settling.by,
            settling.launching, tuple(_different(_moment(sample, rest, after) for sample, rest in seen)),
            tuple(
                wire.Drawn(after(one.time), one.x, one.y, one.width, one.height, settling.habitual(one, changes))
                for one in changes
            ),
            round(settling.spent * 1e3, 1),
        )  # fmt: skip


def _different(moments: Iterable[wire.Moment]) -> Iterator[wire.Moment]:
    """Moments that differ from the one before in more than time."""
    last: wire.Moment | None = None
    for moment in moments:
        if last is None or dataclasses.replace(last, ms=moment.ms) != moment:
            yield moment
        last = moment


def _moment(sample: Sample, rest: Rest | None, after: Callable[[float], float]) -> wire.Moment:
    if rest is None:
        return wire.Moment(after(sample.time), len(sample.windows), sample.running)
    wakes: dict[int, float] = dict(rest.drawing)
    for timer, moment in rest.wakes.items():
        wakes[timer.process] = min(moment, wakes.get(timer.process, moment))
    near = {process for process, wake in wakes.items() if wake - sample.time < NEAR}
    return wire.Moment(
        after(sample.time), len(sample.windows), sample.running, rest.still,
        tuple(
            wire.Sleeper(
                process, rest.names.get(process, ""), process in rest.awake, process in rest.moved,
                process in rest.ran | rest.own, process in rest.hidden,
                after(wakes[process]) if process in near else None,
            )
            for process in sorted(rest.ran | rest.awake | near)
        ),
    )  # fmt: skip
