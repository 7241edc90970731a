"""A model's whole reply into its thought and its actions, for the three action spaces.

Reasoning comes off first (a decoy in it must not be carried out). What is left holds fenced blocks, or is bare: source,
JSON, or one of the words WAIT, DONE and FAIL.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any, Literal

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.calls import NoAction
from deskbench.agent.replies.computer13 import parse_computer13
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.agent.replies.reasoning import split_reasoning
from deskbench.agent.replies.source_values import parse_source
from deskbench.envs.types import (
    ENDS_EPISODE,
    Action,
    ActionError,
    Click,
    Done,
    Drag,
    Exec,
    Fail,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    Wait,
    Zoom,
    parse_actions,
)

ActionSpace = Literal["pyautogui", "computer_13", "actions"]

MAX_REPLY = 400_000
_SPECIALS: dict[str, type[Wait | Done | Fail]] = {"WAIT": Wait, "DONE": Done, "FAIL": Fail}
_FENCE = re.compile(r"```([^`\n]*)```|```([^`\n]*)\n(.*?)(?:^[ \t]*```|```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_LANGUAGES = frozenset(["", "python", "python3", "py", "pyautogui", "code", "json", "json5", "tool_code"])
_JSON_TRIES = 50
_WANTED = {
    "pyautogui": "a ```python block of pyautogui calls, or WAIT, DONE or FAIL in a block of its own",
    "computer_13": 'a ```json block with an object like {"action_type": "CLICK", "x": 1, "y": 2}',
    "actions": 'a JSON object like {"type": "click", "x": 1, "y": 2}, or a list of them',
}


def parse_reply(
    text: str,
    *,
    action_space: ActionSpace,
    screen: tuple[int, int],
    pointer: tuple[int, int] = (0, 0),
    names: Mapping[str, object] | None = None,
    code_allowed: bool = False,
    family: bool = False,
) -> tuple[str | None, list[Action]]:
    """Read a reply.

    Args:
        text: the reply as it came.
        action_space: `pyautogui` source, OSWorld's `computer_13`, or `actions`, the canonical JSON.
        screen: width and height in pixels, the space of all coordinates.
        pointer: where the pointer is.
        names: variables that source may use (set of marks).
        code_allowed: code beyond mouse and keyboard becomes `exec`.
        family: the source of Kimi and OpenCUA: points may be fractions of the screen, `computer.terminate` and its kin
            are known, and the last block alone counts.

    Returns:
        The thought (reasoning and prose, None where there is none) and one or more actions.

    Raises:
        ReplyError: no action, or one that cannot be carried out; the text is fit to be shown to the model. It starts
            with `truncated` when the reasoning was cut off.
    """
    if len(text) > MAX_REPLY:
        raise ReplyError(f"the reply has {len(text)} characters; at most {MAX_REPLY} are read")
    reasoning, rest = split_reasoning(text)
    blocks, prose = _split_blocks(rest)
    if not blocks:
        blocks, prose = _bare(rest, action_space)
    reader = _Reader(action_space, screen, pointer, names, code_allowed, family)
    for block in blocks[-1:] if family else blocks:
        reader.read(block)
    if not reader.actions:
        raise NoAction(f"no action was found in the reply; answer with {_WANTED[action_space]}")
    thought = "\n".join(part for part in (reasoning, prose, *reader.thoughts) if part)
    return thought or None, reader.actions


class _Reader:
    """Reads blocks in order until one ends the episode."""

    def __init__(
        self,
        space: ActionSpace,
        screen: tuple[int, int],
        pointer: tuple[int, int],
        names: Mapping[str, object] | None,
        code_allowed: bool,
        family: bool,
    ) -> None:
        self.actions: list[Action] = []
        self.thoughts: list[str] = []  # those written into the JSON
        self._space, self._screen, self._pointer = space, screen, pointer
        self._names, self._code_allowed, self._family = names, code_allowed, family

    def read(self, block: str) -> None:
        for action in self._block(block):
            if self.actions and isinstance(self.actions[-1], ENDS_EPISODE):
                return
            self.actions.append(action)
            self._pointer = _place(action) or self._pointer

    def _block(self, block: str) -> list[Action]:
        source, tail = _split_specials(block)
        if not source:
            return tail
        if self._space == "pyautogui":
            done = parse_pyautogui(
                source,
                self._screen,
                pointer=self._pointer,
                code_allowed=self._code_allowed,
                names=self._names,
                family=self._family,
            )
            return [*done, *tail]
        out: list[Action] = []
        for value in _json_values(source):
            if self._space == "computer_13":
                out.extend(parse_computer13(value, self._screen, pointer=self._pointer))
            else:
                if isinstance(value, Mapping) and isinstance(value.get("thought"), str):
                    self.thoughts.append(value["thought"])
                out.extend(_canonical(value, self._screen, self._code_allowed))
        return [*out, *tail]


def _split_blocks(text: str) -> tuple[list[str], str]:
    """The contents of the fenced blocks that may hold actions, and the prose around all blocks."""
    blocks: list[str] = []
    for match in _FENCE.finditer(text):
        inline, language, body = match.groups()
        if inline is not None:
            word, _, after = inline.strip().partition(" ")
            blocks.append(after if after and word.lower() in _LANGUAGES else inline.strip())
        elif language.strip().lower() in _LANGUAGES:
            blocks.append(body)
        elif language.strip().upper() in _SPECIALS:
            blocks.append(language.strip())
    return [block for block in blocks if block.strip()], _FENCE.sub("", text).strip()


def last_block(text: str) -> str:
    """The last fenced block of a reply without its reasoning; the whole of it where there is none."""
    blocks, _ = _split_blocks(text)
    return blocks[-1] if blocks else text


def _bare(text: str, space: ActionSpace) -> tuple[list[str], str]:
    """The action in a reply without blocks, and the prose before it."""
    prose, _, last = text.rpartition("\n")
    if _special(last):
        return [last], prose.strip()
    if space == "pyautogui":
        return ([text], "") if _is_source(text) else ([], text)
    start = min((at for mark in "{[" if (at := text.find(mark)) >= 0), default=-1)
    return ([text[start:]], text[:start].strip()) if start >= 0 else ([], text)


def _special(line: str) -> type[Wait | Done | Fail] | None:
    return _SPECIALS.get(line.strip().strip("`*.").upper())


def _split_specials(block: str) -> tuple[str, list[Action]]:
    """A block without the WAIT, DONE and FAIL lines at its end, and those as actions."""
    lines = block.rstrip().split("\n")
    tail: list[Action] = []
    while lines and (not lines[-1].strip() or _special(lines[-1])):
        kind = _special(lines.pop())
        if kind is not None:
            tail.insert(0, kind())
    return textwrap.dedent("\n".join(lines)).rstrip(), tail


def _is_source(text: str) -> bool:
    """Whether a whole text is Python that calls something."""
    try:
        tree = parse_source(text)
    except ReplyError:
        return False
    return any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in tree.body)


def _json_values(text: str) -> list[Any]:
    """The JSON values in a text, one after the other.

    Raises:
        ReplyError: there is none, with the place of the first mistake.
    """
    decoder = json.JSONDecoder()
    values: list[Any] = []
    problem = "there is none"
    at = 0
    for _ in range(_JSON_TRIES):
        at = min((found for mark in "{[" if (found := text.find(mark, at)) >= 0), default=-1)
        if at < 0:
            break
        try:
            value, at = decoder.raw_decode(text, at)
            values.append(value)
        except json.JSONDecodeError as error:
            problem = f"line {error.lineno}: {error.msg}"
            break
        except (ValueError, RecursionError) as error:
            problem = type(error).__name__
            break
    if not values:
        raise ReplyError(f"the block holds no JSON object: {problem}")
    return values


def _canonical(value: object, screen: tuple[int, int], code_allowed: bool) -> list[Action]:
    """Canonical JSON: an action, a list of them, or `{"thought", "actions"}`."""
    if isinstance(value, Mapping) and "actions" in value and "type" not in value:
        extra = set(value) - {"actions", "thought"}
        if extra:
            raise ReplyError(f"unknown field {sorted(map(str, extra))[0][:60]!r} beside actions and thought")
        value = value["actions"]
    try:
        actions = parse_actions(value if isinstance(value, list) else [value])
    except ActionError as error:
        raise ReplyError(str(error)[:500]) from None
    for action in actions:
        _check_screen(action, screen)
        if isinstance(action, Exec) and not code_allowed:
            raise ReplyError("exec is not allowed in this task; use mouse and keyboard")
    return actions


def _check_screen(action: Action, screen: tuple[int, int]) -> None:
    width, height = screen
    for x, y in _points(action):
        if not (0 <= x < width and 0 <= y < height):
            point = f"({x}, {y})" if max(abs(x), abs(y)) < 10**9 else "far away"
            raise ReplyError(f"{action.type}: the point {point} is off the screen, which is {width}x{height} pixels")
    if isinstance(action, Zoom) and not (0 <= action.region[0] < action.region[2] <= width
                                         and 0 <= action.region[1] < action.region[3] <= height):  # fmt: skip
        raise ReplyError(f"zoom: the region is off the screen, which is {width}x{height} pixels")


def _points(action: Action) -> list[tuple[int, int]]:
    if isinstance(action, Drag):
        return list(action.path)
    if isinstance(action, (Move, Click, MouseDown, MouseUp, Scroll)) and action.x is not None and action.y is not None:
        return [(action.x, action.y)]
    return []


def _place(action: Action) -> tuple[int, int] | None:
    """Where an action leaves the pointer, or None where it does not move it."""
    points = _points(action)
    return points[-1] if points else None
