"""The X server's keyboard map from its XKB extension: for each key its groups, their levels and what they do.

The core protocol's map is not enough: with two layouts, its columns do not say which layout a level belongs to. Numbers
and structures are from "The X Keyboard Extension: Protocol Specification", version 1.0, XkbGetMap.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from Xlib.protocol import rq

CORE_KEYBOARD = 0x100
_TYPES, _SYMS, _ACTIONS = 0x01, 0x02, 0x10
_PARTS = _TYPES | _SYMS | _ACTIONS
_SET_MODS, _LATCH_MODS, _LOCK_MODS = 1, 2, 3
_CLAMP, _REDIRECT = 1, 2


@dataclass(frozen=True)
class KeyType:
    """How modifiers select a level. Those in `mask` count; `levels` has the level for each set that does not select the
    first.
    """

    mask: int
    levels: Mapping[int, int]

    def level(self, mods: int) -> int:
        """The level, counted from 0, that these modifiers select."""
        return self.levels.get(mods & self.mask, 0)


@dataclass(frozen=True)
class Group:
    """One layout's share of a key: keysyms by level (0 for none), and the modifiers that pressing the key sets."""

    type: KeyType
    syms: tuple[int, ...]
    sets: int = 0


@dataclass(frozen=True)
class KeySyms:
    """A key: its groups, and in `outside` the rule for a group that it lacks (upper two bits) and its argument (next
    two).
    """

    groups: tuple[Group, ...]
    outside: int = 0

    def group(self, number: int) -> Group | None:
        """What the key means while this group is in effect; None if the key has no meaning."""
        count = len(self.groups)
        if number >= count > 0:
            rule, other = self.outside >> 6 & 3, self.outside >> 4 & 3
            if rule == _CLAMP:
                number = count - 1
            elif rule == _REDIRECT:
                number = other if other < count else 0
            else:
                number %= count
        return self.groups[number] if count else None


class _GetMap(rq.ReplyRequest):  # type: ignore[misc]
    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(8), rq.RequestLength(), rq.Card16("device"), rq.Card16("full"), rq.Pad(20)
    )  # fmt: skip
    _reply = rq.Struct(
        rq.ReplyCode(), rq.Card8("device"), rq.Card16("sequence_number"), rq.ReplyLength(), rq.Pad(6),
        rq.Card8("first_type"), rq.Card8("types"), rq.Pad(1), rq.Card8("first_syms"), rq.Pad(2), rq.Card8("syms"),
        rq.Card8("first_actions"), rq.Pad(2), rq.Card8("actions"), rq.Pad(15), rq.Binary("data"),
    )  # fmt: skip


def keys(display: Any, opcode: int) -> dict[int, KeySyms]:
    """Request the map: keycodes to keys.

    Args:
        display: python-xlib's display, which has already told the server that it uses XKB.
        opcode: the extension's opcode.
    """
    answer = _GetMap(display=display.display, opcode=opcode, device=CORE_KEYBOARD, full=_PARTS)
    reader = _Reader(answer.data)
    types = [_read_type(reader) for _ in range(answer.types)]
    rows = [_read_syms(reader) for _ in range(answer.syms)]
    actions = _read_actions(reader, answer.first_actions, answer.actions)
    numbered = enumerate(rows, answer.first_syms)
    return {keycode: _key(types, row, actions.get(keycode, ())) for keycode, row in numbered}


class _Reader:
    """Reads one structure after another."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(f"={form}", self._data, self._at)
        self._at += struct.calcsize(f"={form}")
        return found


@dataclass(frozen=True)
class _Row:
    types: tuple[int, ...]
    info: int
    width: int
    syms: tuple[int, ...]


def _read_type(reader: _Reader) -> KeyType:
    mask, _, _, _, entries, preserve = reader.take("BBHBBBx")
    levels: dict[int, int] = {}
    for _ in range(entries):
        active, mods, level, _, _ = reader.take("BBBBHxx")
        if active:
            levels.setdefault(mods, level)
    reader.take(f"{4 * entries * bool(preserve)}x")
    return KeyType(mask, levels)


def _read_syms(reader: _Reader) -> _Row:
    *types, info, width, count = reader.take("4BBBH")
    return _Row(tuple(types), info, width, reader.take(f"{count}I"))


def _read_actions(reader: _Reader, first: int, count: int) -> dict[int, tuple[int, ...]]:
    """The modifiers that each key's actions set, latch or lock, by keycode, in the order of groups and levels."""
    counts = reader.take(f"{count}B")
    reader.take(f"{-count % 4}x")
    found = {}
    for keycode, number in enumerate(counts, first):
        actions = [reader.take("BBB5x") for _ in range(number)]
        found[keycode] = tuple(mods if kind in (_SET_MODS, _LATCH_MODS, _LOCK_MODS) else 0 for kind, _, mods in actions)
    return found


def _key(types: Sequence[KeyType], row: _Row, actions: Sequence[int]) -> KeySyms:
    count = row.info & 0x0F
    groups = []
    for number in range(count):
        start = number * row.width
        sets = actions[start] if start < len(actions) else 0
        groups.append(Group(types[row.types[number]], row.syms[start : start + row.width], sets))
    return KeySyms(tuple(groups), row.info)


def bits(mask: int) -> list[int]:
    """The single modifiers of a mask, highest first."""
    return [1 << number for number in range(7, -1, -1) if mask >> number & 1]


def combinations(mask: int) -> list[int]:
    """All combinations of a mask's modifiers, the smallest first."""
    single = bits(mask)[::-1]
    return [sum(some) for count in range(len(single) + 1) for some in itertools.combinations(single, count)]
