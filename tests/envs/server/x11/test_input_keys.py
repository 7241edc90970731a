"""Keysyms and characters: the tables agree with libxkbcommon's."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from deskbench.envs.keys import NAMED_KEYS
from deskbench.envs.server.x11.keysyms import NAMED, InputError, character, keysym


@pytest.fixture(scope="module")
def xkb() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("xkbcommon") or "libxkbcommon.so.0")


def test_what_a_layout_calls_a_character_is_that_character(xkb: ctypes.CDLL) -> None:
    assigned = {sym: chr(code) for sym in range(0x20, 0x2100) if (code := xkb.xkb_keysym_to_utf32(sym))}
    known = {sym: char for sym in assigned if (char := character(sym)) is not None}
    assert {hex(sym): char for sym, char in known.items() if assigned[sym] != char} == {}
    assert len(known) > 500


@pytest.mark.parametrize("char", "aZ é€<日😀א\u0301\u200d")
def test_a_keysym_stands_for_its_character(xkb: ctypes.CDLL, char: str) -> None:
    assert xkb.xkb_keysym_to_utf32(keysym(char)) == ord(char)
    assert character(keysym(char)) == char


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800"])
def test_controls_have_no_keysym(char: str) -> None:
    with pytest.raises(InputError, match="cannot be typed"):
        keysym(char)


def test_every_canonical_key_has_a_keysym() -> None:
    assert set(NAMED) == set(NAMED_KEYS)
