"""How a family answers, as its profile says it, and what a reply was read as."""

from __future__ import annotations

from dataclasses import dataclass

from deskbench.envs.types import Action

GRAMMARS = ("python", "tagged", "calls", "object", "pairs", "native", "planner", "comments", "prompt")
"""python: the last fenced block of pyautogui and `computer.*` (Kimi, OpenCUA). tagged: `<tool_call>`. calls: calls as
text. object: one JSON object. pairs: `key:value` between tabs. native: the wire's own calls alone. planner: `agent.*`
calls whose targets are words. comments: pyautogui with the targets in comments. prompt: OSWorld's prompt agent."""
WITHOUT = ("again", "done", "ask", "fail")
"""What a whole reply without an action means."""


@dataclass(frozen=True)
class Grammar:
    """How a family's replies are read.

    Attributes:
        form: one of GRAMMARS.
        vocabulary: the family's names (`vocabularies.py`); for native calls of every form, too.
        marker: where the calls begin (`Action:`), for `calls`.
        tag: the tag that holds them (`action`), for `calls`.
        until: begins the line after which there are none (`Memory:`), for `calls`.
        without: what a whole reply without an action means, one of WITHOUT.
        done_words, fail_words: texts that end the episode where they stand at the end of a reply without an action.
        call_space: kind of the space of native calls' points (`spaces.KINDS`), where it is not that of what is written.
        word_first: such a word counts at a reply's beginning, too, where the family's prompt has it there.
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
    """A reply, taken apart.

    Attributes:
        thought: reasoning and prose, or None.
        actions: in pixels of the screen.
        said: the one line that says what is done (`Action: ...`), for histories that are text.
    """

    thought: str | None
    actions: tuple[Action, ...]
    said: str = ""
