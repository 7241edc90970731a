"""Actions that models write as code in a native call: Kimi K3's `computer_action`, Navigator n2's `bash`."""

from __future__ import annotations

import shlex

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.blocks import last_block
from deskbench.agent.replies.kimi_code import as_source
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.envs.types import Action, Exec


def code(a: Arguments) -> list[Action]:
    """Read statements of pyautogui whose points are fractions of the screen."""
    source = a.text("code")
    if not source or not source.strip():
        raise a.wrong("the code is missing")
    made = parse_pyautogui(
        as_source(last_block(source)), a.screen, pointer=a.pointer, code_allowed=a.code_allowed, family=True
    )
    if not made:
        raise a.wrong("the code does nothing; call pyautogui")
    return made


def shell(a: Arguments) -> list[Action]:
    """Run a command in the desktop's shell, if the task and the action space allow code."""
    command, seconds = a.text("command") or "", a.number("timeout")
    if not a.code_allowed:
        raise a.wrong("no code is allowed in this task; use mouse and keyboard")
    if a.flag("run_in_background"):
        raise a.wrong("run_in_background is not possible here; end the command with & instead")
    if not command.strip():
        raise a.wrong("the command is missing")
    limit = "" if seconds is None else f"timeout {seconds:g} bash -c "
    return [Exec("bash", limit + shlex.quote(command) if limit else command)]
