"""An observation as a model is shown it: texts and pictures, in OSWorld's four types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from deskbench.agent.agents.scaling import Scale, png_bytes
from deskbench.agent.agents.som import draw_marks, find_marks, marks_table
from deskbench.agent.agents.tree import linearize
from deskbench.agent.base import Needs
from deskbench.agent.models.messages import Picture, Text
from deskbench.envs.errors import EnvError
from deskbench.envs.types import Observation, Screenshot, Zoom


@dataclass(frozen=True)
class Seen:
    """What the model is shown of one observation.

    Attributes:
        parts: texts and pictures in order.
        names: `tag_N` to the point it stands for, in pixels of the picture.
    """

    parts: tuple[Text | Picture, ...]
    names: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def needs_of(observation_type: str) -> Needs:
    """What the desktop must be asked for."""
    return Needs(screenshot=observation_type != "a11y_tree", accessibility=observation_type != "screenshot")


def look(
    observation: Observation, observation_type: str, scale: Scale, tree_tokens: int, zooms: Sequence[Zoom] = ()
) -> Seen:
    """Show an observation.

    Args:
        observation: what the desktop gave.
        observation_type: `screenshot`, `a11y_tree`, `screenshot_a11y_tree` or `som`.
        scale: from the screen to the picture that is sent.
        tree_tokens: estimated tokens that the tree or the table may have.
        zooms: regions of the screen to show enlarged besides.

    Raises:
        EnvError: the screenshot or the tree that this type needs is not there.
    """
    if observation_type == "som":
        return _look_marked(observation, scale, tree_tokens)
    parts: list[Text | Picture] = []
    if observation_type != "screenshot":
        table = linearize(_tree(observation), scale, tree_tokens)
        cut = "" if observation.accessibility_complete else "\n(The tree is incomplete: reading it took too long.)"
        parts.append(Text(f"The accessibility tree:\n{table}{cut}", droppable=True))
    if observation_type != "a11y_tree":
        shot = _screenshot(observation)
        parts.append(_picture(shot.image, shot, scale))
        parts.extend(_zoomed(shot, zoom, scale) for zoom in zooms)
    return Seen(tuple(parts))


def _look_marked(observation: Observation, scale: Scale, tree_tokens: int) -> Seen:
    shot = _screenshot(observation)
    marks = find_marks(_tree(observation), scale, scale.picture(shot.image))
    marked = draw_marks(scale.picture(shot.image), marks)
    picture = Picture(png_bytes(marked), shot.sha256, *scale.image, note="marks")
    table = Text(f"What the numbers stand for:\n{marks_table(marks, tree_tokens)}", droppable=True)
    return Seen((table, picture), {mark.name: mark.centre for mark in marks})


def _picture(image: Image.Image, shot: Screenshot, scale: Scale) -> Picture:
    png = shot.png if scale.screen == scale.image == image.size else png_bytes(scale.picture(image))
    return Picture(png, shot.sha256, *scale.image)


def _zoomed(shot: Screenshot, zoom: Zoom, scale: Scale) -> Picture:
    """The region, enlarged to fit the picture's size without changing its shape."""
    region = shot.image.crop(zoom.region)
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
