"""The film of a settling as a picture (SVG): what was drawn, who ran, whose timers were due, and when the answer came.

Time goes to the right, in milliseconds since the last action ended. Each program has a line: thick where it ran, a tick
where it has run between two looks, a ring where a timer was due.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from deskbench.envs.clients.http import Client
from deskbench.envs.errors import NotThere, UsageError
from deskbench.envs.wire import Drawn, Film, Moment

WIDTH, LEFT, RIGHT, ROW, TOP = 1000, 170, 20, 22, 56
"""Pixels: the picture, the names at its left, the margin at its right, a line, and the first line's distance."""
MOST_PROGRAMS = 20
MARGIN = 0.25
"""What is shown after the answer if nothing was drawn then, as a share of the time until the answer."""
LONGEST = 1e7
"""Milliseconds that are drawn at most, whatever a desktop says."""
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .soft { fill: #6e7781 }
.title { font-weight: 600; font-size: 14px } .axis { stroke: #d0d7de }
.drawn { fill: #0969da } .habit { fill: #afb8c1 } .late { fill: #cf222e } .ran { fill: #bf8700 }
.timer { fill: none; stroke: #8250df; stroke-width: 1.5 }
.verdict { stroke: #1a7f37; stroke-width: 2 } .wrong { stroke: #cf222e }
"""


class Gallery:
    """A folder with a picture of each settling of a desktop: settling-0001.svg and so on.

    Args:
        desktop: one whose server is ours.
        folder: it is made, and must be empty.

    Raises:
        UsageError: the desktop has no films, or the folder cannot be used.
    """

    def __init__(self, desktop: object, folder: Path) -> None:
        if not isinstance(desktop, Client):
            raise UsageError("this provider's desktops do not film how the screen settles")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise UsageError(f"{folder} is not empty")
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}") from None
        self._desktop, self._folder = desktop, folder
        self._texts: dict[int, str] = {}
        try:
            self.update()
        except NotThere:
            raise UsageError(f"{desktop.name}: its server does not film how the screen settles") from None

    def update(self) -> None:
        """Write the pictures that are new or show more than before. A desktop keeps its last eight films only."""
        films = {film.number: picture(film) for film in self._desktop.settlings()}
        for number, text in films.items():
            if text != self._texts.get(number):
                (self._folder / f"settling-{number:04}.svg").write_text(text, encoding="utf-8")
        self._texts = films


def late(film: Film) -> list[Drawn]:
    """What was drawn after the answer, without carets and clocks."""
    return [one for one in film.drawn if film.ended is not None and one.ms > film.ended and not one.habitual]


def summary(film: Film) -> str:
    """A film's answer in one line."""
    if film.ended is None:
        return "not yet answered"
    said = f"settled by {film.by}" if film.settled else "not settled"
    after = late(film)
    more = f"; drawn later, first at {after[0].ms:.0f} ms" if after else ""
    return f"{said} after {film.ended:.0f} ms{more}"


def picture(film: Film) -> str:
    """The picture, an SVG file's text."""
    sleepers = [one for moment in film.moments for one in moment.programs]
    programs = list(dict.fromkeys(one.id for one in sleepers if one.ran or one.awake))[:MOST_PROGRAMS]
    height = TOP + ROW * (len(programs) + 3) + 30
    scale = _Scale(film)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img"><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        _text(8, 20, f"Settling {film.number}: {summary(film)}", "title"),
        *_axis(scale, height), *_drawn(film, scale), *_windows(film, scale), *_running(film, scale),
    ]  # fmt: skip
    for row, program in enumerate(programs, 3):
        parts += _program(film, scale, program, TOP + ROW * row)
    if film.ended is not None:
        x = scale(film.ended)
        kind = "verdict wrong" if late(film) or not film.settled else "verdict"
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP - 16}" y2="{height - 26}"/>')
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Milliseconds to pixels."""

    def __init__(self, film: Film) -> None:
        answered = film.now if film.ended is None else film.ended
        shown = answered + MARGIN * max(answered - film.began, 0)
        self.first = min(max(film.began, -LONGEST), LONGEST)
        self.last = min(max([self.first + 20.0, shown, *(one.ms for one in late(film))]), self.first + LONGEST)

    def __call__(self, ms: float) -> float:
        part = (min(max(ms, self.first), self.last) - self.first) / (self.last - self.first)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(plain)}</text>'


def _axis(scale: _Scale, height: int) -> Iterator[str]:
    rough = (scale.last - scale.first) / 8
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    for number in range(math.ceil(scale.first / step), math.floor(scale.last / step) + 1):
        x = scale(number * step)
        yield f'<line class="axis" x1="{x}" x2="{x}" y1="{TOP - 16}" y2="{height - 26}"/>'
        yield _text(x, height - 10, f"{number * step:g} ms", "soft", "middle")


def _drawn(film: Film, scale: _Scale) -> Iterator[str]:
    yield _text(8, TOP + 4, "drawn")
    for one in film.drawn:
        tall = min(16.0, 3 + math.log10(1 + max(one.width * one.height, 0)) * 2)
        after = film.ended is not None and one.ms > film.ended
        kind = "habit" if one.habitual else "late" if after else "drawn"
        where = f"{one.width}x{one.height} at {one.x},{one.y}, {one.ms:g} ms"
        yield (
            f'<rect class="{kind}" x="{scale(one.ms)}" y="{TOP + 8 - tall:.1f}" width="2" height="{tall:.1f}">'
            f"<title>{where}</title></rect>"
        )


def _windows(film: Film, scale: _Scale) -> Iterator[str]:
    yield _text(8, TOP + ROW + 4, "windows")
    for count, moments in itertools.groupby(film.moments, lambda moment: moment.windows):
        yield _text(scale(next(moments).ms), TOP + ROW + 4, str(count), "soft")


def _spans(film: Film) -> Iterator[tuple[Moment, float]]:
    """Each moment, and when the next one or the answer came."""
    end = film.now if film.ended is None else film.ended
    for moment, then in itertools.zip_longest(film.moments, film.moments[1:]):
        yield moment, end if then is None else then.ms


def _running(film: Film, scale: _Scale) -> Iterator[str]:
    """When any program ran: then, nobody looks at each."""
    y = TOP + ROW * 2
    yield _text(8, y + 4, "programs that run")
    for moment, end in _spans(film):
        if moment.running:
            wide = scale(end) - scale(moment.ms)
            yield f'<rect class="ran" x="{scale(moment.ms)}" y="{y - 5}" width="{wide:.1f}" height="10"/>'


def _program(film: Film, scale: _Scale, program: int, y: float) -> Iterator[str]:
    looks = [(moment.ms, end, one) for moment, end in _spans(film) for one in moment.programs if one.id == program]
    *_, last = looks
    yield _text(8, y + 4, f"{last[2].name} {program}{' (hidden)' if last[2].hidden else ''}")
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
    for ms, end, one in looks:
        if one.awake:
            wide = max(2.0, scale(end) - scale(ms))
            yield f'<rect class="ran" x="{scale(ms)}" y="{y - 5}" width="{wide:.1f}" height="10"/>'
        elif one.moved:
            yield f'<rect class="ran" x="{scale(ms)}" y="{y - 5}" width="1.5" height="10"/>'
    for wake in sorted({round(one.wake) for *_, one in looks if one.wake is not None}):
        if scale.first <= wake <= scale.last:
            yield f'<circle class="timer" cx="{scale(wake)}" cy="{y}" r="4"><title>timer, {wake} ms</title></circle>'
