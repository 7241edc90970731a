"""Read the arguments of a model's call by any of the names that families give them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from deskbench.agent.replies.calls import Call, Malformed, excerpt
from deskbench.agent.replies.chords import as_list, split_chord
from deskbench.agent.replies.spaces import Space
from deskbench.envs import keys as key_names
from deskbench.envs.keys import MODIFIERS

DESCRIPTIVE = frozenset(
    """
    element element_info start_element_info end_element_info element_description intent explain summary description
    thought reason safety_decision index id display safety_acknowledgement target page_index status_update note
    """.split()
)
"""Arguments that only comment and do not change the action."""
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
_POINT_TEXT = re.compile(r"[\s\d.,\[\]()<>|/-]|point|bbox|box|_start|_end")
_BIG = 1e9


class Arguments:
    """One call's arguments.

    Args:
        call: the call with its raw arguments.
        space: the space of its points.
        order: names of positional arguments.
        strict: points must be lists of whole numbers, as in the toolset's schema.
        pointer: where the pointer is, in pixels of the screen.
        code_allowed: code beyond mouse and keyboard becomes `exec`.
    """

    def __init__(
        self,
        call: Call,
        space: Space,
        order: Sequence[str],
        *,
        strict: bool = False,
        pointer: tuple[int, int] = (0, 0),
        code_allowed: bool = False,
    ) -> None:
        self.name = call.name
        self.raw = call.raw
        self.pointer = pointer
        self.screen = space.screen
        self.code_allowed = code_allowed
        self._space = space
        self._strict = strict
        self._given: dict[str, Any] = {}
        self.used: set[str] = set()
        for key, value in call.arguments.items():
            name = order[int(key)] if key.isdigit() and int(key) < len(order) else key
            if value is not None:
                self._given[name] = value

    def left(self) -> list[str]:
        """Arguments that nothing has read."""
        return [name for name in self._given if name not in self.used and name not in DESCRIPTIVE]

    def wrong(self, message: str) -> Malformed:
        """An error that names the call."""
        return Malformed(f"{self.name}: {message}")

    def get(self, *names: str) -> Any:
        """The first of these arguments that is given, or None; all of them count as read."""
        self.used.update(names)
        return next((self._given[name] for name in names if name in self._given), None)

    def text(self, *names: str) -> str | None:
        """A text; numbers become texts, too."""
        value = self.get(*names)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"{names[0]} must be a string")
        return value

    def number(self, *names: str, default: float | None = None) -> float | None:
        """A number, or a text with a number."""
        value = self.get(*names)
        if value is None or value == "":
            return default
        if isinstance(value, str) and _NUMBERS.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _BIG:
            raise self.wrong(f"{names[0]} is {excerpt(str(value), 40)!r}; it must be a number")
        return float(value)

    def flag(self, *names: str, default: bool = False) -> bool:
        """A yes or no, as any of true, 1, "true"."""
        value = self.get(*names)
        if value is None:
            return default
        return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else bool(value)

    def keys(self, *names: str) -> tuple[str, ...]:
        """A chord: a list of keys, or a text such as `ctrl+s` or `ctrl s`."""
        value = self.get(*names)
        if isinstance(value, str) and value.strip()[:1] in ("[", "("):
            value = as_list(value)
        if isinstance(value, str):
            return self.chord(value)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise self.wrong(f"{names[0]} must be a list of key names")
        parts = [key for item in value for key in self.chord(item)] if len(value) > 0 else []
        return self._chord_of(parts)

    def modifiers(self, *names: str) -> tuple[str, ...]:
        """Keys to hold during the action."""
        found = self.keys(*names)
        for key in found:
            if not key.startswith(MODIFIERS):
                raise self.wrong(f"{names[0]} is {key!r}; it must be one of {', '.join(MODIFIERS)}")
        return found

    def chord(self, text: str) -> tuple[str, ...]:
        """`ctrl+s`, `ctrl s` or one key, by their canonical names."""
        return self._chord_of(split_chord(text))

    def _chord_of(self, parts: Sequence[str]) -> tuple[str, ...]:
        try:
            found = [key_names.normalize(part) for part in parts]
        except ValueError as error:
            raise self.wrong(str(error)) from None
        return tuple(key.lower() if len(found) > 1 and len(key) == 1 and key.isascii() else key for key in found)

    def point(self, *names: str, xy: tuple[str, str] | None = ("x", "y")) -> tuple[int, int] | None:
        """A point in pixels of the screen, given as one argument or two; None if it is left out."""
        value = self.get(*names)
        if value is None and xy is not None:
            pair = [self.number(name) for name in xy]
            if pair == [None, None]:
                return None
            if None in pair:
                raise self.wrong(f"{xy[0]} and {xy[1]} go together")
            value = pair
        return None if value is None or value == "" else self._placed(self._pair(value))

    def box(self, *names: str) -> tuple[int, int, int, int] | None:
        """A region (left, top, right, bottom) in pixels of the screen."""
        value = self.get(*names)
        if value is None:
            return None
        numbers = self._numbers(value)
        if len(numbers) != 4:
            raise self.wrong(f"{names[0]} must be [left, top, right, bottom]")
        return (*self._placed((numbers[0], numbers[1])), *self._placed((numbers[2], numbers[3])))

    def path(self, *names: str) -> tuple[tuple[int, int], ...]:
        """A list of points."""
        value = self.get(*names)
        if isinstance(value, str):
            value = as_list(value)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(f"{names[0]} must be a list of points")
        return tuple(self._placed(self._pair(item)) for item in value[:1000])

    def _placed(self, point: tuple[float, float]) -> tuple[int, int]:
        try:
            return self._space.place(*point)
        except Malformed as error:
            raise self.wrong(str(error)) from None

    def _pair(self, value: Any) -> tuple[float, float]:
        """Two numbers, or the centre of four."""
        numbers = self._numbers(value)
        if len(numbers) == 4 and not self._strict:
            numbers = [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2]
        if len(numbers) != 2:
            raise self.wrong(f"{excerpt(str(value), 60)!r} is not a point: it must be two numbers")
        return numbers[0], numbers[1]

    def _numbers(self, value: Any) -> list[float]:
        if isinstance(value, Mapping) and set(value) == {"x", "y"}:
            value = [value["x"], value["y"]]
        if isinstance(value, str) and not self._strict and len(value) < 200:
            if _POINT_TEXT.sub("", value):
                raise self.wrong(f"{excerpt(value, 60)!r} is not a point")
            value = [float(found) for found in _NUMBERS.findall(value)]
        if not isinstance(value, (list, tuple)) or any(
            isinstance(n, bool) or not isinstance(n, (int, float)) or not math.isfinite(n) or abs(n) > _BIG
            for n in value
        ):
            raise self.wrong(f"{excerpt(str(value), 60)!r} is not a point: it must be a list of numbers")
        if self._strict and not all(isinstance(n, int) for n in value):
            raise self.wrong("coordinates are whole numbers")
        return [float(n) for n in value]
