"""Calls written out as text: `click(start_box='(500,250)')` of UI-TARS, Doubao, GLM, ScaleCUA, `agent.click("Save")`.

They look like Python but are not always Python: quotes inside a text are often not escaped. A call ends where Python
says it ends, and `ast` reads its arguments, only as literals. If that fails, the call extends to the last bracket of
its segment, which is the text up to a line that begins with another call. Its strings then extend to their last quote,
and anything inside them is text, not a call.

Not every call in a reply is meant: the prose around them mentions calls, too. The format says where the calls are
(`region`). If its mark is missing, only the calls at the end with nothing between them count.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from deskbench.agent.replies.arguments import DESCRIPTIVE
from deskbench.agent.replies.calls import Call, Malformed, Truncated, excerpt
from deskbench.agent.replies.escapes import is_raw_path, unescaped_once
from deskbench.agent.replies.valid import valid
from deskbench.agent.replies.vocabulary import KNOWN
from deskbench.envs.foreign import python_tree

_TOKENS = re.compile(r"<\|(?:box_start|box_end|begin_of_box|end_of_box)\|>")
_NAMED = re.compile(r"(?:^\s*|(?<=['\"\])\d])\s*,\s*)([A-Za-z_]\w{0,40})\s*=\s*(?=['\"\[(\d-])")
_TEXTS = re.compile(r"\s*(?:(?:content|text|message|answer|info|value|reason)\s*=\s*)?(?P<quote>['\"])")
_LAST_QUOTE = re.compile(r".*['\"]\s*(?=\))", re.DOTALL)
_BETWEEN = re.compile(r"[\s;,`]*")
Meant = Literal["all", "first", "last"]
_MOST = 50
_LONGEST = 100_000

warnings.filterwarnings("ignore", category=SyntaxWarning, module="<call>")


def region(text: str, marker: str | None = None, tag: str | None = None, until: str | None = None) -> tuple[str, Meant]:
    """The part of a reply that holds its calls, and which of them are meant.

    Args:
        text: the reply without its reasoning.
        marker: precedes the calls; if it begins a line anywhere, only such places count.
        tag: the tag that contains the calls.
        until: the heading of the part after the calls (`Memory:`); it begins a line.
    """
    if tag is not None:
        found = re.findall(rf"<{tag}>(.*?)(?:</{tag}>|\Z)", text, re.DOTALL)
        if found:
            return "\n".join(found), "all"
    box = re.findall(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", text, re.DOTALL)
    if box:
        return str(box[-1]), "all"
    if until is not None:
        text = re.split(rf"^[\s*#>]*{_heading(until)}(?::|$)", text, maxsplit=1, flags=re.MULTILINE)[0]
    if marker is None or marker not in text:
        return text, "last"
    begins = re.search(rf"^[\s*#]*{re.escape(marker)}", text, re.MULTILINE)
    return (text[begins.end() :] if begins else text.rpartition(marker)[2]), "first"


def _heading(until: str) -> str:
    """A pattern of a heading without its colon, in any case and with marks of emphasis after it."""
    return rf"(?i:{re.escape(until.removesuffix(':'))})[ \t*]*"


@dataclass(frozen=True)
class _Found:
    call: Call
    start: int
    end: int


def parse_calls(
    text: str, names: Collection[str], prefix: str = "", *, meant: Meant = "all", until: str | None = None
) -> list[Call]:
    """The calls of known functions in a text, in order.

    Args:
        text: where to look.
        names: the functions; other words before a bracket are prose.
        prefix: the text before each name (`agent.`).
        meant: which calls count; the first or the last ones, as long as nothing is between them.
        until: this heading right after a call ends the calls: servers that drop special tokens also drop the line end.

    Raises:
        Malformed: a call's arguments cannot be read.
        Truncated: the text ends inside a call.
    """
    text = _TOKENS.sub("", text)[:_LONGEST]
    found = list(_calls(text, names, prefix, until))
    groups: list[list[_Found]] = []
    for one in found:
        if meant == "all" or not groups or not _BETWEEN.fullmatch(text, groups[-1][-1].end, one.start):
            groups.append([])
        groups[-1].append(one)
    counted = {"all": groups, "first": groups[:1], "last": groups[-1:]}[meant]
    return [one.call for group in counted for one in group]


def _calls(text: str, names: Collection[str], prefix: str, until: str | None) -> Iterator[_Found]:
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    start = re.compile(rf"(?<![\w.]){re.escape(prefix)}({known})\s*\(")
    line = re.compile(rf"\n[\s`]*{re.escape(prefix)}(?:{known})\s*\(")
    heading = None if until is None else re.compile(rf"[\s*#`]*{_heading(until)}:")
    broken = line if heading is None else re.compile(rf"{line.pattern}|(?<=\)){heading.pattern}")
    at = 0
    for _ in range(_MOST):
        opened = start.search(text, at)
        if opened is None:
            return
        name, begins = opened[1], opened.end()
        end = _python_end(text, begins)
        arguments = None if end is None else _python_arguments(text[begins:end])
        if end is None or arguments is None:
            following = broken.search(text, begins)
            end = _segment_end(text, begins, following.start() if following else len(text))
            arguments = _named_arguments(name, text[begins:end])
        at = end + 1
        yield _Found(Call(name, arguments), opened.start(), at)
        if heading is not None and heading.match(text, at):
            return


def _python_end(text: str, start: int) -> int | None:
    """Where the bracket that is open at `start` closes, with strings read as in Python."""
    depth, quote, at = 1, "", start
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
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


def _segment_end(text: str, start: int, limit: int) -> int:
    """The last bracket of a segment; it must follow the last quote if the call begins with a text.

    Raises:
        Truncated: there is no such bracket.
    """
    last = _LAST_QUOTE.match(text, start, limit)
    if last is not None:
        return last.end()
    end = -1 if _TEXTS.match(text, start, limit) else text.rfind(")", start, limit)
    if end < 0:
        raise Truncated(
            f"truncated: the reply ended inside its action {excerpt(text[max(0, start - 20) : start + 60])}"
        )
    return end


def _python_arguments(inside: str) -> dict[str, Any] | None:
    """The arguments of a call, or None if it is not Python. A raw line end inside a string stays a line end."""
    if is_raw_path(inside):
        return None
    try:
        call = python_tree("f(" + inside.replace("\r", "").replace("\n", "\\n") + ")", "<call>", "eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        try:
            call = python_tree(f"f({inside})", "<call>", "eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    try:
        return dict(_literals(call)) if isinstance(call, ast.Call) else None
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def _literals(call: ast.Call) -> Iterator[tuple[str, Any]]:
    for index, argument in enumerate(call.args):
        yield str(index), valid(ast.literal_eval(argument))
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError("** in a call")
        yield keyword.arg, valid(ast.literal_eval(keyword.value))


def _named_arguments(name: str, inside: str) -> dict[str, Any]:
    """Arguments split at each `name=`, for names that calls have; other names belong to a text."""
    marks = [mark for mark in _NAMED.finditer(inside) if mark[1] in KNOWN or mark[1] in DESCRIPTIVE]
    if not marks and _TEXTS.match(inside) and not re.search(r"['\"]\s*,", inside):
        return {"0": _unquoted(inside)}
    if not marks:
        raise Malformed(f"{name}: the arguments cannot be read: {excerpt(inside)}")
    ends = [mark.start() for mark in marks[1:]] + [len(inside)]
    return {m[1]: _unquoted(inside[m.end() : end]) for m, end in zip(marks, ends, strict=True)}


def _unquoted(text: str) -> str:
    """A value without its quotes (one of which may be the wrong kind), with its escapes resolved once."""
    text = text.strip().rstrip(",").strip()
    if text[:1] in ("'", '"'):
        text = text[1:-1] if len(text) > 1 and text[-1] in "'\"" else text[1:]
    return unescaped_once(text)
