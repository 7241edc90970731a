"""pyautogui source becomes canonical actions without ever being run."""

from typing import Any

import pytest

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.envs.actions import (
    Action,
    Click,
    Drag,
    Exec,
    Key,
    KeyDown,
    KeyUp,
    MouseDown,
    MouseUp,
    Move,
    Scroll,
    Type,
    Wait,
)

SCREEN = (1920, 1080)


def parse(source: str, **more: Any) -> list[Action]:
    return parse_pyautogui(source, SCREEN, **more)


CALLS = {
    "pyautogui.moveTo(100, 200)": [Move(100, 200)],
    "pyautogui.moveTo(x=100.4, y=200.6, duration=0.5, tween=pyautogui.easeInOutQuad)": [Move(100, 201)],
    "pyautogui.moveTo((7, 8))": [Move(7, 8)],
    "pyautogui.moveTo(None, 9)": [Move(50, 9)],
    "pyautogui.move(10, -5)": [Move(60, 55)],
    "pyautogui.moveRel(xOffset=10)": [Move(60, 60)],
    "pyautogui.click()": [Click()],
    "pyautogui.click(1, 2)": [Click(x=1, y=2)],
    "pyautogui.click(1, 2, 2)": [Click(count=2, x=1, y=2)],
    "pyautogui.click(1, 2, 3, 0.1, 'right')": [Click("right", 3, 1, 2)],
    "pyautogui.click(1, 2, clicks=2, interval=1)": [Click(x=1, y=2), Wait(1), Click(x=1, y=2)],
    "pyautogui.click(button=pyautogui.MIDDLE)": [Click("middle")],
    "pyautogui.click(button='secondary')": [Click("right")],
    "pyautogui.click(button=3)": [Click("right")],
    "pyautogui.leftClick(1, 2)": [Click(x=1, y=2)],
    "pyautogui.rightClick(1, 2)": [Click("right", x=1, y=2)],
    "pyautogui.middleClick()": [Click("middle")],
    "pyautogui.doubleClick(1, 2)": [Click(count=2, x=1, y=2)],
    "pyautogui.doubleClick(1, 2, button='right')": [Click("right", 2, 1, 2)],
    "pyautogui.tripleClick([1, 2])": [Click(count=3, x=1, y=2)],
    "pyautogui.mouseDown(1, 2, 'right')": [MouseDown("right", 1, 2)],
    "pyautogui.mouseUp()": [MouseUp()],
    "pyautogui.dragTo(5, 6)": [Drag(((50, 60), (5, 6)))],
    "pyautogui.dragTo(5, 6, 1, button='right')": [Drag(((50, 60), (5, 6)), "right")],
    "pyautogui.drag(5, 6)": [Drag(((50, 60), (55, 66)))],
    "pyautogui.dragRel(-5, 0, duration=1)": [Drag(((50, 60), (45, 60)))],
    "pyautogui.moveTo(1, 2); pyautogui.dragTo(3, 4)": [Drag(((1, 2), (3, 4)))],
    "pyautogui.click(1, 2); pyautogui.dragTo(3, 4)": [Click(x=1, y=2), Drag(((1, 2), (3, 4)))],
    "pyautogui.scroll(-5)": [Scroll(dy=-5)],
    "pyautogui.scroll(3, 10, 20)": [Scroll(dy=3, x=10, y=20)],
    "pyautogui.scroll(clicks=3, x=10, y=20)": [Scroll(dy=3, x=10, y=20)],
    "pyautogui.vscroll(2)": [Scroll(dy=2)],
    "pyautogui.hscroll(2)": [Scroll(dx=2)],
    "pyautogui.write('a<b')": [Type("a<b")],
    "pyautogui.typewrite('日本 😀', interval=0.05)": [Type("日本 😀")],
    "pyautogui.typewrite(message='x')": [Type("x")],
    "pyautogui.write(['a', 'b', 'enter', 'c'])": [Type("ab"), Key(("enter",)), Type("c")],
    "pyautogui.press('enter')": [Key(("enter",))],
    "pyautogui.press('down', presses=3)": [Key(("down",))] * 3,
    "pyautogui.press(['up', 'Return'])": [Key(("up",)), Key(("enter",))],
    "pyautogui.keyDown('shift'); pyautogui.click(1, 2); pyautogui.keyUp('shift')": [
        KeyDown("shift"), Click(x=1, y=2), KeyUp("shift"),
    ],
    "pyautogui.hotkey('ctrl', 'shift', 't')": [Key(("ctrl", "shift", "t"))],
    "pyautogui.hotkey(['ctrl', 'c'], interval=0.1)": [Key(("ctrl", "c"))],
    "pyautogui.hotkey('ctrl+c')": [Key(("ctrl", "c"))],
    "pyautogui.hotkey('ctrl', '+')": [Key(("ctrl", "+"))],
    "with pyautogui.hold(['ctrl', 'alt']):\n    pyautogui.press('t')": [
        KeyDown("ctrl"), KeyDown("alt"), Key(("t",)), KeyUp("alt"), KeyUp("ctrl"),
    ],
    "pyautogui.sleep(1.5)": [Wait(1.5)],
    "pyautogui.countdown(2)": [Wait(2)],
    "pyautogui.shortcut('ctrl', 'v')": [Key(("ctrl", "v"))],
    "w, h = pyautogui.resolution()\npyautogui.click(w // 2, h // 2)": [Click(x=960, y=540)],
    "time.sleep(2)": [Wait(2)],
}  # fmt: skip


@pytest.mark.parametrize("source", CALLS, ids=str)
def test_each_function(source: str) -> None:
    assert parse(source, pointer=(50, 60)) == CALLS[source]


PYTHON = {
    "import pyautogui as pg\npg.PAUSE = 1\npg.FAILSAFE = False\npg.click(1, 2)": [Click(x=1, y=2)],
    "from pyautogui import click, write as w\nclick(1, 2)\nw('a')": [Click(x=1, y=2), Type("a")],
    "from pyautogui import *\nfrom time import sleep\nsleep(1)\npress('a')": [Wait(1), Key(("a",))],
    "x, y = 100, 50\npyautogui.click(x + 10, y * 2)": [Click(x=110, y=100)],
    "w, h = pyautogui.size()\npyautogui.moveTo(w / 2, h // 2)": [Move(960, 540)],
    "pyautogui.moveTo(pyautogui.size().width - 1, pyautogui.size()[1] - 1)": [Move(1919, 1079)],
    "a, b = pyautogui.position()\npyautogui.moveTo(a + 1, b)": [Move(1, 0)],
    "pyautogui.moveTo(3, 4)\np = pyautogui.position()\npyautogui.click(p.x, p.y + 1)": [Move(3, 4), Click(x=3, y=5)],
    "name = 'bob'\npyautogui.write(f'hi {name.upper()}! {3.14159:.2f} {7:03d}')": [Type("hi BOB! 3.14 007")],
    "pyautogui.write('%s-%d' % ('a', 3) + 'x' * 3)": [Type("a-3xxx")],
    "pyautogui.write(', '.join(['a', 'b']) + '''\nend''')": [Type("a, b\nend")],
    "for i in range(3):\n    pyautogui.click(10 * i, 5)": [Click(x=0, y=5), Click(x=10, y=5), Click(x=20, y=5)],
    "for i, (k, n) in enumerate([('a', 1), ('b', 2)]):\n    pyautogui.press(k, presses=n + i)": [
        Key(("a",)), *[Key(("b",))] * 3,
    ],
    "x = 1\nx += 2\nif x > 2 and not False:\n    pyautogui.press('a')\nelse:\n    pyautogui.press('b')": [Key(("a",))],
    "pyautogui.press('a' if 1 else 'b')\nprint('done')  # ok": [Key(("a",))],
    "pts = [(1, 2), (3, 4)]\npyautogui.click(*pts[-1])\npyautogui.click(pts[0])": [Click(x=3, y=4), Click(x=1, y=2)],
    "'''doc'''\npass\n": [],
}  # fmt: skip


@pytest.mark.parametrize("source", PYTHON, ids=str)
def test_the_python_around_the_calls(source: str) -> None:
    assert parse(source) == PYTHON[source]


def test_marks_are_variables() -> None:
    assert parse("pyautogui.click(tag_2)", names={"tag_2": (5, 6)}) == [Click(x=5, y=6)]


BAD = {
    "pyautogui.click(1920, 5)": r"line 1: the point \(1920, 5\) is off the screen, which is 1920x1080",
    "\npyautogui.moveTo(-3, 5)": r"line 2: the point \(-3, 5\)",
    "pyautogui.press('entr')": "line 1: unknown key 'entr'; did you mean 'enter'",
    "pyautogui.click(1, 2, colour='red')": "no parameter 'colour'",
    "pyautogui.press()": "needs keys",
    "pyautogui.click('ok.png')": "looking for a picture",
    "pyautogui.locateCenterOnScreen('ok.png')": "cannot be used here. Look at the screenshot",
    "pyautogui.click(1, 'a')": "y is 'a'; it must be a number",
    "pyautogui.click(button='up')": "button is 'up'; it is left, middle or right",
    "pyautogui.click(": "line 1: the code is not Python",
    "while True:\n    pass": "line 1: `while` cannot be used here",
    "def f():\n    pass": "`def` cannot be used",
    "import os": "the module 'os' cannot be used",
    "import pyperclip\npyperclip.copy('x')": "pyperclip.copy without a paste",
    "import pyperclip\npyperclip.paste()": "what is in the clipboard cannot be read",
    "open('/etc/passwd')": "the name 'open' is not defined",
    "__import__('os')": "not defined",
    "pyautogui.__class__": "cannot be used",
    "(1).__class__": "cannot be used",
    "'{0.__class__}'.format(1)": "string method 'format' cannot be read",
    "eval('1')": "not defined",
    "x = 1 / 0": "line 1: division by zero",
    "x = [][1]": "line 1: list index out of range",
    "for i in range(10**6): pyautogui.click(1, 1)": "does too much|too large",
    "x = 10 ** 10 ** 10": "too large",
    "x = 'a' * 10**9": "too long|too large",
    "a, b = 1, 2, 3": "3 values for 2 names",
    "pyautogui.sleep(10000)": "seconds is 10000",
    "pyautogui.scroll(100000)": "at most 1000",
}


@pytest.mark.parametrize("source", BAD, ids=str)
def test_what_cannot_be_read_says_why_and_where(source: str) -> None:
    with pytest.raises(ReplyError, match=BAD[source]):
        parse(source)


def test_code_beyond_mouse_and_keyboard_is_left_to_the_desktop_where_allowed() -> None:
    source = "while True:\n    pyautogui.click(tag_1)\n    break"
    [action] = parse(source, code_allowed=True, names={"tag_1": (5, 6)})
    assert isinstance(action, Exec)
    assert action.source.endswith("\ntag_1 = (5, 6)\n" + source)
    assert parse("pyautogui.click(1, 2)", code_allowed=True) == [Click(x=1, y=2)]
    with pytest.raises(ReplyError, match="off the screen"):
        parse("pyautogui.click(5000, 2)", code_allowed=True)
