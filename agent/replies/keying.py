"""What models ask of the keyboard: text, keys, chords."""

from __future__ import annotations

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.pointing import holding
from deskbench.agent.replies.vocabulary import POINTS, Handler
from deskbench.envs.types import (
    Action,
    Click,
    Key,
    KeyDown,
    KeyUp,
    Type,
    Wait,
)


def type_text(clear_key: str = "backspace", clear: bool = False) -> Handler:
    """Text; with flags to empty the field first and to press Enter after it."""

    def run(a: Arguments) -> list[Action]:
        text = a.text("text", "content", "message", "value")
        point = a.point(*POINTS)
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
    return holding(keys, [Wait(seconds)])


def hold_and_press(a: Arguments) -> list[Action]:
    """Keys are pressed one after the other while others are down."""
    held = a.keys("hold_keys", "hold_key", "held_keys")
    pressed = a.keys("press_keys", "tap_key", "key", "keys")
    if not held or not pressed:
        raise a.wrong("the keys to hold and the keys to press are missing")
    return holding(held, [Key((k,)) for k in pressed])


def press(*keys: str) -> Handler:
    """A chord that the name itself means (`go_back`)."""
    return lambda a: [Key(keys)]
