"""Intervals as pictures (SVG): a line from end to end with a point at the mean."""

from __future__ import annotations

from collections.abc import Iterable

from deskbench.agent.statistics.paired import Difference

WIDE, NARROW = 480, 220
"""Widths in pixels, unless there is less room."""
HIGH, TICKS = 16, 11
"""Heights in pixels: of the line, and of the numbers below it."""
Axis = tuple[float, float]
Values = tuple[float | None, float | None, float | None]
"""Low end, mean, high end."""


def reach(found: Iterable[Difference]) -> float:
    """How far an axis of differences must reach to both sides, in steps of 0.1."""
    widest = max((abs(end) for one in found for end in (one.low, one.high) if end is not None), default=0.1)
    return min(1.0, (int(widest * 10) + 1) / 10)


def picture(values: Values, axis: Axis, *, kind: str = "", ticks: bool = False) -> str:
    """An interval on an axis, with its words for those who cannot see it; empty without a mean.

    Args:
        values: low end, mean and high end.
        axis: its ends; 0 is marked if it lies between them.
        kind: a class for its colour.
        ticks: write the axis' numbers below it, and draw it wider.
    """
    low, mean, high = values
    if mean is None:
        return ""
    wide = WIDE if ticks else NARROW

    def at(value: float) -> str:
        return f"{8 + (wide - 16) * (value - axis[0]) / (axis[1] - axis[0]):.1f}"

    def line(name: str, begin: str, end: str, ys: tuple[int, int] = (8, 8)) -> str:
        return f'<line class="{name}" x1="{begin}" x2="{end}" y1="{ys[0]}" y2="{ys[1]}"/>'

    known = low is not None and high is not None
    words = f"{mean:.3f}" + (f", 95 % interval {low:.3f} to {high:.3f}" if known else "")
    parts = [line("axis", at(axis[0]), at(axis[1]))]
    parts += [line("zero", at(0), at(0), (0, HIGH))] if axis[0] < 0 < axis[1] else []
    parts += [line(f"range {kind}".strip(), at(low), at(high))] if low is not None and high is not None else []
    parts.append(f'<circle class="{f"point {kind}".strip()}" cx="{at(mean)}" cy="8" r="4.5"/>')
    if ticks:
        parts += [
            f'<text x="{at(value)}" y="{HIGH + TICKS - 2}" text-anchor="{where}">{value:{"+" if value else ""}g}</text>'
            for value, where in ((axis[0], "start"), (0.0, "middle"), (axis[1], "end"))
        ]
    return (f'<svg viewBox="0 0 {wide} {HIGH + (TICKS if ticks else 0)}" width="{wide}" role="img" '
            f'aria-label="{words}">{"".join(parts)}</svg>')  # fmt: skip


def picture_of(found: Difference, far: float, *, ticks: bool = False) -> str:
    """A difference on an axis that reaches `far` to both sides."""
    return picture((found.low, found.difference, found.high), (-far, far), ticks=ticks)
