"""Raw events to actions: moves merged into clicks and drags, wheel turns joined, keys grouped to text and chords."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from deskbench.agent.recording.events import Event, Pointer, Press, State
from deskbench.envs.actions import Action, Click, Drag, Key, Point, Scroll, Type
from deskbench.envs.server.x11.keysyms import NAMED, character

STILL = 5
"""Pixels within which two places are one: a hand shakes."""
DOUBLE_SECONDS = 0.6
"""Between the presses of a double click."""
REST_SECONDS = 0.25
"""A pointer that rests so long may open something: GTK opens a menu in a menu after 0.225 s."""
BUTTONS = {1: "left", 2: "middle", 4: "right", 128: "back", 256: "forward"}
WHEEL = {8: (0, 1), 16: (0, -1), 32: (-1, 0), 64: (1, 0)}
"""Bits of the wheel: notches to the right and up."""
MODIFIERS = {"shiftleft": "shift", "shiftright": "shift", "ctrlleft": "ctrl", "ctrlright": "ctrl", "altleft": "alt",
             "altright": "alt", "superleft": "super", "superright": "super"} | {
             name: name for name in ("shift", "ctrl", "alt", "super", "altgr")}  # fmt: skip
ORDER = ("ctrl", "alt", "altgr", "super", "shift")
LOCKS = frozenset({"capslock", "numlock", "scrolllock"})
"""Keysyms say already what they make of a key."""
SYMS = {sym: name for name, syms in reversed(NAMED.items()) for sym in syms[:1]}
SYMS |= {0xFE03: "altgr", 0xFFE7: "super", 0xFFE8: "super", 0xFE20: "tab", 0xFF95: "home", 0xFF9C: "end",
         0xFF96: "left", 0xFF97: "up", 0xFF98: "right", 0xFF99: "down", 0xFF9A: "pageup", 0xFF9B: "pagedown",
         0xFF9E: "insert", 0xFF9F: "delete", 0xFFBD: "="}  # fmt: skip
"""Keysyms to canonical names; the keypad's without Num Lock are the keys that they stand for."""
KEYPAD = {0xFFB0 + n: str(n) for n in range(10)} | {0xFFAA: "*", 0xFFAB: "+", 0xFFAD: "-", 0xFFAE: ".", 0xFFAF: "/"}
"""What the keypad types with Num Lock."""


@dataclass(frozen=True)
class Step:
    """An action, when it began, the desktop before it, and where the pointer rested on the way to it."""

    action: Action
    t: float
    state: State | None = None
    rests: tuple[Point, ...] = ()


@dataclass
class _Reducer:
    """What is known between two events."""

    steps: list[Step] = field(default_factory=list)
    state: State | None = None
    buttons: int = 0
    path: list[Point] = field(default_factory=list)
    began: float = 0.0
    last: Pointer | None = None
    """The pointer's last event."""
    rests: list[Point] = field(default_factory=list)
    held: dict[int, str] = field(default_factory=dict)
    """Modifiers that are down, by keysym."""
    lone: int | None = None
    """A modifier that is down and with which nothing has been done."""

    def take(self, event: Event) -> None:
        if isinstance(event, State):
            self.state = event
        elif isinstance(event, Pointer):
            self.point(event)
        else:
            self.press(event)

    @property
    def modifiers(self) -> tuple[str, ...]:
        return tuple(name for name in ORDER if name in self.held.values())

    def point(self, event: Pointer) -> None:
        went, came = event.buttons & ~self.buttons, self.buttons & ~event.buttons
        before, self.buttons = self.buttons, event.buttons
        place = (event.x, event.y)
        self.rest(event)
        if before & sum(BUTTONS):
            self.path.append(place)
        for bit, (dx, dy) in WHEEL.items():
            if went & bit:
                self.scroll(dx, dy, place, event.t)
        for bit, button in BUTTONS.items():
            if went & bit and not before & sum(BUTTONS):
                self.path, self.began, self.lone = [place], event.t, None
            if came & bit and self.path and not event.buttons & sum(BUTTONS):
                self.release(button)

    def rest(self, event: Pointer) -> None:
        """Note where the pointer was, if it was there long enough and elsewhere than where a button goes down."""
        last, self.last = self.last, event
        if last is not None and not last.buttons and event.t - last.t >= REST_SECONDS:
            place = (last.x, last.y)
            if not near(place, (event.x, event.y)) or not event.buttons:
                self.rests.append(place)

    def release(self, button: str) -> None:
        """A click or a drag has ended."""
        path, self.path = self.path, []
        if any(not near(path[0], place) for place in path):
            short = tuple(simplified(path))
            self.add(Drag(short, button, self.modifiers), self.began)
            return
        last = self.steps[-1] if self.steps else None
        x, y = path[0]
        if last is not None and isinstance(last.action, Click) and self.repeats(last, button, path[0]):
            count = last.action.count + 1
            self.steps[-1] = replace(last, action=replace(last.action, count=count), t=self.began)
        else:
            self.add(Click(button, 1, x, y, self.modifiers), self.began)

    def repeats(self, last: Step, button: str, place: Point) -> bool:
        click = last.action
        assert isinstance(click, Click)
        same = (click.button, click.modifiers) == (button, self.modifiers) and near(click.points[0], place)
        return same and self.began - last.t <= DOUBLE_SECONDS and click.count < 3

    def scroll(self, dx: int, dy: int, place: Point, t: float) -> None:
        self.lone = None
        last = self.steps[-1].action if self.steps else None
        if isinstance(last, Scroll) and last.modifiers == self.modifiers and near(last.points[0], place, 4 * STILL):
            dx, dy = last.dx + dx, last.dy + dy
            self.steps[-1] = replace(self.steps[-1], action=replace(last, dx=dx, dy=dy))
        else:
            self.add(Scroll(dx, dy, *place, self.modifiers), t)

    def press(self, event: Press) -> None:
        name = SYMS.get(event.keysym)
        if name in MODIFIERS:
            self.modify(event, MODIFIERS[name])
        elif event.down and name not in LOCKS:
            self.lone = None
            self.type(name, KEYPAD.get(event.keysym) or character(event.keysym), event.t)

    def modify(self, event: Press, name: str) -> None:
        if event.down:
            self.held[event.keysym] = name
            self.lone = event.keysym if len(self.held) == 1 else None
            return
        self.held.pop(event.keysym, None)
        if self.lone == event.keysym:
            self.lone = None
            if name in ("alt", "super"):  # they open menus; the others do nothing by themselves
                self.add(Key((name,)), event.t)

    def type(self, name: str | None, text: str | None, t: float) -> None:
        chord = [one for one in self.modifiers if one not in ("shift", "altgr")]
        if text is not None and not chord:
            last = self.steps[-1] if self.steps else None
            if last is not None and isinstance(last.action, Type):
                self.steps[-1] = replace(last, action=Type(last.action.text + text))
            else:
                self.add(Type(text), t)
            return
        key = name or text
        if key is None:
            return  # a key without a name, or one that only changes the next
        if name is None or name == "space":
            shift = ["shift"] if "shift" in self.modifiers and (key.isalpha() or name) else []
            self.add(Key((*chord, *shift, key.lower())), t)
        else:
            self.add(Key((*self.modifiers, key)), t)

    def add(self, action: Action, t: float) -> None:
        points = action.points
        rests = [place for place in self.rests if points and not near(place, points[0])]
        self.rests = []
        self.steps.append(Step(action, t, self.state, tuple(dict.fromkeys(rests))))


def reduced(events: Iterable[Event]) -> list[Step]:
    """The actions that the events amount to; each with the state before it.

    Pure moves are left out. A modifier alone counts where programs react to that (Alt, Super).
    """
    reducer = _Reducer()
    for event in events:
        reducer.take(event)
    return reducer.steps


def near(one: Point, other: Point, most: int = STILL) -> bool:
    """Whether two places are one for a hand."""
    return abs(one[0] - other[0]) <= most and abs(one[1] - other[1]) <= most


def simplified(path: list[Point]) -> list[Point]:
    """A path without the points that lie within STILL of a straight line (Douglas and Peucker, 1973)."""
    first, last = path[0], path[-1]
    far, index = max((_distance(place, first, last), -i) for i, place in enumerate(path))
    if far <= STILL or len(path) < 3:
        return [first, last]
    return [*simplified(path[: -index + 1])[:-1], *simplified(path[-index:])]


def _distance(place: Point, first: Point, last: Point) -> float:
    """From a place to the line between two others, in pixels."""
    dx, dy = last[0] - first[0], last[1] - first[1]
    length = (dx * dx + dy * dy) ** 0.5
    x, y = place[0] - first[0], place[1] - first[1]
    return float(abs(dx * y - dy * x) / length) if length else float((x * x + y * y) ** 0.5)
