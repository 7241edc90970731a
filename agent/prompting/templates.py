"""Templates of profiles: names in braces are filled in once, and `{image}` marks the place of a picture.

This does not use str.format, because prompts and task texts contain braces. Inserted texts are never expanded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources

from deskbench.agent.models.messages import Picture, Text
from deskbench.envs.errors import UsageError

_NAME = re.compile(r"\{([a-z_]+)\}")
_PROMPT = re.compile(r"\{prompt:([a-z0-9_]+)\}")
_IMAGE = "{image}"


def expand(template: str, texts: Mapping[str, str]) -> str:
    """Insert the prompts and the profile's own texts into a template; done once, before any task is known.

    Raises:
        UsageError: the template names an unknown prompt.
    """
    for _ in range(4):  # prompts may contain prompts
        template = _PROMPT.sub(lambda found: prompt(found[1]), template)
        template = _NAME.sub(lambda found: texts.get(found[1], found[0]), template)
    return template


def prompt(name: str) -> str:
    """One of deskbench's prompts by its name.

    Raises:
        UsageError: there is no such prompt.
    """
    file = resources.files("deskbench.agent.models") / "prompts" / f"{name}.txt"
    if not file.is_file():
        raise UsageError(f"there is no prompt {name!r}")
    return file.read_text(encoding="utf-8").strip()


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template; unknown names stay as they are."""
    return _NAME.sub(lambda found: values.get(found[1], found[0]), template)


def parts_of(template: str, values: Mapping[str, str], shown: Sequence[Text | Picture]) -> list[Text | Picture]:
    """A template as texts and pictures in order; the pictures replace `{image}`, or go to the end without one."""
    before, mark, after = template.partition(_IMAGE)
    texts = [fill(text, values) for text in (before, after)]
    head: list[Text | Picture] = [Text(texts[0])] if texts[0].strip() else []
    tail: list[Text | Picture] = [Text(texts[1])] if texts[1].strip() else []
    return [*head, *shown, *tail] if mark else [*head, *tail, *shown]
