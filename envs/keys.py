"""Key names: one canonical set, shared by actions, model replies and the server (standard library only).

The canonical names are pyautogui's (`KEYBOARD_KEYS`), since OSWorld and most models write those; every printable
character is its own name (`a`, `<`, `é`). `normalize` accepts the spellings of xdotool, browsers and vendors' tools.
"""

from __future__ import annotations

import difflib

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
    "prtscreen": "printscreen", "sys_req": "printscreen", "apps": "menu", "contextmenu": "menu", "context_menu": "menu",
    "kp_enter": "numenter", "numpadenter": "numenter", "kp_add": "add", "kp_subtract": "subtract",
    "kp_multiply": "multiply", "kp_divide": "divide", "kp_decimal": "decimal", "kp_separator": "separator",
    "numpadadd": "add", "numpadsubtract": "subtract", "numpadmultiply": "multiply", "numpaddivide": "divide",
    "numpaddecimal": "decimal", "xf86audioraisevolume": "volumeup", "xf86audiolowervolume": "volumedown",
    "xf86audiomute": "volumemute", "xf86audioplay": "playpause", "xf86audionext": "nexttrack",
    "xf86audioprev": "prevtrack", "xf86audiostop": "stop", "xf86back": "browserback", "xf86forward": "browserforward",
    "minus": "-", "plus": "+", "equal": "=", "comma": ",", "period": ".", "dot": ".", "slash": "/", "backslash": "\\",
    "semicolon": ";", "apostrophe": "'", "grave": "`", "bracketleft": "[", "bracketright": "]", "less": "<",
    "greater": ">", "underscore": "_", "exclam": "!", "question": "?", "colon": ":", "quotedbl": '"',
}  # fmt: skip
_ALIASES.update({f"kp_{n}": f"num{n}" for n in range(10)})
_ALIASES.update({f"numpad{n}": f"num{n}" for n in range(10)})


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
    lowered = _ALIASES.get(lowered, lowered)
    if lowered in NAMED_KEYS or len(lowered) == 1:
        return lowered
    near = difflib.get_close_matches(lowered, [*NAMED_KEYS, *_ALIASES], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown key {name!r}{hint}")
