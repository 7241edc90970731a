"""The keyboard: keys, chords and exact text, on whatever layout the X server has.

A character in the layout is typed with its own key. If several layouts are active and only another one has the
character, that one is switched on for the key. Any other character is bound to one of the keycodes that the layout
leaves free. Programs look up a keycode when they read the event, not when it was made. So such a keycode gets a new
character only after the focused program has read the keys it stood for.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from Xlib import X

from deskbench.envs.server.x11 import keysyms as input_keys
from deskbench.envs.server.x11.connection import Connection
from deskbench.envs.server.x11.keysyms import InputError
from deskbench.envs.server.x11.layout import Layout, Place
from deskbench.envs.server.x11.xkb import bits

_OF_MANAGERS = frozenset(["alt", "altleft", "super", "superleft", "superright"])
"""Modifiers of chords that window managers take for themselves."""
_RECYCLE_PATIENCE = 5.0
_BURST = 200
"""Characters to send before waiting for the program, so that a long text does not pile up in its queue."""


class Keyboard:
    """Presses keys, and keeps track of those that it holds down."""

    def __init__(self, connection: Connection) -> None:
        self._x = connection
        self._held: dict[str, int] = {}
        self._bound: dict[int, int] = {}  # keysym -> keycode, least recently used first
        self._remapped = False  # the window manager may not have handled the last change yet
        self._unread: set[int] = set()  # bound keycodes pressed since the program last proved it has caught up
        self._refresh()

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the keys held down by `key_down`, in order."""
        return tuple(self._held)

    def key(self, names: Sequence[str]) -> None:
        """Press a chord in order and release it in reverse.

        The window manager gets time to take its own chords. If Alt were released before it has grabbed the keyboard,
        its window list would stay up and take the next key.

        Raises:
            InputError: a name has no known keysym; nothing was pressed.
        """
        with self._chord(names):
            if len(names) > 1 and not _OF_MANAGERS.isdisjoint(names):
                self._x.sync()
                self._x.wait_manager()
        self._settle()

    def key_down(self, name: str) -> None:
        """Press a key and keep it down; does nothing if it is already down."""
        if name in self._held:
            return
        place = self._prepare([name])[0]
        with self._numlock([name]), self._grouped() as bring:
            bring(place.group)
            with self._pressed(self._missing_levels(place)):
                self._press(place.keycode)
            self._held[name] = place.keycode
        self._settle()

    def key_up(self, name: str) -> None:
        """Release a key, whoever pressed it."""
        keycode = self._held.pop(name, None)
        if keycode is None:
            keycode = self._prepare([name])[0].keycode
        self._release(keycode)
        self._settle()

    @contextlib.contextmanager
    def holding(self, names: Sequence[str]) -> Iterator[None]:
        """Hold modifiers while the block runs. Modifiers that were already held stay held."""
        with self._chord([name for name in names if name not in self._held]):
            yield
        self._settle()

    def type(self, text: str) -> None:
        """Type text exactly: newline is Enter, tab is Tab; Caps Lock and a held Shift have no effect.

        Raises:
            InputError: the text contains a control character; nothing was typed.
        """
        syms = [input_keys.keysym(char) for char in re.sub("\r\n?", "\n", text)]
        self._refresh()
        mods, _, group = self._x.locks()
        cleared = X.LockMask | self._layout.level_mods
        lifted = [code for code in self._held.values() if self._layout.sets(code, group) & cleared]
        repeat = self._x.display.get_keyboard_control().global_auto_repeat
        # A server that is slow to see the release would repeat the letter.
        self._x.display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOff)
        try:
            self._x.set_locks(cleared, 0)
            for code in lifted:
                self._release(code)
            with self._grouped() as bring:
                self._type_syms(syms, self._group_for(syms, group, mods & ~cleared), mods & ~cleared, bring)
        finally:
            for code in lifted:
                self._press(code)
            self._x.set_locks(cleared, mods)
            self._x.display.change_keyboard_control(auto_repeat_mode=repeat)
            self._settle()

    def release_all(self) -> None:
        """Release every key that is down, whoever pressed it."""
        down = self._x.display.query_keymap()
        codes = {8 * index + bit for index, byte in enumerate(down) for bit in range(8) if byte >> bit & 1}
        for keycode in codes | set(self._held.values()):
            self._release(keycode)
        self._held.clear()
        self._x.sync()

    def restore(self) -> None:
        """Give back the borrowed keycodes, and clear their meaning."""
        if self._bound:
            self._x.wait_consumed()
            self._map(dict.fromkeys(self._bound.values(), 0))
            self._bound.clear()
            self._unread.clear()
            self._settle()

    def _settle(self) -> None:
        """Wait until the server has done everything, and the window manager accepts clicks again."""
        self._x.sync()
        if self._remapped:
            self._remapped = False
            self._x.wait_manager()

    # -- the layout

    def _refresh(self) -> None:
        """Read the mapping again if somebody has changed it. Keeps our own bindings apart from it."""
        self._x.before_keys()
        self._x.drain()
        if not self._x.mapping_changed:
            return
        self._x.mapping_changed = False
        keys = self._x.keys()
        for sym, keycode in list(self._bound.items()):
            share = keys[keycode].group(0)
            if share is None or share.syms[:1] != (sym,):
                del self._bound[sym]
        self._layout = Layout(keys, self._bound.values())

    def _group_for(self, syms: Iterable[int], group: int, locked: int) -> int:
        """The group that holds most of the text; in a tie, the one in effect."""
        wanted = set(syms)

        def held(candidate: int) -> tuple[int, bool]:
            return sum(self._layout.find(s, candidate, locked) is not None for s in wanted), candidate == group

        return max(range(self._layout.groups), key=held)

    @contextlib.contextmanager
    def _grouped(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that switches to a group for the keys that follow; restore the old group at the end."""
        _, locked, group = self._x.locks()
        now = group

        def bring(wanted: int) -> None:
            nonlocal now
            if wanted != now:
                # The group in effect is the sum of the locked group and what held keys add to it.
                self._x.set_locks(0, 0, (locked + wanted - group) % self._layout.groups)
                now = wanted

        try:
            yield bring
        finally:
            if now != group:
                self._x.set_locks(0, 0, locked)

    # -- keys by name

    def _prepare(self, names: Sequence[str]) -> list[Place]:
        """Find each named key. Keys that the layout lacks are bound to free keycodes."""
        self._refresh()
        mods, _, group = self._x.locks()
        wanted = [self._syms_of(name) for name in names]
        found = [self._locate(syms, group, mods & ~X.LockMask) for syms in wanted]
        absent = [syms[0] for syms, place in zip(wanted, found) if place is None]  # noqa: B905  (Python 3.10's is fine)
        if absent:
            self._bind(list(dict.fromkeys(absent)))
        return [place or Place(self._use(syms[0]), group) for syms, place in zip(wanted, found)]  # noqa: B905

    def _locate(self, syms: Sequence[int], group: int, locked: int) -> Place | None:
        """The first of the keysyms that the group in effect has, otherwise the first that another group has."""
        if syms[0] in input_keys.KEYPAD_LEVEL2:
            locked |= self._layout.num_lock()  # Num Lock will be on
        places = [self._layout.find(sym, group, locked) for sym in syms]
        places += [self._layout.find_anywhere(sym, group, locked) for sym in syms]
        return next((place for place in places if place is not None), None)

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
        with self._numlock(names), self._grouped() as bring:
            try:
                for place in places:
                    bring(place.group)
                    down.extend(self._press_with_levels(place, down))
                yield
            finally:
                for keycode in reversed(down):
                    self._release(keycode)

    def _press_with_levels(self, place: Place, down: list[int]) -> list[int]:
        codes = [code for code in (*self._missing_levels(place, down), place.keycode) if code not in down]
        for code in codes:
            self._press(code)
        return codes

    def _missing_levels(self, place: Place, down: Sequence[int] = ()) -> list[int]:
        """The keycodes of the level modifiers that are not yet down."""
        pressed = 0
        for code in (*down, *self._held.values()):
            pressed |= self._layout.sets(code, place.group)
        return self._level_keys(place, place.mods & ~pressed)

    def _level_keys(self, place: Place, mods: int) -> list[int]:
        return [self._layout.modifier(mod, place.group) for mod in bits(mods)]

    @contextlib.contextmanager
    def _numlock(self, names: Sequence[str]) -> Iterator[None]:
        """Switch Num Lock on while a keypad digit is pressed, and restore it afterwards."""
        keypad = any(input_keys.NAMED.get(name, (0,))[0] in input_keys.KEYPAD_LEVEL2 for name in names)
        locked = self._x.locks()[0] if keypad else 0
        change = self._layout.num_lock() & ~locked if keypad else 0
        if change:
            self._x.set_locks(change, change)
        try:
            yield
        finally:
            if change:
                self._x.set_locks(change, 0)

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

    def _type_syms(self, syms: Sequence[int], group: int, locked: int, bring: Callable[[int], None]) -> None:
        for start in range(0, len(syms), _BURST):
            if start:
                self._x.wait_consumed()
            self._type_burst(syms[start : start + _BURST], group, locked, bring)

    def _type_burst(self, syms: Sequence[int], group: int, locked: int, bring: Callable[[int], None]) -> None:
        for index, sym in enumerate(syms):
            place = self._layout.find_anywhere(sym, group, locked)
            if place is None:
                if sym not in self._bound:
                    self._bind(self._next_absent(syms[index:], group, locked))
                place = Place(self._use(sym), group)
            bring(place.group)
            with self._pressed(self._level_keys(place, place.mods)):
                self._press(place.keycode)
                self._release(place.keycode)

    def _next_absent(self, syms: Sequence[int], group: int, locked: int) -> list[int]:
        """The keysyms that one round of binding can serve, in the order of their use."""
        wanted: dict[int, None] = {}
        for sym in syms:
            if self._layout.find_anywhere(sym, group, locked) is None:
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
        """Give each keysym a free keycode, and reuse those that were used longest ago.

        Raises:
            InputError: the layout leaves too few keycodes free.
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
        if self._x.wait_consumed():
            self._unread.clear()

    def _map(self, change: dict[int, int]) -> None:
        self._remapped = True
        for keycode in sorted(change):
            self._x.display.change_keyboard_mapping(keycode, [(change[keycode],) * 2])

    def _press(self, keycode: int) -> None:
        self._x.fake(X.KeyPress, keycode)

    def _release(self, keycode: int) -> None:
        self._x.fake(X.KeyRelease, keycode)
