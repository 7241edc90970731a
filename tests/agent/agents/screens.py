"""Screens and trees to show an agent, made without a desktop."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw

from deskbench.agent.prompting.scaling import png_bytes
from deskbench.envs.types import Observation, Screenshot

NS = "https://accessibility.{platform}.example.org/ns/"
Box = tuple[int, int, int, int]


def node(
    tag: str,
    name: str = "",
    box: Box | None = (10, 20, 80, 30),
    text: str = "",
    states: str = "visible showing enabled",
    inside: str = "",
    **attributes: str,
) -> str:
    """One element of OSWorld's XML; `attributes` are written as they are (attr_class for attr:class)."""
    marks = [f'st:{state}="true"' for state in states.split()]
    if box is not None:
        marks += [f'cp:screencoord="({box[0]}, {box[1]})"', f'cp:size="({box[2]}, {box[3]})"']
    marks += [f"{key.replace('_', ':', 1)}={quoteattr(value)}" for key, value in attributes.items()]
    return f"<{tag} name={quoteattr(name)} {' '.join(marks)}>{escape(text)}{inside}</{tag}>"


def tree(*nodes: str, platform: str = "ubuntu") -> str:
    """A whole tree."""
    uri = NS.format(platform=platform)
    spaces = {"st": "state", "cp": "component", "attr": "attributes", "val": "value", "class": "class"}
    declared = " ".join(f'xmlns:{prefix}="{uri}{name}"' for prefix, name in spaces.items())
    return f"<desktop-frame {declared}>{''.join(nodes)}</desktop-frame>"


def picture(width: int = 640, height: int = 400, *boxes: Box) -> Image.Image:
    """A picture with something drawn in each box (x, y, width, height)."""
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for x, y, w, h in boxes:
        pen.ellipse((x, y, x + w - 1, y + h - 1), fill="blue", outline="black")
    return image


def observation(image: Image.Image | None = None, xml: str | None = None, **more: Any) -> Observation:
    """What a desktop would give."""
    image = image or picture()
    return Observation(Screenshot.of(png_bytes(image)), image.width, image.height, accessibility=xml, **more)
