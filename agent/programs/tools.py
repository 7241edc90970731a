"""The tools that a program is offered, and what a call of one means.

The names of the actions and their arguments are those of Anthropic's computer tool (`computer_20251124`), which such
programs and their models know best. The schemas follow JSON Schema 2020-12, as MCP requires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.replies import telling as t
from deskbench.agent.replies.calls import Call, Malformed, unwrapped
from deskbench.agent.replies.onscreen import check_screen
from deskbench.agent.replies.spaces import Space
from deskbench.agent.replies.valid import valid
from deskbench.agent.replies.vocabularies import CLAUDE
from deskbench.agent.replies.vocabulary import Vocabulary, to_actions
from deskbench.envs.types import Action

VOCABULARY = Vocabulary(
    {
        **{name: use for name, use in CLAUDE.items() if name != "infeasible"},
        "done": t.done,
        "fail": t.fail,
        "ask": t.ask,
    }
)
ACTIONS = tuple(name for name in VOCABULARY.handlers if name not in ("done", "fail", "ask"))
"""The values of the argument `action`."""
_POINT = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


@dataclass(frozen=True)
class Tool:
    """A tool: its name, what it does in words for a model, and the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


def _schema(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


TOOLS = (
    Tool(
        "computer",
        "Use the mouse and the keyboard of the desktop, or look at its screen. Every call takes one step, waits until "
        "the screen is quiet, and returns a picture of it. Coordinates are pixels of that picture, from the top left.",
        _schema(
            {
                "action": {"type": "string", "enum": list(ACTIONS)},
                "coordinate": {**_POINT, "description": "[x, y] of clicks, moves and scrolls; the end of a drag."},
                "start_coordinate": {**_POINT, "description": "[x, y] where a drag begins."},
                "text": {
                    "type": "string",
                    "description": "What to type; the keys of `key` and `hold_key`, such as ctrl+s; or the modifier "
                    "to hold during a click or scroll.",
                },
                "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
                "scroll_amount": {"type": "number", "description": "Clicks of the wheel."},
                "duration": {"type": "number", "description": "Seconds of `wait` and `hold_key`."},
                "region": {
                    "type": "array",
                    "items": {"type": "number"},
                    "minItems": 4,
                    "maxItems": 4,
                    "description": "[left, top, right, bottom] that `zoom` enlarges.",
                },
            },
            "action",
        ),
    ),
    Tool(
        "done",
        "Say that the task is done. This ends the episode: call it once, at the end.",
        _schema({"answer": {"type": "string", "description": "The answer, if the task asks a question."}}),
    ),
    Tool(
        "fail",
        "Say that the task cannot be done. This ends the episode.",
        _schema({"reason": {"type": "string", "description": "Why it cannot be done."}}, "reason"),
    ),
    Tool(
        "ask",
        "Ask the person whose task it is a question. Takes one step; returns the answer.",
        _schema({"question": {"type": "string"}}, "question"),
    ),
)


def read_call(name: str, arguments: Mapping[str, Any], scale: Scale, pointer: tuple[int, int]) -> tuple[Action, ...]:
    """The actions of a call, in pixels of the screen.

    Args:
        name: the tool's name.
        arguments: its arguments, as the program gave them.
        scale: the size of the screen and of the picture that the program saw.
        pointer: where the pointer is, in pixels of the screen.

    Raises:
        ReplyError: the tool or the action is unknown, or an argument is wrong.
    """
    if name not in {tool.name for tool in TOOLS}:
        raise Malformed(f"unknown tool {name[:60]!r}; the tools are {', '.join(tool.name for tool in TOOLS)}")
    try:
        calls = unwrapped([Call(name, valid(dict(arguments)))])
    except RecursionError:
        raise Malformed("the arguments are nested too deeply") from None
    actions = to_actions(calls, VOCABULARY, Space("image", scale.screen, scale.image), pointer)
    for action in actions:
        check_screen(action, scale.screen)
    return tuple(actions)
