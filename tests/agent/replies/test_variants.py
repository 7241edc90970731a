"""Kinds of replies that models write and that are easily misread, each in several forms."""

import json
from typing import Any

import pytest

from deskbench.agent.replies.call_text import parse_calls, region
from deskbench.agent.replies.calls import NoAction, Truncated
from deskbench.agent.replies.chords import split_chord
from deskbench.agent.replies.escapes import unescaped_once
from deskbench.agent.replies.loose import decode
from deskbench.envs.errors import ReplyError

from .test_said import actions_of


def typed(family: str, reply: str) -> str:
    (action,) = actions_of(family, "text", reply)
    assert action["type"] == "type"
    return str(action["text"])


def click(x: int, y: int, count: int = 1) -> dict[str, Any]:
    return {"type": "click", "button": "left", "count": count, "x": x, "y": y}


# Texts: unescaped once, closed at the last quote


UI_TARS = {
    r"'plain'": "plain",
    r"'C:\\new_folder\\todo.txt'": r"C:\new_folder\todo.txt",
    r"'C:\new_folder\todo.txt'": r"C:\new_folder\todo.txt",
    r"'dir C:\\temp\n'": "dir C:\\temp\n",
    r"'cd C:\new\n'": "cd C:\\new\n",
    r"'C:\Users\nina'": r"C:\Users\nina",
    r"'a\nb'": "a\nb",
    r"'a\\nb'": r"a\nb",
    r"'cd main\\n'": "cd main\n",
    r"'\\d+\\w*'": r"\d+\w*",
    r"'tab\there'": "tab\there",
    r"'it\'s'": "it's",
    "'it's'": "it's",
    "\"it's\"": "it's",
    "'say 'yes', then go'": "say 'yes', then go",
    "'she said \"no\" (twice)'": 'she said "no" (twice)',
    "'the 'a), b' case'": "the 'a), b' case",
    "'f(x) = (1, 2)'": "f(x) = (1, 2)",
    "'=SUM(B2:B9)'": "=SUM(B2:B9)",
    "'two\nlines'": "two\nlines",
    "'it's\non two lines'": "it's\non two lines",
    "'naïve – 世界'": "naïve – 世界",
    "'mixed\"": "mixed",
}  # fmt: skip


@pytest.mark.parametrize("literal", UI_TARS)
def test_a_text_is_what_was_meant(literal: str) -> None:
    assert typed("ui-tars-1.5", f"Thought: t\nAction: type(content={literal})") == UI_TARS[literal]


INSIDE = [
    "type(content='press click(start_box='(5,5)') now')",
    "type(content=\"press click(start_box='(5,5)') now\")",
    r"type(content='press click(start_box=\'(5,5)\') now')",
    "type(content='it's click(start_box='(5,5)')')",
    "type(content='key(keys='esc'), click(start_box='(5,5)')')",
]


@pytest.mark.parametrize("call", INSIDE)
def test_a_call_inside_a_text_is_text(call: str) -> None:
    for family in ("ui-tars-1", "doubao"):
        assert "click(start_box='(5,5)')" in typed(family, f"Thought: t\nAction: {call}")


def test_calls_after_a_broken_text_are_still_calls() -> None:
    reply = "Thought: t\nAction: type(content='it's')\n\nhotkey(key='enter')\n\nclick(start_box='(500,250)')"
    assert actions_of("ui-tars-1", "text", reply) == [
        {"type": "type", "text": "it's"}, {"type": "key", "keys": ["enter"]}, click(960, 270),
    ]  # fmt: skip


def test_texts_in_tags_are_unescaped_once_as_well() -> None:
    for written, meant in {"a\\nb": "a\nb", r"C:\new\todo.txt": r"C:\new\todo.txt", "x\\n": "x\n", "a\nb": "a\nb",
                           r"C:\\new": r"C:\new"}.items():  # fmt: skip
        call = f"<seed:tool_call><function=type><parameter=content>{written}</parameter></function></seed:tool_call>"
        assert typed("seed", call) == meant
        assert typed("ui-tars-2", call) == meant


@pytest.mark.parametrize("family", ["qwen3-vl", "gui-owl", "mai-ui", "minimax-m3"])
@pytest.mark.parametrize("text", [r"C:\new\todo.txt", "a\nb", r"\d+\n", 'say "hi"', "it's", r"\\server\new"])
def test_texts_in_json_are_json(family: str, text: str) -> None:
    name = {"mai-ui": "mobile_use", "minimax-m3": "computer"}.get(family, "computer_use")
    call = json.dumps({"name": name, "arguments": {"action": "type", "text": text}})
    kind = "anthropic_content" if family == "minimax-m3" else "text"
    reply: Any = f"Action: go.\n<tool_call>\n{call}\n</tool_call>"
    (action,) = actions_of(family, kind, [{"type": "text", "text": reply}] if kind != "text" else reply)
    assert action["text"] == text


def test_evocuas_paths_are_kept() -> None:
    for text, meant in {r"C:\new\todo.txt": r"C:\new\todo.txt", r"C:\\new": r"C:\new", r"a=b\nc": "a=b\nc"}.items():
        call = json.dumps({"name": "computer_use", "arguments": {"action": "type", "text": text}})
        assert typed("evocua", f"Action: t.\n<tool_call>\n{call}\n</tool_call>") == meant


@pytest.mark.parametrize("text", [r"a\nb", r"a\\nb", r"\t\\", r"it\'s", r"a\qb"])
def test_unescaping_goes_once_from_left_to_right(text: str) -> None:
    import ast

    assert unescaped_once(text) == ast.literal_eval("'" + text.replace(r"\q", r"\\q") + "'")


@pytest.mark.parametrize("reply", ["Action: type(content='abc", "Action: type(content='f(x) and", "Action: click("])
def test_a_text_without_its_end_is_cut_off(reply: str) -> None:
    with pytest.raises(Truncated):
        actions_of("ui-tars-1", "text", reply)


# Calls that are talked about


GLM = [
    "Not key(keys='esc'), but: left_click(start_box='[500,250]', element_info='Save')\nMemory:\n[]",
    "I could WAIT() or FAIL().\nleft_click(start_box='[500,250]')\nMemory:\n"
    '[{"note": "key(keys=\'esc\') did nothing"}]',
    "left_click(start_box='[500,250]')\nMemory: scroll(start_box='[1,1]', direction='down') was tried",
    "<|begin_of_box|>left_click(start_box='[500,250]')<|end_of_box|>\nMemory:\n[\"DONE() later\"]",
    "Earlier <|begin_of_box|>key(keys='esc')<|end_of_box|>. Now <|begin_of_box|>left_click(start_box='[500,250]')"
    "<|end_of_box|>",
    "key(keys='esc') failed.\n\nleft_click(start_box='[500,250]', element_info='the 'Save' button')\n**Memory:**\n[]",
]


@pytest.mark.parametrize("reply", GLM)
def test_glm_means_its_last_call_before_its_memory(reply: str) -> None:
    assert actions_of("glm-v", "text", reply) == [click(960, 270)]


DROPPED = [
    "left_click(start_box='[500,250]', element_info='OK')Memory:\n[\"key(keys='esc')\"]",
    "left_click(start_box='[500,250]', element_info='OK') Memory: key(keys='esc')",
    "left_click(start_box='[500,250]', element_info='the 'OK' button')Memory:\n[\"key(keys='esc')\"]",
    "left_click(start_box='[500,250]')\nmemory:\n[\"key(keys='esc')\"]",
    "left_click(start_box='[500,250]')\n## Memory\nkey(keys='esc')",
    "left_click(start_box='[500,250]')<|user|>",
]
"""What is left of a reply when a server drops the special tokens, and other forms of its last part."""


@pytest.mark.parametrize("reply", DROPPED)
def test_a_memory_right_after_a_call_ends_the_calls(reply: str) -> None:
    assert actions_of("glm-v", "text", reply) == [click(960, 270)]


def test_a_memory_inside_a_typed_text_ends_nothing() -> None:
    assert typed("glm-v", "type(content='(a) Memory: b')\nMemory:\n[]") == "(a) Memory: b"


def test_glm_that_calls_nothing_asks() -> None:
    assert actions_of("glm-v", "text", "Which file?\nMemory:\n[\"key(keys='esc')\"]")[0]["type"] == "ask_user"


SCALECUA = {
    "click(x=1, y=1) missed.\n<action>\nclick(x=966, y=546)\n</action>": [click(960, 540)],
    "<operation>\nnot click(x=1, y=1)\n</operation>\n<action>\nclick(x=966, y=546)\nwrite('a')\n</action>": [
        click(960, 540), {"type": "type", "text": "a"}],
    "I do not click(x=1, y=1) but\nclick(x=966, y=546)\nwrite('a')": [click(960, 540), {"type": "type", "text": "a"}],
    "click(x=1, y=1) was wrong, so I take click(x=966, y=546)": [click(960, 540)],
}  # fmt: skip


@pytest.mark.parametrize("reply", SCALECUA)
def test_scalecua_means_its_tag_or_the_last_calls(reply: str) -> None:
    assert actions_of("scalecua", "text", reply) == SCALECUA[reply]


MARKED = [
    "Thought: the last Action: click(start_box='(1,1)') missed.\nAction: click(start_box='(500,250)')",
    "Thought: t\nAction: click(start_box='(500,250)')\nThen I will type(content='x') there.",
    "Thought: t\nAction: click(start_box='(500,250)')\nThought: it opened.\nAction: type(content='x')",
    "click(start_box='(1,1)') missed, so click(start_box='(500,250)')",
    "I go on with Action: click(start_box='(500,250)')",
]


@pytest.mark.parametrize("reply", MARKED)
def test_ui_tars_means_what_stands_after_its_mark(reply: str) -> None:
    assert actions_of("ui-tars-1", "text", reply) == [click(960, 270)]


def test_planners_mean_their_block() -> None:
    prose = "agent.click('old', 1, 'left') failed.\n```python\nagent.hotkey(['esc'])\n```"
    assert actions_of("gta1", "text", prose) == [{"type": "key", "keys": ["esc"]}]
    bare = "agent.hotkey(['tab']) failed, so agent.hotkey(['esc'])"
    assert actions_of("gta1", "text", bare) == [{"type": "key", "keys": ["esc"]}]


def test_where_nothing_marks_calls_the_last_group_counts() -> None:
    where, meant = region("a() then b() c()")
    assert [call.name for call in parse_calls(where, ["a", "b", "c"], meant=meant)] == ["b", "c"]


# Kimi's code without a fence


END = [{"type": "done"}]
KIMI = {
    "## Action:\nClick it.\n\n## Code:\npyautogui.click(x=0.5, y=0.25)": [click(960, 270)],
    "## Action:\nClick it.\n## Code: pyautogui.click(x=0.5, y=0.25)": [click(960, 270)],
    "## Action:\nClick it.\n### Code\npyautogui.click(x=0.5, y=0.25)\n\nThis opens the menu.": [click(960, 270)],
    "**Code:**\n`pyautogui.click(x=0.5, y=0.25)`": [click(960, 270)],
    "## Code:\npython\npyautogui.click(x=0.5, y=0.25)\npyautogui.press('enter')": [
        click(960, 270), {"type": "key", "keys": ["enter"]}],
    "## Action:\nAll is done.\n## Code:\ncomputer.terminate(status='success')": END,
    "All is done.\ncomputer.terminate(status=\"success\")": END,
    "computer.terminate(status='success', answer='7')": [{"type": "done", "answer": "7"}],
    "## Code:\ncomputer.wait()": [{"type": "wait", "seconds": 20.0}],
    "I used pyautogui.click(x=0.1, y=0.1) before.\n## Code:\npyautogui.click(x=0.5, y=0.25)": [click(960, 270)],
    "## Code:\npyautogui.click(x=0.5, y=0.25": [click(960, 270)],
    "## Code:\n{\"name\": \"computer.terminate\", \"parameters\": {\"status\": \"failure\", \"answer\": \"No.\"}}": [
        {"type": "fail", "reason": "No."}],
    "```code\n{\"name\": \"computer.wait\", \"parameters\": {}}\n```": [{"type": "wait", "seconds": 20.0}],
    "```\n{'name': 'terminate', 'arguments': {'status': 'success'}}\n```": END,
    "pyautogui.click(x=0.5, y=0.25)<|im_end|>": [click(960, 270)],
    "```python\npyautogui.click(x=0.5, y=0.25)\n{\"name\":\"computer.terminate\",\"status\":\"success\"}\n```": [
        click(960, 270), *END],
}  # fmt: skip


@pytest.mark.parametrize("reply", KIMI)
def test_kimis_code_counts_without_a_fence(reply: str) -> None:
    assert actions_of("kimi-vl", "text", reply) == KIMI[reply]


@pytest.mark.parametrize(
    "reply",
    [
        "I would pyautogui.click(x=0.5, y=0.25) here.", "pyautogui.click(x=0.5, y=0.25) did not work.",
        "## Code:\nI do not know.", "computer.terminate is not called yet",
    ],
)  # fmt: skip
def test_kimis_prose_is_no_code(reply: str) -> None:
    with pytest.raises(NoAction):
        actions_of("kimi-vl", "text", reply)


TALKED = {
    "When it is saved I answer ```DONE```, not yet:\n```python\npyautogui.press('a')\n```": "key",
    "It is not ```FAIL``` yet.\n```python\npyautogui.press('a')\n```": "key",
    "All is saved. ```DONE```": "done",
    "All is saved.\n```DONE```\nBye.": "done",
    "```DONE```\n```python\npyautogui.press('a')\n```": "done",
}


@pytest.mark.parametrize("reply", TALKED)
def test_a_word_in_a_fence_that_is_talked_about_ends_nothing(reply: str) -> None:
    (action,) = actions_of("prompt-agent", "text", reply)
    assert action["type"] == TALKED[reply]


# Keys


CHORDS = {
    "ctrl++": ["ctrl", "+"], "ctrl+shift++": ["ctrl", "shift", "+"], "ctrl+": ["ctrl", "+"], "+": ["+"], "-": ["-"],
    "ctrl+-": ["ctrl", "-"], "ctrl--": ["ctrl", "-"], "ctrl-s": ["ctrl", "s"], "ctrl-shift-t": ["ctrl", "shift", "t"],
    "ctrl s": ["ctrl", "s"], "ctrl + s": ["ctrl", "s"], "ctrl, s": ["ctrl", "s"],
    "ctrl,shift,esc": ["ctrl", "shift", "esc"],
    "ctrl+,": ["ctrl", ","], "alt left": ["alt", "left"], "alt+f4": ["alt", "f4"], "Page Down": ["Page Down"],
    "ctrl+page down": ["ctrl", "page down"], "Page_Down": ["Page_Down"], "caps-lock": ["caps-lock"], " ": [" "], "": [],
    "U+00E9": ["U+00E9"], "ctrl+U00E9": ["ctrl", "U00E9"],
    "ctrl space": ["ctrl", "space"], "super_l": ["super_l"], "ctrl shift +": ["ctrl", "shift", "+"],
}  # fmt: skip


@pytest.mark.parametrize("text", CHORDS)
def test_a_chord_is_taken_apart_in_one_way(text: str) -> None:
    assert split_chord(text) == CHORDS[text]


def test_a_text_that_is_endless_is_no_chord() -> None:
    for sign in "+, -":
        assert len(split_chord(f"ctrl{sign}a" * 10_000)) == 1


EVERYWHERE = {
    "kimi-vl": "```python\npyautogui.hotkey('ctrl++')\n```",
    "opencua": "```python\npyautogui.hotkey(\"['ctrl', '+']\")\n```",
    "prompt-agent": "```python\npyautogui.hotkey('ctrl', '+')\n```",
    "prompt-agent-computer-13": '```json\n{"action_type": "HOTKEY", "keys": "ctrl++"}\n```',
    "ui-tars-1": "Action: hotkey(key='ctrl +')",
    "glm-v": "<|begin_of_box|>key(keys='ctrl+plus')<|end_of_box|>",
    "qwen3-vl": '<tool_call>\n{"name": "computer_use", "arguments": {"action": "key", "keys": "[\'ctrl\', \'+\']"}}\n'
    "</tool_call>",
    "gui-owl": '<tool_call>\n{"name": "computer_use", "arguments": {"action": "key", "keys": ["ctrl++"]}}\n'
    "</tool_call>",
    "holo3": '{"tool_call": {"tool_name": "hotkey", "keys": "[ctrl, +]"}}',
    "scalecua": "<action>\nhotkey('ctrl', '+')\n</action>",
    "gta1": "```python\nagent.hotkey(['ctrl', '+'])\n```",
}


@pytest.mark.parametrize("family", EVERYWHERE)
def test_ctrl_plus_is_two_keys_in_every_form(family: str) -> None:
    assert actions_of(family, "text", EVERYWHERE[family]) == [{"type": "key", "keys": ["ctrl", "+"]}]


LISTS = {
    '["ctrl", "c"]': ["ctrl", "c"], "['ctrl', 'c']": ["ctrl", "c"], "[ctrl, c]": ["ctrl", "c"],
    "('ctrl', 'c')": ["ctrl", "c"],
    " ['ctrl','c']": ["ctrl", "c"], '["ctrl+c"]': ["ctrl", "c"], "['enter']": ["enter"], "[": ["["],
    "ctrl+[": ["ctrl", "["],
}  # fmt: skip


@pytest.mark.parametrize("text", LISTS)
def test_a_list_of_keys_may_be_its_text(text: str) -> None:
    call = json.dumps({"name": "computer_use", "arguments": {"action": "key", "keys": text}})
    (action,) = actions_of("qwen3-vl", "text", f"<tool_call>\n{call}\n</tool_call>")
    assert action["keys"] == LISTS[text]


# The clipboard


PASTED = [
    "import pyautogui, pyperclip, time\npyperclip.copy('a b')\npyautogui.hotkey('ctrl', 'v')",
    "import pyperclip\npyperclip.copy('a b')\npyautogui.hotkey('ctrl+v')",
    "from pyperclip import copy\ncopy('a b')\npyautogui.hotkey('shift', 'insert')",
    "import pyperclip\ntext = 'a b'\npyperclip.copy(text)\npyautogui.keyDown('ctrl')\npyautogui.press('v')\n"
    "pyautogui.keyUp('ctrl')",
    "import pyperclip as clip\nclip.copy('a b')\nwith pyautogui.hold('ctrl'):\n    pyautogui.press('v')",
    "import pyperclip\npyperclip.copy('a b')\npyautogui.write(pyperclip.paste())\n"
    "pyautogui.hotkey('ctrl', 'shift', 'v')",
    "pyperclip.copy('a b')\npyautogui.hotkey('command', 'v')",
    "pyperclip.copy('a b')\npyautogui.hotkey('ctrl', 'V')",
    "pyperclip.copy('a b')\npyautogui.keyDown('ctrl')\npyautogui.keyDown('v')\npyautogui.keyUp('v')\n"
    "pyautogui.keyUp('ctrl')",
    "pyperclip.copy('a b')\npyautogui.keyDown('ctrl')\ntime.sleep(0.1)\npyautogui.keyDown('shift')\n"
    "pyautogui.press('v')\npyautogui.keyUp('shift')\npyautogui.keyUp('ctrl')",
]


@pytest.mark.parametrize("source", PASTED)
@pytest.mark.parametrize("family", ["prompt-agent", "kimi-vl"])
def test_a_copy_and_a_paste_are_typing(family: str, source: str) -> None:
    got = actions_of(family, "text", f"```python\n{source}\n```")
    assert {action["type"] for action in got} == {"type"} and got[-1]["text"] == "a b"


@pytest.mark.parametrize("copied", ["pyautogui.hotkey('ctrl', 'c')", "pyautogui.hotkey('ctrl', 'x')",
    "pyautogui.keyDown('ctrl')\npyautogui.press('c')\npyautogui.keyUp('ctrl')"])  # fmt: skip
def test_a_copy_in_a_program_replaces_the_copied_text(copied: str) -> None:
    source = f"pyperclip.copy('old')\n{copied}\npyautogui.hotkey('ctrl', 'v')"
    got = actions_of("kimi-vl", "text", f"```python\n{source}\n```")
    assert got[-1] == {"type": "key", "keys": ["ctrl", "v"]} and "type" not in {action["type"] for action in got}


def test_a_paste_of_what_was_not_copied_stays_a_paste() -> None:
    got = actions_of("kimi-vl", "text", "```python\npyautogui.hotkey('ctrl', 'v')\n```")
    assert got == [{"type": "key", "keys": ["ctrl", "v"]}]


# JSON as models write it


LOOSE = {
    '{"a": [1, 2]}': {"a": [1, 2]}, "{'a': [1, 2]}": {"a": [1, 2]}, "{'a': 'it\\'s', 'b': True, 'c': None}": {
        "a": "it's", "b": True, "c": None}, '{"a": 1,}': {"a": 1}, "{'a': (1, 2)}": {"a": [1, 2]},
    '{"a": "x\ny"}': {"a": "x\ny"},
    "[]": [], "'x'": ValueError, "{'a': open('x')}": ValueError, "{'a': 1": ValueError, "{'a'}": ValueError,
    "": ValueError,
    '{"a": 1} b': ValueError, "{'a': 1j}": ValueError,
}  # fmt: skip


@pytest.mark.parametrize("text", LOOSE)
def test_python_is_read_as_json(text: str) -> None:
    wanted = LOOSE[text]
    if wanted is ValueError:
        with pytest.raises(ValueError):
            decode(text)
    else:
        assert decode(text) == wanted


QUOTED = {
    '{"text": "say "hi" now"}': 'say "hi" now', '{"text": "say "hi", then go", "x": 1}': 'say "hi", then go',
    '{"text": ""all""}': '"all"', '{"text": "a \\"b\\" c"}': 'a "b" c',
    '{"text": "echo "a" > "b"", "enter": true}': 'echo "a" > "b"',
}  # fmt: skip


@pytest.mark.parametrize("text", QUOTED)
def test_quotes_that_lack_an_escape_are_a_part_of_the_text(text: str) -> None:
    assert decode(text)["text"] == QUOTED[text]


ESCAPES = {
    r'{"text": "C:\Users\x"}': r"C:\Users\x", r'{"text": "dir C:\Users\new\n"}': "dir C:\\Users\\new\n",
    r'{"text": "\d+ \"q\"\n"}': "\\d+ \"q\"\n", r'{"text": "\u12"}': r"\u12", r'{"text": "C:\\Users"}': r"C:\Users",
    r'{"text": "it\'s"}': r"it's", r'{"other": "a\nb", "text": "\w it\'s"}': r"\w it's",
}  # fmt: skip


@pytest.mark.parametrize("text", ESCAPES)
def test_a_backslash_that_lacks_its_escape_is_a_part_of_the_text(text: str) -> None:
    assert decode(text)["text"] == ESCAPES[text]


def test_a_typed_text_with_quotes_is_whole() -> None:
    call = '{"name": "computer_use", "arguments": {"action": "type", "text": "say "hi" now"}}'
    assert typed("qwen3-vl", f"Action: t.\n<tool_call>\n{call}\n</tool_call>") == 'say "hi" now'


SINGLE = {
    "qwen3-vl": "<tool_call>\n{'name': 'computer_use', 'arguments': {'action': 'left_click', 'coordinate': [500, 250]}}"
    "\n</tool_call>",
    "gui-owl-1.5": "<tool_call>"
    "\n{'name': 'computer_use', 'arguments': \"{'action': 'left_click', 'coordinate': [500, 250]}"
    '"}\n</tool_call>',
    "holo3": "{'thought': 'it is here', 'tool_call': {'tool_name': 'click', 'x': 500, 'y': 250,}}",
    "prompt-agent-computer-13": "```json\n{'action_type': 'CLICK', 'x': 960, 'y': 270}\n```",
}


@pytest.mark.parametrize("family", SINGLE)
def test_pythons_quotes_are_read_in_every_json(family: str) -> None:
    (action,) = actions_of(family, "text", SINGLE[family])
    assert (action["type"], action["y"]) == ("click", 270) and abs(action["x"] - 960) <= 1


@pytest.mark.parametrize("arguments", ['{"action": "left_click", "coordinate": [500, 250]}',
                                       "{'action': 'left_click', 'coordinate': (500, 250)}"])  # fmt: skip
@pytest.mark.parametrize("family", ["kimi-k2", "kimi-k3"])
def test_a_computer_tool_of_kimi_has_a_grid(family: str, arguments: str) -> None:
    message = {
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "computer", "arguments": arguments}}]
    }
    assert actions_of(family, "chat_message", message) == [click(960, 270)]


def test_calls_of_functions_that_nobody_offers_are_refused() -> None:
    message = {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "run_shell", "arguments": "{}"}}]}
    with pytest.raises(ReplyError, match="run_shell"):
        actions_of("kimi-k3", "chat_message", message)
