"""Reasoning comes off a reply before anything in it is read: a decoy in it must not be carried out."""

from __future__ import annotations

import re

from deskbench.agent.replies.calls import Truncated

_NAMES = "think|thinking|gui_think|grounding_think"
_OPEN = re.compile(rf"<(?P<name>{_NAMES})(?P<suffix>_never_used_\w{{1,64}})?>|(?P<kimi>◁think▷)", re.IGNORECASE)
_CLOSE = re.compile(rf"</(?:{_NAMES})(?:_never_used_\w{{1,64}})?>|◁/think▷", re.IGNORECASE)


def split_reasoning(text: str) -> tuple[str, str]:
    """What is inside reasoning marks, and the rest.

    The marks are `<think>` and its kin, Seed's with their suffix, and Kimi's `◁think▷`. Some servers cut the opening
    mark off: what stands before a closing mark that nothing opened is reasoning, too.

    Raises:
        Truncated: reasoning was opened and not closed.
    """
    inside: list[str] = []
    rest: list[str] = []
    at = 0
    first = _CLOSE.search(text)
    if first and not _OPEN.search(text, 0, first.start()):
        inside.append(text[: first.start()])
        at = first.end()
    while opened := _OPEN.search(text, at):
        closed = re.compile(re.escape(_closing(opened)), re.IGNORECASE).search(text, opened.end())
        if closed is None:
            raise Truncated("truncated: the reply ended inside its reasoning; think more briefly and then act")
        rest.append(text[at : opened.start()])
        inside.append(text[opened.end() : closed.start()])
        at = closed.end()
    rest.append(text[at:])
    return "\n".join(part.strip() for part in inside if part.strip()), "".join(rest).strip()


def _closing(opened: re.Match[str]) -> str:
    return "◁/think▷" if opened["kimi"] else f"</{opened['name']}{opened['suffix'] or ''}>"
