"""Calls written out as text: `click(start_box='(500,250)')` of UI-TARS, Doubao, GLM, ScaleCUA, `agent.click("Save")`.

They look like Python and are not always: a quote inside a text is often not escaped. So a call is first read with
`ast`, as literals only, and then, failing that, by where the next `name=` begins.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator
from typing import Any

from deskbench.agent.replies.calls import Call, Malformed, Truncated, excerpt

_TOKENS = re.compile(r"<\|(?:box_start|box_end|begin_of_box|end_of_box)\|>")
_NAMED = re.compile(r"(?:^|[,(]\s*)([A-Za-z_]\w{0,40})\s*=\s*(?=['\"\[(\d-])")
_MOST = 50
_LONGEST = 100_000

warnings.filterwarnings("ignore", category=SyntaxWarning, module="<call>")


def region(text: str, marker: str | None, tag: str | None) -> str:
    """The part of a reply that holds its calls: inside a tag or box, after the last marker, else all of it."""
    if tag is not None:
        found = re.findall(rf"<{tag}>(.*?)(?:</{tag}>|\Z)", text, re.DOTALL)
        if found:
            return "\n".join(found)
    box = re.findall(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", text, re.DOTALL)
    if box:
        return str(box[-1])
    if marker is not None and marker in text:
        return text.rpartition(marker)[2] if text.count(marker) == 1 else text.partition(marker)[2]
    return text


def parse_calls(text: str, names: Collection[str], prefix: str = "") -> list[Call]:
    """The calls of known functions in a text, in order.

    Args:
        text: where to look.
        names: the functions; other words before a bracket are prose.
        prefix: what stands before each name (`agent.`).

    Raises:
        Malformed: a call's arguments cannot be read.
        Truncated: the text ends inside a call.
    """
    text = _TOKENS.sub("", text)[:_LONGEST]
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    start = re.compile(rf"(?<![\w.]){re.escape(prefix)}({known})\s*\(")
    calls: list[Call] = []
    at = 0
    while len(calls) < _MOST and (found := start.search(text, at)):
        following = start.search(text, found.end())
        end = _end(text, found.end(), following.start() if following else len(text))
        calls.append(Call(found[1], _arguments(found[1], text[found.end() : end])))
        at = end + 1
    return calls


def _end(text: str, start: int, limit: int) -> int:
    """Where the bracket that is open at `start` closes."""
    end = _balanced(text, start)
    if end is not None:
        return end
    end = text.rfind(")", start, limit)  # a stray quote: the last bracket before the next call
    if end < 0:
        raise Truncated(f"truncated: the reply ended inside its action {excerpt(text[start - 20 : start + 60])}")
    return end


def _balanced(text: str, start: int) -> int | None:
    depth, quote, at = 1, "", start
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote and _ends_string(text, at):
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return None


def _ends_string(text: str, at: int) -> bool:
    """Whether a quote ends its string: what follows it is a comma or a closing bracket."""
    return text[at + 1 : at + 40].lstrip()[:1] in (",", ")", "]", "}", "")


def _arguments(name: str, inside: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f({inside})", "<call>", "eval").body
        if isinstance(call, ast.Call):
            return dict(_literals(call))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass  # not Python: read by names below
    marks = list(_NAMED.finditer(inside))
    if not marks:
        raise Malformed(f"{name}: the arguments cannot be read: {excerpt(inside)}")
    ends = [mark.start() for mark in marks[1:]] + [len(inside)]
    return {m[1]: _unquoted(inside[m.end() : end]) for m, end in zip(marks, ends, strict=True)}


def _literals(call: ast.Call) -> Iterator[tuple[str, Any]]:
    for index, argument in enumerate(call.args):
        yield str(index), ast.literal_eval(argument)
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError("** in a call")
        yield keyword.arg, ast.literal_eval(keyword.value)


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


def _unquoted(text: str) -> str:
    """A value without its quotes, its escapes resolved."""
    text = text.strip().rstrip(",").strip()
    if len(text) >= 2 and text[0] in "'\"" and text[-1] == text[0]:
        text = text[1:-1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)
