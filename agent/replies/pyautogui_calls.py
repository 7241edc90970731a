"""Turn pyautogui's functions into canonical actions (parameters and defaults of pyautogui 0.9.54)."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.chords import as_list, split_chord
from deskbench.agent.replies.source_values import Function, Module, Point, Size, Unsupported
from deskbench.envs import keys as key_names
from deskbench.envs.types import (
    Action,
    ActionError,
    AskUser,
    Click,
    Done,
    Drag,
    Fail,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    Type,
    Wait,
)

_REQUIRED = object()
_TAIL: dict[str, object] = {"logScreenshot": None, "_pause": True}
_GO: dict[str, object] = {"duration": 0.0, "tween": None}
_AT: dict[str, object] = {"x": None, "y": None}
_BY: dict[str, object] = {"xOffset": None, "yOffset": None}
_SINGLE: dict[str, object] = {**_AT, "interval": 0.0, **_GO, **_TAIL}
_MULTI: dict[str, object] = {**_AT, "interval": 0.0, "button": "left", **_GO, **_TAIL}
_DRAG: dict[str, object] = {**_GO, "button": "primary", **_TAIL, "mouseDownUp": True}
_WHEEL: dict[str, object] = {"clicks": _REQUIRED, **_AT, **_TAIL}
_WRITE: dict[str, object] = {"message": _REQUIRED, "interval": 0.0, **_TAIL}
_KEY: dict[str, object] = {"key": _REQUIRED, **_TAIL}

PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "moveTo": {**_AT, **_GO, **_TAIL}, "move": {**_BY, **_GO, **_TAIL}, "moveRel": {**_BY, **_GO, **_TAIL},
    "click": {**_AT, "clicks": 1, "interval": 0.0, "button": "primary", **_GO, **_TAIL},
    "leftClick": _SINGLE, "rightClick": _SINGLE, "middleClick": _SINGLE, "doubleClick": _MULTI, "tripleClick": _MULTI,
    "mouseDown": {**_AT, "button": "primary", **_GO, **_TAIL}, "mouseUp": {**_AT, "button": "primary", **_GO, **_TAIL},
    "dragTo": {**_AT, **_DRAG}, "drag": {**_BY, **_DRAG}, "dragRel": {**_BY, **_DRAG},
    "scroll": _WHEEL, "vscroll": _WHEEL, "hscroll": _WHEEL,
    "write": _WRITE, "typewrite": _WRITE,
    "press": {"keys": _REQUIRED, "presses": 1, "interval": 0.0, **_TAIL},
    "keyDown": _KEY, "keyUp": _KEY, "hold": {"keys": _REQUIRED, **_TAIL},
    "sleep": {"seconds": _REQUIRED}, "size": {}, "position": {**_AT},
}  # fmt: skip
"""Functions with their parameters in order, except `hotkey`, which takes any number of keys."""

COMPUTER: Mapping[str, Mapping[str, object]] = {
    "terminate": {"status": "success", "answer": None, "reason": None}, "wait": {"seconds": 20.0},
    "triple_click": PARAMETERS["tripleClick"], "call_user": {"text": None},
}  # fmt: skip
"""Functions that the prompts of Kimi and OpenCUA offer beyond pyautogui; their `computer.wait` means 20 seconds."""

CLIPBOARD: Mapping[str, Mapping[str, object]] = {"copy": {"text": _REQUIRED}, "paste": {}}
"""pyperclip's functions."""
_CONTROLS = ("ctrl", "ctrlleft", "ctrlright", "super")
_PASTES = frozenset(
    frozenset(keys) for control in _CONTROLS for keys in ((control, "v"), (control, "shift", "v"))
) | {frozenset(("shift", "insert"))}  # fmt: skip
"""Chords that paste."""
_COPIES = frozenset(
    frozenset(keys) for control in _CONTROLS
    for keys in ((control, "c"), (control, "x"), (control, "shift", "c"), (control, "insert"))
)  # fmt: skip
"""Chords that put something else into the clipboard."""
_ALIASES = {"shortcut": "hotkey", "resolution": "size", "countdown": "sleep"}
"""pyautogui's own aliases; `countdown` sleeps and prints."""
_CONSTANTS = {"PRIMARY": "primary", "SECONDARY": "secondary", "LEFT": "left", "MIDDLE": "middle", "RIGHT": "right"}
_BUTTONS = {"left": "left", "primary": "left", "middle": "middle", "right": "right", "secondary": "right",
            1: "left", 2: "middle", 3: "right"}  # fmt: skip
_MAX_ACTIONS = 2_000
_APART = 0.5
"""Seconds between clicks: with this pause no toolkit treats them as a double click."""


class Calls:
    """Turns calls into actions and tracks the pointer.

    Args:
        screen: width and height in pixels.
        pointer: where the pointer is at the start.
        family: points may be fractions of the screen, and the module `computer` is known.
    """

    def __init__(self, screen: tuple[int, int], pointer: tuple[int, int], *, family: bool = False) -> None:
        self.actions: list[Action] = []
        self._screen = screen
        self._pointer = pointer
        self._family = family
        self._copied: str | None = None  # the text that the source has put into the clipboard
        self._pasted = True

    # -- names

    def modules(self) -> dict[str, object]:
        """The modules that work without an import."""
        if not self._family:
            return {name: Module(name) for name in ("pyautogui", "time", "pyperclip")}
        bare = self.functions("computer") | self.functions("pyautogui")
        return {**bare, **{name: Module(name) for name in ("pyautogui", "time", "pyperclip", "computer")}}

    def functions(self, module: str) -> dict[str, object]:
        """Everything that `from module import *` imports."""
        if module == "time":
            return {"sleep": Function("time", "sleep")}
        if module in ("computer", "pyperclip"):
            return {name: Function(module, name) for name in (COMPUTER if module == "computer" else CLIPBOARD)}
        names = {name: name for name in (*PARAMETERS, "hotkey")} | _ALIASES
        return {name: Function("pyautogui", meant) for name, meant in names.items()} | dict(_CONSTANTS)

    def attribute(self, node: ast.AST, module: str, name: str) -> object:
        """A function or constant of a module.

        Raises:
            Unsupported: the function does not move, click, type or wait.
        """
        found = self.functions(module).get(name)
        if found is None and module == "pyautogui" and (name == "linear" or name.startswith("ease")):
            return name
        if found is None:
            hint = " Look at the screenshot instead." if "ocate" in name or "creenshot" in name else ""
            raise Unsupported(node, f"{module}.{name} cannot be used here.{hint}")
        return found

    @staticmethod
    def is_hold(function: object) -> bool:
        """Whether a value is `pyautogui.hold`."""
        return function == Function("pyautogui", "hold")

    # -- calls

    def call(self, node: ast.Call, function: Function, args: list[Any], kwargs: dict[str, Any]) -> object:
        """Add a call's actions, or return its value.

        Raises:
            ReplyError: wrong arguments, an unknown key, a point off the screen.
        """
        name = function.name
        if name == "hotkey":
            self._hotkey(node, args)
            return None
        given = _bind(node, name, args, kwargs, function.module)
        if function.module == "pyperclip":
            return self._clipboard(node, name, given)
        if function.module == "computer":
            _COMPUTER[name](self, node, given)
            return None
        if name == "size":
            return Size(*self._screen)
        if name == "position":
            return Point(*self._pointer)
        if name == "hold":
            raise Unsupported(node, "hold is for `with pyautogui.hold(...)`")
        _HANDLERS[name](self, node, given)
        return None

    def held_keys(self, node: ast.Call, args: list[Any], kwargs: dict[str, Any]) -> list[str]:
        """The keys of `with pyautogui.hold(...)`."""
        return self._keys(node, _bind(node, "hold", args, kwargs)["keys"])

    def key_down(self, node: ast.AST, key: str) -> None:
        """Press a key and keep it down."""
        self._add(node, KeyDown, key)

    def key_up(self, node: ast.AST, key: str) -> None:
        """Release a key. Copied text is also pasted if Ctrl and V are pressed one after the other."""
        self._add(node, KeyUp, key)
        start, keys = _released(self.actions)
        if self._pastes(keys):
            del self.actions[start:]
            self._paste(node)
        self._forget(keys)

    # -- the clipboard: a copy and a paste are typing

    def _clipboard(self, node: ast.AST, name: str, given: Mapping[str, Any]) -> str | None:
        if name == "copy":
            self._copied, self._pasted = str(given["text"]), False
            return None
        if self._copied is None:
            raise Unsupported(node, "what is in the clipboard cannot be read; look at the screen instead")
        return self._copied

    def _pastes(self, keys: tuple[str, ...]) -> bool:
        return self._copied is not None and _chord(keys) in _PASTES

    def _forget(self, keys: tuple[str, ...]) -> None:
        """After a copy in a program, the clipboard no longer holds what the source copied."""
        if _chord(keys) in _COPIES:
            self._copied, self._pasted = None, True

    def _paste(self, node: ast.AST) -> None:
        self._pasted = True
        if self._copied:
            self._add(node, Type, self._copied)

    def check_clipboard(self, node: ast.AST) -> None:
        """Raise Unsupported if something was copied but not pasted: mouse and keyboard cannot do that."""
        if not self._pasted:
            raise Unsupported(node, "pyperclip.copy without a paste after it cannot be used; write the text instead")

    def _add(self, node: ast.AST, kind: Callable[..., Action], *args: Any, **kwargs: Any) -> None:
        try:
            action = kind(*args, **kwargs)
        except ActionError as error:
            raise ReplyError(f"line {_line(node)}: {error}") from None
        if len(self.actions) >= _MAX_ACTIONS:
            raise Unsupported(node, f"the code makes more than {_MAX_ACTIONS} actions")
        self.actions.append(action)

    # -- places

    def _target(self, node: ast.AST, given: Mapping[str, Any]) -> tuple[int, int] | None:
        """The point that x and y (or a pair in x) name, or None if both are left out."""
        x, y = _pair(node, given["x"], given["y"])
        if x is None and y is None:
            return None
        here = self._pointer
        return self._on_screen(
            node, here[0] if x is None else _number(node, "x", x), here[1] if y is None else _number(node, "y", y)
        )

    def _offset(self, node: ast.AST, given: Mapping[str, Any]) -> tuple[int, int]:
        pair = _pair(node, given["xOffset"], given["yOffset"])
        by = [_number(node, name, value or 0) for name, value in zip(("xOffset", "yOffset"), pair, strict=True)]
        if self._family and max(map(abs, by)) <= 1:
            by = [value * size for value, size in zip(by, self._screen, strict=True)]
        column, row = (here + value for here, value in zip(self._pointer, by, strict=True))
        return self._on_screen(node, column, row, offset=True)

    def _on_screen(self, node: ast.AST, x: float, y: float, *, offset: bool = False) -> tuple[int, int]:
        width, height = self._screen
        if self._family and not offset and 0 <= x <= 1 and 0 <= y <= 1:
            return min(width - 1, round(x * width)), min(height - 1, round(y * height))
        column, row = round(x), round(y)
        if not (0 <= column < width and 0 <= row < height):
            raise ReplyError(
                f"line {_line(node)}: the point ({x:g}, {y:g}) is off the screen, which is {width}x{height} pixels"
            )
        return column, row

    def _go(self, node: ast.AST, given: Mapping[str, Any]) -> dict[str, int]:
        """The fields x and y of an action that moves to a point first; empty if there is no point."""
        point = self._target(node, given)
        if point is None:
            return {}
        self._pointer = point
        return {"x": point[0], "y": point[1]}

    # -- handlers

    def _move_to(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        point = self._target(node, given)
        if point is not None:
            self._move(node, point)

    def _move_by(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        self._move(node, self._offset(node, given))

    def _move(self, node: ast.AST, point: tuple[int, int]) -> None:
        self._pointer = point
        self._add(node, Move, *point)

    def _click(self, node: ast.AST, given: Mapping[str, Any], button: object = None, count: int = 0) -> None:
        times = count or _count(node, "clicks", given["clicks"])
        which = _button(node, button or given["button"])
        place = self._go(node, given)
        interval = _number(node, "interval", given["interval"])
        if times > 10:
            raise ReplyError(f"line {_line(node)}: clicks is {times}; at most 10 at once")
        if interval < _APART:
            self._add(node, Click, button=which, count=times, **place)
            return
        for index in range(times):
            if index:
                self._add(node, Wait, interval)
            self._add(node, Click, button=which, **place)

    def _mouse(self, node: ast.AST, given: Mapping[str, Any], kind: Callable[..., Action]) -> None:
        self._add(node, kind, button=_button(node, given["button"]), **self._go(node, given))

    def _drag_to(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        self._drag(node, self._target(node, given), given)

    def _drag_by(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        self._drag(node, self._offset(node, given), given)

    def _drag(self, node: ast.AST, point: tuple[int, int] | None, given: Mapping[str, Any]) -> None:
        if point is None:
            raise ReplyError(f"line {_line(node)}: a drag needs the point to go to")
        if not given["mouseDownUp"]:
            return self._move(node, point)
        start = self._pointer
        if self.actions and isinstance(self.actions[-1], Move):
            self.actions.pop()  # the drag itself starts there
        self._pointer = point
        return self._add(node, Drag, (start, point), button=_button(node, given["button"]))

    def _scroll(self, node: ast.AST, given: Mapping[str, Any], axis: str) -> None:
        notches = round(_number(node, "clicks", given["clicks"]))
        self._add(node, Scroll, **{axis: notches}, **self._go(node, given))

    def _write(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        message = given["message"]
        if isinstance(message, str):
            if message:
                self._add(node, Type, message)
            return
        for item in _strings(node, "message", message):
            if len(item) != 1:
                self._add(node, Key, (self._key(node, item),))
            elif self.actions and isinstance(last := self.actions[-1], Type):
                self.actions[-1] = Type(last.text + item)
            else:
                self._add(node, Type, item)

    def _press(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        keys = self._keys(node, given["keys"])
        for _ in range(_count(node, "presses", given["presses"])):
            for key in keys:
                self._add(node, Key, (key,))

    def _hotkey(self, node: ast.AST, args: list[Any]) -> None:
        given = args[0] if len(args) == 1 else args
        given = as_list(given) if isinstance(given, str) else given
        parts = list(given) if isinstance(given, (list, tuple)) else args
        names = [name for part in _strings(node, "hotkey", parts) for name in split_chord(part)]
        keys = tuple(self._key(node, name) for name in names)
        if self._pastes(keys):
            self._paste(node)
        else:
            self._add(node, Key, keys)
            self._forget(keys)

    def _sleep(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        self._add(node, Wait, _number(node, "seconds", given["seconds"]))

    def _terminate(self, node: ast.AST, given: Mapping[str, Any]) -> None:
        """End the episode; only the status says how, whatever words the answer contains."""
        said = given["answer"] if given["answer"] is not None else given["reason"]
        answer = None if said is None or said == "" else str(said)
        failed = str(given["status"]).strip().lower() in ("failure", "fail", "failed", "infeasible")
        self._add(node, Fail if failed else Done, answer)

    def _keys(self, node: ast.AST, value: object) -> list[str]:
        names = [value] if isinstance(value, str) else _strings(node, "keys", value)
        return [self._key(node, name) for name in names]

    @staticmethod
    def _key(node: ast.AST, name: object) -> str:
        if not isinstance(name, str):
            raise ReplyError(f"line {_line(node)}: a key is a string, not {name!r}")
        try:
            return key_names.normalize(name)
        except ValueError as error:
            raise ReplyError(f"line {_line(node)}: {error}") from None


def _chord(keys: tuple[str, ...]) -> frozenset[str]:
    return frozenset(key_names.normalize(key).lower() for key in keys)


def _released(actions: list[Action]) -> tuple[int, tuple[str, ...]]:
    """Where the keys that are now released went down, and all keys since then; none if something else happened."""
    released: set[str] = set()
    keys: list[str] = []
    for index in range(len(actions) - 1, -1, -1):
        match actions[index]:
            case KeyUp(key):
                released.add(key)
            case KeyDown(key):
                keys.append(key)
                released.discard(key)
            case Key(pressed):
                keys += pressed
            case Wait():
                pass
            case _:
                break
        if not released:
            return index, tuple(keys)
    return len(actions), ()


_Handler = Callable[[Calls, ast.AST, Mapping[str, Any]], None]


def _clicks(button: str | None, count: int) -> _Handler:
    return lambda calls, node, given: calls._click(node, given, button, count)


_HANDLERS: Mapping[str, _Handler] = {
    "moveTo": Calls._move_to, "move": Calls._move_by, "moveRel": Calls._move_by,
    "click": Calls._click, "leftClick": _clicks("left", 1), "rightClick": _clicks("right", 1),
    "middleClick": _clicks("middle", 1), "doubleClick": _clicks(None, 2), "tripleClick": _clicks(None, 3),
    "mouseDown": lambda calls, node, given: calls._mouse(node, given, MouseDown),
    "mouseUp": lambda calls, node, given: calls._mouse(node, given, MouseUp),
    "dragTo": Calls._drag_to, "drag": Calls._drag_by, "dragRel": Calls._drag_by,
    "scroll": lambda calls, node, given: calls._scroll(node, given, "dy"),
    "vscroll": lambda calls, node, given: calls._scroll(node, given, "dy"),
    "hscroll": lambda calls, node, given: calls._scroll(node, given, "dx"),
    "write": Calls._write, "typewrite": Calls._write, "press": Calls._press, "sleep": Calls._sleep,
    "keyDown": lambda calls, node, given: calls.key_down(node, calls._key(node, given["key"])),
    "keyUp": lambda calls, node, given: calls.key_up(node, calls._key(node, given["key"])),
}  # fmt: skip


_COMPUTER: Mapping[str, _Handler] = {
    "terminate": Calls._terminate, "wait": Calls._sleep, "triple_click": _clicks("left", 3),
    "call_user": lambda calls, node, given: calls._add(node, AskUser, given["text"]),
}  # fmt: skip


def _bind(
    node: ast.AST, name: str, args: list[Any], kwargs: dict[str, Any], module: str = "pyautogui"
) -> dict[str, Any]:
    """The arguments by parameter name, with defaults filled in."""
    known = {"computer": COMPUTER, "pyperclip": CLIPBOARD}.get(module, PARAMETERS)[name]
    where = f"line {_line(node)}: {module}.{name}"
    if len(args) > len(known):
        raise ReplyError(f"{where} takes {len(known)} arguments, not {len(args)}")
    given = dict(zip(known, args, strict=False))
    for key, value in kwargs.items():
        if key not in known:
            raise ReplyError(f"{where} has no parameter {key!r}; it has {', '.join(known)}")
        if key in given:
            raise ReplyError(f"{where} is given {key!r} twice")
        given[key] = value
    out = {**known, **given}
    missing = [key for key, value in out.items() if value is _REQUIRED]
    if missing:
        raise ReplyError(f"{where} needs {', '.join(missing)}")
    return out


def _pair(node: ast.AST, x: Any, y: Any) -> tuple[Any, Any]:
    """The coordinates of a point, which may be a pair in the first parameter."""
    if isinstance(x, str):
        raise Unsupported(node, "looking for a picture on the screen cannot be done here; give pixels")
    if isinstance(x, (tuple, list)):
        if len(x) not in (2, 4) or y is not None:
            raise ReplyError(f"line {_line(node)}: {x!r} is not a point (x, y)")
        x, y = (x[0], x[1]) if len(x) == 2 else (x[0] + x[2] / 2, x[1] + x[3] / 2)
    return x, y


def _number(node: ast.AST, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ReplyError(f"line {_line(node)}: {name} is {str(value)[:40]!r}; it must be a number")
    return value


def _count(node: ast.AST, name: str, value: object) -> int:
    number = _number(node, name, value)
    if number != int(number) or not 1 <= number <= _MAX_ACTIONS:
        raise ReplyError(f"line {_line(node)}: {name} is {value}; it is a whole number from 1")
    return int(number)


def _button(node: ast.AST, value: Any) -> str:
    found = _BUTTONS.get(value.lower() if isinstance(value, str) else value) if isinstance(value, (str, int)) else None
    if found is None:
        raise ReplyError(f"line {_line(node)}: button is {str(value)[:40]!r}; it is left, middle or right")
    return found


def _strings(node: ast.AST, name: str, value: object) -> list[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ReplyError(f"line {_line(node)}: {name} is a string or a list of strings, not {str(value)[:40]!r}")
    return list(value)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)
