"""Typed text arrives exactly in programs of other toolkits: Xt, VTE, Tk, and GTK's own editor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from deskbench.envs import wait
from deskbench.envs.actions import Key, Type
from deskbench.envs.server.x11.input import Input

if TYPE_CHECKING:
    from ..conftest import Xvfb

pytestmark = pytest.mark.desktop

# Left out: U+FEFB and similar characters and a few Khmer vowels, which X's own Compose table (Xt, Tk) turns into two
# characters.
TEXT = """if a<b: x << 2; $(rm -rf ~) `id` 'q' "d" \\n && # *
déjà vu ñandú straße 10 € αβγ Привет e\u0301 n\u0303
日本語 中文 한국어 שלום مرحبا नमस्ते 😀 👩‍👩‍👧
aaaa    ....  <end>
"""
TEXT += "".join(chr(0x4E00 + 7 * n) for n in range(300)) + "\n"


@pytest.fixture
def hands(xvfb: Xvfb) -> Iterator[Input]:
    hands = Input(xvfb.display)
    yield hands
    hands.close()


@pytest.fixture(params=["us", "us,de", "de,us", "us,ca", "us,ru"])
def layouts(request: pytest.FixtureRequest, layout: Callable[..., None], hands: Input) -> None:
    """The keyboard layouts, with the last one active."""
    layout("-layout", request.param)
    hands._x.set_locks(0, 0, request.param.count(","))


PROGRAMS = {"xterm": ["xterm", "-u8", "-e"], "lxterminal": ["lxterminal", "--no-remote", "-e"]}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("layouts")
def test_terminals_take_what_is_typed(xvfb: Xvfb, hands: Input, name: str) -> None:
    out = xvfb.folder / f"{name}.txt"
    script = xvfb.folder / f"{name}.sh"
    script.write_text(f"#!/bin/sh\nstty -echo\n: > {out}\ncat > {out}\n")
    script.chmod(0o755)
    process = xvfb.start([*PROGRAMS[name], str(script)])
    try:
        xvfb.wait_focus(name)
        assert wait.until(out.exists, timeout=20)
        hands.perform(Type(TEXT))
        wait.until(lambda: out.read_text() == TEXT, timeout=20)
        assert out.read_text() == TEXT
    finally:
        xvfb.stop(process)


@pytest.mark.usefixtures("layouts")
def test_mousepad_saves_what_was_typed(xvfb: Xvfb, hands: Input) -> None:
    file = xvfb.folder / "note.txt"
    file.write_text("")
    process = xvfb.start(["mousepad", str(file)])
    try:
        xvfb.wait_focus("mousepad")
        hands.perform(Type(TEXT))
        hands.perform(Key(("ctrl", "s")))
        wait.until(lambda: file.read_text() == TEXT, timeout=20)
        assert file.read_text() == TEXT
    finally:
        xvfb.stop(process)


@pytest.mark.usefixtures("layouts")
def test_tk_takes_what_is_typed(xvfb: Xvfb, hands: Input) -> None:
    out = xvfb.folder / "tk.txt"
    script = xvfb.folder / "tk_text.py"
    script.write_text(TK_PROGRAM)
    process = xvfb.start(["/usr/bin/python3", str(script), str(out)])
    try:
        xvfb.wait_focus("tk")
        # The window has the focus; now and then, Tk gives it to the text only later.
        assert wait.until(lambda: hands.perform(Key(("f5",))) or out.exists(), timeout=20)
        hands.perform(Type(TEXT))
        wait.until(lambda: out.read_text() == TEXT, timeout=20)
        assert out.read_text() == TEXT
    finally:
        xvfb.stop(process)


TK_PROGRAM = """
import os, sys, tkinter
root = tkinter.Tk()
text = tkinter.Text(root)
text.pack()
def write():
    with open(sys.argv[1] + ".new", "w", encoding="utf-8") as out:
        out.write(text.get("1.0", "end-1c"))
    os.replace(sys.argv[1] + ".new", sys.argv[1])
    root.after(20, write)
def begin(event):
    text.unbind("<F5>")
    write()
text.bind("<F5>", begin)
text.focus_force()
root.mainloop()
"""
