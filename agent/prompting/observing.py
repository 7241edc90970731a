"""Show an observation to a model as texts and pictures, in OSWorld's four types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from deskbench.agent.base import Needs
from deskbench.agent.models.messages import Picture, Text
from deskbench.agent.models.tokens import Budget
from deskbench.agent.prompting.scaling import Scale, png_bytes
from deskbench.agent.prompting.som import draw_marks, find_marks, marks_table
from deskbench.agent.prompting.tree import linearize
from deskbench.envs.errors import EnvError
from deskbench.envs.types import Observation, Screenshot, Zoom

PLENTY = Budget(10_000)
"""OSWorld's budget for a tree, in tokens."""


@dataclass(frozen=True)
class Seen:
    """What the model sees of one observation.

    Attributes:
        parts: texts and pictures in order.
        names: maps `tag_N` to its point, in pixels of the picture.
        notes: what was cut, for the record.
    """

    parts: tuple[Text | Picture, ...]
    names: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[Mapping[str, object], ...] = ()


def needs_of(observation_type: str) -> Needs:
    """What the desktop must provide."""
    return Needs(screenshot=observation_type != "a11y_tree", accessibility=observation_type != "screenshot")


def look(
    observation: Observation,
    observation_type: str,
    scale: Scale,
    budget: Budget = PLENTY,
    zooms: Sequence[Zoom] = (),
) -> Seen:
    """Show an observation.

    Args:
        observation: the observation from the desktop.
        observation_type: `screenshot`, `a11y_tree`, `screenshot_a11y_tree` or `som`.
        scale: the scale from the screen to the picture that is sent.
        budget: the budget for the tree or the table.
        zooms: regions of the screen to show enlarged, too.

    Raises:
        EnvError: the screenshot or the tree that this type needs is missing or cannot be read.
    """
    if observation_type == "som":
        return _look_marked(observation, scale, budget)
    parts: list[Text | Picture] = []
    notes: list[Mapping[str, object]] = []
    if observation_type != "screenshot":
        table = linearize(_tree(observation), scale, budget)
        notes += [table.note] if table.note else []
        cut = "" if observation.accessibility_complete else "\n(The tree is incomplete: reading it took too long.)"
        parts.append(Text(f"The accessibility tree:\n{table.text}{cut}", droppable=True))
    if observation_type != "a11y_tree":
        shot = _screenshot(observation)
        parts.append(_picture(shot, scale))
        parts.extend(_zoomed(shot, zoom, scale) for zoom in zooms)
    return Seen(tuple(parts), notes=tuple(notes))


def _look_marked(observation: Observation, scale: Scale, budget: Budget) -> Seen:
    shot = _screenshot(observation)
    picture = scale.picture(_image(shot))
    marks = find_marks(_tree(observation), scale, picture)
    marked = draw_marks(picture, marks)
    sent = Picture(png_bytes(marked), shot.sha256, *scale.image, note="marks")
    fitted = marks_table(marks, budget)
    table = Text(f"What the numbers stand for:\n{fitted.text}", droppable=True)
    notes = (fitted.note,) if fitted.note else ()
    return Seen((table, sent), {mark.name: mark.centre for mark in marks}, notes)


def _picture(shot: Screenshot, scale: Scale) -> Picture:
    """The picture at the right size; a frame that already has this size is reused, because re-encoding takes 50 ms."""
    as_it_is = scale.screen == scale.image == _size(shot.png)
    png = shot.png if as_it_is else png_bytes(scale.picture(_image(shot)))
    return Picture(png, shot.sha256, *scale.image)


def _size(png: bytes) -> tuple[int, int]:
    """Width and height from the PNG's first chunk (IHDR, PNG specification section 11.2.2)."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _image(shot: Screenshot) -> Image.Image:
    try:
        return shot.image
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise EnvError(f"the desktop's screenshot cannot be read: {error}") from None


def _zoomed(shot: Screenshot, zoom: Zoom, scale: Scale) -> Picture:
    """The region, enlarged to fit the picture's size with the same aspect ratio."""
    region = _image(shot).crop(zoom.region)
    factor = min(scale.image[0] / region.width, scale.image[1] / region.height)
    size = (max(1, int(region.width * factor)), max(1, int(region.height * factor)))
    enlarged = region.resize(size, Image.Resampling.LANCZOS)
    return Picture(png_bytes(enlarged), shot.sha256, *size, note=f"region {list(zoom.region)}")


def _screenshot(observation: Observation) -> Screenshot:
    if observation.screenshot is None:
        raise EnvError(f"the desktop gave no screenshot{_why(observation)}")
    return observation.screenshot


def _tree(observation: Observation) -> str:
    if observation.accessibility is None:
        raise EnvError(f"the desktop gave no accessibility tree{_why(observation)}")
    return observation.accessibility


def _why(observation: Observation) -> str:
    return f": {'; '.join(observation.problems)}" if observation.problems else ""
