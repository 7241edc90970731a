"""Gymnasium's spaces for desktops, and the way between them and our actions and observations. Needs the extra `gym`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from deskbench.agent.base import Needs
from deskbench.envs.actions import BUTTONS, MAX_TEXT
from deskbench.envs.errors import UsageError
from deskbench.envs.keys import MODIFIERS, NAMED_KEYS
from deskbench.envs.types import (
    Action,
    ActionError,
    Click,
    Done,
    Drag,
    Fail,
    Key,
    Move,
    Observation,
    Scroll,
    Type,
    Wait,
)

TYPES = ("click", "move", "drag", "scroll", "type", "key", "wait", "done", "fail")
"""The actions of the space, by the number that stands for each in `type`."""
KEYS = (*sorted(NAMED_KEYS), *(chr(code) for code in range(33, 127)))
"""The keys of the space: by name, and the printable characters of ASCII."""
MOST_CLICKS, MOST_NOTCHES = 3, 50
LONGEST_INSTRUCTION, LONGEST_TREE, LONGEST_REPLY = 2**15, 2**20, 400_000
"""Most characters; longer instructions and trees are cut."""
SAMPLED = 12
"""Most characters of a text that is drawn at random."""


class _Characters(Sequence[str]):
    """Every character of Unicode by its number, without a table of a million."""

    def __len__(self) -> int:
        return 0x110000

    def __getitem__(self, index: Any) -> Any:
        return chr(index)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and len(value) == 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Characters)

    def __hash__(self) -> int:
        return hash(_Characters)


class Unicode(spaces.Text):  # type: ignore[misc]
    """Any text up to a length, the empty one too; what is drawn at random is short and ASCII.

    Gymnasium's `Text` has letters and digits unless told otherwise, and counts its characters one by one.
    """

    def __init__(self, max_length: int, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset="".join(map(chr, range(32, 127))), seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short text of printable ASCII; masks are not supported."""
        length = self.np_random.integers(0, min(SAMPLED, self.max_length) + 1)
        return "".join(map(chr, self.np_random.integers(32, 127, size=length)))

    def contains(self, x: Any) -> bool:
        """Whether it is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    @property
    def character_set(self) -> Any:
        """Every character."""
        return _Characters()

    @property
    def character_list(self) -> Any:
        """Every character."""
        return _Characters()

    def character_index(self, char: str) -> np.int32:
        """The number of a character in Unicode."""
        return np.int32(ord(char))

    def __repr__(self) -> str:
        return f"Unicode({self.max_length})"


def action_space(width: int, height: int) -> spaces.Dict:
    """One action: `type` says which, and only its own fields count; the others may hold anything.

    click: x, y, button, count, modifiers. move: x, y. drag: x, y, to, button, modifiers. scroll: x, y, scroll (notches
    right and up), modifiers. type: text. key: key, modifiers. done: text is the answer. fail: text is the reason.
    """
    return spaces.Dict(
        {
            "type": spaces.Discrete(len(TYPES)),
            "x": spaces.Discrete(width),
            "y": spaces.Discrete(height),
            "to": spaces.MultiDiscrete([width, height]),
            "button": spaces.Discrete(len(BUTTONS)),
            "count": spaces.Discrete(MOST_CLICKS, start=1),
            "scroll": spaces.MultiDiscrete([2 * MOST_NOTCHES + 1] * 2, start=[-MOST_NOTCHES] * 2),
            "modifiers": spaces.MultiBinary(len(MODIFIERS)),
            "key": spaces.Discrete(len(KEYS)),
            "text": Unicode(MAX_TEXT),
        }
    )


def checked(space: spaces.Space[Any], action: Any) -> Any:
    """The action, if it is in the space.

    Raises:
        ActionError: says which field is wrong.
    """
    if space.contains(action):
        return action
    if not isinstance(space, spaces.Dict):
        raise ActionError(f"the action {repr(action)[:100]} is not in the action space {space}")
    if not isinstance(action, Mapping) or set(action) != set(space):
        raise ActionError(f"the action {repr(action)[:100]} is not in the action space: it needs {', '.join(space)}")
    name = next(name for name in space if not space[name].contains(action[name]))
    raise ActionError(f"the action is not in the action space: {name} is {repr(action[name])[:100]}, not {space[name]}")


def decoded(value: Mapping[str, Any]) -> Action:
    """An action of the space as one of ours."""
    x, y, to = int(value["x"]), int(value["y"]), (int(value["to"][0]), int(value["to"][1]))
    held = tuple(name for name, down in zip(MODIFIERS, value["modifiers"], strict=True) if down)
    button, text = BUTTONS[int(value["button"])], str(value["text"])
    key = KEYS[int(value["key"])]
    made: dict[str, Any] = {
        "click": lambda: Click(button, int(value["count"]), x, y, held),
        "move": lambda: Move(x, y),
        "drag": lambda: Drag(((x, y), to), button, held),
        "scroll": lambda: Scroll(int(value["scroll"][0]), int(value["scroll"][1]), x, y, held),
        "type": lambda: Type(text),
        "key": lambda: Key((*(one for one in held if one != key), key)),
        "wait": Wait,
        "done": lambda: Done(text or None),
        "fail": lambda: Fail(text or None),
    }
    action: Action = made[TYPES[int(value["type"])]]()
    return action


def encoded(action: Action) -> dict[str, Any]:
    """One of our actions as an action of the space, for demonstrations; what the action does not have is 0.

    Raises:
        ActionError: the space cannot express it.
    """
    fields = vars(action)
    points = action.points or ((0, 0),)
    held, keys = set(fields.get("modifiers", ())), list(fields.get("keys", ()))
    if keys:
        held, keys = set(keys[:-1]), keys[-1:]
    text = fields.get("text") or fields.get("answer") or fields.get("reason") or ""
    value = {
        "type": _index(TYPES, action.type, "type"),
        "x": np.int64(points[0][0]),
        "y": np.int64(points[0][1]),
        "to": np.array(points[-1], dtype=np.int64),
        "button": _index(BUTTONS, fields.get("button", BUTTONS[0]), "button"),
        "count": np.int64(fields.get("count", 1)),
        "scroll": np.array([fields.get("dx", 0), fields.get("dy", 0)], dtype=np.int64),
        "modifiers": np.array([name in held for name in MODIFIERS], dtype=np.int8),
        "key": _index(KEYS, keys[0] if keys else KEYS[0], "key"),
        "text": text,
    }
    if decoded(value) != action:
        raise ActionError(f"the action space cannot express {action}")
    return value


def _index(names: Sequence[str], name: str, what: str) -> np.int64:
    if name not in names:
        raise ActionError(f"the action space has no {what} {name!r}")
    return np.int64(names.index(name))


def observation_space(width: int, height: int, needs: Needs) -> spaces.Dict:
    """The screenshot as RGB (height, width, 3), the pointer in pixels, the instruction; a tree and a terminal."""
    found: dict[str, spaces.Space[Any]] = {
        "cursor": spaces.MultiDiscrete([width, height]),
        "instruction": Unicode(LONGEST_INSTRUCTION),
    }
    if needs.screenshot:
        found["screenshot"] = spaces.Box(0, 255, (height, width, 3), np.uint8)
    if needs.accessibility:
        found["accessibility"] = Unicode(LONGEST_TREE)
    if needs.terminal:
        found["terminal"] = Unicode(LONGEST_TREE)
    return spaces.Dict(found)


def observed(seen: Observation, instruction: str, space: spaces.Dict) -> dict[str, Any]:
    """An observation of ours as one of the space; every array is new.

    Raises:
        UsageError: the desktop has another size than the space.
    """
    width, height = (int(side) for side in space["cursor"].nvec)
    if (seen.width, seen.height) != (width, height):
        size = f"width={seen.width}, height={seen.height}"
        raise UsageError(f"the desktop has {seen.width}x{seen.height} pixels, the spaces {width}x{height}: pass {size}")
    pointer = [min(max(at, 0), side - 1) for at, side in zip(seen.cursor, (width, height), strict=True)]
    found: dict[str, Any] = {
        "cursor": np.array(pointer, dtype=np.int64),
        "instruction": instruction[:LONGEST_INSTRUCTION],
        "accessibility": (seen.accessibility or "")[:LONGEST_TREE],
        "terminal": (seen.terminal or "")[:LONGEST_TREE],
    }
    if "screenshot" in space.spaces and seen.screenshot is not None:
        found["screenshot"] = np.array(seen.screenshot.image)
    return {name: found[name] for name in space}
