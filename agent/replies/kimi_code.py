"""Read code of Kimi and OpenCUA that is not fenced or not Python, in the same way as the vendors' own agents.

Sources: OSWorld's kimi_agent.py and opencua agents (JSON of `computer.*` in the code block), ScreenSpot-Pro's kimivl.py
(bare code, and a point by its `x=` and `y=` if the code is broken).
"""

from __future__ import annotations

import ast
import re
from typing import Any

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.loose import decode_first
from deskbench.agent.replies.source_values import parse_source

_HEADING = re.compile(
    r"^[ \t]*(?:#{1,4}[ \t]*code\b[ \t:*]*|\*\*code:?\*\*:?|code:)[ \t]*", re.IGNORECASE | re.MULTILINE
)
_CODE = re.compile(r"\s*(?:import |from |pyautogui\.|computer\.|pyperclip\.|time\.sleep|#|\{|\Z)")
_FUNCTION = re.compile(r"^[ \t]*(?=\{)", re.MULTILINE)
_NAME = re.compile(r"(?:(computer|pyautogui)\.)?([A-Za-z_]{1,40})")
_BROKEN = re.compile(
    r"\s*(?:pyautogui|computer)\.(?P<name>\w{1,40})\([^()\n]*?x\s*=\s*(?P<x>[\d.]{1,12})[^()\n]*?y\s*=\s*(?P<y>[\d.]{1,12})[^()\n]*"
)
_LANGUAGES = ("python", "py", "code")
_LINES = 200
_LONGEST_CALL = 300
"""Most characters of a call that is repaired."""


def bare_code(text: str) -> tuple[str, str] | None:
    """The code in a reply without a fence, and the prose before it; None if there is no code.

    The code follows the last heading `## Code:`, or consists of the lines at the end of the reply that are only code.
    """
    headings = list(_HEADING.finditer(text))
    if headings:
        source = _first_lines(text[headings[-1].end() :])
        return None if source is None else (source, text[: headings[-1].start()].strip())
    lines = text.rstrip().split("\n")
    begin = len(lines)
    while begin and _CODE.match(lines[begin - 1]):
        begin -= 1
    source = as_source("\n".join(lines[begin:]))
    return (source, "\n".join(lines[:begin]).strip()) if is_source(source) else None


def _first_lines(text: str) -> str | None:
    """The first lines, as far as they are code."""
    lines = text.strip().strip("`").strip().split("\n")[:_LINES]
    if lines[0].strip().lower() in _LANGUAGES:
        del lines[0]
    for end in range(len(lines), 0, -1):
        source = as_source("\n".join(lines[:end]))
        if is_source(source):
            return source
    return None


def is_source(text: str) -> bool:
    """Whether a whole text is Python that calls something."""
    try:
        tree = parse_source(text)
    except ReplyError:
        return False
    return any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in tree.body)


def as_source(block: str) -> str:
    """A block in which calls written as JSON at the beginning of a line are replaced with calls in Python."""
    if "{" in block:
        block = _without_json(block)
    broken = _BROKEN.fullmatch(block) if len(block) < _LONGEST_CALL else None
    return f"pyautogui.{broken['name']}(x={broken['x']}, y={broken['y']})" if broken else block


def _without_json(block: str) -> str:
    out, at = "", 0
    while (found := _FUNCTION.search(block, at)) is not None:
        try:
            value, end = decode_first(block[found.end() :])
        except (ValueError, RecursionError):
            break
        call = _called(value)
        end += found.end()
        out += block[at : found.start()] + (call if call is not None else block[found.start() : end])
        at = end
    return out + block[at:]


def _called(value: Any) -> str | None:
    """A call from `{"name": "computer.terminate", "parameters": {...}}`, or with the arguments beside the name."""
    name = _NAME.fullmatch(str(value.get("name", ""))) if isinstance(value, dict) else None
    if name is None:
        return None
    rest = {key: inner for key, inner in value.items() if key not in ("name", "description")}
    given = next((rest[key] for key in ("arguments", "parameters") if isinstance(rest.get(key), dict)), rest)
    if not all(str(key).isidentifier() for key in given):
        return None
    return f"{name[1] or 'computer'}.{name[2]}({', '.join(f'{key}={inner!r}' for key, inner in given.items())})"
