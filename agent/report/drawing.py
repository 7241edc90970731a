"""Draw actions on the screen that they are for, so that a person sees where a model would click."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from deskbench.envs.types import Action, Zoom

_COLOUR = (220, 20, 60)
_INK = (255, 255, 255)
_RADIUS = 12


def draw_actions(picture: Image.Image, actions: Sequence[Action]) -> Image.Image:
    """A copy of a picture with the actions drawn on it: a ring for a point, a line for a drag, a frame for a region.

    Every action has its number. Actions without a place on the screen are lines of text at the bottom.
    """
    drawn = picture.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(size=max(14, drawn.height // 50))
    lines = []
    for number, action in enumerate(actions, 1):
        at = _draw(pen, action)
        text = describe(action)
        if at is None:
            lines.append(f"{number}: {text}")
        else:
            _label(pen, font, at, f"{number}: {text}", drawn.size)
    height = font.getbbox("X")[3] + 8
    for index, line in enumerate(reversed(lines)):
        _label(pen, font, (0, drawn.height - int(height) * index - int(height) // 2), line, drawn.size)
    return drawn


def describe(action: Action) -> str:
    """An action in a few words."""
    fields = {k: v for k, v in action.to_json().items() if k not in ("type", "x", "y", "path", "region")}
    words = " ".join(f"{name}={value!a}" for name, value in fields.items())
    text = f"{action.type} {words}".strip()
    return text if len(text) <= 80 else text[:77] + "..."


def _draw(pen: ImageDraw.ImageDraw, action: Action) -> tuple[int, int] | None:
    """Draw an action that has a place; returns where its label goes."""
    if isinstance(action, Zoom):
        pen.rectangle(action.region, outline=_COLOUR, width=3)
        return action.region[0], action.region[1] + _RADIUS
    if action.end is None:
        return None
    if len(action.points) > 1:
        pen.line(list(action.points), fill=_COLOUR, width=4)
        _ring(pen, action.points[0], 5)
    _ring(pen, action.end, _RADIUS)
    pen.point(action.end, fill=_COLOUR)
    return action.end


def _ring(pen: ImageDraw.ImageDraw, at: tuple[int, int], radius: int) -> None:
    x, y = at
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_COLOUR, width=3)


def _label(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    at: tuple[int, int],
    text: str,
    size: tuple[int, int],
) -> None:
    left, top, right, bottom = font.getbbox(text)
    x, y = at[0] + _RADIUS + 4, at[1] - (top + bottom) // 2
    if x + right > size[0] - 4:  # no room on the right
        x = max(2, at[0] - _RADIUS - 4 - int(right))
    y = int(min(max(y, 2), size[1] - bottom - 4))
    pen.rectangle((x + left - 2, y + top - 2, x + right + 2, y + bottom + 2), fill=_COLOUR)
    pen.text((x, y), text, fill=_INK, font=font)
