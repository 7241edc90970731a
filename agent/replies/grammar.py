"""The rules for reading a family's replies, from its profile, and the result of reading one."""

from __future__ import annotations

from dataclasses import dataclass

from deskbench.envs.types import Action

GRAMMARS = ("python", "tagged", "calls", "object", "pairs", "native", "planner", "comments", "prompt")
"""python: the last fenced block of pyautogui and `computer.*` (Kimi, OpenCUA). tagged: `<tool_call>`. calls: calls as
text. object: one JSON object. pairs: `key:value` between tabs. native: only the wire's own calls. planner: `agent.*`
calls whose targets are words. comments: pyautogui with the targets in comments. prompt: OSWorld's prompt agent."""
WITHOUT = ("again", "done", "ask", "fail")
"""Meanings of a complete reply without an action."""


@dataclass(frozen=True)
class Grammar:
    """How a family's replies are read.

    Attributes:
        form: one of GRAMMARS.
        vocabulary: the family's names (`vocabularies.py`), also for native calls of every form.
        marker: where the calls begin (`Action:`), for `calls`.
        tag: the tag that contains them (`action`), for `calls`.
        until: the heading of the part after the calls (`Memory:`), for `calls`.
        without: meaning of a complete reply without an action, one of WITHOUT.
        done_words, fail_words: texts that end the episode at the end of a reply without an action.
        call_space: kind of the space of points in native calls (`spaces.KINDS`), if it differs from that of text.
        word_first: such a word counts at the beginning of a reply, too, because the family's prompt puts it there.
        action_space: `pyautogui` or `computer_13`, for `prompt`.
    """

    form: str
    vocabulary: str = "qwen"
    marker: str | None = None
    tag: str | None = None
    until: str | None = None
    without: str = "again"
    done_words: tuple[str, ...] = ("[DONE]",)
    fail_words: tuple[str, ...] = ("[INFEASIBLE]",)
    action_space: str = "pyautogui"
    word_first: bool = False
    call_space: str | None = None


@dataclass(frozen=True)
class Reading:
    """The parts of a reply.

    Attributes:
        thought: reasoning and prose, or None.
        actions: in pixels of the screen.
        said: the one line that says what is done (`Action: ...`), for histories that are text.
    """

    thought: str | None
    actions: tuple[Action, ...]
    said: str = ""
