"""Actions that models write as code in a native call: Kimi K3's `computer_action`."""

from __future__ import annotations

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.blocks import last_block
from deskbench.agent.replies.kimi_code import as_source
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.envs.types import Action


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
