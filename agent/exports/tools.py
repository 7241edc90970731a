"""Read the calls of other harnesses' tools for a desktop, as trajectories keep them.

A call is one of deskbench's own actions by name; `computer` with Anthropic's names (argument `action`) or OpenAI's
(argument `type`); or `computer_action` and `mark_task_complete` of Harbor's agent computer-1 (`ComputerAction` in
harbor 0.26, agents/computer_1/runtime.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deskbench.agent.replies import keying, pointing, telling
from deskbench.agent.replies.calls import Call, Malformed, unwrapped
from deskbench.agent.replies.spaces import Space
from deskbench.agent.replies.vocabularies import INSPECT, OPENAI
from deskbench.agent.replies.vocabulary import Handler, Vocabulary, to_actions
from deskbench.envs.actions import parse_actions
from deskbench.envs.types import ACTION_TYPES, Action, Done

COMPUTER, HARBOR, COMPLETE = "computer", "computer_action", "mark_task_complete"
FOREIGN = frozenset({COMPUTER, HARBOR, COMPLETE})
LONG_EDGE, PIXELS = 1568, 1_150_000
"""The largest picture that Anthropic's models see unscaled (Anthropic, "Computer use tool"); Harbor records the points
in the smaller picture."""
_HARBOR: dict[str, Handler] = {
    **OPENAI, "right_click": pointing.click("right"), "middle_click": pointing.click("middle"),
    "mouse_move": pointing.move, "mouse_down": pointing.mouse_down, "mouse_up": pointing.mouse_up,
    "key": keying.key, "key_down": keying.key_down, "key_up": keying.key_up, "hold_key": keying.hold_key,
    "type_text_at": keying.type_text("delete", clear=True), "navigate": telling.navigate, "sleep": telling.wait(1.0),
    "go_back": keying.press("alt", "left"), "go_forward": keying.press("alt", "right"), "zoom": telling.zoom,
    "cursor_position": telling.where, "done": telling.done, "answer": telling.done, "terminate": telling.done,
}  # fmt: skip
_OPENAI = {**OPENAI, "left_mouse_down": pointing.mouse_down, "left_mouse_up": pointing.mouse_up}
"""OpenAI's actions, with two more of cua-agent."""
_KEPT_BY_HARBOR = {"modifier": "modifiers", "zoom_region": "region", "result": "answer", "duration_seconds": "duration"}
"""Arguments that have other names here."""
_NOT_OF_THE_ACTION = {"type", "source", "model_x", "model_y", "timeout_sec"}


class Tools:
    """The calls of one trajectory, in order.

    Args:
        size: of the screen in pixels.
        as_seen: the points of Anthropic's tool are in these pixels whatever the screen's size.
    """

    def __init__(self, size: tuple[int, int], *, as_seen: bool = False) -> None:
        self._size = size
        self._as_seen = as_seen
        self._pointer = (0, 0)

    def actions(self, name: str, arguments: Mapping[str, Any]) -> list[Action]:
        """The actions of one call.

        Raises:
            ActionError, ReplyError: an argument is wrong or missing, or the point is not of this screen.
            LookupError: no tool for a desktop has that name.
        """
        if name in ACTION_TYPES:
            made = list(parse_actions([{**arguments, "type": name}]))
        elif name == COMPLETE:
            result = arguments.get("result")
            made = [Done(result if isinstance(result, str) else None)]
        elif name == HARBOR:
            made = self._read(_of_harbor(arguments), _HARBOR)
        elif name == COMPUTER:
            made = self._of_computer(arguments)
        else:
            raise LookupError(f"the tool call {name[:40]!r} is no action on a desktop")
        for written in (action.to_json() for action in made):
            if isinstance(written.get("x"), int) and isinstance(written.get("y"), int):
                self._pointer = written["x"], written["y"]
        return made

    def _of_computer(self, arguments: Mapping[str, Any]) -> list[Action]:
        inner = arguments.get("action")
        if isinstance(inner, dict):
            return self._of_computer(inner) if "action" not in inner else self._anthropic(inner)
        if "type" in arguments and inner is None:
            call = Call(str(arguments["type"]), {key: value for key, value in arguments.items() if key != "type"})
            return self._read(call, _OPENAI)
        return self._anthropic(arguments)

    def _anthropic(self, arguments: Mapping[str, Any]) -> list[Action]:
        width, height = self._size
        large = max(width, height) > LONG_EDGE or width * height > PIXELS
        if large and not self._as_seen and any(isinstance(value, list) for value in arguments.values()):
            raise Malformed(f"its points are in a picture of unknown size, smaller than the screen ({width}x{height})")
        return self._read(Call(COMPUTER, arguments), INSPECT)

    def _read(self, call: Call, handlers: Mapping[str, Handler]) -> list[Action]:
        space = Space("screen", self._size, self._size)
        return to_actions(unwrapped([call]), Vocabulary(handlers), space, self._pointer)


def _of_harbor(arguments: Mapping[str, Any]) -> Call:
    """A `ComputerAction` as a call; fields that it leaves out are null there."""
    kept = {
        _KEPT_BY_HARBOR.get(key, key): value for key, value in arguments.items()
        if value is not None and key not in _NOT_OF_THE_ACTION
    }  # fmt: skip
    kind = str(arguments.get("type"))
    if kind == "scroll":
        kept.setdefault("scroll_y", 500 if "scroll_x" not in kept else 0)
        kept["keys"] = kept.pop("modifiers", None)
    return Call(kind, kept)
