"""Text from models, made valid where it enters: JSON and Python can say half of a surrogate pair, and no file holds it.

Everything that an endpoint says goes through here once as a document (`models.answers.read_document`), a call's
arguments once they are read from their text (`arguments_of`), and the actions of a reply once they are made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from deskbench.envs.types import Action


def valid(value: Any) -> Any:
    """A value of JSON in which each half of a pair is U+FFFD; halves that belong together are put together."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {valid(name): valid(inner) for name, inner in value.items()}
    return [valid(inner) for inner in value] if isinstance(value, list) else value


def valid_actions(actions: Sequence[Action]) -> list[Action]:
    """Actions whose texts are valid."""
    return [_valid_action(action) for action in actions]


def _valid_action(action: Action) -> Action:
    texts = {f.name: getattr(action, f.name) for f in dataclasses.fields(action)}
    changed = {name: valid(text) for name, text in texts.items() if isinstance(text, str) and not text.isascii()}
    return dataclasses.replace(action, **changed) if changed else action
