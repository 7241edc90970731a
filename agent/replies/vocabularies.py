"""The families' own names for their actions, one table each. Sources: the families' published agents and the vendors'
tool schemas.
"""

from __future__ import annotations

from deskbench.agent.replies import coding as c
from deskbench.agent.replies import keying as k
from deskbench.agent.replies import pointing as p
from deskbench.agent.replies import telling as t
from deskbench.agent.replies import wheeling as w
from deskbench.agent.replies.vocabulary import Handler, Vocabulary

_FAILS: dict[str, Handler] = {"infeasible": t.fail}
"""Part of every vocabulary of functions."""
_CLICKS: dict[str, Handler] = {
    "left_click": p.click("left"), "right_click": p.click("right"), "middle_click": p.click("middle"),
    "double_click": p.click(None, 2), "triple_click": p.click(None, 3),
}  # fmt: skip

QWEN = {
    **_CLICKS, "click": p.click(), "mouse_move": p.move, "left_click_drag": p.drag, "drag": p.drag,
    "key": k.key, "key_down": k.key_down, "key_up": k.key_up, "type": k.type_text(),
    "left_mouse_down": p.mouse_down, "left_mouse_up": p.mouse_up, "mouse_down": p.mouse_down, "mouse_up": p.mouse_up,
    "scroll": w.wheel(), "hscroll": w.wheel("dx"), "wait": t.wait(), "screenshot": t.look, "zoom": t.zoom,
    "terminate": t.terminate, "answer": t.done, "call_user": t.ask, "interact": t.ask, **_FAILS,
}  # fmt: skip
"""Qwen's `computer_use`, with the additions of GUI-Owl and EvoCUA."""

FARA = {
    **QWEN, "type": k.type_text(enter=True), "visit_url": t.navigate, "web_search": t.navigate,
    "history_back": k.press("alt", "left"), "refresh": k.press("f5"), "pause_and_memorize_fact": t.nothing,
}  # fmt: skip
"""Fara-7B; its addresses and searches go into the browser's address bar."""

FARA_1_5 = {
    **FARA, "type": k.type_text(), "scroll": w.wheel_in_grid("dy"), "hscroll": w.wheel_in_grid("dx"),
    "wait": t.wait(3.0), "ask_user_question": t.ask,
    "read_page_answer_question": t.unavailable("the page's text is not available: read the screen"),
}  # fmt: skip
"""Fara-1.5 (microsoft/fara, src/fara/_prompts.py `FaraBrowserComputerUse` and agents/fara/fara15_agent.py)."""

CLAUDE = {
    **_CLICKS, "mouse_move": p.move, "left_click_drag": p.drag, "left_mouse_down": p.mouse_down,
    "left_mouse_up": p.mouse_up, "key": k.chords, "hold_key": k.hold_key, "type": k.type_text(),
    "scroll": w.scroll(amount=3), "wait": t.wait(1.0), "screenshot": t.look, "cursor_position": t.where, "zoom": t.zoom,
    **_FAILS,
}  # fmt: skip
"""Anthropic's computer tools of all versions, and the members of the toolset."""

INSPECT = {
    **CLAUDE, "back_click": p.click("back"), "forward_click": p.click("forward"), "open_web_browser": t.look,
    "navigate": t.navigate,
}  # fmt: skip
"""inspect_ai's `computer` tool."""

MUSE = {
    **_CLICKS, "mouse_move": p.move, "left_click_drag": p.drag, "left_press": p.long_press,
    "left_mouse_down": p.mouse_down, "left_mouse_up": p.mouse_up, "key": k.chords, "hold_key": k.key_down,
    "release_key": k.key_up, "type": k.type_text(), "scroll": w.scroll(amount=3), "wait": t.wait(0.5),
    "screenshot": t.look, **dict.fromkeys(("computer.stop", "computer_stop", "stop"), t.stop), **_FAILS,
}  # fmt: skip
"""Muse Spark's `computer.computer` and `computer.stop` (Meta's guide on computer use; defaults and the other names:
meta-models/meta-model-cookbook, 13_macos_cua/python/metacua/agent.py)."""

OPENAI = {
    "click": p.click(), "double_click": p.click(None, 2), "triple_click": p.click(None, 3), "move": p.move,
    "drag": p.drag, "scroll": w.scroll_by_pixels, "keypress": k.key, "type": k.type_text(), "wait": t.wait(1.0),
    "screenshot": t.look, **_FAILS,
}  # fmt: skip

GEMINI = {
    "open_web_browser": t.look, "take_screenshot": t.look, "wait_5_seconds": t.wait(5.0), "wait": t.wait(1.0),
    "go_back": k.press("alt", "left"), "go_forward": k.press("alt", "right"), "navigate": t.navigate,
    "search": t.go_to("https://www.google.com"), "click_at": p.click(), "hover_at": p.move,
    "type_text_at": k.type_text("delete", clear=True),
    "key_combination": k.key, "scroll_document": w.scroll("pixels", 800), "scroll_at": w.scroll("pixels", 800),
    "drag_and_drop": p.drag, **_CLICKS, "click": p.click(), "mouse_down": p.mouse_down, "mouse_up": p.mouse_up,
    "move": p.move, "type": k.type_text(), "press_key": k.key, "key_down": k.key_down, "key_up": k.key_up,
    "hotkey": k.key, "scroll": w.scroll("pixels", 300), "long_press": p.long_press, "open_app": t.open_program,
    "list_apps": t.unavailable("a desktop has no such list: look at the screen"), **_FAILS,
}  # fmt: skip
"""Both vocabularies of Gemini, before and since 3.5."""

UI_TARS = {
    **_CLICKS, "click": p.click(), "left_single": p.click("left"), "left_double": p.click("left", 2),
    "left_triple": p.click("left", 3), "right_single": p.click("right"), "drag": p.drag, "select": p.drag,
    "hotkey": k.key, "press": k.key, "keydown": k.key_down, "release": k.key_up, "type": k.unescaped(k.type_text()),
    "scroll": w.scroll(amount=5), "wait": t.wait(5.0), "move_to": p.move, "hover": p.move,
    "mouse_down": p.mouse_down, "mouse_up": p.mouse_up, "finished": t.done, "call_user": t.ask, "infeasible": t.fail,
}  # fmt: skip
"""UI-TARS of all versions, Doubao and Seed."""

GLM = {
    **_CLICKS, "click": p.click(), "hover": p.move, "left_double_click": p.click("left", 2),
    "left_triple_click": p.click("left", 3), "left_drag": p.drag, "left_click_hold": p.mouse_down,
    "left_click_release": p.mouse_up, "key": k.key, "type": k.type_text(), "scroll": w.scroll(amount=5),
    "WAIT": t.wait(5.0), "DONE": t.done, "FAIL": t.fail, **_FAILS,
}  # fmt: skip

HOLO = {
    "click": p.click(), "click_absolute": p.click(), "double_click": p.click(None, 2), "drag": p.drag, "move": p.move,
    "write": k.type_text(), "type": k.type_text(), "scroll": w.scroll(amount=5), "hotkey": k.key, "press": k.key,
    "key_down": k.key_down, "key_up": k.key_up, "hold_and_tap_key": k.hold_and_press, "wait": t.wait(1.0),
    "answer": t.done, "update_plan": t.nothing, **_FAILS,
}  # fmt: skip

SCALECUA = {
    "click": p.click(), "doubleClick": p.click(None, 2), "tripleClick": p.click(None, 3),
    "rightClick": p.click("right"), "moveTo": p.move, "dragTo": p.drag, "scroll": w.wheel(), "hscroll": w.wheel("dx"),
    "press": k.key, "hotkey": k.key, "keyDown": k.key_down, "keyUp": k.key_up, "write": k.type_text(),
    "wait": t.wait(3.0), "call_user": t.ask, "response": t.done, "terminate": t.terminate,
}  # fmt: skip

N2 = {
    **_CLICKS, "mouse_move": p.move, "mouse_down": p.mouse_down, "mouse_up": p.mouse_up, "drag": p.drag,
    "scroll": w.scroll(most=50), "type": k.type_text(), "key_press": k.key_presses, "hold_key": k.hold,
    "wait": t.wait(5.0), "screenshot": t.look, "bash": c.shell,
    **dict.fromkeys(("read", "write", "edit"), t.unavailable("files are not available here: use the programs")),
    **_FAILS,
}  # fmt: skip
"""Yutori's Navigator n2 with the tools computer_use_tools-20260830 (yutori 0.9.36 on PyPI, navigator/n2_actions.py).
Its unit of `scroll` is a notch of the wheel (sandbox_tools.py, scroll_notches_from_pixels)."""
_N2_NEEDS = {
    **dict.fromkeys((*_CLICKS, "mouse_move"), ("coordinates",)), "drag": ("start_coordinates", "coordinates"),
    "scroll": ("coordinates", "direction", "amount"), "type": ("text",), "key_press": ("key",), "hold_key": ("key",),
    "bash": ("command",),
}  # fmt: skip

_NO_APP = "a desktop has no such thing: open programs with the mouse"
MOBILE = {
    "click": p.click("left"), "tap": p.click("left"), "double_click": p.click("left", 2), "long_press": p.long_press,
    "longpress": p.long_press, "type": k.type_text(), "swipe": p.swipe, "slide": p.swipe, "drag": p.drag,
    "open": t.unavailable(_NO_APP), "awake": t.unavailable(_NO_APP), "system_button": k.system_button,
    "wait": t.wait(), "terminate": t.terminate, "complete": t.done, "answer": t.done, "ask_user": t.ask,
    "info": t.ask, "abort": t.fail, **_FAILS,
}  # fmt: skip
"""MAI-UI and Step-GUI, which are made for phones."""

KIMI = {
    **CLAUDE,
    **QWEN,
    "computer_action": c.code,
    "computer_wait": t.wait(20.0),
    "computer_terminate": t.terminate,
}
"""Kimi K3's native tools, and the `computer` tool that servers of Kimi offer with the actions of others."""

ACI = {
    "click": p.click(), "type": k.type_text(), "drag_and_drop": p.drag, "scroll": w.wheel(), "hotkey": k.key,
    "hold_and_press": k.hold_and_press, "wait": t.wait(), "done": t.done, "fail": t.fail,
    "highlight_text_span": p.drag, **_FAILS, "open": t.open_program, "switch_applications": t.unavailable(_NO_APP),
}  # fmt: skip
"""Functions of planners (GTA1, Agent-S), whose targets are words that a grounder resolves."""

AUTOGLM = {
    "Agent.click": p.click(), "Agent.type": k.type_text(empties=True), "Agent.drag_and_drop": p.drag,
    "Agent.scroll": w.scroll(amount=100), "Agent.open_app": t.open_program, "Agent.hotkey": k.key,
    "Agent.switch_window": t.unavailable("the windows have no numbers here: click on the window or use alt+tab"),
    "Agent.quote": t.nothing, "Agent.wait": t.wait(1.0), "Agent.exit": t.leave,
}  # fmt: skip
"""AutoGLM-V (THUDM/ComputerRL, mm_agents/autoglm_v/prompt/grounding_agent.py); it always scrolls by 100 notches."""
_AUTOGLM_NEEDS = {
    "Agent.click": ("coordinate",), "Agent.drag_and_drop": ("drag_from_coordinate", "drop_on_coordinate"),
    "Agent.scroll": ("coordinate", "direction"), "Agent.exit": ("success",),
}  # fmt: skip
_AUTOGLM_ORDER = {
    "Agent.click": ("coordinate", "num_clicks", "button_type"), "Agent.scroll": ("coordinate", "direction"),
    "Agent.type": ("coordinate", "text", "overwrite", "enter"), "Agent.open_app": ("app_name",),
    "Agent.drag_and_drop": ("drag_from_coordinate", "drop_on_coordinate"), "Agent.switch_window": ("window_id",),
    "Agent.hotkey": ("keys",), "Agent.quote": ("content",), "Agent.wait": (), "Agent.exit": ("success",),
}  # fmt: skip

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
    "evocua": Vocabulary({**QWEN, "type": k.unescaped(k.type_text(), always=True)}),
    "fara": Vocabulary(FARA),
    "fara_1.5": Vocabulary(FARA_1_5, needs={"terminate": ("answer",)}),
    "n2": Vocabulary(N2, needs=_N2_NEEDS, strict=True, lets_go=True),
    "autoglm": Vocabulary(AUTOGLM, _AUTOGLM_ORDER, _AUTOGLM_NEEDS),
    "claude": Vocabulary(CLAUDE),
    "claude_toolset": Vocabulary(CLAUDE, strict=True),
    "inspect": Vocabulary(INSPECT),
    "minimax": Vocabulary({**CLAUDE, "done": t.done, "fail": t.fail, "infeasible": t.fail}, repair=True),
    "muse": Vocabulary(MUSE),
    "openai": Vocabulary(OPENAI),
    "gemini": Vocabulary(GEMINI),
    "kimi": Vocabulary(KIMI),
    "ui_tars": Vocabulary(UI_TARS),
    "glm": Vocabulary(GLM),
    "holo": Vocabulary(HOLO),
    "scalecua": Vocabulary(SCALECUA, _SCALECUA_ORDER),
    "mobile": Vocabulary(MOBILE),
    "aci": Vocabulary(ACI, _ACI_ORDER),
}
