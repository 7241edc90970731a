"""Keyboard actions of models: text, keys, chords."""

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


def type_text(clear_key: str = "backspace", clear: bool = False, enter: bool = False, empties: bool = False) -> Handler:
    """Type text, with flags to clear the field first and to press Enter at the end, and their defaults.

    `empties`: the flag `overwrite` also deletes what it selects, which matters if the text is empty.
    """

    def run(a: Arguments) -> list[Action]:
        text = a.text("text", "content", "message", "value")
        point = a.point(*POINTS)
        actions: list[Action] = [] if point is None else [Click(x=point[0], y=point[1])]
        if a.flag("clear", "clear_before_typing", "delete_existing_text", default=clear):
            actions += [Key(("ctrl", "a")), Key((clear_key,))]
        elif a.flag("overwrite"):
            actions += [Key(("ctrl", "a")), *([Key((clear_key,))] if empties else [])]
        if text:
            actions.append(Type(text))
        if a.flag("enter", "press_enter", default=enter):
            actions.append(Key(("enter",)))
        if text is None or not actions:
            raise a.wrong("the text to type is missing")
        return actions

    return run


def unescaped(inner: Handler, always: bool = False) -> Handler:
    """Resolve a family's own escapes in a text, once.

    UI-TARS and Seed also write escapes in tags, where nothing else resolves them (`Call.raw`), and put one more escape
    on a line end that presses Enter at the end of a text. EvoCUA adds one level of escapes inside JSON (`always`).
    """

    def run(a: Arguments) -> list[Action]:
        decode = unescaped_once if a.raw or always else entered
        return [Type(decode(action.text)) if isinstance(action, Type) else action for action in inner(a)]

    return run


def key(a: Arguments) -> list[Action]:
    """Press one chord, as often as `repeat` says."""
    keys = a.keys("keys", "key", "text", "content")
    keys += tuple(k for name in ("key2", "key3", "key4") for k in a.keys(name))
    if not keys:
        raise a.wrong("the keys are missing")
    times = a.number("repeat", "repeat_count", "presses", default=1) or 1
    if not 1 <= times <= 100:
        raise a.wrong("repeat is 1 to 100")
    return [Key(keys) for _ in range(int(times))]


def chords(a: Arguments) -> list[Action]:
    """Press several chords in order, in xdotool's form: `Down Down ctrl+s`."""
    pressed = _in_order(a, a.text("text"))
    times = a.number("repeat", default=1) or 1
    if not 1 <= times <= 100:
        raise a.wrong("repeat is 1 to 100")
    return pressed * int(times)


def key_presses(a: Arguments) -> list[Action]:
    """Press several chords in order, in Yutori's form: `down down ctrl+s` (yutori 0.9.36, parse_n2_key_expression).

    Capitals mean nothing in it: `A` is the key `a`.
    """
    return _in_order(a, (a.text("key") or "").lower())


def _in_order(a: Arguments, text: str | None) -> list[Action]:
    if not text or not text.strip():
        raise a.wrong("the keys are missing")
    parts = [text] if len(split_chord(text)) == 1 else text.split()
    return [Key(a.chord(part)) for part in parts]


def key_down(a: Arguments) -> list[Action]:
    """Press keys and keep them down."""
    return [KeyDown(k) for k in _some_keys(a)]


def key_up(a: Arguments) -> list[Action]:
    """Release keys."""
    return [KeyUp(k) for k in reversed(_some_keys(a))]


def _some_keys(a: Arguments) -> tuple[str, ...]:
    keys = a.keys("key", "keys", "text")
    if not keys:
        raise a.wrong("the key is missing")
    return keys


def hold_key(a: Arguments) -> list[Action]:
    """Hold keys down for a while."""
    keys = a.keys("text", "keys", "key")
    seconds = a.number("duration", "seconds", "time", default=1.0)
    if not keys:
        raise a.wrong("the key is missing")
    return holding(keys, [Wait(seconds)])


def hold(a: Arguments) -> list[Action]:
    """Hold one key down for a while, or without a duration during the next call (`Vocabulary.lets_go`)."""
    keys = a.chord((a.text("key") or "").lower())
    seconds = a.number("duration")
    if len(keys) != 1:
        raise a.wrong("key must be one key")
    return [KeyDown(keys[0])] if seconds is None else holding(keys, [Wait(seconds)])


def hold_and_press(a: Arguments) -> list[Action]:
    """Press keys one after the other while holding others."""
    held = a.keys("hold_keys", "hold_key", "held_keys")
    pressed = a.keys("press_keys", "tap_key", "key", "keys")
    if not held or not pressed:
        raise a.wrong("the keys to hold and the keys to press are missing")
    return holding(held, [Key((k,)) for k in pressed])


_SYSTEM = {"enter": ("enter",), "back": ("alt", "left"), "menu": ("menu",)}


def system_button(a: Arguments) -> list[Action]:
    """Press one of a phone's buttons, if a keyboard has a matching key."""
    name = (a.text("button") or "").strip().lower()
    if name not in _SYSTEM:
        raise a.wrong(f"a desktop has no button {name[:40]!r}; it has {', '.join(_SYSTEM)}")
    return [Key(_SYSTEM[name])]


def press(*keys: str) -> Handler:
    """Press the chord that the function's name stands for (`go_back`)."""
    return lambda a: [Key(keys)]
