"""Rules about end states: checks that pass at the start, unguarded files, work that postconfig finishes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from deskbench.envs.errors import CheckError
from deskbench.tasks import registry
from deskbench.tasks.lint.facts import Facts, normal, paths_of, rules_of
from deskbench.tasks.lint.findings import Hit
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.types import Check

_PURE = frozenset({"file_contains", "json_equals", "json_value"})
"""Text metrics that may run here, as `linear` ones may: they never match a pattern from the task."""
_SAVES = re.compile(r"hotkey\(\s*\[?\s*['\"]ctrl['\"],\s*['\"]s['\"]|\bkey ctrl\+s\b", re.IGNORECASE)
_CLICKS = re.compile(r"pyautogui\.(?:click|doubleClick|rightClick)\(|\bxdotool\b.*\bclick\b")
_CLOSES = re.compile(
    r"hotkey\(\s*\[?\s*['\"](?:alt['\"],\s*['\"]f4|ctrl['\"],\s*['\"][qw])['\"]|\b(?:pkill|killall|taskkill)\b"
)
_ASKS_TO_CLOSE = re.compile(r"(?:^|[.,;] |\band |\bthen |\bplease )(?:close|quit|exit) (?:the|all|this|it|its|every)\b")
_ASKS_TO_CLOSE = re.compile(r"(?:^|[.,;] |\band |\bthen |\bplease )(?:close|quit|exit) (?:the|all|this|it|its|every)\b")
_PARTIAL = frozenset({
    "check_include_exclude", "file_contains", "check_list", "check_line_number", "check_csv", "check_json",
    "json_value", "check_strikethrough", "check_transition", "contains_page_break", "compare_font_names",
    "is_first_line_centered", "has_page_numbers_in_footers", "check_tabstops", "check_slide_orientation_Portrait",
    "check_image_stretch_and_center", "check_page_number_colors", "check_slide_numbers_color",
    "compare_docx_tables", "compare_docx_images", "compare_subscript_contains", "compare_highlighted_text",
    "compare_references", "check_image_size", "check_image_file_size", "image_format", "evaluate_spacing",
    "evaluate_conversion", "check_textbox_on_leftside", "check_pdf_pages",
    "evaluate_presentation_fill_to_rgb_distance", "check_green_background", "check_triangle_position",
})  # fmt: skip
"""Metrics that look at one property of a file and ignore the rest."""


def start_value(facts: Facts, check: Check) -> float | None:
    """A check's value for the untouched start state, or None if the task file alone does not determine it.

    It is known if set-up writes a text that a text metric compares, or if a file from the web or next to the task is
    compared with itself.
    """
    call = check.result
    if call is None or call.type not in ("vm_file", "vm_file_text") or not isinstance(call.parameters.get("path"), str):
        return None
    put = facts.started.get(normal(call.parameters["path"]))
    if put is None:
        return None
    if put.text is None:
        wanted = check.expected.parameters.get("path") if check.expected else None
        same = (put.url or put.asset) == wanted and not check.options and check.metric.startswith("compare_")
        return 1.0 if same else None
    return _worked_out(check, put.text)


def _worked_out(check: Check, text: str) -> float | None:
    """A metric's value for a text; None if the metric takes something else, or its running time is unknown."""
    entry, rules = registry.find("metric", check.metric), rules_of(check.expected)
    takes_text = entry.name in _PURE or (entry.linear and not registry.misfit(entry, [text], [True]))
    if not takes_text or not rules:
        return None
    try:
        return float(entry.function(text, rules, **registry.check_parameters(entry, check.options)))
    except CheckError:
        return None


def trivial(check: Check) -> bool:
    """Whether every result passes: the check requires nothing, or a pattern matches everything."""
    rules = rules_of(check.expected)
    if check.metric in ("check_include_exclude", "check_list", "file_contains"):
        keys = ("include", "exclude", "expect", "unexpect", "expected")
        wanted = [text for key in keys for text in rules.get(key, ())]
        return bool(rules or check.expected) and all(text == "" for text in wanted)
    if check.metric == "text_matches":
        return re.fullmatch(r"[\^(]*(\.[*]|\[\\s\\S\]\*)[)$]*", str(rules.get("pattern"))) is not None
    return check.metric == "is_extension_installed" and rules == {"type": "contain", "expected": ""}


@rule(
    "DB009", "warning", "a check passes in the untouched start state",
    source="verifiers' no-op check; OpenEnv's floor_gap",
    help="check what the task changes; a check that guards something else is allowed with a reason",
    bad={"evaluator": {"expected": {"rules": {"expected": "We meet on Monday."}}}},
    good={"evaluator": {"expected": {"rules": {"expected": "We meet on Friday."}}}},
)  # fmt: skip
def met_at_start(facts: Facts) -> Iterator[Hit]:
    """A check that passes at the start adds nothing. If all checks do, an agent that does nothing scores 1.

    From the task file the rule finds texts that set-up writes and files that are compared with themselves. It does not
    report a guard: a check of a file that the instruction does not name. `recorded.start_score` finds the rest when it
    scores the start state in a desktop.
    """
    if facts.task.evaluator.conj == "or":
        return
    for check in facts.checks:
        if trivial(check):
            yield Hit(check.where, f"{check.metric} requires nothing: every end state passes")
        elif start_value(facts, check) == 1.0 and (len(facts.checks) == 1 or _named(facts, check)):
            yield Hit(check.where, f"{check.metric} gives 1 for the untouched start")


def _named(facts: Facts, check: Check) -> bool:
    """Whether the instruction names the file that a check reads."""
    names = [PurePosixPath(normal(path)).name.lower() for path in paths_of(check.result)] if check.result else []
    return any(name in facts.instruction for name in names)


@rule(
    "DB010", "error", "one branch of an `or` passes in the start state",
    source="BenchJack V6",
    help="remove the branch, or let it check what the task changes",
    bad={"evaluator": {"func": ["text_equals", "check_include_exclude"], "conj": "or",
                       "result": [{"type": "vm_file", "path": "~/Documents/letter.txt", "dest": "a"}] * 2,
                       "expected": [{"type": "rule", "rules": {"expected": "We meet on Thursday."}},
                                    {"type": "rule", "rules": {"include": ["We meet"], "exclude": ["Friday"]}}]}},
    good={"evaluator": {"func": ["text_equals", "check_include_exclude"], "conj": "or",
                        "result": [{"type": "vm_file", "path": "~/Documents/letter.txt", "dest": "a"}] * 2,
                        "expected": [{"type": "rule", "rules": {"expected": "We meet on Thursday."}},
                                     {"type": "rule", "rules": {"include": ["Thursday"], "exclude": ["Monday"]}}]}},
)  # fmt: skip
def open_branch(facts: Facts) -> Iterator[Hit]:
    """One branch is enough for a score of 1, so a branch that passes at the start makes the others worthless.

    From the task file the rule finds branches that require nothing, and branches that pass for the texts that set-up
    writes.
    """
    if facts.task.evaluator.conj != "or" or len(facts.checks) < 2:
        return
    for check in facts.checks:
        if trivial(check):
            yield Hit(check.where, f"{check.metric} requires nothing, so the whole `or` always passes")
        elif start_value(facts, check) == 1.0:
            yield Hit(check.where, f"{check.metric} gives 1 for the untouched start, so the whole `or` does")


@rule(
    "DB020", "warning", "the checks look only at what should change: nothing guards the rest of the file",
    source="ABC I.g.2",
    help="compare the whole document, or add a check that the rest is as it was",
    bad={"evaluator": {"func": "check_include_exclude", "expected": {"rules": {
        "include": ["Thursday"], "exclude": ["Monday"], "expected": None}}}},
    good={},
)  # fmt: skip
def unguarded(facts: Facts) -> Iterator[Hit]:
    """An agent that empties a document and writes the one right word into it has not done the task.

    The rule reports files that set-up provides and that only metrics of one property look at. It does not report
    settings: the program writes them itself.
    """
    seen: dict[str, list[Check]] = {}
    put = {normal(one.path) for one in facts.puts if one.phase == "config"}
    for check in facts.checks:
        for path in map(normal, paths_of(check.result)) if check.result else ():
            if path in put and "/." not in path:
                seen.setdefault(path, []).append(check)
    for path, checks in seen.items():
        if all(check.metric in _PARTIAL for check in checks):
            names = ", ".join(dict.fromkeys(check.metric for check in checks))
            yield Hit(checks[0].where, f"{PurePosixPath(path).name} may lose everything else: only {names} looks at it")


@rule(
    "DB023",
    "error",
    "postconfig does part of the agent's task",
    source="OSWorld's tasks whose evaluator saves the document",
    help="leave it to the agent: check the state at the end of the episode",
    bad={
        "evaluator": {
            "postconfig": [
                {
                    "type": "execute",
                    "parameters": {"command": ["python3", "-c", "import pyautogui; pyautogui.hotkey('ctrl', 's')"]},
                }
            ]
        }
    },
    good={
        "instruction": 'In the open file letter.txt replace "Monday" by "Thursday".',
        "evaluator": {
            "postconfig": [
                {
                    "type": "execute",
                    "parameters": {"command": ["python3", "-c", "import pyautogui; pyautogui.hotkey('ctrl', 's')"]},
                }
            ]
        },
    },
)
def finishes_the_work(facts: Facts) -> Iterator[Hit]:
    """If the instruction says "save" and the evaluator presses Ctrl+S, an agent that did not save passes.

    The rule reports postconfig that saves, closes or clicks where the instruction asks the agent to do so. Postconfig
    that saves what nobody asked the agent to save is lenient, not wrong.
    """
    for command in facts.commands:
        if command.phase != "postconfig":
            continue
        if _SAVES.search(command.line) and _asks_to_save(facts):
            yield Hit(command.where, "saves, which the instruction asks the agent to do")
        elif _CLICKS.search(command.line) and facts.says("click", "press"):
            yield Hit(command.where, "clicks, and the instruction asks for a click")
        elif _CLOSES.search(command.line) and _ASKS_TO_CLOSE.search(facts.instruction):
            yield Hit(command.where, "closes a program, and the instruction asks for that")
    for call in facts.task.evaluator.postconfig:
        if call.type == "close_window" and _ASKS_TO_CLOSE.search(facts.instruction):
            yield Hit(call.where, "closes a window, and the instruction asks for that")


def _asks_to_save(facts: Facts) -> bool:
    """Whether the instruction asks to save under the existing name; `save as` and `save for later` do not count."""
    return re.search(r"\bsave (it|the (file|document|changes|presentation|spreadsheet|workbook|slides?)|my \w+|all \w+)"
                     r"(?! (as|to|in|under|with) )", facts.instruction) is not None  # fmt: skip
