"""Split a model's reply into its thought and its actions, for the three action spaces.

Reasoning is removed first, so that a decoy in it is not carried out. The rest has fenced blocks, or is bare source,
JSON, or one of the words WAIT, DONE and FAIL.
"""

from __future__ import annotations

from collections.abc import Mapping

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.blocks import ActionSpace, bare, json_values, split_blocks, split_specials
from deskbench.agent.replies.calls import NoAction
from deskbench.agent.replies.computer13 import parse_computer13
from deskbench.agent.replies.kimi_code import as_source, bare_code
from deskbench.agent.replies.onscreen import check_screen
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.agent.replies.reasoning import split_reasoning
from deskbench.envs.types import (
    ENDS_EPISODE,
    Action,
    ActionError,
    Exec,
    parse_actions,
)

MAX_REPLY = 400_000
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
        text: the raw reply.
        action_space: `pyautogui` source, OSWorld's `computer_13`, or `actions`, the canonical JSON.
        screen: width and height in pixels, the space of all coordinates.
        pointer: where the pointer is.
        names: variables that source may use (set of marks).
        code_allowed: code beyond mouse and keyboard becomes `exec`.
        family: read the source of Kimi and OpenCUA: points may be fractions of the screen, `computer.terminate` and
            similar functions are known, and only the last block counts.

    Returns:
        The thought (reasoning and prose, or None) and one or more actions.

    Raises:
        ReplyError: there is no action, or it cannot be carried out; the message can be shown to the model. It starts
            with `truncated` if the reasoning was cut off.
    """
    if len(text) > MAX_REPLY:
        raise ReplyError(f"the reply has {len(text)} characters; at most {MAX_REPLY} are read")
    reasoning, rest = split_reasoning(text)
    blocks, prose = split_blocks(rest)
    code = bare_code(rest) if family and not blocks else None
    if code is not None:
        blocks, prose = [code[0]], code[1]
    elif not blocks:
        blocks, prose = bare(rest, action_space)
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
        self.thoughts: list[str] = []  # thoughts written in the JSON
        self._space, self._screen, self._pointer = space, screen, pointer
        self._names, self._code_allowed, self._family = names, code_allowed, family

    def read(self, block: str) -> None:
        for action in self._block(block):
            if self.actions and isinstance(self.actions[-1], ENDS_EPISODE):
                return
            self.actions.append(action)
            self._pointer = action.end or self._pointer

    def _block(self, block: str) -> list[Action]:
        source, tail = split_specials(block)
        if not source:
            return tail
        if self._family:
            source = as_source(source)
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
        for value in json_values(source):
            if self._space == "computer_13":
                out.extend(parse_computer13(value, self._screen, pointer=self._pointer))
            else:
                if isinstance(value, Mapping) and isinstance(value.get("thought"), str):
                    self.thoughts.append(value["thought"])
                out.extend(_canonical(value, self._screen, self._code_allowed))
        return [*out, *tail]


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
        check_screen(action, screen)
        if isinstance(action, Exec) and not code_allowed:
            raise ReplyError("exec is not allowed in this task; use mouse and keyboard")
    return actions
