"""Keys by every name that models and systems use for them."""

import pytest

from deskbench.envs.keys import NAMED_KEYS, SIGNS, normalize

ALIKE = {
    "=": ["=", "equal", "EQUALS", "Equal", "equal_sign", "KP_Equal"],
    "[": ["[", "bracketleft", "LEFTBRACKET", "LeftBracket", "BracketLeft", "open_bracket", "left bracket"],
    "`": ["`", "grave", "BACKTICK", "Backquote", "quoteleft"],
    "@": ["@", "at", "AT"],
    "(": ["(", "parenleft", "ParenLeft", "left_paren"],
    "*": ["*", "asterisk", "STAR"],
    "-": ["-", "minus", "HYPHEN", "dash"],
    "+": ["+", "plus", "PLUS"],
    "#": ["#", "numbersign", "hash"],
    "\\": ["\\", "backslash", "Back_Slash"],
    "|": ["|", "bar", "PIPE"],
    "~": ["~", "asciitilde", "tilde"],
    "^": ["^", "asciicircum", "caret"],
    "€": ["€", "EuroSign"],
    "5": ["5", "Digit5"],
    "a": ["a", "KeyA"],
    "home": ["home", "Home", "KP_Home"],
    "pageup": ["pageup", "Page_Up", "PAGE-UP", "page up", "Prior", "KP_Page_Up", "KP_Prior", "PgUp"],
    "delete": ["Delete", "KP_Delete", "del"],
    "num7": ["KP_7", "Numpad7", "numpad_7", "num_7"],
    "numenter": ["KP_Enter", "NumpadEnter"],
    "add": ["KP_Add", "NumpadAdd", "numpad_plus"],
    "up": ["Up", "ArrowUp", "arrow_up", "UP_ARROW", "KP_Up"],
    "enter": ["Enter", "Return", "RETURN", "\n", "Linefeed"],
    "backspace": ["BackSpace", "Back_Space", "back space"],
    "ctrlleft": ["Control_L", "ctrl_left", "ControlLeft", "left_ctrl", "LCTRL", "LeftControl"],
    "shiftright": ["Shift_R", "RSHIFT", "right shift"],
    "superleft": ["Super_L", "LWIN", "Win_L", "LeftMeta"],
    "printscreen": ["PrintScreen", "PrtScn", "Print_Screen"],
    "volumeup": ["VolumeUp", "XF86AudioRaiseVolume", "AudioVolumeUp"],
    "é": ["é", "eacute", "U00E9", "U+00e9"],
    "super": ["Super", "META", "cmd", "Windows", "windows_key"],
    "tab": ["Tab", "ISO_Left_Tab"],
    "f3": ["F3", "KP_F3"],
    "browserrefresh": ["XF86Reload", "XF86Refresh"],
}


@pytest.mark.parametrize("key", ALIKE)
def test_a_key_has_many_names(key: str) -> None:
    assert {name: normalize(name) for name in ALIKE[key]} == dict.fromkeys(ALIKE[key], key)


def test_every_sign_of_a_keyboard_has_its_name_of_x() -> None:
    """The names are those of X11/keysymdef.h for 0x21 to 0x7e, except letters and digits."""
    x = (
        "exclam quotedbl numbersign dollar percent ampersand apostrophe parenleft parenright asterisk plus comma minus "
        "period slash colon semicolon less equal greater question at bracketleft backslash bracketright asciicircum "
        "underscore grave braceleft bar braceright asciitilde"
    ).split()
    signs = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum()]
    assert [normalize(name) for name in x] == signs


def test_names_are_of_one_key_only() -> None:
    names = [name for all_of in SIGNS.values() for name in all_of.split()]
    assert len(names) == len(set(names))
    assert not set(names) & NAMED_KEYS


@pytest.mark.parametrize("key", sorted(NAMED_KEYS))
def test_canonical_names_are_their_own(key: str) -> None:
    assert normalize(key) == normalize(key.upper()) == normalize(f" {key} ") == key


@pytest.mark.parametrize("name", ["", "nokey", "ctrl+c", "\x00", "f25"])
def test_what_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown key"):
        normalize(name)
