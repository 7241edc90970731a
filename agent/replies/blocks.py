"""Split a model's text into fenced blocks, bare actions and JSON values."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any, Literal

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.kimi_code import is_source
from deskbench.agent.replies.loose import decode_first
from deskbench.envs.types import (
    Action,
    Done,
    Fail,
    Wait,
)

ActionSpace = Literal["pyautogui", "computer_13", "actions"]
_SPECIALS: dict[str, type[Wait | Done | Fail]] = {"WAIT": Wait, "DONE": Done, "FAIL": Fail}
_FENCE = re.compile(r"```([^`\n]*)```|```([^`\n]*)\n(.*?)(?:^[ \t]*```|```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_LANGUAGES = frozenset(["", "python", "python3", "py", "pyautogui", "code", "json", "json5", "tool_code"])
_SAID = re.compile(r"[^\s.!]")
_JSON_TRIES = 50


def split_blocks(text: str) -> tuple[list[str], str]:
    """The contents of the fenced blocks that may hold actions, and the prose around all blocks."""
    blocks: list[str] = []
    for match in _FENCE.finditer(text):
        inline, language, body = match.groups()
        if inline is not None and _special(inline) and not _stands_alone(text, match):
            continue
        if inline is not None:
            word, _, after = inline.strip().partition(" ")
            blocks.append(after if after and word.lower() in _LANGUAGES else inline.strip())
        elif language.strip().lower() in _LANGUAGES:
            blocks.append(body)
        elif language.strip().upper() in _SPECIALS:
            blocks.append(language.strip())
    return [block for block in blocks if block.strip()], _FENCE.sub("", text).strip()


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    """Whether a word in a fence is meant, not just mentioned: it has its own line, or ends the reply."""
    if _SAID.search(text, match.end()) is None:
        return True
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return not (text[start : match.start()].strip() or text[match.end() : end if end >= 0 else len(text)].strip())


def last_block(text: str) -> str:
    """The last fenced block of a reply without its reasoning; the whole text if there is no block."""
    blocks, _ = split_blocks(text)
    return blocks[-1] if blocks else text


def bare(text: str, space: ActionSpace) -> tuple[list[str], str]:
    """The action in a reply without blocks, and the prose before it."""
    prose, _, last = text.rpartition("\n")
    if _special(last):
        return [last], prose.strip()
    if space == "pyautogui":
        return ([text], "") if is_source(text) else ([], text)
    start = min((at for mark in "{[" if (at := text.find(mark)) >= 0), default=-1)
    return ([text[start:]], text[:start].strip()) if start >= 0 else ([], text)


def _special(line: str) -> type[Wait | Done | Fail] | None:
    return _SPECIALS.get(line.strip().strip("`*.").upper())


def split_specials(block: str) -> tuple[str, list[Action]]:
    """A block without the WAIT, DONE and FAIL lines at its end, and these lines as actions."""
    lines = block.rstrip().split("\n")
    tail: list[Action] = []
    while lines and (not lines[-1].strip() or _special(lines[-1])):
        kind = _special(lines.pop())
        if kind is not None:
            tail.insert(0, kind())
    return textwrap.dedent("\n".join(lines)).rstrip(), tail


def json_values(text: str) -> list[Any]:
    """The JSON values in a text, one after the other.

    Raises:
        ReplyError: there is no JSON value; the message has the place of the first mistake.
    """
    values: list[Any] = []
    problem = "there is none"
    at = 0
    for _ in range(_JSON_TRIES):
        at = min((found for mark in "{[" if (found := text.find(mark, at)) >= 0), default=-1)
        if at < 0:
            break
        try:
            value, end = decode_first(text[at:])
            values.append(value)
            at += end
        except json.JSONDecodeError as error:
            problem = f"line {error.lineno}: {error.msg}"
            break
        except (ValueError, RecursionError) as error:
            problem = type(error).__name__
            break
    if not values:
        raise ReplyError(f"the block holds no JSON object: {problem}")
    return values
