"""Where a keysym is on the keyboard: the key, the group and the fewest modifiers that produce it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from Xlib import X

from deskbench.envs.server.x11 import keysyms as input_keys
from deskbench.envs.server.x11.keysyms import InputError
from deskbench.envs.server.x11.xkb import Group, KeySyms, KeyType, combinations

_LEVEL_SHIFTS = frozenset([0xFFE1, 0xFFE2, 0xFE03, 0xFE11])
"""Shift_L, Shift_R, ISO_Level3_Shift, ISO_Level5_Shift: the keys that select a level."""
NUM_LOCK = 0xFF7F


@dataclass(frozen=True)
class Place:
    """Where a keysym is: its key, the group that must be in effect, and the mask of modifiers that select its level."""

    keycode: int
    group: int
    mods: int = 0


class Layout:
    """One state of the server's keyboard map.

    Args:
        keys: the keys by keycode.
        ours: keycodes that we have bound for now; they are ignored.

    Attributes:
        groups: how many layouts are active at once, 1 to 4.
        free: keycodes without a meaning.
        leftover: keycodes that another server bound and did not give back before it ended.
        level_mods: the mask of the modifiers that select levels.
    """

    def __init__(self, keys: Mapping[int, KeySyms], ours: Collection[int] = ()) -> None:
        self._keys = {code: key if code not in ours else KeySyms(()) for code, key in keys.items()}
        self.groups = max((len(key.groups) for key in self._keys.values()), default=0) or 1
        # No real keyboard has the lowest keycode, and some toolkits drop it.
        empty = [code for code, key in self._keys.items() if not any(any(group.syms) for group in key.groups)]
        self.free = [code for code in empty if code != min(self._keys)]
        self.leftover = [code for code, key in self._keys.items() if _looks_bound(key)]
        self._modifiers = [self._find_modifiers(group) for group in range(self.groups)]
        self.level_mods = 0
        for found in self._modifiers:
            self.level_mods |= sum(found)
        self._tables: dict[tuple[int, int], dict[int, Place]] = {}

    def find(self, sym: int, group: int, locked: int) -> Place | None:
        """Where a keysym is, given the group in effect and the mask of locked modifiers; None if the group lacks it."""
        table = self._tables.get((group, locked))
        if table is None:
            table = self._tables[group, locked] = self._table(group, locked)
        return table.get(_plain(sym))

    def find_anywhere(self, sym: int, group: int, locked: int) -> Place | None:
        """Like `find`, but also looks in the other groups."""
        others = (number for number in range(self.groups) if number != group)
        found = (self.find(sym, number, locked) for number in (group, *others))
        return next((place for place in found if place is not None), None)

    def modifier(self, mod: int, group: int) -> int:
        """The key that sets a modifier of `level_mods`, given by its bit.

        Raises:
            InputError: this group has no such key.
        """
        try:
            return self._modifiers[group][mod]
        except KeyError:
            raise InputError(f"the keyboard layout has no key for the modifier {mod:#x}") from None

    def sets(self, keycode: int, group: int) -> int:
        """The mask of modifiers that a key sets or locks when it is pressed."""
        share = self._share(keycode, group)
        return share.sets if share is not None else 0

    def num_lock(self) -> int:
        """The mask of Num Lock; 0 if there is none."""
        place = self.find_anywhere(NUM_LOCK, 0, 0)
        return self.sets(place.keycode, place.group) if place is not None else 0

    def _share(self, keycode: int, group: int) -> Group | None:
        key = self._keys.get(keycode)
        return key.group(group) if key is not None else None

    def _find_modifiers(self, group: int) -> dict[int, int]:
        """Keys by the single modifier that they set. Prefers keys that set it on every level."""
        found: dict[int, int] = {}
        for code in sorted(self._keys, key=lambda code: (self._width(code, group), code)):
            share = self._share(code, group)
            if share is None or not share.syms or share.syms[0] not in _LEVEL_SHIFTS:
                continue
            if share.sets.bit_count() == 1 and share.sets != X.LockMask:
                found.setdefault(share.sets, code)
        return found

    def _width(self, keycode: int, group: int) -> int:
        share = self._share(keycode, group)
        return len(set(share.syms)) if share is not None else 0

    def _table(self, group: int, locked: int) -> dict[int, Place]:
        found: dict[int, Place] = {}
        ways: dict[int, dict[int, int]] = {}
        for code in sorted(self._keys):
            share = self._share(code, group)
            if share is None:
                continue
            if id(share.type) not in ways:
                ways[id(share.type)] = self._ways(share.type, group, locked)
            for level, sym in enumerate(share.syms):
                mods = ways[id(share.type)].get(level)
                if sym and mods is not None:
                    self._note(found, sym, Place(code, group, mods))
        return found

    def _ways(self, kind: KeyType, group: int, locked: int) -> dict[int, int]:
        """The fewest modifiers that select each level."""
        found: dict[int, int] = {}
        for mods in combinations(sum(self._modifiers[group])):
            found.setdefault(kind.level(mods | locked), mods)
        return found

    @staticmethod
    def _note(found: dict[int, Place], sym: int, place: Place) -> None:
        known = found.get(_plain(sym))
        if known is None or place.mods.bit_count() < known.mods.bit_count():
            found[_plain(sym)] = place


def _plain(sym: int) -> int:
    """One number for all keysyms of a character."""
    char = input_keys.character(sym)
    return sym if char is None else input_keys.keysym(char)


def _looks_bound(key: KeySyms) -> bool:
    """Whether a key has one character on two levels, as `Keyboard` binds free keycodes and layouts hardly ever do."""
    if len(key.groups) != 1 or len(key.groups[0].syms) != 2:
        return False
    one, other = key.groups[0].syms
    return one == other != 0x20 and input_keys.character(one) is not None
