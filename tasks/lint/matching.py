"""Rules about matching: which wrong texts a check would accept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deskbench.tasks.lint.commands import script_of
from deskbench.tasks.lint.evidence import trivial
from deskbench.tasks.lint.facts import Facts, command_line, rules_of, strings_in
from deskbench.tasks.lint.findings import Hit
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.types import Check

_SAYS = re.compile(
    r"(?:\becho(?:\s+-[neE]+)*|\bprintf|\bprint\()\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s\"';&|)]+)"
)
_HOLD = {
    "is_in_vm_clickboard": ("expected",), "compare_image_text": ("text",), "is_added_to_steam_cart": ("items",),
    "fuzzy_match": ("expected",), "is_shortcut_on_desktop": ("name", "exec"),
}  # fmt: skip
"""Metrics that search for a part of a text, and the keys of their rules that hold the part."""


@rule(
    "DB011",
    "warning",
    "a part of the text is enough: a longer text, its negation or a list of all answers passes",
    source="BenchJack V5; ABC I.b; OSWorld's substring checks that a superset passed",
    help="compare the whole text, or list in `exclude` what must not occur",
    bad={
        "evaluator": {
            "func": "check_include_exclude",
            "expected": {"rules": {"include": ["Thursday"], "expected": None}},
        }
    },
    good={
        "evaluator": {
            "func": "check_include_exclude",
            "expected": {"rules": {"include": ["Thursday"], "exclude": ["Monday", "Tuesday"], "expected": None}},
        }
    },
)
def substring(facts: Facts) -> Iterator[Hit]:
    """A check for a part of a text also passes a text that says the opposite, or that names every candidate.

    "not Thursday" contains "Thursday", and so does "Monday Thursday Friday". Similarity scores (fuzzy) have the same
    hole. The rule does not report a command that prints its own fixed words, unless one word is a part of another.
    """
    for check in facts.checks:
        found = _contained(check)
        if found is None or trivial(check):
            continue
        other = _own_words(check, found)
        if other is None and check.metric == "compare_table":
            yield Hit(check.where, found)
        elif other is None:
            yield Hit(check.where, f"any text that contains {_short(found)} passes")
        elif other:
            yield Hit(
                check.where,
                f"the command also prints {_short(other)}, which contains the text that the check looks for",
            )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _contained(check: Check) -> str | None:
    """The text that a result only has to contain, or be contained in; None for any other kind of check."""
    rules = rules_of(check.expected) or rules_of(check.result)
    expected = rules.get("expected", "")
    if check.metric in ("check_include_exclude", "file_contains"):
        texts = rules.get("include" if check.metric == "check_include_exclude" else "expected") or []
        return str(texts[0]) if texts and not rules.get("exclude") else None
    if check.metric in _HOLD:
        return next(strings_in([rules[key] for key in _HOLD[check.metric] if key in rules]), None)
    if check.metric == "is_extension_installed":
        return str(expected) if rules.get("type") == "contain" else None
    if check.metric == "compare_config":
        whole = not check.options.get("containment_ok", True) or str(expected).lstrip().startswith("{")
        return None if whole or not rules else str(expected)
    if check.metric == "match_in_list":
        return expected if isinstance(expected, str) else None
    if check.metric == "check_direct_json_object":
        return next(strings_in(expected), None) if rules.get("expect_in_result") else None
    return _cells(check.options) if check.metric == "compare_table" else None


def _cells(options: Mapping[str, Any]) -> str | None:
    """A message about a `compare_table` rule that accepts a part of the expected content; None without such a rule."""
    for one in options.get("rules", ()):
        for inner in one.get("rules", ()) if isinstance(one, Mapping) else ():
            if isinstance(inner, Mapping) and inner.get("type") in ("includes", "fuzzy_match"):
                cells = ", ".join(strings_in(inner.get("range")))
                return f"a part of the expected content of {cells} is enough ({inner['type']})"
    return None


def _own_words(check: Check, wanted: str) -> str | None:
    """For a command that prints fixed words: another of its words that contains the wanted one, or an empty string.

    None if the command prints anything else.
    """
    call = check.result
    if call is None or call.type not in ("vm_command_line", "vm_command_error"):
        return None
    line = command_line(call)
    printed = {found[1].strip("'\"") for found in _SAYS.finditer(line)}
    words = {word.replace("\\n", "\n").strip() for word in printed}
    holding = sorted((word for word in words if wanted.strip() in word), key=len)
    if not holding:
        return "" if script_of(line) else None
    return holding[-1] if len(holding) > 1 else ""


@rule(
    "DB012",
    "warning",
    "a pattern that also matches with other text before, after or between",
    source="BenchJack V5",
    help="match the whole text: no .* at either end, and ^ and $ around a pattern that is searched for",
    bad={"evaluator": {"func": "text_matches", "expected": {"rules": {"pattern": ".*Thursday.*", "expected": None}}}},
    good={
        "evaluator": {
            "func": "text_matches",
            "expected": {"rules": {"pattern": "We meet on Thursday\\.?", "expected": None}},
        }
    },
)
def loose_pattern(facts: Facts) -> Iterator[Hit]:
    """A pattern that may match anywhere, or has `.*` at either end, checks only a part of the text.

    A longer text passes, and so do a negation and a list of all candidates. `text_matches` compares the whole text;
    checks of addresses, lines of `check_list` and values with the method `re` search. (There is no safe automatic fix:
    to anchor a pattern, you must know the rest of the text.)
    """
    for check in facts.checks:
        for where, pattern, whole in _patterns(check):
            if whole and re.search(r"^\^?\(?(\.[*+]|\[\\s\\S\][*+])|(?<!\\)(\.[*+]|\[\\s\\S\][*+])\)?\$?$", pattern):
                yield Hit(where, f"{_short(pattern)} begins or ends with anything")
            elif not whole and not (_begins(pattern) and _ends(pattern)):
                side = "at the end" if _begins(pattern) else "at the start" if _ends(pattern) else "anywhere"
                yield Hit(where, f"{_short(pattern)} is searched for, and is open {side}")


def _begins(pattern: str) -> bool:
    return pattern.startswith(("^", r"\A", "(^"))


def _ends(pattern: str) -> bool:
    return pattern.endswith((r"\Z", "$)")) or (pattern.endswith("$") and not pattern.endswith(r"\$"))


def _patterns(check: Check) -> Iterator[tuple[str, str, bool]]:
    """The JSON path of each pattern of a check, the pattern, and whether the whole text must match."""
    rules, at = rules_of(check.expected), f"{check.expected.where if check.expected else ''}.rules"
    if check.metric == "text_matches":
        yield f"{at}.pattern", str(rules.get("pattern", "")), True
    elif check.metric == "check_list":
        for index, pattern in enumerate(rules.get("expect", ())):
            yield f"{at}.expect[{index}]", pattern, False
    elif check.metric == "is_expected_url_pattern_match":
        for index, pattern in enumerate(rules.get("expected", ())):
            yield f"{at}.expected[{index}]", str(pattern), False
    elif check.metric == "is_expected_search_query":
        yield f"{at}.expect.pattern", str(rules.get("expect", {}).get("pattern", "")), False
    elif check.metric in ("check_json", "check_thunderbird_prefs"):
        yield from _methods(rules.get("expect"), f"{at}.expect")


def _methods(expect: Any, at: str) -> Iterator[tuple[str, str, bool]]:
    items = expect.items() if isinstance(expect, Mapping) else enumerate(expect or ())
    for key, one in items:
        if isinstance(one, Mapping) and str(one.get("method", "")).startswith("re") and isinstance(one.get("ref"), str):
            yield f"{at}[{key!r}].ref", one["ref"], False
