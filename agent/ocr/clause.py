"""Split an instruction into clauses: sentences are split at their verbs, and quotations are set aside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

QUOTES = re.compile(r"\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’|«([^»]+)»|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
HELD = re.compile(r"⟦(\d+)⟧")
_VERBS = (
    "click|double-click|right-click|middle-click|press|hit|push|type|write|enter|input|fill|add|append|set|change"
    "|replace|open|launch|start|save|close|quit|exit|run|execute|select|choose|pick|tick|untick|check|uncheck|enable"
    "|disable|turn|toggle|activate|switch|calculate|compute|work|create|make|rename|delete|remove|copy|cut|paste|undo"
    "|redo|scroll|wait|move|drag|go|navigate|submit|confirm|hover|use|search|look for|zoom|show|display"
)
_SPLIT = re.compile(
    rf"[.;!?]+(?:\s+|$)|\n+|,?\s+(?:and\s+)?then\s+|(?:,\s*(?:and\s+)?|\s+and\s+)(?=(?:{_VERBS})\b)", re.IGNORECASE
)
_BY_MENU = re.compile(
    r"(?P<what>(?<![^.;!?\s])[^.;!?]+?),?\s+(?:by|with|through|via|from|in)\s+(?:its|the)\s+(?:[\w']+\s+)?"
    r"(?P<menu>[A-Z]\w+)\s+menu\b"
)
"""Actions through a menu: the menu comes first."""
_PAGE = re.compile(r"\b(?:page|tab)\s+(⟦\d+⟧|[A-Z]\w+)|(⟦\d+⟧|[A-Z]\w+)\s+(?:page|tab)\b")
_LEAD = re.compile(
    r"^(?:(?:please|now|then|and|first|next|finally|also|just|simply|after that|in the end)\b[,\s]*)+", re.IGNORECASE
)
_PLACE = re.compile(r"^(?:in|on|at|from|using|with|inside|within)\s+[^,]+,\s*", re.IGNORECASE)
_USE = re.compile(rf"^(?:use|using)\s+[^⟦>→»]*?\s+to\s+(?=(?:{_VERBS})\b)", re.IGNORECASE)
TERMINAL = re.compile(r"\b(?:terminal|command line|shell)\b", re.IGNORECASE)
WHERE = re.compile(r"\s+(?:in|on|from|of|at|inside|within|by|using|with|so that|which|that)\s.*$", re.IGNORECASE)
PURPOSE = re.compile(r"\s+to\s.*$")
NOUNS = re.compile(
    r"\s+(?:button|icon|menu item|menu entry|menu|tab|option|check ?box|radio button|switch|field|entry|text box|box"
    r"|item|window|dialog|file|folder|directory|link|label|key|program|application|app)$",
    re.IGNORECASE,
)
_ARTICLES = re.compile(
    r"^(?:(?:on|off|the|a|an|open|its|this|that|to|called|named|labelled|button|file|folder|text|word|key)\s+)+",
    re.IGNORECASE,
)
CHORD = re.compile(r"\s*(?:\+|(?<=\w)-(?=\w))\s*")


@dataclass(frozen=True)
class Clause:
    """A clause with ⟦0⟧, ⟦1⟧ in place of its quotations, so that their text is not read as grammar."""

    text: str
    whole: str
    quotes: Sequence[str]
    in_terminal: bool

    def literal(self, part: str | None) -> str:
        """The text to type for a part: its quotation if it has one, else its words."""
        held = HELD.search(part or "")
        return self.quotes[int(held[1])] if held else (part or "").strip()

    def label(self, part: str | None) -> str | None:
        """A part as the name of something on the screen."""
        if part is None or HELD.search(part):
            return self.literal(part) or None
        words = _ARTICLES.sub("", WHERE.sub("", part.strip()))
        return NOUNS.sub("", words).strip(" ,.:") or None

    def value(self, part: str) -> str:
        """The text to type for a part, without the words after it that say where."""
        return self.literal(part if HELD.search(part) else WHERE.sub("", part))

    def pages(self) -> list[str]:
        """The pages (tabs) of a window that the clause names."""
        return [name for found in _PAGE.finditer(self.whole) for name in found.groups() if name]


def split(instruction: str) -> tuple[list[Clause], list[str]]:
    """The clauses of an instruction in order, and its quotations."""
    quotes: list[str] = []

    def hold(found: re.Match[str]) -> str:
        quotes.append(next(group for group in found.groups() if group is not None))
        return f"⟦{len(quotes) - 1}⟧"

    text = _BY_MENU.sub(r"open the \g<menu> menu and \g<what>", QUOTES.sub(hold, instruction))
    in_terminal = bool(TERMINAL.search(text))
    return [Clause(_trimmed(part), part, quotes, in_terminal) for part in _SPLIT.split(text)], quotes


def _trimmed(part: str) -> str:
    """A part without the words before its verb."""
    text = part.strip()
    while (shorter := _USE.sub("", _PLACE.sub("", _LEAD.sub("", text)))) != text:
        text = shorter
    return text.strip(" ,.:")
