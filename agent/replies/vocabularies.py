"""The families' own names for what they do, each a table. Sources: the families' published agents and the vendors'
tool schemas.
"""

from __future__ import annotations

from deskbench.agent.replies import vocabulary as v
from deskbench.agent.replies.vocabulary import Handler, Vocabulary

_CLICKS: dict[str, Handler] = {
    "left_click": v.click("left"), "right_click": v.click("right"), "middle_click": v.click("middle"),
    "double_click": v.click(None, 2), "triple_click": v.click(None, 3),
}  # fmt: skip

QWEN = {
    **_CLICKS, "click": v.click(), "mouse_move": v.move, "left_click_drag": v.drag, "drag": v.drag,
    "key": v.key, "key_down": v.key_down, "key_up": v.key_up, "type": v.type_text(),
    "left_mouse_down": v.mouse_down, "left_mouse_up": v.mouse_up, "mouse_down": v.mouse_down, "mouse_up": v.mouse_up,
    "scroll": v.wheel(), "hscroll": v.wheel("dx"), "wait": v.wait(), "screenshot": v.look, "zoom": v.zoom,
    "terminate": v.terminate, "answer": v.done, "call_user": v.ask, "interact": v.ask,
}  # fmt: skip
"""Qwen's `computer_use`, with what GUI-Owl and EvoCUA add to it."""

CLAUDE = {
    **_CLICKS, "mouse_move": v.move, "left_click_drag": v.drag, "left_mouse_down": v.mouse_down,
    "left_mouse_up": v.mouse_up, "key": v.chords, "hold_key": v.hold_key, "type": v.type_text(),
    "scroll": v.scroll(amount=3), "wait": v.wait(1.0), "screenshot": v.look, "cursor_position": v.where, "zoom": v.zoom,
}  # fmt: skip
"""Anthropic's computer tools of all versions, and the members of the toolset."""

OPENAI = {
    "click": v.click(), "double_click": v.click(None, 2), "triple_click": v.click(None, 3), "move": v.move,
    "drag": v.drag, "scroll": v.scroll_by_pixels, "keypress": v.key, "type": v.type_text(), "wait": v.wait(1.0),
    "screenshot": v.look,
}  # fmt: skip

GEMINI = {
    "open_web_browser": v.look, "take_screenshot": v.look, "wait_5_seconds": v.wait(5.0), "wait": v.wait(1.0),
    "go_back": v.press("alt", "left"), "go_forward": v.press("alt", "right"), "navigate": v.navigate,
    "search": v.go_to("https://www.google.com"), "click_at": v.click(), "hover_at": v.move,
    "type_text_at": v.type_text("delete", clear=True),
    "key_combination": v.key, "scroll_document": v.scroll("pixels", 800), "scroll_at": v.scroll("pixels", 800),
    "drag_and_drop": v.drag, **_CLICKS, "click": v.click(), "mouse_down": v.mouse_down, "mouse_up": v.mouse_up,
    "move": v.move, "type": v.type_text(), "press_key": v.key, "key_down": v.key_down, "key_up": v.key_up,
    "hotkey": v.key, "scroll": v.scroll("pixels", 800),
}  # fmt: skip
"""Both vocabularies of Gemini, before and since 3.5."""

UI_TARS = {
    **_CLICKS, "click": v.click(), "left_single": v.click("left"), "left_double": v.click("left", 2),
    "left_triple": v.click("left", 3), "right_single": v.click("right"), "drag": v.drag, "select": v.drag,
    "hotkey": v.key, "press": v.key, "keydown": v.key_down, "release": v.key_up, "type": v.unescaped(v.type_text()),
    "scroll": v.scroll(amount=5), "wait": v.wait(5.0), "move_to": v.move, "hover": v.move,
    "mouse_down": v.mouse_down, "mouse_up": v.mouse_up, "finished": v.done, "call_user": v.ask, "infeasible": v.fail,
}  # fmt: skip
"""UI-TARS of all versions, Doubao and Seed."""

GLM = {
    **_CLICKS, "click": v.click(), "hover": v.move, "left_double_click": v.click("left", 2),
    "left_triple_click": v.click("left", 3), "left_drag": v.drag, "left_click_hold": v.mouse_down,
    "left_click_release": v.mouse_up, "key": v.key, "type": v.type_text(), "scroll": v.scroll(amount=5),
    "WAIT": v.wait(5.0), "DONE": v.done, "FAIL": v.fail,
}  # fmt: skip

HOLO = {
    "click": v.click(), "click_absolute": v.click(), "double_click": v.click(None, 2), "drag": v.drag, "move": v.move,
    "write": v.type_text(), "type": v.type_text(), "scroll": v.scroll(amount=5), "hotkey": v.key, "press": v.key,
    "key_down": v.key_down, "key_up": v.key_up, "hold_and_tap_key": v.hold_and_press, "wait": v.wait(1.0),
    "answer": v.done, "update_plan": v.nothing,
}  # fmt: skip

SCALECUA = {
    "click": v.click(), "doubleClick": v.click(None, 2), "tripleClick": v.click(None, 3),
    "rightClick": v.click("right"), "moveTo": v.move, "dragTo": v.drag, "scroll": v.wheel(), "hscroll": v.wheel("dx"),
    "press": v.key, "hotkey": v.key, "keyDown": v.key_down, "keyUp": v.key_up, "write": v.type_text(),
    "wait": v.wait(3.0), "call_user": v.ask, "response": v.done, "terminate": v.terminate,
}  # fmt: skip

_NO_APP = "a desktop has no such thing: open programs with the mouse"
MOBILE = {
    "click": v.click("left"), "tap": v.click("left"), "double_click": v.click("left", 2), "long_press": v.long_press,
    "longpress": v.long_press, "type": v.type_text(), "swipe": v.swipe, "slide": v.swipe, "drag": v.drag,
    "open": v.unavailable(_NO_APP), "awake": v.unavailable(_NO_APP), "system_button": v.unavailable(_NO_APP),
    "wait": v.wait(), "terminate": v.terminate, "complete": v.done, "answer": v.done, "ask_user": v.ask,
    "info": v.ask, "abort": v.fail,
}  # fmt: skip
"""MAI-UI's and Step-GUI's, which are made for telephones."""

ACI = {
    "click": v.click(), "type": v.type_text(), "drag_and_drop": v.drag, "scroll": v.wheel(), "hotkey": v.key,
    "hold_and_press": v.hold_and_press, "wait": v.wait(), "done": v.done, "fail": v.fail,
    "highlight_text_span": v.drag, "open": v.open_program, "switch_applications": v.unavailable(_NO_APP),
}  # fmt: skip
"""What planners say (GTA1, Agent-S): targets in words, for a grounder to find."""

_ACI_ORDER = {
    "click": ("instruction", "num_clicks", "button_type", "hold_keys"),
    "type": ("element_description", "text", "overwrite", "enter"),
    "drag_and_drop": ("starting_description", "ending_description", "hold_keys"),
    "highlight_text_span": ("starting_description", "ending_description", "button"),
    "scroll": ("instruction", "clicks", "shift"), "hotkey": ("keys",), "hold_and_press": ("hold_keys", "press_keys"),
    "wait": ("time",), "done": ("return_value",), "fail": (), "open": ("app",), "switch_applications": ("app",),
}  # fmt: skip
_SCALECUA_ORDER = {
    "click": ("x", "y", "clicks", "button"), "doubleClick": ("x", "y", "button"), "rightClick": ("x", "y"),
    "tripleClick": ("x", "y"), "moveTo": ("x", "y"), "dragTo": ("x", "y", "button"), "scroll": ("clicks", "x", "y"),
    "hscroll": ("clicks", "x", "y"), "press": ("keys", "presses"), "hotkey": ("keys", "key2", "key3", "key4"),
    "keyDown": ("key",), "keyUp": ("key",), "write": ("message",), "wait": ("seconds",), "call_user": (),
    "response": ("answer",), "terminate": ("status", "info"),
}  # fmt: skip

VOCABULARIES: dict[str, Vocabulary] = {
    "qwen": Vocabulary(QWEN),
    "evocua": Vocabulary({**QWEN, "type": v.unescaped(v.type_text())}),
    "claude": Vocabulary(CLAUDE),
    "claude_toolset": Vocabulary(CLAUDE, strict=True),
    "minimax": Vocabulary({**CLAUDE, "done": v.done, "fail": v.fail, "infeasible": v.fail}, repair=True),
    "openai": Vocabulary(OPENAI),
    "gemini": Vocabulary(GEMINI),
    "ui_tars": Vocabulary(UI_TARS),
    "glm": Vocabulary(GLM),
    "holo": Vocabulary(HOLO),
    "scalecua": Vocabulary(SCALECUA, _SCALECUA_ORDER),
    "mobile": Vocabulary(MOBILE),
    "aci": Vocabulary(ACI, _ACI_ORDER),
}
