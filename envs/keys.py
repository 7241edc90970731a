"""Key names: one canonical set, shared by actions, model replies and the server. Uses only the standard library.

The canonical names are pyautogui's (`KEYBOARD_KEYS`), since OSWorld and most models write those. Every printable
character is its own name (`a`, `<`, `é`). `normalize` accepts the spellings of xdotool (`U00E9`), browsers and vendors'
tools.
"""

from __future__ import annotations

import difflib
import re

NAMED_KEYS = frozenset(
    """
    enter tab space backspace delete insert esc home end pageup pagedown up down left right
    shift shiftleft shiftright ctrl ctrlleft ctrlright alt altleft altright super superleft superright
    capslock numlock scrolllock printscreen pause menu
    f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19 f20 f21 f22 f23 f24
    num0 num1 num2 num3 num4 num5 num6 num7 num8 num9
    add subtract multiply divide decimal separator numenter
    volumeup volumedown volumemute playpause nexttrack prevtrack stop
    browserback browserforward browserrefresh browserstop browsersearch browserfavorites browserhome
    altgr help select print execute clear
    """.split()
)

MODIFIERS = ("ctrl", "shift", "alt", "super", "altgr")

_ALIASES = {
    "return": "enter", "\n": "enter", "\r": "enter", "\t": "tab", " ": "space", "spacebar": "space",
    "back_space": "backspace", "bksp": "backspace", "del": "delete", "ins": "insert", "escape": "esc",
    "pgup": "pageup", "page_up": "pageup", "prior": "pageup", "pgdn": "pagedown", "pgdown": "pagedown",
    "page_down": "pagedown", "next": "pagedown",
    "arrowup": "up", "arrowdown": "down", "arrowleft": "left", "arrowright": "right",
    "uparrow": "up", "downarrow": "down", "leftarrow": "left", "rightarrow": "right",
    "control": "ctrl", "control_l": "ctrlleft", "control_r": "ctrlright", "ctrl_l": "ctrlleft", "ctrl_r": "ctrlright",
    "controlleft": "ctrlleft", "controlright": "ctrlright", "leftctrl": "ctrlleft", "rightctrl": "ctrlright",
    "shift_l": "shiftleft", "shift_r": "shiftright", "leftshift": "shiftleft", "rightshift": "shiftright",
    "alt_l": "altleft", "alt_r": "altright", "leftalt": "altleft", "rightalt": "altright", "option": "alt",
    "optionleft": "altleft", "optionright": "altright", "iso_level3_shift": "altgr", "alt_gr": "altgr",
    "altgraph": "altgr", "mode_switch": "altgr",
    "win": "super", "winleft": "superleft", "winright": "superright", "windows": "super", "meta": "super",
    "super_l": "superleft", "super_r": "superright", "cmd": "super", "command": "super", "os": "super",
    "metaleft": "superleft", "metaright": "superright",
    "caps_lock": "capslock", "num_lock": "numlock", "scroll_lock": "scrolllock",
    "print_screen": "printscreen", "prtsc": "printscreen", "prtscr": "printscreen", "prntscrn": "printscreen",
    "prtscreen": "printscreen", "prtscn": "printscreen", "sys_req": "printscreen",
    "apps": "menu", "contextmenu": "menu", "context_menu": "menu",
    "kp_enter": "numenter", "numpadenter": "numenter", "kp_add": "add", "kp_subtract": "subtract",
    "kp_multiply": "multiply", "kp_divide": "divide", "kp_decimal": "decimal", "kp_separator": "separator",
    "numpadadd": "add", "numpadsubtract": "subtract", "numpadmultiply": "multiply", "numpaddivide": "divide",
    "numpaddecimal": "decimal", "xf86audioraisevolume": "volumeup", "xf86audiolowervolume": "volumedown",
    "xf86audiomute": "volumemute", "xf86audioplay": "playpause", "xf86audionext": "nexttrack",
    "xf86audioprev": "prevtrack", "xf86audiostop": "stop", "xf86back": "browserback", "xf86forward": "browserforward",
    "kp_home": "home", "kp_end": "end", "kp_up": "up", "kp_down": "down", "kp_left": "left", "kp_right": "right",
    "kp_prior": "pageup", "kp_next": "pagedown", "kp_page_up": "pageup", "kp_page_down": "pagedown",
    "kp_insert": "insert", "kp_delete": "delete", "kp_tab": "tab",
    "kp_space": "space", "kp_equal": "=", "kp_begin": "num5", "numpadequal": "=", "numpadcomma": "separator",
    "numpadplus": "add", "numpadminus": "subtract", "numpaddot": "decimal", "numpadstar": "multiply",
    "numpadslash": "divide", "numpadperiod": "decimal", "numpadreturn": "numenter",
    "xf86_reload": "browserrefresh", "xf86_refresh": "browserrefresh", "xf86_stop": "browserstop",
    "xf86_search": "browsersearch", "xf86_favorites": "browserfavorites", "xf86_home_page": "browserhome",
    "iso_left_tab": "tab", "linefeed": "enter", "enter_key": "enter", "return_key": "enter", "break": "pause",
    "cancel": "esc", "super_key": "super", "win_l": "superleft", "win_r": "superright", "windows_key": "super",
    "cmd_l": "superleft", "cmd_r": "superright", "cmd_left": "superleft", "cmd_right": "superright",
    "command_l": "superleft", "command_r": "superright", "meta_l": "superleft", "meta_r": "superright",
    "option_l": "altleft", "option_r": "altright", "ctl": "ctrl", "os_left": "superleft", "os_right": "superright",
}  # fmt: skip
_SIDES = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "option": "alt", "win": "super",
          "windows": "super", "meta": "super", "super": "super", "cmd": "super", "command": "super"}  # fmt: skip
for _word, _key in _SIDES.items():
    for _side in ("left", "right"):
        spellings = (f"{_side[0]}{_word}", f"{_side}{_word}", f"{_word}{_side}", f"{_word}_{_side[0]}")
        _ALIASES.update(dict.fromkeys(spellings, f"{_key}{_side}"))
_MEDIA = {"audiovolumeup": "volumeup", "audiovolumedown": "volumedown", "audiovolumemute": "volumemute",
          "mediaplaypause": "playpause", "mediatracknext": "nexttrack", "mediatrackprevious": "prevtrack",
          "mediastop": "stop"}  # fmt: skip
"""Media keys by their DOM names (UI Events KeyboardEvent code values)."""
_ALIASES.update(_MEDIA)
_ALIASES.update({f"kp_{n}": f"num{n}" for n in range(10)})
_ALIASES.update({f"numpad{n}": f"num{n}" for n in range(10)})
_ALIASES.update({f"kp_f{n}": f"f{n}" for n in range(1, 5)})
_ALIASES.update({f"digit{n}": str(n) for n in range(10)})
_ALIASES.update({f"key{letter}": letter for letter in "abcdefghijklmnopqrstuvwxyz"})

SIGNS = {
    "!": "exclam exclamation exclamation_mark exclamation_point bang",
    '"': "quotedbl double_quote quotation_mark quotation",
    "#": "numbersign hash number_sign pound pound_sign hashtag sharp",
    "$": "dollar dollar_sign",
    "%": "percent percent_sign",
    "&": "ampersand and_sign",
    "'": "apostrophe quoteright quote single_quote",
    "(": "parenleft left_paren left_parenthesis open_paren open_parenthesis paren_left l_paren",
    ")": "parenright right_paren right_parenthesis close_paren close_parenthesis paren_right r_paren",
    "*": "asterisk star",
    "+": "plus plus_sign",
    ",": "comma",
    "-": "minus hyphen dash minus_sign hyphen_minus",
    ".": "period dot full_stop",
    "/": "slash forward_slash",
    ":": "colon",
    ";": "semicolon",
    "<": "less less_than angle_left left_angle",
    "=": "equal equals equal_sign equals_sign",
    ">": "greater greater_than angle_right right_angle",
    "?": "question question_mark",
    "@": "at at_sign",
    "[": "bracketleft left_bracket open_bracket left_square_bracket l_bracket open_square_bracket",
    "\\": "backslash back_slash intl_backslash",
    "]": "bracketright right_bracket close_bracket right_square_bracket r_bracket close_square_bracket",
    "^": "asciicircum caret circumflex hat",
    "_": "underscore underline",
    "`": "grave quoteleft backtick back_tick backquote back_quote grave_accent",
    "{": "braceleft left_brace open_brace left_curly left_curly_brace l_brace open_curly_brace",
    "|": "bar pipe vertical_bar",
    "}": "braceright right_brace close_brace right_curly right_curly_brace r_brace close_curly_brace",
    "~": "asciitilde tilde",
    "£": "sterling pound_sterling",
    "€": "eurosign euro",
    "§": "section",
    "°": "degree",
    "´": "acute",
    "ß": "ssharp",
    "ä": "adiaeresis",
    "ö": "odiaeresis",
    "ü": "udiaeresis",
    "é": "eacute",
    "è": "egrave",
    "à": "agrave",
    "ç": "ccedilla",
    "ñ": "ntilde",
    "å": "aring",
    "æ": "ae",
    "ø": "oslash",
}
"""Printable characters by name: X's keysyms (X11/keysymdef.h), DOM key codes, and names in vendors' tools."""
_ALIASES.update({name: sign for sign, names in SIGNS.items() for name in names.split()})


def _compact(name: str) -> str:
    """A name without the differences between spellings: `Page_Down`, `PAGE-DOWN` and `page down` become the same."""
    return re.sub(r"[\s_-]", "", name.lower())


_COMPACT = {_compact(name): key for name, key in _ALIASES.items() if len(name) > 1}


def normalize(name: str) -> str:
    """The canonical name of a key, however it is spelt.

    Raises:
        ValueError: no such key; the message names the nearest one.
    """
    if len(name) == 1 and name not in _ALIASES:
        if not name.isprintable():
            raise ValueError(f"unknown key {name!r}: a control character is not a key")
        return name
    lowered = name if len(name) == 1 else name.strip().lower()
    compact = _compact(lowered)
    if lowered not in _ALIASES and lowered not in NAMED_KEYS and len(compact) > 1:
        lowered = compact if compact in NAMED_KEYS else _COMPACT.get(compact, lowered)
    lowered = _ALIASES.get(lowered, lowered)
    if lowered in NAMED_KEYS or len(lowered) == 1:
        return lowered
    code = re.fullmatch(r"u\+?([0-9a-f]{4,5})", lowered)
    if code is not None and chr(int(code[1], 16)).isprintable():
        return chr(int(code[1], 16))
    near = difflib.get_close_matches(lowered, [*NAMED_KEYS, *_ALIASES], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown key {name!r}{hint}")
