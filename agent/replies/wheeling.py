"""Wheel actions of models, in notches or pixels."""

from __future__ import annotations

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.pointing import HELD, WAYS, at_point
from deskbench.agent.replies.vocabulary import POINTS, Handler
from deskbench.envs.types import (
    Action,
    Scroll,
)

PIXELS_PER_NOTCH = 100
"""For families that scroll in pixels; in browsers a notch of the wheel scrolls about this far."""


def scroll(unit: str = "notches", amount: float = 5, most: int | None = None) -> Handler:
    """Turn the wheel in a direction by an amount.

    `unit` is `notches` or `pixels`, `amount` the default; with `most`, the amount must be 1 to `most`.
    """

    def run(a: Arguments) -> list[Action]:
        way = (a.text("direction", "scroll_direction") or "").strip().lower()
        if way not in WAYS:
            raise a.wrong(f"direction is {way[:40]!r}; it must be up, down, left or right")
        given = _given(a, unit, amount)
        if most is not None and not 1 <= given <= most:
            raise a.wrong(f"amount is {given}; it must be 1 to {most}")
        notches = abs(given)
        dx, dy = (part * notches for part in WAYS[way])
        return [Scroll(dx, dy, **at_point(a.point(*POINTS)), modifiers=a.modifiers(*HELD))]

    return run


def _given(a: Arguments, unit: str, amount: float) -> int:
    """The distance in notches; some schemas name the unit in the argument (Gemini's `magnitude_in_...`)."""
    clicks, pixels = a.number("magnitude_in_wheel_clicks", "wheel_clicks"), a.number("magnitude_in_pixels")
    other = a.number("scroll_amount", "step", "scroll_size", "magnitude", "amount", "clicks", "pixels", default=amount)
    if clicks is not None:
        return _notches(clicks, "notches")
    return _notches(other or 0, unit) if pixels is None else _notches(pixels, "pixels")


def _notches(value: float, unit: str) -> int:
    if unit == "notches" or value == 0:
        return round(value)
    return max(1, round(abs(value) / PIXELS_PER_NOTCH)) * (1 if value > 0 else -1)


def wheel(axis: str = "dy") -> Handler:
    """Turn the wheel by a signed number: Qwen's `pixels`, pyautogui's and Agent-S's `clicks`; + is up, or right. If
    there is a direction, the direction decides.

    Qwen's number is called `pixels` but means notches (its agents pass it to pyautogui); a number too large for one
    turn of a wheel still counts as pixels.
    """

    def run(a: Arguments) -> list[Action]:
        if a.get("direction", "scroll_direction") is not None:
            return scroll()(a)
        value = a.number("pixels", "clicks", "scroll_amount", "amount", "step")
        if value is None:
            raise a.wrong("the number to scroll by is missing")
        notches = _notches(value, "pixels" if abs(value) >= PIXELS_PER_NOTCH else "notches")
        along = "dx" if a.flag("shift") else axis
        return [Scroll(**{along: notches}, **at_point(a.point(*POINTS)), modifiers=a.modifiers("text", "hold_keys"))]

    return run


def wheel_in_grid(axis: str = "dy", grid: int = 1000) -> Handler:
    """Turn the wheel by a signed part of the screen: `grid` is its whole height or width; + is up, or right.

    Fara-1.5 scrolls in the units of its points (microsoft/fara, fara15_agent.py `_dispatch_action`).
    """

    def run(a: Arguments) -> list[Action]:
        value = a.number("pixels")
        if value is None:
            raise a.wrong("pixels, the amount to scroll by, is missing")
        notches = _notches(value * a.screen[1 if axis == "dy" else 0] / grid, "pixels")
        dx, dy = (notches, 0) if axis == "dx" else (0, notches)
        return [Scroll(dx, dy, **at_point(a.point(*POINTS)), modifiers=())]

    return run


def scroll_by_pixels(a: Arguments) -> list[Action]:
    """OpenAI's scrolling: `scroll_x` and `scroll_y` in pixels, + is right and down."""
    dx, dy = (_notches(a.number(name, default=0) or 0, "pixels") for name in ("scroll_x", "scroll_y"))
    return [Scroll(dx, -dy, **at_point(a.point(*POINTS)), modifiers=a.modifiers("keys"))]
