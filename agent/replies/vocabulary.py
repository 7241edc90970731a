"""What a call does: one small function for each kind of thing that models ask for, whatever they call it.

A vocabulary (`vocabularies.py`) gives these functions the names of a family. Each reads its arguments by all the names
that families give them, so that a new family is a table and no code.
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
    AskUser,
    Click,
    CursorPosition,
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
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
)

PIXELS_PER_NOTCH = 100
"""Where a family scrolls in pixels; browsers take a notch of the wheel for about this much."""
MOST_ACTIONS = 500
_POINTS = ("coordinate", "point", "start_box", "position", "start_point")
_HELD = ("modifiers", "hold_keys", "keys", "text")
Handler = Callable[[Arguments], list[Action]]


@dataclass(frozen=True)
class Vocabulary:
    """A family's names.

    Attributes:
        handlers: what each name does.
        order: names of positional arguments, by function.
        strict: arguments are exactly as the schema says.
        repair: a name that is one slip away from a known one counts as it (`left_lick`).
    """

    handlers: Mapping[str, Handler]
    order: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strict: bool = False
    repair: bool = False

    def find(self, name: str) -> str:
        """A known name as it is, in another case, or one slip away.

        Raises:
            Malformed: there is none; with the nearest one.
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
    calls: Sequence[Call], vocabulary: Vocabulary, space: Space, pointer: tuple[int, int] = (0, 0)
) -> list[Action]:
    """Calls as canonical actions, in pixels of the screen; nothing after one that ends the episode.

    Raises:
        Malformed: an unknown name or argument, a bad value, a point outside of its space.
    """
    actions: list[Action] = []
    for call in calls:
        found = vocabulary.find(call.name)
        given = Arguments(call, space, vocabulary.order.get(found, ()), strict=vocabulary.strict, pointer=pointer)
        try:
            made = vocabulary.handlers[found](given)
        except ActionError as error:
            raise given.wrong(str(error)) from None
        _check_left(given, vocabulary.strict)
        actions += made
        pointer = next((p for a in reversed(made) if (p := place_of(a)) is not None), pointer)
        if made and isinstance(made[-1], ENDS_EPISODE):
            break
        if len(actions) > MOST_ACTIONS:
            raise Malformed(f"the reply makes more than {MOST_ACTIONS} actions")
    return actions


def _check_left(given: Arguments, strict: bool) -> None:
    """Arguments of the family's other actions are let go (models fill them in); unknown ones may matter."""
    unknown = [name for name in given.left() if strict or name not in KNOWN]
    if unknown:
        raise given.wrong(f"unknown argument {unknown[0][:60]!r}{nearest(unknown[0], given.used)}")


KNOWN = frozenset(
    """
    action action_type coordinate coordinate2 point point1 point2 start_box end_box start_point end_point
    start_coordinate end_coordinate x y x2 y2 text content message keys key modifiers hold_keys button num_clicks clicks
    direction scroll_direction scroll_amount amount pixels step magnitude scroll_size time duration seconds status
    answer value return info region path press_enter enter clear overwrite clear_before_typing repeat repeat_count
    button_type instruction starting_description ending_description shift url query app app_name presses interval
    """.split()
)


def place_of(action: Action) -> tuple[int, int] | None:
    """Where an action leaves the pointer, or None."""
    if isinstance(action, Drag):
        return action.path[-1]
    if isinstance(action, (Move, Click, MouseDown, MouseUp, Scroll)) and action.x is not None and action.y is not None:
        return action.x, action.y
    return None


def _at(point: tuple[int, int] | None) -> dict[str, int]:
    return {} if point is None else {"x": point[0], "y": point[1]}


def click(button: str | None = None, count: int | None = None) -> Handler:
    """A click; button and count are fixed by the name, or arguments."""
    names = {"left": "left", "right": "right", "middle": "middle", "wheel": "middle", "back": "back",
             "forward": "forward", "primary": "left", "secondary": "right"}  # fmt: skip

    def run(a: Arguments) -> list[Action]:
        given = (a.text("button", "button_type") or "left").lower()
        if given not in names:
            raise a.wrong(f"button is {given[:40]!r}{nearest(given, names)}")
        times = a.number("num_clicks", "clicks", default=1) or 1
        place = _at(a.point(*_POINTS))
        held = a.modifiers(*_HELD)
        which = names[given] if button is None else button
        return [Click(which, int(times) if count is None else count, **place, modifiers=held)]

    return run


def move(a: Arguments) -> list[Action]:
    """The pointer goes somewhere."""
    point = a.point(*_POINTS)
    if point is None:
        raise a.wrong("a point is missing")
    return _holding(a.modifiers("keys", "hold_keys", "modifiers"), [Move(*point)])


def _holding(held: Sequence[str], actions: list[Action]) -> list[Action]:
    """Actions while keys are down."""
    down: list[Action] = [KeyDown(key) for key in held]
    return [*down, *actions, *(KeyUp(key) for key in reversed(held))]


def mouse_down(a: Arguments) -> list[Action]:
    """A button goes down."""
    return [MouseDown(a.text("button") or "left", **_at(a.point(*_POINTS)))]


def mouse_up(a: Arguments) -> list[Action]:
    """A button comes up."""
    return [MouseUp(a.text("button") or "left", **_at(a.point(*_POINTS)))]


def drag(a: Arguments) -> list[Action]:
    """A drag along a path, between two points, or from where the pointer is to one."""
    path = a.path("path")
    if not path:
        ends = [
            a.point("coordinate2", "end_box", "end_point", "end_coordinate", "point2", xy=None),
            a.point(xy=("destination_x", "destination_y")) or a.point(xy=("x2", "y2")),
        ]
        start = a.point("start_coordinate", "start_box", "start_point", "point1", xy=None)
        other = a.point("coordinate", "point")
        end = next((point for point in ends if point is not None), None)
        if end is None:
            start, end = start or a.pointer, other
        elif start is None:
            start = other or a.pointer
        if end is None or start is None:
            raise a.wrong("the point to drag to is missing")
        path = (start, end)
    held = a.modifiers(*_HELD)
    return [Drag(path, (a.text("button") or "left").lower(), held)]


_WAYS = {"up": (0, 1), "down": (0, -1), "left": (-1, 0), "right": (1, 0)}


def scroll(unit: str = "notches", amount: float = 5) -> Handler:
    """The wheel: a direction and an amount. `unit` is `notches` or `pixels`; `amount` stands where none is given."""

    def run(a: Arguments) -> list[Action]:
        way = (a.text("direction", "scroll_direction") or "").strip().lower()
        if way not in _WAYS:
            raise a.wrong(f"direction is {way[:40]!r}; it must be up, down, left or right")
        given = a.number(
            "scroll_amount", "step", "scroll_size", "magnitude", "amount", "clicks", "pixels", default=amount
        )
        notches = _notches(given or 0, unit)
        dx, dy = (part * notches for part in _WAYS[way])
        return [Scroll(dx, dy, **_at(a.point(*_POINTS)), modifiers=a.modifiers(*_HELD))]

    return run


def _notches(value: float, unit: str) -> int:
    if unit == "notches" or value == 0:
        return round(value)
    return max(1, round(abs(value) / PIXELS_PER_NOTCH)) * (1 if value > 0 else -1)


def wheel(axis: str = "dy") -> Handler:
    """The wheel by a signed number: Qwen's `pixels`, pyautogui's and Agent-S's `clicks`; + is up, or right.

    Qwen's number is named `pixels` and is used for notches (its agents hand it to pyautogui); what no wheel turns at
    once is taken for pixels all the same.
    """

    def run(a: Arguments) -> list[Action]:
        value = a.number("pixels", "clicks", "scroll_amount", "amount", "step")
        if value is None:
            if a.get("direction", "scroll_direction") is not None:
                return scroll()(a)
            raise a.wrong("the number to scroll by is missing")
        notches = _notches(value, "pixels" if abs(value) >= PIXELS_PER_NOTCH else "notches")
        along = "dx" if a.flag("shift") else axis
        return [Scroll(**{along: notches}, **_at(a.point(*_POINTS)), modifiers=a.modifiers("text", "hold_keys"))]

    return run


def scroll_by_pixels(a: Arguments) -> list[Action]:
    """OpenAI's: `scroll_x` and `scroll_y` in pixels, + right and down."""
    dx, dy = (_notches(a.number(name, default=0) or 0, "pixels") for name in ("scroll_x", "scroll_y"))
    return [Scroll(dx, -dy, **_at(a.point(*_POINTS)), modifiers=a.modifiers("keys"))]


def type_text(clear_key: str = "backspace", clear: bool = False) -> Handler:
    """Text; with flags to empty the field first and to press Enter after it."""

    def run(a: Arguments) -> list[Action]:
        text = a.text("text", "content", "message", "value")
        point = a.point(*_POINTS)
        actions: list[Action] = [] if point is None else [Click(x=point[0], y=point[1])]
        if a.flag("clear", "clear_before_typing", default=clear):
            actions += [Key(("ctrl", "a")), Key((clear_key,))]
        elif a.flag("overwrite"):
            actions += [Key(("ctrl", "a"))]
        if text:
            actions.append(Type(text))
        if a.flag("enter", "press_enter"):
            actions.append(Key(("enter",)))
        if text is None or not actions:
            raise a.wrong("the text to type is missing")
        return actions

    return run


def unescaped(inner: Handler) -> Handler:
    """A text whose line ends were escaped once too often (a backslash and an n), as UI-TARS and EvoCUA write them."""

    def run(a: Arguments) -> list[Action]:
        def mended(action: Action) -> Action:
            if not isinstance(action, Type):
                return action
            return Type(action.text.replace("\\n", "\n").replace("\\t", "\t"))

        return [mended(action) for action in inner(a)]

    return run


def key(a: Arguments) -> list[Action]:
    """One chord, pressed as often as asked for."""
    keys = a.keys("keys", "key", "text", "content")
    keys += tuple(k for name in ("key2", "key3", "key4") for k in a.keys(name))
    if not keys:
        raise a.wrong("the keys are missing")
    times = a.number("repeat", "repeat_count", "presses", default=1) or 1
    if not 1 <= times <= 100:
        raise a.wrong("repeat is 1 to 100")
    return [Key(keys) for _ in range(int(times))]


def chords(a: Arguments) -> list[Action]:
    """Chords one after the other, as xdotool takes them: `Down Down ctrl+s`."""
    text = a.text("text")
    if not text:
        raise a.wrong("the keys are missing")
    times = a.number("repeat", default=1) or 1
    if not 1 <= times <= 100:
        raise a.wrong("repeat is 1 to 100")
    return [Key(a.chord(part)) for _ in range(int(times)) for part in (text.split() or [text])]


def key_down(a: Arguments) -> list[Action]:
    """Keys go down."""
    return [KeyDown(k) for k in _some_keys(a)]


def key_up(a: Arguments) -> list[Action]:
    """Keys come up."""
    return [KeyUp(k) for k in reversed(_some_keys(a))]


def _some_keys(a: Arguments) -> tuple[str, ...]:
    keys = a.keys("key", "keys", "text")
    if not keys:
        raise a.wrong("the key is missing")
    return keys


def hold_key(a: Arguments) -> list[Action]:
    """Keys stay down for a while."""
    keys = a.keys("text", "keys", "key")
    seconds = a.number("duration", "seconds", "time", default=1.0)
    if not keys:
        raise a.wrong("the key is missing")
    return _holding(keys, [Wait(seconds)])


def hold_and_press(a: Arguments) -> list[Action]:
    """Keys are pressed one after the other while others are down."""
    held = a.keys("hold_keys", "hold_key", "held_keys")
    pressed = a.keys("press_keys", "tap_key", "key", "keys")
    if not held or not pressed:
        raise a.wrong("the keys to hold and the keys to press are missing")
    return _holding(held, [Key((k,)) for k in pressed])


def wait(default: float | None = None) -> Handler:
    """Nothing for a while."""
    names = ("time", "duration", "seconds", "value")
    return lambda a: [Wait(a.number(*names, default=default))]


_FAILED = ("fail", "failure", "failed", "infeasible", "error", "false", "abort")


def terminate(a: Arguments) -> list[Action]:
    """The end, with a status."""
    status = (a.text("status") or "success").strip().lower()
    said = a.text("answer", "text", "content", "info", "message")
    return [Fail(said)] if status in _FAILED else [Done(said)]


def done(a: Arguments) -> list[Action]:
    """The end, with an answer where there is one."""
    return [Done(_said(a))]


def fail(a: Arguments) -> list[Action]:
    """The task cannot be done."""
    return [Fail(_said(a))]


def ask(a: Arguments) -> list[Action]:
    """A question to the user."""
    return [AskUser(_said(a))]


def _said(a: Arguments) -> str | None:
    value = a.get("answer", "content", "text", "return", "return_value", "value", "reason", "message", "question")
    return None if value is None or value == "" else str(value)


def look(a: Arguments) -> list[Action]:
    """Another screenshot."""
    return [TakeScreenshot()]


def where(a: Arguments) -> list[Action]:
    """Where the pointer is."""
    return [CursorPosition()]


def zoom(a: Arguments) -> list[Action]:
    """A region, enlarged."""
    region = a.box("region", "bbox_2d", "coordinate")
    if region is None:
        raise a.wrong("the region is missing")
    return [Zoom(region)]


def nothing(a: Arguments) -> list[Action]:
    """A plan, a note: the screen is looked at again."""
    a.used.update(a.left())
    return [TakeScreenshot()]


def press(*keys: str) -> Handler:
    """A chord that the name itself means (`go_back`)."""
    return lambda a: [Key(keys)]


def navigate(a: Arguments) -> list[Action]:
    """A browser goes to an address."""
    url = a.text("url", "query")
    if not url:
        raise a.wrong("the address is missing")
    return [Key(("ctrl", "l")), Type(url), Key(("enter",))]


def long_press(a: Arguments) -> list[Action]:
    """The button stays down for a while."""
    place = _at(a.point(*_POINTS))
    return [MouseDown("left", **place), Wait(a.number("time", "duration", "value", default=1.0)), MouseUp()]


def swipe(a: Arguments) -> list[Action]:
    """A finger's way: between two points a drag, in a direction the wheel the other way round."""
    way = (a.text("direction") or "").strip().lower()
    if way not in _WAYS:
        return drag(a)
    dx, dy = _WAYS[way]
    point = a.point(*_POINTS)
    return [Scroll(-5 * dx, -5 * dy, *(point or (None, None)))]


def open_program(a: Arguments) -> list[Action]:
    """A program by its name, through the desktop's own search, as Agent-S does it."""
    name = a.text("app", "app_name", "text")
    if not name:
        raise a.wrong("the program's name is missing")
    return [Key(("super",)), Wait(0.5), Type(name), Wait(1.0), Key(("enter",))]


def go_to(url: str) -> Handler:
    """An address that the name itself means."""
    return lambda a: [Key(("ctrl", "l")), Type(url), Key(("enter",))]


def unavailable(why: str) -> Handler:
    """An action that a desktop has no place for."""

    def run(a: Arguments) -> list[Action]:
        raise a.wrong(why)

    return run
