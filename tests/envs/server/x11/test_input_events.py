"""Keys, chords, clicks, wheels and drags arrive correctly in a real program, and nothing stays pressed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from deskbench.envs import wait
from deskbench.envs.actions import (
    Click,
    CursorPosition,
    Done,
    Drag,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    Type,
    Wait,
)
from deskbench.envs.keys import NAMED_KEYS
from deskbench.envs.server.x11.input import Input, InputError

if TYPE_CHECKING:
    from ..conftest import Program, Xvfb

pytestmark = pytest.mark.desktop

PRESSES = ("button-press", "2button-press", "3button-press")


@pytest.fixture
def hands(xvfb: Xvfb) -> Iterator[Input]:
    hands = Input(xvfb.display)
    hands.perform(Move(5, 400))
    yield hands
    assert not any(hands._x.display.query_keymap()), "a key is stuck"
    assert not hands._x.pointer()[2] & 0x1F00, "a button is stuck"
    hands.close()


@pytest.fixture(scope="module")
def area(xvfb: Xvfb) -> Program:
    return xvfb.probe("events")


def after(area: Program, hands: Input, *actions: Any, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """The events of these kinds that the actions caused; a final key shows that all have been read."""
    area.forget()
    for action in actions:
        hands.perform(action)
    hands.perform(Key(("f12",)))
    wait.until(lambda: any(e["key"] == "F12" for e in area.events("key_release")), timeout=20)
    return [event for event in area.events(*kinds) if event.get("key") != "F12"]


def keys(events: list[dict[str, Any]]) -> list[str]:
    return [("+" if e["event"] == "key_press" else "-") + e["key"] for e in events]


def strokes(area: Program, hands: Input, *actions: Any) -> list[str]:
    """Key presses (+) and releases (-) that the actions caused."""
    return keys(after(area, hands, *actions, kinds=("key_press", "key_release")))


def test_a_chord_is_pressed_in_order_and_released_in_reverse(area: Program, hands: Input) -> None:
    assert strokes(area, hands, Key(("ctrl", "shift", "t"))) == [
        "+Control_L", "+Shift_L", "+T", "-T", "-Shift_L", "-Control_L",
    ]  # fmt: skip


def test_a_character_in_a_chord_brings_the_shift_it_needs(area: Program, hands: Input) -> None:
    assert strokes(area, hands, Key(("ctrl", "+"))) == [
        "+Control_L", "+Shift_L", "+plus", "-plus", "-Shift_L", "-Control_L",
    ]  # fmt: skip
    assert strokes(area, hands, Key(("ctrl", "shift", "A")))[2] == "+A"


def test_a_chord_with_a_character_that_no_key_has(area: Program, hands: Input) -> None:
    assert strokes(area, hands, Key(("ctrl", "ж"))) == [
        "+Control_L", "+U+0436", "-U+0436", "-Control_L",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layouts", "group", "chord", "pressed"),
    [
        ("us,ru", 1, ("ctrl", "s"), ["Control_L", "s"]), ("us,ru", 0, ("ctrl", "ж"), ["Control_L", "Cyrillic_zhe"]),
        ("us,de", 0, ("ctrl", "y"), ["Control_L", "y"]),
        ("us,de", 1, ("ctrl", "{"), ["Control_L", "ISO_Level3_Shift", "braceleft"]),
        ("us,de", 0, ("ctrl", "{"), ["Control_L", "Shift_L", "braceleft"]),
        ("us,de", 0, ("ö",), ["odiaeresis"]), ("us,de", 1, ("altright",), ["ISO_Level3_Shift"]),
        ("us,de", 0, ("altright",), ["Alt_R"]),
    ],
)  # fmt: skip
def test_a_chord_finds_its_keys_in_the_layout_that_has_them(
    area: Program, hands: Input, layout: Callable[..., None], layouts: str, group: int, chord: tuple[str, ...],
    pressed: list[str],
) -> None:  # fmt: skip
    layout("-layout", layouts)
    hands._x.set_locks(0, 0, group)
    assert strokes(area, hands, Key(chord)) == [f"+{key}" for key in pressed] + [f"-{key}" for key in pressed[::-1]]
    assert hands._x.locks()[1:] == (group, group)


def test_a_held_key_of_another_layout(area: Program, hands: Input, layout: Callable[..., None]) -> None:
    layout("-layout", "us,ru")
    assert strokes(area, hands, KeyDown("ж"))[:1] == ["+Cyrillic_zhe"]
    assert hands.held() == (("ж",), ())
    assert strokes(area, hands, KeyUp("ж"))
    assert hands._x.locks()[2] == 0


def test_a_key_of_its_own_counts_caps_lock_as_a_keyboard_does(area: Program, hands: Input) -> None:
    lock = Key(("capslock",))
    pressed = strokes(area, hands, lock, Key(("a",)), Key(("ctrl", "c")), lock, Key(("a",)))
    assert [key for key in pressed if key[0] == "+" and "Lock" not in key] == ["+A", "+Control_L", "+C", "+a"]


@pytest.mark.parametrize("name", ["super", "alt", "ctrl", "shiftright", "altgr", "menu"])
def test_a_lone_modifier(area: Program, hands: Input, name: str) -> None:
    pressed = strokes(area, hands, Key((name,)))
    assert len(pressed) == 2 and pressed[0][1:] == pressed[1][1:]


@pytest.mark.parametrize("numlock", [False, True])
def test_keypad_keys_are_digits_with_num_lock_on_or_off(area: Program, hands: Input, numlock: bool) -> None:
    lock = [Key(("numlock",))] * numlock
    names = [*(f"num{n}" for n in range(10)), "decimal", "add", "subtract", "multiply", "divide", "numenter"]
    pressed = strokes(area, hands, *lock, *(Key((name,)) for name in names), *lock)
    expected = [*(f"KP_{n}" for n in range(10)), "KP_Decimal", "KP_Add", "KP_Subtract", "KP_Multiply", "KP_Divide"]
    assert [key[1:] for key in pressed[::2] if key != "+Num_Lock"] == [*expected, "KP_Enter"]


def test_every_named_key_can_be_pressed(area: Program, hands: Input) -> None:
    rest = sorted(NAMED_KEYS - {"capslock", "numlock", "scrolllock", "f12"})
    pressed = strokes(area, hands, *(Key((name,)) for name in rest))
    assert len({key for key in pressed if key[0] == "+"}) > 80


def test_a_held_key_stays_down_until_it_is_let_go(area: Program, hands: Input) -> None:
    hands.perform(KeyDown("ctrl"))
    hands.perform(KeyDown("ctrl"))
    assert hands.held() == (("ctrl",), ())
    events = after(area, hands, Click(x=300, y=300), kinds=("button-press",))
    assert events[0]["modifiers"] == ["ctrl"]
    hands.perform(KeyUp("ctrl"))
    assert hands.held() == ((), ())


def test_release_all_lets_everything_go(area: Program, hands: Input) -> None:
    for action in (KeyDown("shift"), KeyDown("a"), KeyDown("é"), MouseDown("left", 300, 300), MouseDown("right")):
        hands.perform(action)
    hands.release_all()
    assert hands.held() == ((), ())


@pytest.mark.parametrize(
    ("button", "number"), [("left", 1), ("middle", 2), ("right", 3), ("back", 8), ("forward", 9)]
)  # fmt: skip
def test_every_button(area: Program, hands: Input, button: str, number: int) -> None:
    events = after(area, hands, Click(button=button, x=321, y=234), kinds=("button-press", "button-release"))
    assert [(e["event"], e["button"], e["x"], e["y"]) for e in events] == [
        ("button-press", number, 321, 234), ("button-release", number, 321, 234),
    ]  # fmt: skip


def presses(area: Program, hands: Input, *actions: Any) -> list[str]:
    return [event["event"] for event in after(area, hands, *actions, kinds=PRESSES)]


def test_a_double_and_a_triple_click_are_one(area: Program, hands: Input) -> None:
    assert presses(area, hands, Click(count=2, x=400, y=300)) == ["button-press", "button-press", "2button-press"]
    assert presses(area, hands, Click(count=3, x=500, y=300))[-1] == "3button-press"


def test_two_clicks_in_one_place_stay_two_single_clicks(area: Program, hands: Input) -> None:
    click = Click(x=600, y=300)
    assert presses(area, hands, click, click, click) == ["button-press"] * 3


def test_a_click_after_a_double_click_stays_single(area: Program, hands: Input) -> None:
    both = presses(area, hands, Click(count=2, x=700, y=300), Click(x=700, y=300))
    assert both == ["button-press", "button-press", "2button-press", "button-press"]


def test_clicks_in_different_places_do_not_wait_for_each_other(area: Program, hands: Input) -> None:
    assert presses(area, hands, Click(x=100, y=500), Click(x=130, y=500)) == ["button-press"] * 2


@pytest.mark.parametrize(
    ("scroll", "directions"),
    [
        (Scroll(dy=3, x=300, y=300), ["up"] * 3),
        (Scroll(dy=-2, x=300, y=300), ["down"] * 2),
        (Scroll(dx=2, x=300, y=300), ["right"] * 2),
        (Scroll(dx=-1, dy=1, x=300, y=300), ["up", "left"]),
    ],
)
def test_wheels(area: Program, hands: Input, scroll: Scroll, directions: list[str]) -> None:
    events = after(area, hands, scroll, kinds=("scroll",))
    assert [e["direction"] for e in events] == directions


@pytest.mark.parametrize("held", [("ctrl", "shift"), ("alt",), ("alt", "shift"), ("alt", "ctrl")], ids="+".join)
@pytest.mark.parametrize("button", ["left", "middle", "right"])
def test_modifiers_are_held_on_clicks_wheels_and_drags(
    area: Program, hands: Input, held: tuple[str, ...], button: str
) -> None:
    drag = Drag(((200, 600), (300, 600)), button=button, modifiers=held)
    actions = (Click(button=button, x=310, y=310, modifiers=held), Scroll(dy=1, modifiers=held), drag)
    events = after(area, hands, *actions, kinds=("button-press", "button-release", "scroll"))
    pressed = ["button-press", "button-release"]
    assert [e["event"] for e in events] == [*pressed, "scroll", *pressed]
    assert all(sorted(e["modifiers"]) == sorted(held) for e in events)
    assert [e["x"] for e in events if e["event"] != "scroll"] == [310, 310, 200, 300]


def test_a_drag_moves_in_between(area: Program, hands: Input) -> None:
    events = after(
        area, hands, Drag(((100, 600), (400, 600), (400, 700))), kinds=("motion", "button-press", "button-release")
    )
    inside = [(e["x"], e["y"]) for e in events if e["event"] == "motion" and e["held"]]
    assert len(inside) > 8
    assert (400, 700) in inside
    assert events[-1]["event"] == "button-release"
    assert (events[-1]["x"], events[-1]["y"]) == (400, 700)
    assert all(100 <= x <= 400 and 600 <= y <= 700 for x, y in inside)


def test_pressing_moving_and_letting_go_by_hand(area: Program, hands: Input) -> None:
    by_hand = (MouseDown("left", 150, 650), Move(250, 650), MouseUp("left"))
    events = after(area, hands, *by_hand, kinds=("button-press", "button-release"))
    assert [(e["event"], e["x"]) for e in events] == [("button-press", 150), ("button-release", 250)]


def test_a_click_straight_after_unusual_text_is_not_held_back(area: Program, hands: Input) -> None:
    """Openbox rebinds its keys after each change of the mapping, and delays clicks while it does."""
    actions = [a for n in range(5) for a in (Key((chr(0x4E00 + n),)), Click(x=100 + 40 * n, y=444))]
    assert presses(area, hands, *actions) == ["button-press"] * 5


def test_keys_go_where_the_click_before_them_put_the_focus(xvfb: Xvfb, hands: Input, area: Program) -> None:
    view = xvfb.probe("text")
    subprocess.run(["wmctrl", "-r", "probe text", "-b", "remove,maximized_vert,maximized_horz"],
                   env=xvfb.environment(), check=True)  # fmt: skip
    subprocess.run(["wmctrl", "-r", "probe text", "-b", "add,above"], env=xvfb.environment(), check=True)
    subprocess.run(["wmctrl", "-r", "probe text", "-e", "0,700,400,300,200"], env=xvfb.environment(), check=True)

    def small() -> bool:
        listed = subprocess.run(["wmctrl", "-lG"], env=xvfb.environment(), check=True, capture_output=True, text=True)
        (line,) = [line for line in listed.stdout.splitlines() if line.endswith("probe text")]
        return line.split()[4:6] == ["300", "200"]

    assert wait.until(small, timeout=10)  # otherwise the first click hits it
    expected = ""
    for n in range(20):
        hands.perform(Click(x=100, y=100 + n))
        hands.perform(Type("lost"))
        hands.perform(Click(x=800 + n, y=500))
        hands.perform(Key(("ctrl", "end")))
        hands.perform(Type(f"{n},"))
        expected += f"{n},"
    assert view.wait_text(expected) == expected
    xvfb.stop(view.process)


def test_drag_and_drop_between_widgets(xvfb: Xvfb, hands: Input) -> None:
    program = xvfb.probe("dnd")
    for _ in range(5):
        program.forget()
        hands.perform(Drag(((200, 400), (1000, 400))))
        assert program.wait_events(1, "dropped") == [{"event": "dropped", "text": "cargo"}]
    program.forget()
    for action in (MouseDown("left", 200, 400), Move(1000, 400), MouseUp("left")):
        hands.perform(action)
    assert program.wait_events(1, "dropped")
    xvfb.stop(program.process)


def test_the_pointer_is_where_it_was_sent(hands: Input) -> None:
    hands.perform(Move(1279, 799))
    assert hands.pointer() == (1279, 799)
    assert hands.perform(CursorPosition()) == "1279,799"


@pytest.mark.parametrize(
    "action",
    [
        Move(1280, 5), Move(5, -1), Click(x=5, y=800, modifiers=("ctrl",)), MouseDown("left", 9999, 1),
        Drag(((1, 1), (1300, 1))), Scroll(dy=1, x=-5, y=5),
    ],
)  # fmt: skip
def test_a_point_off_the_screen_is_an_error_that_names_the_screen(area: Program, hands: Input, action: Any) -> None:
    with pytest.raises(InputError, match="1280x800"):
        hands.perform(action)
    assert hands.pointer() == (5, 400)


@pytest.mark.parametrize("action", [Wait(1), Done()])
def test_what_is_not_mouse_or_keyboard_is_an_error(hands: Input, action: Any) -> None:
    with pytest.raises(InputError, match="not an action of mouse or keyboard"):
        hands.perform(action)


def test_a_display_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        Input(":9999")
