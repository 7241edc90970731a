"""Turn an instruction into a plan: English imperatives become steps with labels, by rules that know no task.

The rules read what instructions usually contain: quoted names, menu paths, verbs such as click, type, save. They leave
out what they do not understand, so a plan may be empty.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from deskbench.agent.ocr.clause import CHORD, HELD, NOUNS, PURPOSE, WHERE, Clause, split
from deskbench.envs.keys import normalize


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        kind: `click`, `type`, `keys`, `drag`, `scroll`, `wait`, or `confirm` (say yes if a question appears, or press
            the button `label`).
        label: what to click, or the field to type into; None if there is nothing to find.
        text: the text to type.
        keys: a chord.
        button, count: button and number of clicks.
        target: where a drag ends.
        beside: click the field right of the label.
        replace: clear the field first.
        prepares: the step only opens what the next step needs, and does nothing by itself.
        enter: press Enter after the text.
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
    prepares: bool = False
    enter: bool = False
    amount: int = 0


def make_plan(instruction: str) -> list[Step]:
    """The steps of an instruction, in order; empty if no step is understood."""
    clauses, quotes = split(instruction)
    plan = [step for clause in clauses for step in _read_clause(clause)]
    plan = plan or [Step("click", label=quote) for quote in quotes]
    return [_after(plan[i - 1] if i else None, step) for i, step in enumerate(plan)]


def _after(before: Step | None, step: Step) -> Step:
    """The step after another one; typing in a dialog that asks for a name replaces the name that is already there."""
    asks = before is not None and re.match(r"save .*as\b|rename", before.label or "", re.IGNORECASE)
    return replace(step, replace=True) if asks and step.kind == "type" else step


def _read_clause(clause: Clause) -> list[Step]:
    """The steps of a clause; the first ones open a page or menu that it names."""
    steps = _read_verb(clause)
    first = [Step("click", label=clause.label(name), prepares=True) for name in clause.pages()]
    return [*first, *steps]


def _read_verb(clause: Clause) -> list[Step]:
    if _MENU.match(clause.text) and any(re.search(r"\s(?:[>→»]|->)\s", part) for part in _parts(clause)):
        return _menu_path(clause)
    for pattern, build in _RULES:
        found = pattern.match(clause.text)
        if found:
            return build(clause, found)
    return []


def _parts(clause: Clause) -> list[str]:
    return [clause.text, *(clause.quotes[int(number)] for number in HELD.findall(clause.text))]


_MENU = re.compile(r"(?:click|choose|select|open|use|pick|go to|navigate to)\s+(?:on\s+)?(?:the\s+)?", re.IGNORECASE)


def _menu_path(clause: Clause) -> list[Step]:
    text = HELD.sub(lambda found: clause.quotes[int(found[1])], _MENU.sub("", clause.text, count=1))
    names = [PURPOSE.sub("", WHERE.sub("", name)) for name in re.split(r"\s*(?:->|[>→»])\s*", text)]
    labels = [NOUNS.sub("", name.strip()) for name in names if name.strip()]
    return [Step("click", label=label, prepares=label is not labels[-1]) for label in labels]


def _click(clause: Clause, found: re.Match[str]) -> list[Step]:
    how = found["how"].lower() if found["how"] else ""
    button = {"right": "right", "middle": "middle"}.get(how, "left")
    label = clause.label(found["what"])
    return [Step("click", label=label, button=button, count=2 if how == "double" else 1)] if label else []


def _press(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Press a key or chord, or else a button of that name."""
    what = clause.literal(found["what"])
    bare = re.sub(r"^the\s+|\s+(?:key|keys)$", "", what, flags=re.IGNORECASE)
    try:
        keys = [normalize(name) for name in CHORD.split(bare)]
        return [Step("keys", keys=tuple(key.lower() for key in keys))]
    except ValueError:
        label = clause.label(found["what"])
        return [Step("click", label=label)] if label else []


def _type(clause: Clause, found: re.Match[str]) -> list[Step]:
    pairs = [Step("type", clause.label(f), clause.literal(t), replace=True) for t, f in _AS.findall(clause.text)]
    if pairs:
        return pairs
    field = clause.label(found["field"]) if found["field"] else None
    if field is None or _AT_END.search(clause.text) or _AT_START.search(clause.text):
        return _type_here(clause, found)
    return [Step("type", label=field, text=clause.literal(found["text"]), replace=True)]


def _type_here(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Type at the keyboard focus; an added line goes to the end, unless the clause names the start."""
    text = clause.literal(found["text"])
    if _AT_START.search(clause.text):
        return [Step("keys", keys=("ctrl", "home")), Step("type", text=text, enter=True)]
    if _AT_END.search(clause.text) or re.match(r"(?:add|append)\b", clause.text, re.IGNORECASE):
        return [Step("keys", keys=("ctrl", "end")), Step("type", text=text)]
    return [Step("type", text=text)]


def _set(clause: Clause, found: re.Match[str]) -> list[Step]:
    pairs = [Step("type", clause.label(f), clause.literal(t), replace=True) for f, t in _TO.findall(clause.text)]
    return pairs or [Step("type", label=clause.label(found["field"]), text=clause.value(found["text"]), replace=True)]


def _replace(clause: Clause, found: re.Match[str]) -> list[Step]:
    return [_mark(clause.literal(found["field"])), Step("type", text=clause.literal(found["text"]))]


def _mark(text: str) -> Step:
    """Select a word by two clicks, or a line by three."""
    return Step("click", label=text, count=3 if " " in text else 2)


def _pick(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Open a menu or drop-down list, then pick an item of it."""
    is_menu = found["kind"].lower() == "menu"
    first = Step("click", label=clause.label(found["menu"]), beside=not is_menu, prepares=True)
    return [first, Step("click", label=clause.label(found["what"]))]


def _shell(command: str) -> list[Step]:
    return [Step("type", text=command, enter=True)]


def _open(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Open something: a double click for a file name, a single click for anything else."""
    label = clause.label(found["what"])
    if not label:
        return []
    is_file = bool(re.search(r"\.\w{1,5}$", label)) or bool(re.search(r"\b(?:file|folder)\b", found["what"]))
    is_menu = bool(re.search(r"\bmenu\b", found["what"]))
    return [Step("click", label=label, count=2 if is_file else 1, prepares=is_menu)]


def _save_as(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Save under a name; a folder of the home directory goes before the name, which file dialogs accept."""
    name = clause.literal(found["text"])
    folder = re.search(r"\bin (?:the |my )?(⟦\d+⟧|\w+) folder", clause.text)
    path = f"~/{clause.literal(folder[1])}/{name}" if folder and "/" not in name else name
    return _saved_as(path)


def _saved_as(path: str) -> list[Step]:
    """Confirm a file dialog: Enter may only close a list of completions, so press the button if it is still there."""
    name = Step("type", text=path, replace=True, enter=True)
    return [Step("keys", keys=("ctrl", "shift", "s")), name, Step("confirm", label="Save")]


def _run(clause: Clause, found: re.Match[str]) -> list[Step]:
    return [Step("type", text=clause.literal(found["text"]), enter=True)]


def _calculate(clause: Clause, found: re.Match[str]) -> list[Step]:
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


def _rename(clause: Clause, found: re.Match[str]) -> list[Step]:
    if clause.in_terminal:
        return _transfer(clause, found, "mv")
    new = Step("type", text=clause.value(found["text"]), replace=True, enter=True)
    return [Step("click", label=clause.label(found["what"])), Step("keys", keys=("f2",)), new]


def _delete(clause: Clause, found: re.Match[str]) -> list[Step]:
    label = clause.label(found["what"])
    if clause.in_terminal and label:
        return _shell(f"rm -r {shlex.quote(label)}")
    return [Step("click", label=label), Step("keys", keys=("delete",)), Step("confirm")]


def _copy(clause: Clause, found: re.Match[str]) -> list[Step]:
    return [_mark(clause.literal(found["what"])), Step("keys", keys=("ctrl", "c"))]


def _copy_to(clause: Clause, found: re.Match[str]) -> list[Step]:
    return _transfer(clause, found, "cp -r") if clause.in_terminal else []


def _transfer(clause: Clause, found: re.Match[str], command: str) -> list[Step]:
    old, new = clause.label(found["what"]), clause.label(found["text"])
    return _shell(f"{command} {shlex.quote(old)} {shlex.quote(new)}") if old and new else []


def _file_with(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Make a file with some content: write it in the shell, or else type it and save it under its name."""
    name, text = clause.literal(found["name"]), clause.literal(found["text"])
    if clause.in_terminal:
        return _shell(f"echo {shlex.quote(text)} > {shlex.quote(name)}")
    return [Step("type", text=text), *_saved_as(name)]


def _search(clause: Clause, found: re.Match[str]) -> list[Step]:
    return [Step("keys", keys=("ctrl", "f")), Step("type", text=clause.literal(found["what"]), enter=True)]


def _create(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Create folders: any number at once in a terminal, or with the usual keys in a file manager."""
    names = [clause.label(name) or "" for name in re.split(r",\s*(?:and\s+)?|\s+and\s+", found["text"])]
    if clause.in_terminal:
        return _shell("mkdir -p " + " ".join(shlex.quote(name) for name in names if name))
    chord = Step("keys", keys=("ctrl", "shift", "n"))
    return [step for name in names if name for step in (chord, Step("type", text=name, enter=True))]


def _fill(clause: Clause, found: re.Match[str]) -> list[Step]:
    """Fill in fields, from pairs of a field's name in lower case and its value: `full name Ada Byron, city Porto`."""
    pairs = [_PAIR.fullmatch(pair.strip()) for pair in re.split(r",\s*(?:and\s+)?", found["pairs"])]
    return [Step("type", label=p["field"], text=clause.literal(p["text"]), replace=True) for p in pairs if p]


def _drag(clause: Clause, found: re.Match[str]) -> list[Step]:
    if clause.in_terminal:
        return _transfer(clause, found, "mv")
    start, end = clause.label(found["what"]), clause.label(found["text"])
    return [Step("drag", label=start, target=end)] if start and end else []


def _chord(*keys: str) -> Callable[[Clause, re.Match[str]], list[Step]]:
    return lambda clause, found: [Step("keys", keys=keys)]


def _scroll(clause: Clause, found: re.Match[str]) -> list[Step]:
    return [Step("scroll", amount=5 if found["way"].lower() == "up" else -5)]


def _wait(clause: Clause, found: re.Match[str]) -> list[Step]:
    return [Step("wait")]


_FIELD = r"(?:⟦\d+⟧|\w[\w -]*?)"
_AS = re.compile(rf"(⟦\d+⟧)\s+(?:as|in|into|for)\s+((?:the\s+|its\s+)?{_FIELD})(?=,|\s+and\s|$)", re.IGNORECASE)
_TO = re.compile(
    rf"(?:^\w+\s+|,\s*|\band\s+)+((?:the\s+)?{_FIELD}(?:\s+field)?)\s+(?:to|with)\s+(⟦\d+⟧)(?=,|\s+and\s|$)",
    re.IGNORECASE,
)
_AT_END = re.compile(r"\b(?:at|to) (?:the|its) (?:very )?(?:end|bottom)\b", re.IGNORECASE)
_AT_START = re.compile(r"\b(?:at|to) (?:the|its) (?:very )?(?:start|beginning|top)\b", re.IGNORECASE)
_PAIR = re.compile(r"(?P<field>[a-z][a-z-]*(?:\s[a-z][a-z-]*)*):?\s+(?P<text>⟦\d+⟧|[A-Z0-9+].*|\S+@\S+)")
_INTO = r"(?:\s+(?:in|into|to|as|for|at)\s+(?P<field>.+))?$"
_RULES: list[tuple[re.Pattern[str], Callable[[Clause, re.Match[str]], list[Step]]]] = [
    (re.compile(pattern, re.IGNORECASE), build)
    for pattern, build in (
        (r"(?:(?P<how>double|right|middle|left)[- ]?)?click\s+(?:on\s+)?(?P<what>.+)", _click),
        (r"scroll\s+(?P<way>up|down)", _scroll),
        (r"wait\b", _wait),
        (r"(?:press|hit|push)\s+(?P<what>.+)", _press),
        (r"save\b.*\b(?:called|named|under the name)\s+(?P<text>\S+)", _save_as),
        (r"save\b.*?\bas\s+(?P<text>⟦\d+⟧|[^\s.]+\.\w+)", _save_as),
        (r"save\b", _chord("ctrl", "s")),
        (r"undo\b", _chord("ctrl", "z")),
        (r"redo\b", _chord("ctrl", "shift", "z")),
        (r"(?:select|copy) (?:all|everything)\b.*", _chord("ctrl", "a")),
        (r"copy\s+(?:the\s+)?(?:\w+\s+)?(?P<what>⟦\d+⟧)", _copy),
        (r"copy\b.*\bto the clipboard", _chord("ctrl", "c")),
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
        (r"(?:create|make)\s+.*?\b(?:folders?|director(?:y|ies))\s+(?:(?:named|called)\s+)?(?P<text>.+)", _create),
        (r"(?:fill|enter|set)\b[^:]*:\s+(?P<pairs>.+)", _fill),
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
        (r"(?:switch|turn)\s+(?!on\b|off\b).+?\s+to\s+(?P<what>.+)(?P<how>)", _click),
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
