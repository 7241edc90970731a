"""Actions in words, for people who watch a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

LONGEST = 200
"""Characters of a text in an action that are kept."""


def in_words(actions: Sequence[Action]) -> str:
    """What a decision does, such as `click at (100, 60); type "hello"`."""
    return "; ".join(_WORDS[type(action)](action) for action in actions) or "do nothing"


def _at(action: Any) -> str:
    return f" at ({action.x}, {action.y})" if action.points else ""


def _held(action: Any) -> str:
    return f" with {'+'.join(action.modifiers)}" if action.modifiers else ""


def _click(action: Any) -> str:
    times = {1: "", 2: "double-", 3: "triple-"}.get(action.count, f"{action.count} times ")
    button = "" if action.button == "left" else f"{action.button}-"
    return f"{times}{button}click{_at(action)}{_held(action)}"


def _drag(action: Any) -> str:
    (x, y), (to_x, to_y) = action.path[0], action.path[-1]
    return f"drag from ({x}, {y}) to ({to_x}, {to_y}){_held(action)}"


def _scroll(action: Any) -> str:
    ways = ((action.dy, "up", "down"), (action.dx, "right", "left"))
    turned = [f"{plus if notches > 0 else minus} {abs(notches)}" for notches, plus, minus in ways if notches]
    return f"scroll {' and '.join(turned) or 'by nothing'}{_at(action)}{_held(action)}"


def _quoted(text: str | None) -> str:
    line = " ".join((text or "")[:LONGEST].split("\n"))
    return f'"{line}"'


def _said(word: str, text: str | None) -> str:
    return f"{word}: {_quoted(text)}" if text else word


_WORDS: Mapping[type[Action], Callable[[Any], str]] = {
    Move: lambda action: f"move to ({action.x}, {action.y})",
    Click: _click,
    MouseDown: lambda action: f"hold the {action.button} button{_at(action)}",
    MouseUp: lambda action: f"release the {action.button} button{_at(action)}",
    Drag: _drag,
    Scroll: _scroll,
    Type: lambda action: f"type {_quoted(action.text)}",
    Key: lambda action: f"press {'+'.join(action.keys)}",
    KeyDown: lambda action: f"hold {action.key}",
    KeyUp: lambda action: f"release {action.key}",
    Wait: lambda action: "wait" if action.seconds is None else f"wait {action.seconds:g} s",
    TakeScreenshot: lambda action: "look",
    Zoom: lambda action: f"look closer at {list(action.region)}",
    CursorPosition: lambda action: "ask where the pointer is",
    Exec: lambda action: f"run {action.lang}: {_quoted(action.source)}",
    AskUser: lambda action: _said("ask the user", action.text),
    Done: lambda action: _said("done", action.answer),
    Fail: lambda action: _said("give up", action.reason),
}
