"""Raw events become what a person meant."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from deskbench.agent.recording.events import Event, Pointer, Press, State, read_events, to_line
from deskbench.agent.recording.reduce import reduced
from deskbench.envs.types import Action, Click, Drag, Key, Scroll, Type

SHIFT, CTRL, ALT, ENTER = 0xFFE1, 0xFFE3, 0xFFE9, 0xFF0D


def click(t: float, x: int, y: int, button: int = 1) -> list[Event]:
    return [Pointer(t - 0.05, 0, x, y), Pointer(t, button, x, y), Pointer(t + 0.05, 0, x + 1, y)]


def keys(t: float, *syms: int) -> list[Event]:
    """A chord: pressed in order, let go in reverse."""
    return [*(Press(t, True, sym) for sym in syms), *(Press(t + 0.02, False, sym) for sym in reversed(syms))]


def typed(t: float, text: str) -> list[Event]:
    """As a browser says it: capitals with Shift held."""
    out: list[Event] = []
    for number, char in enumerate(text):
        out += keys(t + number / 10, *([SHIFT] if char.isupper() else []), ord(char))
    return out


def wheel(t: float, bit: int, times: int) -> list[Event]:
    return [Pointer(t + n / 50, bit if n % 2 == 0 else 0, 300, 300) for n in range(2 * times)]


@pytest.mark.parametrize(
    ("events", "actions"),
    [
        ([Pointer(0, 0, 1, 1), Pointer(0.1, 0, 200, 90), *click(0.5, 220, 90)], [Click(x=220, y=90)]),
        ([*click(0, 9, 9), *click(0.3, 10, 9)], [Click(count=2, x=9, y=9)]),
        ([*click(0, 9, 9), *click(0.3, 10, 9), *click(0.6, 10, 9)], [Click(count=3, x=9, y=9)]),
        ([*click(0, 9, 9), *click(2, 10, 9)], [Click(x=9, y=9), Click(x=10, y=9)]),
        ([*click(0, 9, 9), *click(0.3, 90, 9)], [Click(x=9, y=9), Click(x=90, y=9)]),
        ([*click(0, 9, 9), *click(0.3, 9, 9, button=4)], [Click(x=9, y=9), Click("right", x=9, y=9)]),
        ([Press(0, True, CTRL), *click(1, 5, 5), Press(2, False, CTRL)], [Click(x=5, y=5, modifiers=("ctrl",))]),
        ([*wheel(0, 16, 3), *wheel(1, 16, 2)], [Scroll(0, -5, 300, 300)]),
        ([*wheel(0, 8, 2), *wheel(1, 64, 1)], [Scroll(1, 2, 300, 300)]),
        (typed(0, "Hello World"), [Type("Hello World")]),
        ([Press(0, True, 0x01000416), Press(1, True, 0x6C1)], [Type("Жа")]),  # a new and an old keysym
        ([*typed(0, "a"), *keys(1, ENTER), *typed(2, "b")], [Type("a"), Key(("enter",)), Type("b")]),
        (keys(0, CTRL, ord("s")), [Key(("ctrl", "s"))]),
        (keys(0, SHIFT, CTRL, ord("S")), [Key(("ctrl", "shift", "s"))]),
        (keys(0, CTRL, SHIFT, ord("+")), [Key(("ctrl", "+"))]),
        (keys(0, CTRL, 0x20), [Key(("ctrl", "space"))]),
        (keys(0, SHIFT, 0xFF57), [Key(("shift", "end"))]),
        (keys(0, 0xFE03, ord("@")), [Type("@")]),
        (keys(0, ALT, 0xFFC1), [Key(("alt", "f4"))]),
        (keys(0, ALT), [Key(("alt",))]),
        (keys(0, SHIFT), []),
        (keys(0, 0xFFE5), []),  # Caps Lock: the keysyms say what it makes
        ([Press(0, True, 0xFFB7), Press(0.1, True, 0xFFAB)], [Type("7+")]),  # the keypad
        ([Press(0, True, 0xFF54), Press(0.5, True, 0xFF54)], [Key(("down",)), Key(("down",))]),  # held: it repeats
        ([Press(0, True, 0xFE51)], []),  # a dead key
    ],
)
def test_events_become_what_was_meant(events: Sequence[Event], actions: list[Action]) -> None:
    assert [step.action for step in reduced(events)] == actions


def test_a_drag_keeps_its_corners_and_loses_the_rest() -> None:
    way = [(x, 100) for x in range(100, 200, 5)] + [(200, y) for y in range(100, 201, 5)]
    events = [Pointer(n / 10, 1, *place) for n, place in enumerate(way)]
    (step,) = reduced([*events, Pointer(9, 0, 200, 200)])
    assert step.action == Drag(((100, 100), (200, 100), (200, 200)))


def test_a_drag_that_ends_where_it_began_is_still_a_drag() -> None:
    events = [Pointer(0, 1, 10, 10), Pointer(1, 1, 90, 10), Pointer(2, 1, 11, 10), Pointer(3, 0, 10, 10)]
    (step,) = reduced(events)
    assert step.action == Drag(((10, 10), (90, 10), (10, 10)))


def test_an_action_has_the_state_before_it_and_the_places_where_the_pointer_rested() -> None:
    first, second = State(0, 1280, 800, "<a/>"), State(5, 1280, 800, "<b/>")
    events = [
        first, *click(1, 9, 9), Pointer(1.2, 0, 40, 40), Pointer(1.3, 0, 60, 60), Pointer(2, 0, 80, 80), second,
        *click(5.1, 300, 300),
    ]  # fmt: skip
    steps = reduced(events)
    assert [step.state for step in steps] == [first, second]
    assert [step.rests for step in steps] == [(), ((60, 60), (80, 80))]


def test_events_are_kept_as_they_are(tmp_path: Path) -> None:
    events: list[Event] = [
        State(0, 1280, 800, None),
        Pointer(0.5, 1, 2, 3),
        Press(0.7, True, 0x6C1),
        State(1, 9, 9, "<ä/>", "p.png"),
    ]
    path = tmp_path / "a.events.jsonl"
    path.write_text("".join(map(to_line, events)), encoding="utf-8")
    assert list(read_events(path)) == events
