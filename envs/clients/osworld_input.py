"""Actions on a machine that has only OSWorld's server: sent as source code, run there by its own Python.

    python3 -c SOURCE '[{"type": "click", "x": 3, "y": 4, "button": "left", "count": 1}]'

Prints one JSON list with a result for each action: {"ok", "error", "output"}. Needs what that server itself needs:
pyautogui, and on Linux the Xlib that comes with it. Nothing of deskbench is installed there.
"""

import contextlib
import json
import sys

import pyautogui

CLICKS = {"back": 8, "forward": 9}
"""X buttons that pyautogui has no names for."""
NAMES = {
    "super": "win", "superleft": "winleft", "superright": "winright", "numenter": "enter", "altgr": "altright",
    "menu": "apps",
}  # fmt: skip
MAPPING_SECONDS = 0.05
"""Seconds that programs need to notice a key's new meaning."""


def main(actions):
    """Carry the actions out in order; the first failure stops the rest."""
    pyautogui.FAILSAFE, pyautogui.PAUSE = False, 0
    results, failed = [], False
    for action in actions:
        if failed:
            results.append({"ok": False, "error": "not carried out: an action before it failed", "output": None})
            continue
        try:
            results.append({"ok": True, "error": None, "output": perform(action)})
        except Exception as error:  # noqa: BLE001  (a boundary: the controller gets the error)
            failed = True
            results.append({"ok": False, "error": f"{type(error).__name__}: {error}", "output": None})
    print(json.dumps(results))  # noqa: T201


def perform(action):
    """Carry out one action; returns its output, or None."""
    kind = action["type"]
    if kind == "cursor_position":
        place = pyautogui.position()
        return f"{place[0]}, {place[1]}"
    if kind in HANDLERS:
        check_places(action)
        with held(action.get("modifiers", ())):
            HANDLERS[kind](action)
    return None


def check_places(action):
    """Raise for a point off the screen; pyautogui would click at the edge instead."""
    width, height = pyautogui.size()
    for x, y in action.get("path", ()) or [(action.get("x"), action.get("y"))]:
        if x is not None and not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"the point {x}, {y} is off the screen, which has {width}x{height} pixels")


@contextlib.contextmanager
def held(keys):
    """Hold keys down while the block runs."""
    down = []
    try:
        for key in keys:
            press(key)
            down.append(key)
        yield
    finally:
        for key in reversed(down):
            pyautogui.keyUp(name(key))


def name(key):
    """The name that pyautogui has for one of our keys."""
    return NAMES.get(key, key)


def press(key):
    """Press a key. Raises if pyautogui does not know it; keyDown would do nothing."""
    if name(key) not in pyautogui.KEYBOARD_KEYS:
        raise ValueError(f"pyautogui has no key {key!r}")
    pyautogui.keyDown(name(key))


def go(action):
    """Move to the action's point, if it has one."""
    if action.get("x") is not None:
        pyautogui.moveTo(action["x"], action["y"])


def button(action):
    """The button, as pyautogui names it."""
    return CLICKS.get(action["button"], action["button"])


def click(action):
    """Click once or several times."""
    go(action)
    pyautogui.click(button=button(action), clicks=action.get("count", 1), interval=0.05)


def drag(action):
    """Drag along the path, slowly enough for programs to notice."""
    path = action["path"]
    pyautogui.moveTo(*path[0])
    pyautogui.mouseDown(button=button(action))
    try:
        for x, y in path[1:]:
            pyautogui.moveTo(x, y, duration=0.3)
    finally:
        pyautogui.mouseUp(button=button(action))


def scroll(action):
    """Turn the wheel by notches."""
    go(action)
    if action.get("dy"):
        pyautogui.vscroll(action["dy"])
    if action.get("dx"):
        pyautogui.hscroll(action["dx"])


def mouse_down(action):
    """Press a button."""
    go(action)
    pyautogui.mouseDown(button=button(action))


def mouse_up(action):
    """Release a button."""
    go(action)
    pyautogui.mouseUp(button=button(action))


def chord(action):
    """Press keys in order and release them in reverse."""
    with held(action["keys"]):
        pyautogui.sleep(0.02)


def type_text(action):
    """Type character by character, and work around characters that pyautogui gets wrong or drops."""
    for character in action["text"].replace("\r\n", "\n"):
        if character == "<":  # pyautogui presses this key without shift
            pyautogui.hotkey("shift", ",")
        elif character in pyautogui.KEYBOARD_KEYS and ord(character) < 128:
            pyautogui.write(character)
        elif sys.platform == "win32":
            type_windows(character)
        else:
            type_x(character)


def type_windows(character):
    """Send KEYEVENTF_UNICODE, one UTF-16 unit at a time."""
    import ctypes
    from ctypes import wintypes

    class Keyboard(ctypes.Structure):
        _fields_ = [("vk", wintypes.WORD), ("scan", wintypes.WORD), ("flags", wintypes.DWORD),
                    ("time", wintypes.DWORD), ("extra", ctypes.c_void_p)]  # fmt: skip

    class Input(ctypes.Structure):
        _fields_ = [("type", wintypes.DWORD), ("ki", Keyboard), ("padding", ctypes.c_ubyte * 8)]

    units = character.encode("utf-16-le")
    for low, high in zip(units[::2], units[1::2]):  # noqa: B905  (older Pythons have no strict)
        for flags in (4, 6):
            one = Input(1, Keyboard(0, low | high << 8, flags, 0, None))
            ctypes.windll.user32.SendInput(1, ctypes.byref(one), ctypes.sizeof(Input))


def type_x(character):
    """Give an unused key this character, press it, and clear the key again."""
    from Xlib import X, display
    from Xlib.ext import xtest

    server = display.Display()
    first, last = server.display.info.min_keycode, server.display.info.max_keycode
    rows = server.get_keyboard_mapping(first, last - first + 1)
    spare = next(first + index for index in range(len(rows) - 1, -1, -1) if not any(rows[index]))
    code = ord(character)
    keysym = code if code < 0x100 else 0x1000000 | code
    server.change_keyboard_mapping(spare, [[keysym, keysym]])
    server.sync()
    pyautogui.sleep(MAPPING_SECONDS)
    xtest.fake_input(server, X.KeyPress, spare)
    xtest.fake_input(server, X.KeyRelease, spare)
    server.sync()
    pyautogui.sleep(MAPPING_SECONDS)
    server.change_keyboard_mapping(spare, [[0, 0]])
    server.sync()
    server.close()


HANDLERS = {
    "move": go,
    "click": click,
    "mouse_down": mouse_down,
    "mouse_up": mouse_up,
    "drag": drag,
    "scroll": scroll,
    "type": type_text,
    "key": chord,
    "key_down": lambda action: press(action["key"]),
    "key_up": lambda action: pyautogui.keyUp(name(action["key"])),
    "wait": lambda action: pyautogui.sleep(action["seconds"] if action.get("seconds") is not None else 1.0),
}

if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
