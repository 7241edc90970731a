"""Actions as pyautogui source whose points are fractions of the screen, as AgentNet's data and OpenCUA have them.

What pyautogui lacks is written as OpenCUA writes it: `computer.wait()` and `computer.terminate(status=...)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deskbench.envs.types import (
    Action,
    AskUser,
    Click,
    CursorPosition,
    Done,
    Drag,
    Exec,
    Fail,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
)

Size = tuple[int, int]
"""Width and height of the screen in pixels."""
DIGITS = 4
"""Decimal places of a fraction: a tenth of a pixel on a screen of 1,000 pixels."""
CLICKS = {1: "click", 2: "doubleClick", 3: "tripleClick"}
"""Names of pyautogui's functions by the number of clicks."""


class NotCode(ValueError):
    """An action that pyautogui has no word for; the message says which."""


def code_of(actions: Sequence[Action], size: Size) -> str:
    """The source of a step, one call per line.

    Raises:
        NotCode: an action is code for a shell, a question or a look.
    """
    return "\n".join(line for action in actions for line in _WRITERS[type(action)](action, size))


def _call(name: str, **arguments: Any) -> str:
    told = ", ".join(f"{key}={_literal(value)}" for key, value in arguments.items() if value is not None)
    return f"{name}({told})"


def _literal(value: Any) -> str:
    """A Python literal; a JSON text is one, and keeps a text on one line."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _at(x: int | None, y: int | None, size: Size) -> dict[str, float]:
    if x is None or y is None:
        return {}
    return {"x": round(x / size[0], DIGITS), "y": round(y / size[1], DIGITS)}


def _held(modifiers: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    yield from (f"pyautogui.keyDown({_literal(key)})" for key in modifiers)
    yield from lines
    yield from (f"pyautogui.keyUp({_literal(key)})" for key in reversed(modifiers))


def _button(button: str) -> str | None:
    return None if button == "left" else button


def _click(action: Click, size: Size) -> Iterator[str]:
    where = _at(action.x, action.y, size)
    if (action.count, action.button) == (1, "right"):
        line = _call("pyautogui.rightClick", **where)
    elif action.count in CLICKS:
        line = _call(f"pyautogui.{CLICKS[action.count]}", **where, button=_button(action.button))
    else:
        line = _call("pyautogui.click", **where, clicks=action.count, button=_button(action.button))
    return _held(action.modifiers, [line])


def _drag(action: Drag, size: Size) -> Iterator[str]:
    first, *rest = action.path
    lines = [_call("pyautogui.moveTo", **_at(*first, size))]
    lines += [_call("pyautogui.dragTo", **_at(*point, size), button=action.button) for point in rest[:1]]
    if len(rest) > 1:
        lines = [lines[0], _call("pyautogui.mouseDown", button=action.button)]
        lines += [_call("pyautogui.moveTo", **_at(*point, size)) for point in rest]
        lines.append(_call("pyautogui.mouseUp", button=action.button))
    return _held(action.modifiers, lines)


def _scroll(action: Scroll, size: Size) -> Iterator[str]:
    where = _at(action.x, action.y, size)
    turned = {"scroll": action.dy, "hscroll": action.dx}
    lines = [_call(f"pyautogui.{name}", clicks=clicks, **where) for name, clicks in turned.items() if clicks]
    return _held(action.modifiers, lines)


def _key(action: Key, size: Size) -> Iterator[str]:
    name, keys = ("press", action.keys[0]) if len(action.keys) == 1 else ("hotkey", list(action.keys))
    yield f"pyautogui.{name}({json.dumps(keys, ensure_ascii=False)})"


def _wait(action: Wait, size: Size) -> Iterator[str]:
    yield "computer.wait()" if action.seconds is None else f"time.sleep({action.seconds:g})"


def _no_code(action: Action, size: Size) -> Iterator[str]:
    raise NotCode(f"{action.type} has no word in pyautogui")


def _exec(action: Exec, size: Size) -> Iterator[str]:
    if action.lang != "python":
        raise NotCode(f"exec of {action.lang} has no word in pyautogui")
    yield action.source


def _look(action: Action, size: Size) -> Iterator[str]:
    return iter(())


_Writer = Callable[[Any, Size], Iterator[str]]
_WRITERS: dict[type[Any], _Writer] = {
    Move: lambda a, size: iter([_call("pyautogui.moveTo", **_at(a.x, a.y, size))]),
    Click: _click,
    MouseDown: lambda a, size: iter([_call("pyautogui.mouseDown", **_at(a.x, a.y, size), button=_button(a.button))]),
    MouseUp: lambda a, size: iter([_call("pyautogui.mouseUp", **_at(a.x, a.y, size), button=_button(a.button))]),
    Drag: _drag, Scroll: _scroll,
    Type: lambda a, size: iter([_call("pyautogui.write", message=a.text)]),
    Key: _key,
    KeyDown: lambda a, size: iter([f"pyautogui.keyDown({_literal(a.key)})"]),
    KeyUp: lambda a, size: iter([f"pyautogui.keyUp({_literal(a.key)})"]),
    Wait: _wait, TakeScreenshot: _look, CursorPosition: _look, Zoom: _look, AskUser: _no_code, Exec: _exec,
    Done: lambda a, size: iter([_call("computer.terminate", status="success", answer=a.answer)]),
    Fail: lambda a, size: iter(['computer.terminate(status="failure")']),
}  # fmt: skip
