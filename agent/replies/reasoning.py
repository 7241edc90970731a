"""Remove reasoning from a reply before reading it, so that a decoy in it is not carried out."""

from __future__ import annotations

import re

from deskbench.agent.replies.calls import Truncated

_NAMES = "think|thinking|gui_think|grounding_think"
_OPEN = re.compile(rf"<(?P<name>{_NAMES})(?P<suffix>_never_used_\w{{1,64}})?>|(?P<kimi>◁think▷)", re.IGNORECASE)
_CLOSE = re.compile(rf"</(?:{_NAMES})(?:_never_used_\w{{1,64}})?>|◁/think▷", re.IGNORECASE)


def split_reasoning(text: str) -> tuple[str, str]:
    """The text inside reasoning marks, and the rest.

    The marks are `<think>` and similar ones, Seed's with their suffix, and Kimi's `◁think▷`. Some servers cut off the
    opening mark, so the text before a closing mark without an opening one is reasoning, too.

    Raises:
        Truncated: the reasoning has no closing mark.
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
