"""Other actions of models: waiting, looking, ending, and actions that take several steps."""

from __future__ import annotations

import re

from deskbench.agent.replies.arguments import Arguments
from deskbench.agent.replies.endings import ended
from deskbench.agent.replies.vocabulary import Handler
from deskbench.envs.types import (
    Action,
    AskUser,
    CursorPosition,
    Done,
    Fail,
    Key,
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
)


def wait(default: float | None = None) -> Handler:
    """Wait for a while."""
    names = ("time", "duration", "seconds", "value")
    return lambda a: [Wait(a.number(*names, default=default))]


_FAILED = ("fail", "failure", "failed", "infeasible", "error", "false", "abort")


def terminate(a: Arguments) -> list[Action]:
    """End the episode with a status; without one, the answer may end with the word for failure (`endings.py`)."""
    status = (a.text("status") or "").strip().lower()
    said = a.text("answer", "text", "content", "info", "message")
    if status in _FAILED:
        return [Fail(said)]
    return [(ended(said) if said is not None and not status else None) or Done(said)]


def leave(a: Arguments) -> list[Action]:
    """End the episode, with whether it was a success."""
    return [Done()] if a.flag("success") else [Fail()]


def done(a: Arguments) -> list[Action]:
    """End the episode, with the answer if there is one; an answer may be the word for failure (`endings.py`)."""
    said = _said(a)
    return [(ended(said) if said is not None else None) or Done(said)]


def stop(a: Arguments) -> list[Action]:
    """End the episode with an answer; with the word `infeasible` in it, the task cannot be done.

    Meta's guide on computer use has this rule for `computer.stop`.
    """
    said = _said(a)
    return [Fail(said) if re.search(r"\binfeasible\b", said or "", re.IGNORECASE) else Done(said)]


def fail(a: Arguments) -> list[Action]:
    """Say that the task cannot be done."""
    return [Fail(_said(a))]


def ask(a: Arguments) -> list[Action]:
    """Ask the user a question."""
    return [AskUser(_said(a))]


def _said(a: Arguments) -> str | None:
    value = a.get("answer", "content", "text", "return", "return_value", "value", "reason", "message", "question")
    return None if value is None or value == "" else str(value)


def look(a: Arguments) -> list[Action]:
    """Take another screenshot."""
    return [TakeScreenshot()]


def where(a: Arguments) -> list[Action]:
    """Ask where the pointer is."""
    return [CursorPosition()]


def zoom(a: Arguments) -> list[Action]:
    """Enlarge a region."""
    region = a.box("region", "bbox_2d", "coordinate")
    if region is None:
        raise a.wrong("the region is missing")
    return [Zoom(region)]


def nothing(a: Arguments) -> list[Action]:
    """Do nothing for a plan or a note, and look at the screen again."""
    a.used.update(a.left())
    return [TakeScreenshot()]


def navigate(a: Arguments) -> list[Action]:
    """Open an address in the browser."""
    url = a.text("url", "query", "text")
    if not url:
        raise a.wrong("the address is missing")
    return [Key(("ctrl", "l")), Type(url), Key(("enter",))]


def open_program(a: Arguments) -> list[Action]:
    """Open a program by its name through the desktop's own search, as Agent-S does."""
    name = a.text("app", "app_name", "text")
    if not name:
        raise a.wrong("the program's name is missing")
    return [Key(("super",)), Wait(0.5), Type(name), Wait(1.0), Key(("enter",))]


def go_to(url: str) -> Handler:
    """Open the address that the function's name stands for."""
    return lambda a: [Key(("ctrl", "l")), Type(url), Key(("enter",))]


def unavailable(why: str) -> Handler:
    """An action that a desktop does not support."""

    def run(a: Arguments) -> list[Action]:
        raise a.wrong(why)

    return run
