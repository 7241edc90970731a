"""What models ask of the keyboard: text, keys, chords."""

from __future__ import annotations

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.chords import split_chord
from deskbench.agent.replies.escapes import entered, unescaped_once
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


def unescaped(inner: Handler, always: bool = False) -> Handler:
    """A text whose escapes are the family's own, to be resolved here: once.

    UI-TARS and Seed write them in tags, too, where nothing else resolves them (`Call.raw`), and a line end that presses
    Enter at a text's end with one escape more; EvoCUA writes them into JSON, one level more than JSON has (`always`).
    """

    def run(a: Arguments) -> list[Action]:
        mend = unescaped_once if a.raw or always else entered
        return [Type(mend(action.text)) if isinstance(action, Type) else action for action in inner(a)]

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
    one = split_chord(text)
    parts = [text] if len(one) == 1 else text.split()
    return [Key(a.chord(part)) for _ in range(int(times)) for part in parts]


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


_SYSTEM = {"enter": ("enter",), "back": ("alt", "left"), "menu": ("menu",)}


def system_button(a: Arguments) -> list[Action]:
    """A telephone's own buttons, as far as a keyboard has them."""
    name = (a.text("button") or "").strip().lower()
    if name not in _SYSTEM:
        raise a.wrong(f"a desktop has no button {name[:40]!r}; it has {', '.join(_SYSTEM)}")
    return [Key(_SYSTEM[name])]


def press(*keys: str) -> Handler:
    """A chord that the name itself means (`go_back`)."""
    return lambda a: [Key(keys)]
