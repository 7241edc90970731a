"""State of the session: commands, terminal, clipboard, windows, the agent's answer."""

from __future__ import annotations

from typing import Any

from deskbench.envs.errors import Unfit
from deskbench.envs.wire import Observe
from deskbench.tasks.guest import ask, told
from deskbench.tasks.registry import getter
from deskbench.tasks.world import MAX_TEXT, World


@getter("rule", source="task")
def rule(world: World, *, rules: Any) -> Any:
    """The value in the task file."""
    return rules


@getter("vm_command_line")
def vm_command_line(world: World, *, command: str | list[str], shell: bool = False, timeout: float = 120.0) -> str:
    """The stdout of a command; `timeout` in seconds."""
    return short(told(world.desktop, command, shell=shell, timeout=timeout).stdout)


@getter("vm_command_error")
def vm_command_error(world: World, *, command: str | list[str], shell: bool = False, timeout: float = 120.0) -> str:
    """The stderr of a command; `timeout` in seconds."""
    return short(told(world.desktop, command, shell=shell, timeout=timeout).stderr)


def short(text: str) -> str:
    """A text from the desktop, checked against the size limit.

    Raises:
        Unfit: it is too long.
    """
    if len(text) > MAX_TEXT:
        raise Unfit(f"the text has more than {MAX_TEXT} characters")
    return text


@getter("vm_terminal_output")
def vm_terminal_output(world: World) -> str | None:
    """The text of the focused terminal."""
    return world.desktop.observe(Observe(policy="immediate", screenshot=False, terminal=True)).terminal


@getter("accessibility_tree")
def accessibility_tree(world: World) -> str:
    """The accessibility tree as OSWorld's XML."""
    seen = world.desktop.observe(Observe(policy="immediate", screenshot=False, accessibility=True))
    if seen.accessibility is None:
        raise Unfit(f"no accessibility tree: {'; '.join(seen.problems)}")
    return short(seen.accessibility)


@getter("vm_clipboard", programs=("xclip",))
def vm_clipboard(world: World, *, selection: str = "clipboard") -> str:
    """The text on the clipboard (or in the `primary` selection); empty if there is no text."""
    return short(ask(world.desktop, ["xclip", "-o", "-selection", selection], timeout=10).stdout)


@getter("vm_screen_size")
def vm_screen_size(world: World) -> dict[str, int]:
    """The width and height of the screen in pixels."""
    width, height = world.desktop.health().screen
    return {"width": width, "height": height}


@getter("vm_window_size")
def vm_window_size(world: World, *, app_class_name: str) -> dict[str, int] | None:
    """The width and height in pixels of the first window of a class; None if there is no such window."""
    for window in world.desktop.windows():
        if app_class_name.lower() in window.wm_class.lower().split("."):
            return {"width": window.width, "height": window.height}
    return None


@getter("vm_window_titles")
def vm_window_titles(world: World) -> list[str]:
    """The titles of all windows, bottom to top."""
    return [window.title for window in world.desktop.windows()]


@getter("agent_answer", source="answer")
def agent_answer(world: World) -> str | None:
    """The agent's answer (`done`); None if it gave no answer."""
    return world.answer
