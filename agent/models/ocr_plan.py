"""An instruction to a plan: English imperatives to steps with labels, by rules that know no task.

It reads what people write in instructions anywhere: quoted names, menu paths, verbs such as click, type, save. What
it does not understand it leaves out, and a plan may be empty.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from deskbench.envs.keys import normalize


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        kind: `click`, `type`, `keys`, `drag`, `scroll`, `wait`, or `confirm` (say yes where a question appears).
        label: what to click, or the field to type into; None where nothing has to be found.
        text: what to type.
        keys: a chord.
        button, count: of a click.
        target: where a drag ends.
        beside: the click goes to what stands right of the label.
        replace: what is in the field goes first.
        enter: Enter follows the text.
        amount: notches of a scroll.
    """

    kind: str
    label: str | None = None
    text: str = ""
    keys: tuple[str, ...] = ()
    button: str = "left"
    count: int = 1
    target: str | None = None
    beside: bool = False
    replace: bool = False
    enter: bool = False
    amount: int = 0


_QUOTES = re.compile(r"\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’|«([^»]+)»|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_HELD = re.compile(r"⟦(\d+)⟧")
_VERBS = (
    "click|double-click|right-click|middle-click|press|hit|push|type|write|enter|input|fill|add|append|set|change"
    "|replace|open|launch|start|save|close|quit|exit|run|execute|select|choose|pick|tick|untick|check|uncheck|enable"
    "|disable|turn|toggle|activate|switch|calculate|compute|work|create|make|rename|delete|remove|copy|cut|paste|undo"
    "|redo|scroll|wait|move|drag|go|navigate|submit|confirm|hover|use|search|look for|zoom|show|display"
)
_SPLIT = re.compile(
    rf"[.;!?]+(?:\s+|$)|\n+|,?\s+(?:and\s+)?then\s+|(?:,\s*(?:and\s+)?|\s+and\s+)(?=(?:{_VERBS})\b)", re.IGNORECASE
)
_LEAD = re.compile(
    r"^(?:(?:please|now|then|and|first|next|finally|also|just|simply|after that|in the end)\b[,\s]*)+", re.IGNORECASE
)
_PLACE = re.compile(r"^(?:in|on|at|from|using|with|inside|within)\s+[^,]+,\s*", re.IGNORECASE)
_USE = re.compile(rf"^(?:use|using)\s+[^⟦>→»]*?\s+to\s+(?=(?:{_VERBS})\b)", re.IGNORECASE)
_TERMINAL = re.compile(r"\b(?:terminal|command line|shell)\b", re.IGNORECASE)
_WHERE = re.compile(r"\s+(?:in|on|from|of|at|inside|within|by|using|with|so that|which|that)\s.*$", re.IGNORECASE)
_PURPOSE = re.compile(r"\s+to\s.*$")
_NOUNS = re.compile(
    r"\s+(?:button|icon|menu item|menu entry|menu|tab|option|check ?box|radio button|switch|field|entry|text box|box"
    r"|item|window|dialog|file|folder|directory|link|label|key|program|application|app)$",
    re.IGNORECASE,
)
_ARTICLES = re.compile(
    r"^(?:(?:on|the|a|an|its|this|that|to|called|named|labelled|button|file|folder|text|word|key)\s+)+", re.IGNORECASE
)
_CHORD = re.compile(r"\s*(?:\+|(?<=\w)-(?=\w))\s*")


@dataclass(frozen=True)
class _Clause:
    """A clause whose quotations are held aside as ⟦0⟧, ⟦1⟧, so that nothing in them is read as grammar."""

    text: str
    quotes: list[str]
    in_terminal: bool = False

    def literal(self, part: str | None) -> str:
        """A part as it is to be typed: its quotation if it has one, else its words."""
        held = _HELD.search(part or "")
        return self.quotes[int(held[1])] if held else (part or "").strip()

    def label(self, part: str | None) -> str | None:
        """A part as the name of something on the screen."""
        if part is None or _HELD.search(part):
            return self.literal(part) or None
        words = _ARTICLES.sub("", _WHERE.sub("", part.strip()))
        return _NOUNS.sub("", words).strip(" ,.:") or None


def make_plan(instruction: str) -> list[Step]:
    """The steps that an instruction names, in its order; empty when none is understood."""
    quotes: list[str] = []

    def hold(found: re.Match[str]) -> str:
        quotes.append(next(group for group in found.groups() if group is not None))
        return f"⟦{len(quotes) - 1}⟧"

    text = _QUOTES.sub(hold, instruction)
    plan: list[Step] = []
    for part in _SPLIT.split(text):
        plan += _read_clause(_Clause(_trimmed(part), quotes, bool(_TERMINAL.search(text))))
    plan = plan or [Step("click", label=quote) for quote in quotes]
    return [_after(plan[i - 1] if i else None, step) for i, step in enumerate(plan)]


def _after(before: Step | None, step: Step) -> Step:
    """A dialog that asks for a name has one in it already: what is typed there replaces it."""
    asks = before is not None and re.match(r"save .*as\b|rename", before.label or "", re.IGNORECASE)
    return replace(step, replace=True) if asks and step.kind == "type" else step


def _trimmed(part: str) -> str:
    text = _LEAD.sub("", part.strip())
    text = _LEAD.sub("", _PLACE.sub("", text))
    return _USE.sub("", text).strip(" ,.:")


def _read_clause(clause: _Clause) -> list[Step]:
    if _MENU.match(clause.text) and any(re.search(r"\s(?:[>→»]|->)\s", part) for part in _parts(clause)):
        return _menu_path(clause)
    for pattern, build in _RULES:
        found = pattern.match(clause.text)
        if found:
            return build(clause, found)
    return []


def _parts(clause: _Clause) -> list[str]:
    return [clause.text, *(clause.quotes[int(number)] for number in _HELD.findall(clause.text))]


_MENU = re.compile(r"(?:click|choose|select|open|use|pick|go to|navigate to)\s+(?:on\s+)?(?:the\s+)?", re.IGNORECASE)


def _menu_path(clause: _Clause) -> list[Step]:
    text = _HELD.sub(lambda found: clause.quotes[int(found[1])], _MENU.sub("", clause.text, count=1))
    names = [_PURPOSE.sub("", _WHERE.sub("", name)) for name in re.split(r"\s*(?:->|[>→»])\s*", text)]
    return [Step("click", label=_NOUNS.sub("", name.strip())) for name in names if name.strip()]


def _click(clause: _Clause, found: re.Match[str]) -> list[Step]:
    how = found["how"].lower() if found["how"] else ""
    button = {"right": "right", "middle": "middle"}.get(how, "left")
    label = clause.label(found["what"])
    return [Step("click", label=label, button=button, count=2 if how == "double" else 1)] if label else []


def _press(clause: _Clause, found: re.Match[str]) -> list[Step]:
    """A key or a chord when it is one, a button of that name when not."""
    what = clause.literal(found["what"])
    bare = re.sub(r"^the\s+|\s+(?:key|keys)$", "", what, flags=re.IGNORECASE)
    try:
        keys = [normalize(name) for name in _CHORD.split(bare)]
        return [Step("keys", keys=tuple(key.lower() for key in keys))]
    except ValueError:
        label = clause.label(found["what"])
        return [Step("click", label=label)] if label else []


def _type(clause: _Clause, found: re.Match[str]) -> list[Step]:
    pairs = [Step("type", clause.label(f), clause.literal(t), replace=True) for t, f in _AS.findall(clause.text)]
    if pairs:
        return pairs
    field = clause.label(found["field"]) if found["field"] else None
    if field is None or _AT_END.search(clause.text) or _AT_START.search(clause.text):
        return _type_here(clause, found)
    return [Step("type", label=field, text=clause.literal(found["text"]), replace=True)]


def _type_here(clause: _Clause, found: re.Match[str]) -> list[Step]:
    """Where the keyboard is; a line that is added goes to the end, unless the start is asked for."""
    text = clause.literal(found["text"])
    if _AT_START.search(clause.text):
        return [Step("keys", keys=("ctrl", "home")), Step("type", text=text, enter=True)]
    if _AT_END.search(clause.text) or re.match(r"(?:add|append)\b", clause.text, re.IGNORECASE):
        return [Step("keys", keys=("ctrl", "end")), Step("type", text=text)]
    return [Step("type", text=text)]


def _set(clause: _Clause, found: re.Match[str]) -> list[Step]:
    pairs = [Step("type", clause.label(f), clause.literal(t), replace=True) for f, t in _TO.findall(clause.text)]
    return pairs or [Step("type", label=clause.label(found["field"]), text=clause.literal(found["text"]), replace=True)]


def _replace(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return [_mark(clause.literal(found["field"])), Step("type", text=clause.literal(found["text"]))]


def _mark(text: str) -> Step:
    """A word is marked by two clicks, a line by three."""
    return Step("click", label=text, count=3 if " " in text else 2)


def _pick(clause: _Clause, found: re.Match[str]) -> list[Step]:
    """An item of a menu or of a list that drops down: that comes first."""
    is_menu = found["kind"].lower() == "menu"
    first = Step("click", label=clause.label(found["menu"]), beside=not is_menu)
    return [first, Step("click", label=clause.label(found["what"]))]


def _shell(command: str) -> list[Step]:
    return [Step("type", text=command, enter=True)]


def _open(clause: _Clause, found: re.Match[str]) -> list[Step]:
    """What looks like a file is opened by a double click, anything else by one."""
    label = clause.label(found["what"])
    if not label:
        return []
    is_file = bool(re.search(r"\.\w{1,5}$", label)) or bool(re.search(r"\b(?:file|folder)\b", found["what"]))
    return [Step("click", label=label, count=2 if is_file else 1)]


def _save_as(clause: _Clause, found: re.Match[str]) -> list[Step]:
    name = clause.literal(found["text"])
    return [Step("keys", keys=("ctrl", "shift", "s")), Step("type", text=name, replace=True, enter=True)]


def _run(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return [Step("type", text=clause.literal(found["text"]), enter=True)]


def _calculate(clause: _Clause, found: re.Match[str]) -> list[Step]:
    words = {
        "times": "*",
        "multiplied by": "*",
        "plus": "+",
        "minus": "-",
        "divided by": "/",
        "×": "*",
        "÷": "/",
        "−": "-",
    }
    text = clause.literal(found["text"])
    for word, sign in words.items():
        text = text.replace(word, sign)
    sums = re.search(r"[\d(][\d\s.()+*/-]*[\d)]", text)
    return [Step("type", text=re.sub(r"\s+", "", sums[0]), enter=True)] if sums else []


def _rename(clause: _Clause, found: re.Match[str]) -> list[Step]:
    if clause.in_terminal:
        return _transfer(clause, found, "mv")
    new = Step("type", text=clause.literal(_WHERE.sub("", found["text"])), replace=True, enter=True)
    return [Step("click", label=clause.label(found["what"])), Step("keys", keys=("f2",)), new]


def _delete(clause: _Clause, found: re.Match[str]) -> list[Step]:
    label = clause.label(found["what"])
    if clause.in_terminal and label:
        return _shell(f"rm -r {shlex.quote(label)}")
    return [Step("click", label=label), Step("keys", keys=("delete",)), Step("confirm")]


def _copy(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return [_mark(clause.literal(found["what"])), Step("keys", keys=("ctrl", "c"))]


def _copy_to(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return _transfer(clause, found, "cp -r") if clause.in_terminal else []


def _transfer(clause: _Clause, found: re.Match[str], command: str) -> list[Step]:
    old, new = clause.label(found["what"]), clause.label(found["text"])
    return _shell(f"{command} {shlex.quote(old)} {shlex.quote(new)}") if old and new else []


def _file_with(clause: _Clause, found: re.Match[str]) -> list[Step]:
    """A file of some content: written by the shell, else typed and saved under its name."""
    name, text = clause.literal(found["name"]), clause.literal(found["text"])
    if clause.in_terminal:
        return _shell(f"echo {shlex.quote(text)} > {shlex.quote(name)}")
    return [
        Step("type", text=text),
        Step("keys", keys=("ctrl", "shift", "s")),
        Step("type", text=name, replace=True, enter=True),
    ]


def _search(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return [Step("keys", keys=("ctrl", "f")), Step("type", text=clause.literal(found["what"]), enter=True)]


def _create(clause: _Clause, found: re.Match[str]) -> list[Step]:
    if clause.in_terminal:
        return _shell(f"mkdir -p {shlex.quote(clause.literal(found['text']))}")
    return [Step("keys", keys=("ctrl", "shift", "n")), Step("type", text=clause.literal(found["text"]), enter=True)]


def _drag(clause: _Clause, found: re.Match[str]) -> list[Step]:
    if clause.in_terminal:
        return _transfer(clause, found, "mv")
    start, end = clause.label(found["what"]), clause.label(found["text"])
    return [Step("drag", label=start, target=end)] if start and end else []


def _chord(*keys: str) -> Callable[[_Clause, re.Match[str]], list[Step]]:
    return lambda clause, found: [Step("keys", keys=keys)]


def _scroll(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return [Step("scroll", amount=5 if found["way"].lower() == "up" else -5)]


def _wait(clause: _Clause, found: re.Match[str]) -> list[Step]:
    return [Step("wait")]


_FIELD = r"(?:⟦\d+⟧|\w[\w -]*?)"
_AS = re.compile(rf"(⟦\d+⟧)\s+(?:as|in|into|for)\s+((?:the\s+|its\s+)?{_FIELD})(?=,|\s+and\s|$)", re.IGNORECASE)
_TO = re.compile(
    rf"(?:^\w+\s+|,\s*|\band\s+)+((?:the\s+)?{_FIELD}(?:\s+field)?)\s+(?:to|with)\s+(⟦\d+⟧)(?=,|\s+and\s|$)",
    re.IGNORECASE,
)
_AT_END = re.compile(r"\b(?:at|to) (?:the|its) (?:very )?(?:end|bottom)\b", re.IGNORECASE)
_AT_START = re.compile(r"\b(?:at|to) (?:the|its) (?:very )?(?:start|beginning|top)\b", re.IGNORECASE)
_INTO = r"(?:\s+(?:in|into|to|as|for|at)\s+(?P<field>.+))?$"
_RULES: list[tuple[re.Pattern[str], Callable[[_Clause, re.Match[str]], list[Step]]]] = [
    (re.compile(pattern, re.IGNORECASE), build)
    for pattern, build in (
        (r"(?:(?P<how>double|right|middle|left)[- ]?)?click\s+(?:on\s+)?(?P<what>.+)", _click),
        (r"scroll\s+(?P<way>up|down)", _scroll),
        (r"wait\b", _wait),
        (r"(?:press|hit|push)\s+(?P<what>.+)", _press),
        (r"save\b.*?\b(?:as|under the name|to a file named)\s+(?:a\s+file\s+)?(?P<text>\S+)", _save_as),
        (r"save\b", _chord("ctrl", "s")),
        (r"undo\b", _chord("ctrl", "z")),
        (r"redo\b", _chord("ctrl", "shift", "z")),
        (r"(?:select|copy) (?:all|everything)\b.*", _chord("ctrl", "a")),
        (r"copy\s+(?:the\s+)?(?:\w+\s+)?(?P<what>⟦\d+⟧)", _copy),
        (r"copy\s+(?P<what>.+?)\s+(?:in)?to\s+(?P<text>.+)", _copy_to),
        (r"copy\b(?! .*\bto\b)", _chord("ctrl", "c")),
        (r"(?:show|display) (?:the )?hidden files", _chord("ctrl", "h")),
        (r"(?:search|look) for\s+(?P<what>.+)", _search),
        (r"zoom in\b", _chord("ctrl", "+")),
        (r"zoom out\b", _chord("ctrl", "-")),
        (r"cut\b", _chord("ctrl", "x")),
        (r"paste\b", _chord("ctrl", "v")),
        (r"(?:close|quit|exit)\b", _chord("alt", "f4")),
        (r"(?:run|execute)\s+(?:the\s+)?(?:command\s+)?(?P<text>.+)", _run),
        (r"(?:calculate|compute|work out)\s+(?P<text>.+)", _calculate),
        (r"rename\s+(?P<what>.+?)\s+(?:to|as|into)\s+(?P<text>.+)", _rename),
        (r"(?:create|make)\s+.*?\b(?:folder|directory)\b.*?(?P<text>⟦\d+⟧|(?<=named )\S+|(?<=called )\S+)", _create),
        (
            r"(?:create|make|write)\s+.*?\bfile\b.*?(?:named|called)\s+(?P<name>⟦\d+⟧|\S+)\s+"
            r"(?:containing|that contains|with)\s+.*?(?P<text>⟦\d+⟧)",
            _file_with,
        ),
        (r"(?:change|set)\s+(?:the\s+)?(?:word|text|line)\s+(?P<field>⟦\d+⟧)\s+(?:in)?to\s+(?P<text>.+)", _replace),
        (r"replace\s+(?P<field>.+?)\s+(?:with|by)\s+(?P<text>.+)", _replace),
        (r"(?:set|change)\s+(?P<field>.+?)\s+to\s+(?P<text>.+)", _set),
        (r"fill\s+(?:in\s+)?(?P<field>.+?)\s+with\s+(?P<text>.+)", _set),
        (r"(?:type|write|enter|input|add|append)\s+(?P<text>.*?⟦\d+⟧.*?|.+?)" + _INTO, _type),
        (r"(?:move|drag)\s+(?P<what>.+?)\s+(?:in)?(?:on)?to\s+(?P<text>.+)", _drag),
        (r"(?:delete|remove)\s+(?P<what>.+)", _delete),
        (r"(?:open|launch|start|go to|navigate to|switch to|use)\s+(?P<what>.+)", _open),
        (
            r"(?:select|choose|pick)\s+(?P<what>.+?)\s+(?:from|in|under)\s+(?P<menu>.+?)\s+"
            r"(?P<kind>menu|drop-?down|list|combo)\b",
            _pick,
        ),
        (r"(?:turn|switch)\s+(?:on|off)\s+(?P<what>.+)(?P<how>)", _click),
        (
            r"(?:select|choose|pick|tick|untick|check|uncheck|enable|disable|toggle|activate|submit|confirm)"
            r"\s+(?P<what>.+)(?P<how>)",
            _click,
        ),
    )
]
