"""What an agent can do: a closed union of frozen actions. Uses only the standard library; the server shares it.

Coordinates are pixels of the screenshot, origin top left. In JSON, `type` tells the actions apart, and fields that are
None or empty are left out. The same JSON is used on the wire, in recordings and in golden data.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from deskbench.envs import keys as _keys

BUTTONS = ("left", "middle", "right", "back", "forward")
MAX_TEXT = 100_000
MAX_WAIT = 600.0
Point = tuple[int, int]
"""x and y in pixels."""
_A = TypeVar("_A", bound="_Base")
_P = TypeVar("_P", bound="_AtPoint")


class ActionError(ValueError):
    """The JSON of an action is wrong. The message names the field, the bad value and what is allowed."""


@dataclass(frozen=True)
class _Base:
    type: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The action as a JSON object, without fields that are None or empty tuples."""
        out: dict[str, Any] = {"type": self.type}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if value is not None and value != ():
                out[f.name] = _plain(value)
        return out

    @property
    def points(self) -> tuple[Point, ...]:
        """Where the pointer goes, in order; empty if it does not move."""
        return ()

    @property
    def end(self) -> Point | None:
        """Where the pointer ends; None if it does not move."""
        return self.points[-1] if self.points else None

    def moved(self: _A, to: Callable[[int, int], Point]) -> _A:
        """The same action at other points: `to` is called with each x and y."""
        return self


@dataclass(frozen=True)
class _AtPoint(_Base):
    """An action at one point, or at the pointer."""

    @property
    def points(self) -> tuple[Point, ...]:
        x, y = vars(self)["x"], vars(self)["y"]
        return () if x is None or y is None else ((x, y),)

    def moved(self: _P, to: Callable[[int, int], Point]) -> _P:
        fields = vars(self) | dict(zip("xy", to(*self.points[0]), strict=True)) if self.points else vars(self)
        return type(self)(**fields)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _check_button(button: str) -> None:
    if button not in BUTTONS:
        raise ActionError(f"button is {button!r}; it must be one of {', '.join(BUTTONS)}")


def _check_point(x: int | None, y: int | None) -> None:
    if (x is None) != (y is None):
        raise ActionError("x and y go together: give both or neither")


def _key(name: str) -> str:
    try:
        return _keys.normalize(name)
    except ValueError as error:
        raise ActionError(str(error)) from None


def _check_keys(action: object, field: str) -> None:
    names = tuple(_key(name) for name in getattr(action, field))
    object.__setattr__(action, field, names)


@dataclass(frozen=True)
class Move(_AtPoint):
    """Move the pointer."""

    type: ClassVar[str] = "move"
    x: int
    y: int


@dataclass(frozen=True)
class Click(_AtPoint):
    """Click `count` times in one place, with keys held. Without x and y, click at the pointer."""

    type: ClassVar[str] = "click"
    button: str = "left"
    count: int = 1
    x: int | None = None
    y: int | None = None
    modifiers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_button(self.button)
        _check_point(self.x, self.y)
        if not 1 <= self.count <= 10:
            raise ActionError(f"count is {self.count}; it must be 1 to 10")
        _check_keys(self, "modifiers")


@dataclass(frozen=True)
class MouseDown(_AtPoint):
    """Press a button and keep it down."""

    type: ClassVar[str] = "mouse_down"
    button: str = "left"
    x: int | None = None
    y: int | None = None

    def __post_init__(self) -> None:
        _check_button(self.button)
        _check_point(self.x, self.y)


@dataclass(frozen=True)
class MouseUp(_AtPoint):
    """Release a button."""

    type: ClassVar[str] = "mouse_up"
    button: str = "left"
    x: int | None = None
    y: int | None = None

    def __post_init__(self) -> None:
        _check_button(self.button)
        _check_point(self.x, self.y)


@dataclass(frozen=True)
class Drag(_Base):
    """Press at the first point, move through the others, release at the last."""

    type: ClassVar[str] = "drag"
    path: tuple[tuple[int, int], ...]
    button: str = "left"
    modifiers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_button(self.button)
        if not 2 <= len(self.path) <= 1000:
            raise ActionError(f"path has {len(self.path)} points; it must have 2 to 1000")
        _check_keys(self, "modifiers")

    @property
    def points(self) -> tuple[Point, ...]:
        """The path."""
        return self.path

    def moved(self, to: Callable[[int, int], Point]) -> Drag:
        """The same drag along another path."""
        return dataclasses.replace(self, path=tuple(to(x, y) for x, y in self.path))


@dataclass(frozen=True)
class Scroll(_AtPoint):
    """Turn the wheel by notches: positive dy is up, positive dx is right."""

    type: ClassVar[str] = "scroll"
    dx: int = 0
    dy: int = 0
    x: int | None = None
    y: int | None = None
    modifiers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_point(self.x, self.y)
        if max(abs(self.dx), abs(self.dy)) > 1000:
            raise ActionError(f"scroll of ({self.dx}, {self.dy}) notches; at most 1000 are allowed")
        _check_keys(self, "modifiers")


@dataclass(frozen=True)
class Type(_Base):
    """Type text exactly as given, in any Unicode characters. A newline is Enter and a tab is Tab."""

    type: ClassVar[str] = "type"
    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_TEXT:
            raise ActionError(f"text has {len(self.text)} characters; at most {MAX_TEXT} are allowed")


@dataclass(frozen=True)
class Key(_Base):
    """A chord: press the keys in order and release them in reverse."""

    type: ClassVar[str] = "key"
    keys: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= 10:
            raise ActionError(f"keys has {len(self.keys)} names; it must have 1 to 10")
        _check_keys(self, "keys")


@dataclass(frozen=True)
class KeyDown(_Base):
    """Press a key and keep it down."""

    type: ClassVar[str] = "key_down"
    key: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _key(self.key))


@dataclass(frozen=True)
class KeyUp(_Base):
    """Release a key."""

    type: ClassVar[str] = "key_up"
    key: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _key(self.key))


@dataclass(frozen=True)
class Wait(_Base):
    """Do nothing for `seconds`, or until the screen is quiet if None."""

    type: ClassVar[str] = "wait"
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 <= self.seconds <= MAX_WAIT:
            raise ActionError(f"seconds is {self.seconds}; it must be 0 to {MAX_WAIT:g}")


@dataclass(frozen=True)
class TakeScreenshot(_Base):
    """Take another screenshot; it comes with the next observation."""

    type: ClassVar[str] = "screenshot"


@dataclass(frozen=True)
class Zoom(_Base):
    """Look closer at `region` = (left, top, right, bottom) in pixels of the screenshot."""

    type: ClassVar[str] = "zoom"
    region: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        left, top, right, bottom = self.region
        if right <= left or bottom <= top:
            raise ActionError(f"region {list(self.region)} is empty: it is [left, top, right, bottom]")

    def moved(self, to: Callable[[int, int], Point]) -> Zoom:
        """The same look at another region, at least a pixel wide and high."""
        (left, top), (right, bottom) = to(*self.region[:2]), to(*self.region[2:])
        return Zoom((left, top, max(right, left + 1), max(bottom, top + 1)))


@dataclass(frozen=True)
class CursorPosition(_Base):
    """Ask where the pointer is."""

    type: ClassVar[str] = "cursor_position"


@dataclass(frozen=True)
class Exec(_Base):
    """Run `python` or `bash` source in the desktop, if the action space and the task allow code."""

    type: ClassVar[str] = "exec"
    lang: str
    source: str

    def __post_init__(self) -> None:
        if self.lang not in ("python", "bash"):
            raise ActionError(f"lang is {self.lang!r}; it must be python or bash")


@dataclass(frozen=True)
class AskUser(_Base):
    """Ask the user who gave the task."""

    type: ClassVar[str] = "ask_user"
    text: str | None = None


@dataclass(frozen=True)
class Done(_Base):
    """The agent says that the task is done, with an answer if the task asks for one."""

    type: ClassVar[str] = "done"
    answer: str | None = None


@dataclass(frozen=True)
class Fail(_Base):
    """The agent says that the task cannot be done."""

    type: ClassVar[str] = "fail"
    reason: str | None = None


Action = Union[  # noqa: UP007  (a union that Python 3.10's standard library can take apart)
    Move, Click, MouseDown, MouseUp, Drag, Scroll, Type, Key, KeyDown, KeyUp, Wait, TakeScreenshot, Zoom,
    CursorPosition, Exec, AskUser, Done, Fail,
]  # fmt: skip
ACTION_TYPES: dict[str, type[Action]] = {cls.type: cls for cls in get_args(Action)}
ENDS_EPISODE = (Done, Fail)


def parse_action(value: object) -> Action:
    """Read an action from a JSON object. For an unknown type or key, the error names the nearest known one.

    Raises:
        ActionError: names the field and the bad value.
    """
    if not isinstance(value, Mapping):
        raise ActionError(f"an action must be a JSON object, not {type(value).__name__}")
    kind = value.get("type")
    cls = ACTION_TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ActionError(f"unknown action type {kind!r}{nearest(str(kind), ACTION_TYPES)}")
    fields = read_fields(cls, str(kind), {name: value[name] for name in value if name != "type"})
    try:
        return cls(**fields)
    except TypeError:
        missing = [f.name for f in dataclasses.fields(cls) if f.name not in fields and f.default is dataclasses.MISSING]
        raise ActionError(f"{kind}: missing {', '.join(missing)}") from None
    except ActionError as error:
        raise ActionError(f"{kind}: {error}") from None


def read_fields(cls: type, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass from a JSON object, checked by their types; errors name them after `kind`.

    Raises:
        ActionError: a field is unknown, or its value has a different type.
    """
    hints = _hints(cls)
    for name in value:
        if name not in hints:
            raise ActionError(f"{kind}: unknown field {name!r}{nearest(str(name), hints)}")
    return {name: _coerce(f"{kind}.{name}", value[name], hint) for name, hint in hints.items() if name in value}


def parse_actions(value: object) -> list[Action]:
    """Read a JSON array of actions; errors name the index."""
    if not isinstance(value, list):
        raise ActionError(f"actions must be a JSON array, not {type(value).__name__}")
    out = []
    for index, item in enumerate(value):
        try:
            out.append(parse_action(item))
        except ActionError as error:
            raise ActionError(f"actions[{index}]: {error}") from None
    return out


def nearest(name: str, known: object) -> str:
    """The end of an error message: the nearest known name, or all of them if there are few."""
    names = sorted(str(k) for k in known)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= 30 else ""


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        every = get_type_hints(cls)
        _HINTS[cls] = {f.name: every[f.name] for f in dataclasses.fields(cls)}
    return _HINTS[cls]


def _coerce(where: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    if get_origin(hint) is tuple:
        return _coerce_tuple(where, value, get_args(hint))
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or isinstance(value, bool):
        raise ActionError(f"{where} is {value!r}; it must be {_NAMES.get(hint, hint)}")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "a string"}


def _coerce_tuple(where: str, value: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ActionError(f"{where} is {value!r}; it must be a list")
    if args[-1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(value) != len(args):
        raise ActionError(f"{where} has {len(value)} items; it must have {len(args)}")
    return tuple(_coerce(f"{where}[{i}]", item, arg) for i, (item, arg) in enumerate(zip(value, args, strict=True)))
