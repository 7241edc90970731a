"""The keyboard: keys, chords and exact text, on whatever layout the X server has.

A character that the layout holds is typed with its own key. Any other is bound to one of the keycodes that the layout
leaves free; a free keycode is bound anew only after the focused program has taken the keys it stood for, since programs
look keycodes up when they read the event, not when it was made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from Xlib import X

from deskbench.envs.server import input_keys
from deskbench.envs.server.input_keys import InputError
from deskbench.envs.server.input_x import Connection

_SHIFT, _LEVEL3 = 0xFFE1, 0xFE03
_SHIFTS = frozenset([0xFFE1, 0xFFE2])
_NUM_LOCK = 0xFF7F
_LOCK_MASK = X.LockMask
_OF_MANAGERS = frozenset(["alt", "altleft", "super", "superleft", "superright"])
"""Modifiers of the chords that window managers take for themselves."""
_RECYCLE_PATIENCE = 5.0
_BURST = 200
"""Characters sent before the program's answer is awaited, so that a long text does not pile up in its queue."""


@dataclass(frozen=True)
class _Place:
    """Where a keysym is: the key, and the keysyms of the modifiers that select its level."""

    keycode: int
    levels: tuple[int, ...] = ()


class Layout:
    """The server's keyboard mapping: which key and level gives which keysym, per group, and which keycodes are free.

    Args:
        first: the lowest keycode.
        rows: per keycode the keysyms in the core protocol's order: group 1 levels 1 and 2, group 2 levels 1 and 2,
            group 1 levels 3 and 4, group 2 levels 3 and 4.
    """

    _COLUMNS = (((0, ()), (1, (_SHIFT,)), (4, (_LEVEL3,)), (5, (_SHIFT, _LEVEL3))),
                ((2, ()), (3, (_SHIFT,)), (6, (_LEVEL3,)), (7, (_SHIFT, _LEVEL3))))  # fmt: skip

    def __init__(self, first: int, rows: Sequence[Sequence[int]]) -> None:
        self.free: list[int] = []
        self.leftover: list[int] = []  # bound by somebody like us who did not live to give them back
        self.places: tuple[dict[int, _Place], ...] = ({}, {})
        self.chars: tuple[dict[str, _Place], ...] = ({}, {})
        self.keycodes: dict[int, int] = {}
        for offset, row in enumerate(rows):
            keycode = first + offset
            # The lowest keycode is none of a real keyboard's; some toolkits drop it.
            if not any(row) and offset:
                self.free.append(keycode)
            elif _looks_bound(row):
                self.leftover.append(keycode)
            for group in (0, 1):
                self._add(group, keycode, row)

    def _add(self, group: int, keycode: int, row: Sequence[int]) -> None:
        for column, levels in self._COLUMNS[group]:
            sym = row[column] if column < len(row) else 0
            if not sym:
                continue
            self.keycodes.setdefault(sym, keycode)
            place = _Place(keycode, levels)
            known = self.places[group].get(sym)
            if known is None or len(levels) < len(known.levels):
                self.places[group][sym] = place
            char = input_keys.character(sym)
            if char is not None and (char not in self.chars[group] or known is None):
                self.chars[group].setdefault(char, place)


def _looks_bound(row: Sequence[int]) -> bool:
    """One character on every level and group, as `Keyboard` binds free keycodes and layouts hardly ever do."""
    return len(set(row[:4])) == 1 and not any(row[4:]) and row[0] != 0x20 and input_keys.character(row[0]) is not None


class Keyboard:
    """Presses keys; keeps account of what it holds down."""

    def __init__(self, connection: Connection) -> None:
        self._x = connection
        self._held: dict[str, int] = {}
        self._bound: dict[int, int] = {}  # keysym -> keycode, least recently used first
        self._remapped = False  # the window manager has not been seen to cope with the last change
        self._unread: set[int] = set()  # bound keycodes pressed since the program last proved it has caught up
        self._refresh()

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the keys held down by `key_down`, in order."""
        return tuple(self._held)

    def key(self, names: Sequence[str]) -> None:
        """A chord: pressed in order, released in reverse.

        The window manager gets the time to take its own chords: if Alt were let go before it has grabbed the
        keyboard, its window list would stay up and take the next key for itself.

        Raises:
            InputError: a name that no keysym is known for; nothing was pressed.
        """
        with self._chord(names):
            if len(names) > 1 and not _OF_MANAGERS.isdisjoint(names):
                self._x.sync()
                self._x.wait_manager()
        self._settle()

    def key_down(self, name: str) -> None:
        """Press a key and keep it down; nothing if it is down already."""
        if name in self._held:
            return
        place, _ = self._prepare([name])[0]
        with self._numlock([name]), self._pressed(self._missing_levels(place)):
            self._press(place.keycode)
            self._held[name] = place.keycode
            self._settle()

    def key_up(self, name: str) -> None:
        """Let a key go, whoever pressed it."""
        keycode = self._held.pop(name, None)
        if keycode is None:
            keycode = self._prepare([name])[0][0].keycode
        self._release(keycode)
        self._settle()

    @contextlib.contextmanager
    def holding(self, names: Sequence[str]) -> Iterator[None]:
        """Hold modifiers around something else; those held already stay held."""
        with self._chord([name for name in names if name not in self._held]):
            yield
        self._settle()

    def type(self, text: str) -> None:
        """Type text exactly: newline is Enter, tab is Tab, Caps Lock and held Shift do not matter.

        Raises:
            InputError: it holds a control character; nothing was typed.
        """
        syms = [input_keys.keysym(char) for char in re.sub("\r\n?", "\n", text)]
        self._refresh()
        locked, locked_group, group = self._x.locks()
        chosen = self._group_for(syms, group)
        lifted = [code for name, code in self._held.items() if name.startswith(("shift", "altgr"))]
        repeat = self._x.display.get_keyboard_control().global_auto_repeat
        # A server that is slow to see the release would repeat the letter.
        self._x.display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOff)
        try:
            self._x.set_locks(_LOCK_MASK, 0, chosen)
            for code in lifted:
                self._release(code)
            self._type_syms(syms, chosen)
        finally:
            for code in lifted:
                self._press(code)
            self._x.set_locks(_LOCK_MASK, locked, locked_group)
            self._x.display.change_keyboard_control(auto_repeat_mode=repeat)
            self._settle()

    def release_all(self) -> None:
        """Let go of every key that is down, whoever pressed it."""
        down = self._x.display.query_keymap()
        codes = {8 * index + bit for index, byte in enumerate(down) for bit in range(8) if byte >> bit & 1}
        for keycode in codes | set(self._held.values()):
            self._release(keycode)
        self._held.clear()
        self._x.sync()

    def restore(self) -> None:
        """Give the free keycodes back: they stand for nothing again."""
        if self._bound:
            self._x.wait_consumed()
            self._map(dict.fromkeys(self._bound.values(), 0))
            self._bound.clear()
            self._unread.clear()
            self._settle()

    def _settle(self) -> None:
        """Return when the server has done everything, and the window manager can take clicks again."""
        self._x.sync()
        if self._remapped:
            self._remapped = False
            self._x.wait_manager()

    # -- the layout

    def _refresh(self) -> None:
        """Read the mapping again if somebody has changed it; what we bound ourselves is kept apart from it."""
        self._x.before_keys()
        self._x.drain()
        if not self._x.mapping_changed:
            return
        self._x.mapping_changed = False
        info = self._x.display.display.info
        first, count = info.min_keycode, info.max_keycode - info.min_keycode + 1
        rows = [list(row) for row in self._x.display.get_keyboard_mapping(first, count)]
        for sym, keycode in list(self._bound.items()):
            if rows[keycode - first][0] == sym:
                rows[keycode - first] = []
            else:
                del self._bound[sym]
        self._layout = Layout(first, rows)
        self._num_mask = self._mask_of(_NUM_LOCK)

    def _mask_of(self, sym: int) -> int:
        keycode = self._layout.keycodes.get(sym)
        for index, codes in enumerate(self._x.display.get_modifier_mapping()):
            if keycode is not None and keycode in codes:
                return 1 << index
        return 0

    def _group_for(self, syms: Iterable[int], group: int) -> int:
        """The group that holds most of the text, the one in effect where that makes no difference."""
        wanted = set(syms)

        def held(candidate: int) -> tuple[int, bool]:
            return sum(self._find(sym, candidate) is not None for sym in wanted), candidate == group

        return max((0, 1), key=held)

    def _find(self, sym: int, group: int) -> _Place | None:
        place = self._layout.places[group].get(sym)
        if place is None:
            char = input_keys.character(sym)
            place = self._layout.chars[group].get(char) if char is not None else None
        return place

    # -- keys by name

    def _prepare(self, names: Sequence[str]) -> list[tuple[_Place, str]]:
        """Where each named key is; keys that the layout lacks are bound to free keycodes."""
        self._refresh()
        group = min(self._x.locks()[2], 1)
        wanted = [self._syms_of(name) for name in names]
        found = [next((p for s in syms if (p := self._locate(s, group))), None) for syms in wanted]
        absent = [syms[0] for syms, place in zip(wanted, found) if place is None]  # noqa: B905  (Python 3.10's is fine)
        if absent:
            self._bind(list(dict.fromkeys(absent)))
        places = []
        for syms, place, name in zip(wanted, found, names):  # noqa: B905
            known = place or _Place(self._use(syms[0]))
            # Num Lock selects the digits of the keypad, not Shift.
            places.append((_Place(known.keycode) if syms[0] in input_keys.KEYPAD_LEVEL2 else known, name))
        return places

    def _locate(self, sym: int, group: int) -> _Place | None:
        return self._find(sym, group) or self._find(sym, 1 - group)

    @staticmethod
    def _syms_of(name: str) -> tuple[int, ...]:
        if name in input_keys.NAMED:
            return input_keys.NAMED[name]
        if len(name) != 1:
            raise InputError(f"no key is called {name!r}")
        return (input_keys.keysym(name),)

    @contextlib.contextmanager
    def _chord(self, names: Sequence[str]) -> Iterator[None]:
        places = self._prepare(names)
        down: list[int] = []
        with self._numlock(names):
            try:
                for place, _ in places:
                    down.extend(self._press_with_levels(place, down))
                yield
            finally:
                for keycode in reversed(down):
                    self._release(keycode)

    def _press_with_levels(self, place: _Place, down: list[int]) -> list[int]:
        codes = [code for code in (*self._missing_levels(place, down), place.keycode) if code not in down]
        for code in codes:
            self._press(code)
        return codes

    def _missing_levels(self, place: _Place, down: Sequence[int] = ()) -> list[int]:
        """The keycodes of the level modifiers that are not down yet."""
        pressed = {*down, *self._held.values()}
        shifts = {self._layout.keycodes.get(sym) for sym in _SHIFTS}
        out = []
        for sym in place.levels:
            if sym == _SHIFT and pressed & shifts:
                continue
            code = self._modifier(sym)
            if code not in pressed:
                out.append(code)
        return out

    def _modifier(self, sym: int) -> int:
        code = self._layout.keycodes.get(sym)
        if code is None:
            raise InputError(f"the keyboard layout has no key for the modifier with keysym {sym:#x}")
        return code

    @contextlib.contextmanager
    def _numlock(self, names: Sequence[str]) -> Iterator[None]:
        """Num Lock on while a digit of the keypad is pressed, as it was afterwards."""
        keypad = any(input_keys.NAMED.get(name, (0,))[0] in input_keys.KEYPAD_LEVEL2 for name in names)
        locked = self._x.locks()[0] if keypad else 0
        change = keypad and self._num_mask and not locked & self._num_mask
        if change:
            self._x.set_locks(self._num_mask, self._num_mask)
        try:
            yield
        finally:
            if change:
                self._x.set_locks(self._num_mask, 0)

    @contextlib.contextmanager
    def _pressed(self, keycodes: Sequence[int]) -> Iterator[None]:
        try:
            for code in keycodes:
                self._press(code)
            yield
        finally:
            for code in reversed(keycodes):
                self._release(code)

    # -- text

    def _type_syms(self, syms: Sequence[int], group: int) -> None:
        for start in range(0, len(syms), _BURST):
            if start:
                self._x.wait_consumed()
            self._type_burst(syms[start : start + _BURST], group)

    def _type_burst(self, syms: Sequence[int], group: int) -> None:
        for index, sym in enumerate(syms):
            place = self._find(sym, group)
            if place is None:
                if sym not in self._bound:
                    self._bind(self._next_absent(syms[index:], group))
                place = _Place(self._use(sym))
            with self._pressed([self._modifier(level) for level in place.levels]):
                self._press(place.keycode)
                self._release(place.keycode)

    def _next_absent(self, syms: Sequence[int], group: int) -> list[int]:
        """The keysyms that one round of binding can serve, in the order in which they come."""
        wanted: dict[int, None] = {}
        for sym in syms:
            if self._find(sym, group) is None:
                wanted.setdefault(sym)
                if len(wanted) == (len(self._layout.free) or len(self._layout.leftover)):
                    break
        return list(wanted)

    def _use(self, sym: int) -> int:
        keycode = self._bound.pop(sym)
        self._bound[sym] = keycode
        self._unread.add(keycode)
        return keycode

    def _bind(self, syms: Sequence[int]) -> None:
        """Give each keysym a free keycode, taking back those used longest ago.

        Raises:
            InputError: the layout leaves no keycode free.
        """
        fresh = [sym for sym in syms if sym not in self._bound]
        taken = set(self._bound.values()) | set(self._held.values())
        empty = [code for code in self._layout.free if code not in taken]
        if not empty and not self._bound:
            empty = self._layout.leftover[:]
        held = set(self._held.values())
        old = [s for s, code in self._bound.items() if s not in syms and code not in held]
        if len(fresh) > len(empty) + len(old):
            raise InputError(f"the keyboard layout leaves too few keycodes free for {len(fresh)} more characters")
        reused = old[: max(0, len(fresh) - len(empty))]
        if any(self._bound[sym] in self._unread for sym in reused):
            # A program that is busy for longer than this may get a wrong character.
            self._x.wait_consumed(patience=_RECYCLE_PATIENCE)
            self._unread.clear()
        codes = empty + [self._bound.pop(sym) for sym in reused]
        change = dict(zip(codes, fresh))  # noqa: B905
        self._bound.update({sym: code for code, sym in change.items()})
        self._map(change)
        self._x.wait_consumed()
        self._unread.clear()

    def _map(self, change: dict[int, int]) -> None:
        self._remapped = True
        for keycode in sorted(change):
            self._x.display.change_keyboard_mapping(keycode, [(change[keycode],) * 2])

    def _press(self, keycode: int) -> None:
        self._x.fake(X.KeyPress, keycode)

    def _release(self, keycode: int) -> None:
        self._x.fake(X.KeyRelease, keycode)
