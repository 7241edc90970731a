"""Rules about what an instruction demands, and what it gives away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from deskbench.tasks.lint.facts import Facts, normal, paths_of, rules_of, strings_in
from deskbench.tasks.lint.findings import Hit
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.types import Check

_GUESSES = frozenset({"yes", "no", "true", "false", "on", "off", "y", "n", "none"})
_FORMATS = re.compile(
    r"\b(only|just|exactly|nothing else|format|formatted|in the form|separated|one word|single word|digits?|rounded|"
    r"decimal|e\.g|for example|like this|full name|yyyy|iso|yes or no|comma|in (euros?|dollars?|percent|minutes|hours|"
    r"seconds|bytes|kb|mb|meters|metres|km))\b|<[^>]+>|\"[^\"]+\"|"
    r"\b(as|with|give|answer|write|return|submit) (a|an|the|one) (\w+ )?(number|letter|word|name|date|list)\b",
    re.I,
)
_LIST = re.compile(r"(?:[\w'.-]+, )*[\w'.-]+,? or [\w'.-]+\w")
"""A list of words with `or` before the last one."""
CHOICES = 5
"""With this many choices or more, a guess is rarely right."""
_FILE = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_OWN = re.compile(r"(^|/)\.|/AppData/|/Application Data/|^/(usr|etc|var|opt|proc|sys)/|/snap/|/Program Files", re.I)
"""Paths that a program chooses and no instruction names: settings, profiles, the system."""
_ELSEWHERE = re.compile(
    r"\b(according to|guidelines?|requirements?|as (described|told|explained|listed) in|follow(ing)? the)\b"
)
"""Wording that sends the agent to a document, which may contain the name."""
_NAMES = {"docx": "word", "xlsx": "excel", "pptx": "powerpoint", "jpg": "jpeg", "htm": "html", "csv": "comma",
          "odt": "opendocument", "ods": "opendocument", "odp": "opendocument", "md": "markdown", "txt": "text",
          "mp4": "video", "mp3": "audio", "py": "python", "png": "screenshot", "gz": "archive", "zip": "compress",
          "epub": "book", "xcf": "gimp", "eml": "mail"}  # fmt: skip
"""Words that instructions use for a format instead of its extension."""


def _answers(facts: Facts) -> list[Check]:
    return [check for check in facts.checks if check.result is not None and check.result.type == "agent_answer"]


def _values(check: Check) -> list[str]:
    """Complete expected values, from a rule's `expected`; patterns are left out."""
    return [text.strip() for text in strings_in(rules_of(check.expected).get("expected"))]


@rule(
    "DB008", "warning", "the instruction, a file's name or a set-up command contains the answer",
    source="BenchJack V2",
    help="put the answer only where the task says to look for it",
    bad={"instruction": "Which day does letter.txt (the Monday letter) name? Answer with the day only.",
         "evaluator": {"func": "text_equals", "result": {"type": "agent_answer", "path": None, "dest": None},
                       "expected": {"rules": {"expected": "Monday"}}}},
    good={"instruction": "Which day does letter.txt name? Answer with the day only.",
          "evaluator": {"func": "text_equals", "result": {"type": "agent_answer", "path": None, "dest": None},
                        "expected": {"rules": {"expected": "Monday"}}}},
)  # fmt: skip
def given_away(facts: Facts) -> Iterator[Hit]:
    """A task that asks the agent to find something out must not give it away.

    The rule looks only at answers of agents: a text to type belongs in the instruction. Choices that an instruction
    lists ("yes or no", "A, B or C") give nothing away.
    """
    for check in _answers(facts):
        for value in _values(check):
            if len(value) < 2 or value.lower() in _GUESSES:
                continue
            word = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.I)
            place = _place(facts, word)
            if place:
                yield Hit(place, f"this contains the answer {value[:60]!r}")


def _place(facts: Facts, word: re.Pattern[str]) -> str:
    if word.search(facts.task.instruction) and not _choices(facts, word):
        return "$.instruction"
    for put in facts.puts:
        if put.phase == "config" and word.search(PurePosixPath(normal(put.path)).stem):
            return put.where
    return next((c.where for c in facts.commands if c.phase == "config" and c.call.type == "launch"
                 and word.search(c.line)), "")  # fmt: skip


def _choices(facts: Facts, word: re.Pattern[str]) -> bool:
    """Whether the instruction lists the answer among others, with an `or` close to it."""
    found = word.search(facts.task.instruction)
    near = facts.instruction[max(0, found.start() - 60) : found.end() + 60] if found else ""
    return re.search(r"\bor\b|\bone of\b|\beither\b", near) is not None


@rule(
    "DB013", "warning", "the answer can be guessed",
    source="ABC I.h.2",
    help="ask for something with many possible answers, or check what the agent did as well",
    bad={"instruction": "How many days does letter.txt name? Answer with the number only.",
         "evaluator": {"func": "number_equals", "result": {"type": "agent_answer", "path": None, "dest": None},
                       "expected": {"rules": {"expected": 1}}}},
    good={"instruction": "How many letters has letter.txt? Answer with the number only.",
          "evaluator": {"func": "number_equals", "result": {"type": "agent_answer", "path": None, "dest": None},
                        "expected": {"rules": {"expected": 14}}}},
)  # fmt: skip
def guessable(facts: Facts) -> Iterator[Hit]:
    """A guess between yes and no is right half the time, and nothing shows whether the agent looked.

    The rule reports yes and no, whole numbers from 0 to 10, single letters, and one of fewer than five choices that the
    instruction lists, if there is no other check.
    """
    answers = _answers(facts)
    if not answers or len(answers) < len(facts.checks):
        return
    values = [value for check in answers for value in _values(check)]
    if len(answers) == 1 and len(values) == 1 and (_easy(values[0]) or _one_of_few(facts, values[0])):
        yield Hit(answers[0].where, f"the only check compares the answer with {values[0]!r}")


def _one_of_few(facts: Facts, value: str) -> bool:
    """Whether the instruction lists fewer than five choices that include this one: `red, green or blue`."""
    lists = (re.split(r", or |, | or ", found[0]) for found in _LIST.finditer(facts.task.instruction))
    return any(len(items) < CHOICES and value.lower() in map(str.lower, items) for items in lists)


def _easy(value: str) -> bool:
    return value.lower() in _GUESSES or re.fullmatch(r"[0-9]|10|[A-Ea-e]", value) is not None


@rule(
    "DB014", "warning", "the instruction asks for an answer but does not say in which form",
    source="ABC I.h.1",
    help='name the form: "answer with the number only", "as YYYY-MM-DD"',
    bad={"instruction": "Which day does letter.txt name? Tell me.",
         "evaluator": {"func": "text_equals", "result": {"type": "agent_answer", "path": None, "dest": None}}},
    good={"instruction": "Which day does letter.txt name? Answer with the day only.",
          "evaluator": {"func": "text_equals", "result": {"type": "agent_answer", "path": None, "dest": None}}},
)  # fmt: skip
def formless(facts: Facts) -> Iterator[Hit]:
    """A right answer in other words scores 0: "on Thursday" is not "Thursday".

    The rule accepts an instruction that says "only" or names a form, a unit or an example.
    """
    if _answers(facts) and not _FORMATS.search(facts.task.instruction):
        yield Hit("$.instruction", "does not say in which form to give the answer")


@rule(
    "DB015", "error", "a file must appear under a name that the instruction does not give",
    source="Harbor's rubric (file names mentioned)",
    help="name the file and its folder in the instruction",
    bad={"instruction": 'Write "We meet on Thursday." into a new document, and save it.',
         "evaluator": {"result": {"path": "~/Documents/meeting.txt"}}},
    good={"instruction": 'Write "We meet on Thursday." into a new document, and save it as meeting.txt in Documents.',
          "evaluator": {"result": {"path": "~/Documents/meeting.txt"}}},
)  # fmt: skip
def unnamed_file(facts: Facts) -> Iterator[Hit]:
    """An agent cannot know the name, so a correct document under another name scores 0.

    The rule does not report files that set-up or postconfig writes or names, files that a program keeps for itself, and
    files with the name of another file and the format that the instruction asks for.
    """
    told = " ".join(text.text for text in facts.texts if text.phase in ("config", "postconfig")).lower()
    stems = {PurePosixPath(normal(put.path)).stem.lower() for put in facts.puts}
    seen: set[str] = set()
    for call in facts.results:
        for path in paths_of(call) if call.type in ("vm_file", "vm_file_text", "content_from_vm_file") else ():
            plain = normal(path)
            name = PurePosixPath(plain).name.lower()
            stem = re.sub(r"-sheet\d+$", "", PurePosixPath(name).stem)
            made = name in told or (len(stem) > 3 and stem in told)
            if plain in seen or not _FILE.search(name) or _OWN.search(plain) or made:
                continue
            seen.add(plain)
            if not _said(facts, name, stems):
                yield Hit(f"{call.where}.path", f"the instruction does not say that the file is called {name}")


def _said(facts: Facts, name: str, stems: set[str]) -> bool:
    """Whether the instruction mentions a file's name, with or without its extension."""
    stem, suffix = PurePosixPath(name).stem, name.rpartition(".")[2]
    loose = re.sub(r"[\W_]+", " ", facts.instruction)
    plain = re.sub(r"[\W_]+", " ", stem).strip()
    if _ELSEWHERE.search(facts.instruction) or name in facts.instruction or plain in loose:
        return True
    format_said = suffix in facts.instruction or _NAMES.get(suffix, suffix) in facts.instruction
    return format_said and (stem in stems or any(stem.startswith(one) or one.startswith(stem) for one in stems))
