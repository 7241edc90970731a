"""The second model of a planner: what is meant, in words, and a screenshot, to a point."""

from __future__ import annotations

import re

from deskbench.agent.replies.calls import NoAction
from deskbench.agent.replies.reasoning import split_reasoning
from deskbench.agent.replies.spaces import Space
from deskbench.agent.replies.tagged import parse_tagged

_PAIR = re.compile(r"[(\[<]\s*(-?\d+(?:\.\d+)?)\s*[,\s]\s*(-?\d+(?:\.\d+)?)\s*[)\]<]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def find_point(reply: str, space: Space) -> tuple[int, int]:
    """The point in a grounder's reply, in pixels of the screen.

    In a tool call it is the coordinate, else the first pair in brackets, else the first two numbers. A box is its
    middle.

    Raises:
        ReplyError: there is none, or it is outside of the space.
    """
    _, rest = split_reasoning(reply)
    calls, _ = parse_tagged(rest)
    for call in calls:
        given = call.arguments.get("coordinate", call.arguments.get("point"))
        if given is not None:
            rest = str(given)
    pair = _PAIR.search(rest)
    numbers = [float(n) for n in (pair.groups() if pair else _NUMBER.findall(rest)[:4])]
    if len(numbers) == 4:
        numbers = [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2]
    if len(numbers) < 2:
        raise NoAction(f"the grounder gave no point: {rest[:100]!r}")
    return space.place(numbers[0], numbers[1])
