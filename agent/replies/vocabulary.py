"""Turn calls into actions: one small function per kind of action, whatever name a model uses for it.

A vocabulary (`vocabularies.py`) maps a family's names to these functions. Each function reads its arguments by all the
names that families give them, so a new family needs only a table and no code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.calls import Call, Malformed
from deskbench.agent.replies.spaces import Space
from deskbench.envs.actions import nearest
from deskbench.envs.types import (
    ENDS_EPISODE,
    Action,
    ActionError,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
)

MOST_ACTIONS = 500
POINTS = ("coordinate", "coordinates", "point", "start_box", "position", "start_point")
Handler = Callable[[Arguments], list[Action]]


@dataclass(frozen=True)
class Vocabulary:
    """A family's names.

    Attributes:
        handlers: the function for each name.
        order: names of positional arguments, by function.
        needs: arguments that a call must have, by function.
        strict: arguments must match the schema exactly.
        repair: accept a name that is one typo away from a known one (`left_lick`).
        lets_go: a call that only presses keys holds them for the next call, and a reply leaves nothing pressed.
    """

    handlers: Mapping[str, Handler]
    order: Mapping[str, Sequence[str]] = field(default_factory=dict)
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strict: bool = False
    repair: bool = False
    lets_go: bool = False

    def find(self, name: str) -> str:
        """The known name that matches exactly, in another case, or with one typo.

        Raises:
            Malformed: no name matches; the message suggests the nearest one.
        """
        by_case = {known.lower(): known for known in self.handlers}
        found = by_case.get(name.strip(" _").lower())
        if found is None and self.repair:
            close = difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.85)
            found = by_case[close[0]] if close else None
        if found is None:
            raise Malformed(f"unknown action {name[:60]!r}{nearest(name, self.handlers)}")
        return found


def to_actions(
    calls: Sequence[Call],
    vocabulary: Vocabulary,
    space: Space,
    pointer: tuple[int, int] = (0, 0),
    *,
    code_allowed: bool = False,
) -> list[Action]:
    """Calls as canonical actions, in pixels of the screen, up to the first that ends the episode.

    Raises:
        Malformed: a name or argument is unknown, a value is wrong, or a point is outside its space.
    """
    groups: list[list[Action]] = []
    for call in calls:
        found = vocabulary.find(call.name)
        order = vocabulary.order.get(found, ())
        given = Arguments(call, space, order, strict=vocabulary.strict, pointer=pointer, code_allowed=code_allowed)
        made = _made(vocabulary, found, given)
        groups.append(made)
        pointer = next((p for a in reversed(made) if (p := a.end) is not None), pointer)
        if made and isinstance(made[-1], ENDS_EPISODE):
            break
        if sum(map(len, groups)) > MOST_ACTIONS:
            raise Malformed(f"the reply makes more than {MOST_ACTIONS} actions")
    return _let_go(groups) if vocabulary.lets_go and groups else [action for group in groups for action in group]


def _made(vocabulary: Vocabulary, name: str, given: Arguments) -> list[Action]:
    """The actions of one call."""
    for needed in vocabulary.needs.get(name, ()):
        if given.get(needed) is None:
            raise given.wrong(f"{needed} is missing")
    try:
        made = vocabulary.handlers[name](given)
    except ActionError as error:
        raise given.wrong(str(error)) from None
    _check_left(given, vocabulary.strict)
    return made


def _let_go(groups: Sequence[Sequence[Action]]) -> list[Action]:
    """The actions of all calls, and the releases that the model leaves to its harness (`Vocabulary.lets_go`)."""
    *before, last = groups
    ends = last[-1:] if last and isinstance(last[-1], ENDS_EPISODE) else []
    actions: list[Action] = []
    held: list[Action] = []
    for made in (*before, last[: len(last) - len(ends)]):
        actions += [*made, *held]
        ups = [KeyUp(action.key) for action in reversed(made) if isinstance(action, KeyDown)]
        held = [*ups] if len(ups) == len(made) else []
    down: list[str] = []
    for action in actions:
        if isinstance(action, MouseDown):
            down.append(action.button)
        elif isinstance(action, MouseUp):
            down = [button for button in down if button != action.button]
    return [*actions, *held, *(MouseUp(button) for button in dict.fromkeys(down)), *ends]


def _check_left(given: Arguments, strict: bool) -> None:
    """Ignore arguments of the family's other actions, which models fill in; refuse unknown ones, which may matter."""
    unknown = [name for name in given.left() if strict or name not in KNOWN]
    if unknown:
        raise given.wrong(f"unknown argument {unknown[0][:60]!r}{nearest(unknown[0], given.used)}")


KNOWN = frozenset(
    """
    action action_type coordinate coordinate2 point point1 point2 start_box end_box start_point end_point
    start_coordinate end_coordinate coordinates start_coordinates drag_from_coordinate drop_on_coordinate
    x y x2 y2 text content message keys key modifiers hold_keys button num_clicks clicks
    direction scroll_direction scroll_amount amount pixels step magnitude scroll_size time duration seconds status
    answer value return info region path press_enter enter clear overwrite clear_before_typing repeat repeat_count
    button_type instruction starting_description ending_description shift url query app app_name presses interval
    start_x start_y end_x end_y destination_x destination_y magnitude_in_pixels magnitude_in_wheel_clicks reason code
    success window_id question fact
    """.split()
)
