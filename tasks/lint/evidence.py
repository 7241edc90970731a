"""Rules about checks: what they look at, what they would let pass, and who could have made it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deskbench.tasks import registry
from deskbench.tasks.lint.facts import Command, Facts, command_line, normal, paths_of, rules_of, strings_in
from deskbench.tasks.lint.findings import Hit
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.types import Check

_PURE = frozenset({"text_matches", "file_contains", "json_equals", "json_value", "check_list"})
"""Metrics of text that may be worked out here, with those that are `linear`."""
_SAYS = re.compile(
    r"(?:\becho(?:\s+-[neE]+)*|\bprintf|\bprint\()\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s\"';&|)]+)"
)
_READERS = frozenset({"cat", "grep", "egrep", "fgrep", "zgrep", "sed", "awk", "gawk", "head", "tail", "tr", "cut", "wc",
                      "sort", "uniq", "jq", "xmllint", "nl", "tac", "strings", "md5sum", "sha256sum"})  # fmt: skip
_RUNNERS = frozenset({"bash", "sh", "python", "python3", "source", ".", "perl", "node", "sudo", "timeout"})
_PIPE = re.compile(r"\|\||&&|[|;]|\n")
_EXECUTES = re.compile(
    r"\beval\s+[\"']?\$|\$\(\s*\$|\bexec\(\s*open\(|\beval\(\s*open\(|\bpickle\.loads?\(|\byaml\.(?:unsafe_)?load\((?!.*Safe)|"
    r"\b(?:bash|sh) -c [\"']?\$\(\s*cat|\bmarshal\.loads?\(|\|\s*(?:ba)?sh\b")  # fmt: skip
_FOREIGN = re.compile(
    r"(?<![\w.])(?:eval|exec)\(|\bpickle\.loads?\(|\byaml\.(?:unsafe_)?load\((?!.*Safe)|\bos\.system\(|shell\s*=\s*True|"
    r"\bmarshal\.loads?\(")  # fmt: skip
_JUDGE = re.compile(r"judge|llm|gpt|vlm|claude|gemini", re.IGNORECASE)
_REWARD = re.compile(r"(^|[\W_])(reward|score|success|done|status|flag|passed|verdict)([\W_]|$)|\.log$", re.IGNORECASE)
_SAVES = re.compile(r"hotkey\(\s*\[?\s*['\"]ctrl['\"],\s*['\"]s['\"]|\bkey ctrl\+s\b", re.IGNORECASE)
_CLICKS = re.compile(r"pyautogui\.(?:click|doubleClick|rightClick)\(|\bxdotool\b.*\bclick\b")
_CLOSES = re.compile(
    r"hotkey\(\s*\[?\s*['\"](?:alt['\"],\s*['\"]f4|ctrl['\"],\s*['\"][qw])['\"]|\b(?:pkill|killall|taskkill)\b"
)
_ASKS_TO_CLOSE = re.compile(r"(?:^|[.,;] |\band |\bthen |\bplease )(?:close|quit|exit) (?:the|all|this|it|its|every)\b")
_HOLD = {
    "is_in_vm_clickboard": ("expected",), "compare_image_text": ("text",), "is_added_to_steam_cart": ("items",),
    "fuzzy_match": ("expected",), "is_shortcut_on_desktop": ("name", "exec"),
}  # fmt: skip
"""Metrics that look for a part of a text, and the keys of their rules that say which."""
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
"""Metrics that look at one property of a file, whatever else is in it."""


def start_value(facts: Facts, check: Check) -> float | None:
    """What a check gives for the untouched start state, or None where the file alone does not tell.

    Known are texts that set-up writes and a metric of text compares, and a file from the web, or from beside the task,
    that is compared with itself.
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
    entry = registry.find("metric", check.metric)
    if not (entry.linear or entry.name in _PURE) or not rules_of(check.expected):
        return None
    return float(entry.function(put.text, rules_of(check.expected), **registry.check_parameters(entry, check.options)))


def trivial(check: Check) -> bool:
    """Whether any result at all passes: nothing is asked for, or a pattern matches everything."""
    rules = rules_of(check.expected)
    if check.metric in ("check_include_exclude", "check_list", "file_contains"):
        keys = ("include", "exclude", "expect", "unexpect", "expected")
        wanted = [text for key in keys for text in rules.get(key, ())]
        return bool(rules or check.expected) and all(text == "" for text in wanted)
    if check.metric == "text_matches":
        return re.fullmatch(r"[\^(]*(\.[*]|\[\\s\\S\]\*)[)$]*", str(rules.get("pattern"))) is not None
    return check.metric == "is_extension_installed" and rules == {"type": "contain", "expected": ""}


@rule(
    "DB009", "warning", "the untouched start meets a check",
    source="verifiers' no-op check; OpenEnv's floor_gap",
    help="look at what the task changes; a guard of something else is allowed with a reason",
    bad={"evaluator": {"expected": {"rules": {"expected": "We meet on Monday."}}}},
    good={"evaluator": {"expected": {"rules": {"expected": "We meet on Friday."}}}},
)  # fmt: skip
def met_at_start(facts: Facts) -> Iterator[Hit]:
    """A check that passes before anything is done adds nothing, and if all do, an agent that does nothing scores 1.

    Found from the file are texts that set-up writes and files that are compared with themselves. A guard, which looks
    at a file that the instruction does not name, is right so and is no finding. What only a desktop can tell is found
    where the start state is scored (`recorded.start_score`).
    """
    if facts.task.evaluator.conj == "or":
        return
    for check in facts.checks:
        if trivial(check):
            yield Hit(check.where, f"{check.metric} asks for nothing: every end state passes")
        elif start_value(facts, check) == 1.0 and (len(facts.checks) == 1 or _named(facts, check)):
            yield Hit(check.where, f"{check.metric} gives 1 for the untouched start")


def _named(facts: Facts, check: Check) -> bool:
    """Whether the instruction names the file that a check looks at."""
    names = [PurePosixPath(normal(path)).name.lower() for path in paths_of(check.result)] if check.result else []
    return any(name in facts.instruction for name in names)


@rule(
    "DB010", "error", "one branch of an `or` is met by the start state",
    source="BenchJack V6",
    help="take the branch out, or make it look at what the task changes",
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
    """One branch is enough for the score 1, so one that holds from the start makes the others worthless.

    Found from the file are branches that ask for nothing, and those that hold for the texts that set-up writes.
    """
    if facts.task.evaluator.conj != "or" or len(facts.checks) < 2:
        return
    for check in facts.checks:
        if trivial(check):
            yield Hit(check.where, f"{check.metric} asks for nothing, so the whole `or` passes always")
        elif start_value(facts, check) == 1.0:
            yield Hit(check.where, f"{check.metric} gives 1 for the untouched start, so the whole `or` does")


@rule(
    "DB011",
    "warning",
    "a part of the text is enough: a longer one, its negation or a list of all answers passes",
    source="BenchJack V5; ABC I.b; OSWorld's substring checks that a superset passed",
    help="compare the whole text, or say in `exclude` what must not be there",
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
    """A check for a part of a text passes a text that says the opposite, or names every candidate.

    "not Thursday" holds "Thursday", and so does "Monday Thursday Friday". Likeness scores (fuzzy) have the same hole. A
    command that prints words of its own, none of which is a part of another, is no finding.
    """
    for check in facts.checks:
        found = _contained(check)
        if found is None or trivial(check):
            continue
        other = _own_words(check, found)
        if other is None and check.metric == "compare_table":
            yield Hit(check.where, found)
        elif other is None:
            yield Hit(check.where, f"any text that holds {_short(found)} passes")
        elif other:
            yield Hit(check.where, f"the command also prints {_short(other)}, which holds what is looked for")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _contained(check: Check) -> str | None:
    """The text of which a result need only have a part, or that it need only hold; None for a check of another kind."""
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
    """What a rule of `compare_table` takes a part of for the whole."""
    for one in options.get("rules", ()):
        for inner in one.get("rules", ()) if isinstance(one, Mapping) else ():
            if isinstance(inner, Mapping) and inner.get("type") in ("includes", "fuzzy_match"):
                cells = ", ".join(strings_in(inner.get("range")))
                return f"a part of what {cells} must hold is enough ({inner['type']})"
    return None


def _own_words(check: Check, wanted: str) -> str | None:
    """Of a command that prints words of its own: another word that holds the wanted one, or nothing.

    None where the command prints something else than its own words.
    """
    call = check.result
    if call is None or call.type not in ("vm_command_line", "vm_command_error"):
        return None
    line = command_line(call)
    printed = {found[1].strip("'\"") for found in _SAYS.finditer(line)}
    words = {word.replace("\\n", "\n").strip() for word in printed}
    holding = sorted((word for word in words if wanted.strip() in word), key=len)
    if not holding:
        return "" if _script(line) else None
    return holding[-1] if len(holding) > 1 else ""


def _script(line: str) -> str:
    """The script that a command runs, where it is one of the task's own; its name."""
    words = line.split()
    for index, word in enumerate(words):
        name = PurePosixPath(word.strip("'\"")).name
        runs = index == 0 or words[index - 1].strip("'\"").split("/")[-1] in _RUNNERS
        if runs and re.search(r"\.(sh|py|pl|js|bash)$", name):
            return name
    return ""


@rule(
    "DB012",
    "warning",
    "a pattern that text before, behind or between passes",
    source="BenchJack V5",
    help="write the whole text: no .* at an end, ^ and $ around what is searched for",
    bad={"evaluator": {"func": "text_matches", "expected": {"rules": {"pattern": ".*Thursday.*", "expected": None}}}},
    good={
        "evaluator": {
            "func": "text_matches",
            "expected": {"rules": {"pattern": "We meet on Thursday\\.?", "expected": None}},
        }
    },
)
def loose_pattern(facts: Facts) -> Iterator[Hit]:
    """A pattern that is searched for anywhere, or has `.*` at an end, is a check for a part of the text.

    A longer text passes, and so do a negation and a list of all candidates. `text_matches` compares the whole text;
    addresses, lines of `check_list` and values of method `re` are searched. (No fix is safe: whoever anchors a pattern
    must know what the rest of the text is.)
    """
    for check in facts.checks:
        for where, pattern, whole in _patterns(check):
            if whole and re.search(r"^\^?\(?(\.[*+]|\[\\s\\S\][*+])|(?<!\\)(\.[*+]|\[\\s\\S\][*+])\)?\$?$", pattern):
                yield Hit(where, f"{_short(pattern)} begins or ends with anything")
            elif not whole and not (_begins(pattern) and _ends(pattern)):
                side = "at the end" if _begins(pattern) else "at the start" if _ends(pattern) else "anywhere"
                yield Hit(where, f"{_short(pattern)} is searched for, and open {side}")


def _begins(pattern: str) -> bool:
    return pattern.startswith(("^", r"\A", "(^"))


def _ends(pattern: str) -> bool:
    return pattern.endswith((r"\Z", "$)")) or (pattern.endswith("$") and not pattern.endswith(r"\$"))


def _patterns(check: Check) -> Iterator[tuple[str, str, bool]]:
    """Where each pattern of a check stands, the pattern, and whether the whole text must match."""
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


@rule(
    "DB016",
    "error",
    "the check executes what the agent wrote",
    source="BenchJack V3; inspect-evals-lint's IESC002",
    help="read the file as data: json, configparser, ast.literal_eval",
    bad={
        "evaluator": {
            "func": "exact_match",
            "result": {
                "type": "vm_command_line",
                "command": 'eval "$(cat ~/Documents/letter.txt)"',
                "shell": True,
                "path": None,
                "dest": None,
            },
        }
    },
    good={
        "evaluator": {
            "func": "exact_match",
            "result": {
                "type": "vm_command_line",
                "command": ["stat", "-c", "%a", "~/Documents"],
                "path": None,
                "dest": None,
            },
        }
    },
)
def executes(facts: Facts) -> Iterator[Hit]:
    """What the agent wrote must not become code of the check: it could then give itself any score.

    Found are `eval`, `exec`, pickle and unsafe YAML in commands of checks and in the source of functions that the task
    brings along, and a test suite that imports the agent's program, which can answer in the suite's place.
    """
    for command in facts.commands:
        found = _EXECUTES.search(command.line) if command.phase in ("result", "expected") else None
        if found:
            yield Hit(command.where, f"executes what it reads: {found[0].strip()}")
    for check in facts.checks:
        if check.metric == "check_python_file_by_test_suite":
            yield Hit(check.where, "the agent's program runs in the process that tests it")
        elif ":" in check.metric and (found := _FOREIGN.search(_source(check.metric))):
            yield Hit(check.where, f"{check.metric} has {found[0]}")


def _source(name: str) -> str:
    """The source of a function that a task file brings along; empty where there is none."""
    try:
        return inspect.getsource(registry.find("metric", name).function)
    except (OSError, TypeError):
        return ""


@rule(
    "DB017", "warning", "all evidence is something that the agent writes itself",
    source="BenchJack V1 and V7",
    help="look at what the program keeps: its document, its settings, its database",
    bad={"evaluator": {"func": "exact_match", "result": {"type": "vm_terminal_output", "path": None, "dest": None}}},
    good={"evaluator": {"func": "exact_match", "result": {"type": "vm_clipboard", "path": None, "dest": None}}},
)  # fmt: skip
def self_reported(facts: Facts) -> Iterator[Hit]:
    """A log, a status file or the text in a terminal says what somebody typed there, not that the work is done.

    A file that the instruction asks for by name is the work itself and no finding.
    """
    told = [_reported(facts, check) for check in facts.checks]
    if told and all(told):
        yield Hit("$.evaluator.result", f"all that is looked at is {told[0]}")


def _reported(facts: Facts, check: Check) -> str:
    call = check.result
    if call is None:
        return ""
    if call.type == "vm_terminal_output":
        return "what the terminal shows"
    for path in paths_of(call):
        name = PurePosixPath(normal(path)).name
        if _REWARD.search(name) and name.lower() not in facts.instruction and not _by_postconfig(facts, name):
            return f"the file {name}"
    return ""


def _by_postconfig(facts: Facts, name: str) -> bool:
    return any(name in text.text for text in facts.texts if text.phase == "postconfig")


@rule(
    "DB018",
    "warning",
    "a program of the desktop is asked where the file could be read",
    source="BenchJack V7",
    help="read the file with vm_file; put a script of the check into the desktop in postconfig, not in set-up",
    bad={
        "evaluator": {
            "result": {
                "type": "vm_command_line",
                "command": ["cat", "/home/user/Documents/letter.txt"],
                "path": None,
                "dest": None,
            }
        }
    },
    good={
        "evaluator": {
            "result": {
                "type": "vm_command_line",
                "command": ["stat", "-c", "%a", "/home/user/Documents/letter.txt"],
                "path": None,
                "dest": None,
            }
        }
    },
)
def asks_the_desktop(facts: Facts) -> Iterator[Hit]:
    """An agent can put another `cat` or `grep` before the right one in PATH, and a script of the check can be changed.

    Commands that only read and filter files are found, and scripts that set-up puts into the desktop, where they lie
    open to the agent until they are run. What only a program can tell (a registry, a process list) is no finding.
    """
    early = {PurePosixPath(normal(put.path)).name for put in facts.puts if put.phase == "config"}
    early -= {PurePosixPath(normal(put.path)).name for put in facts.puts if put.phase == "postconfig"}
    for command in facts.commands:
        if command.phase not in ("result", "expected"):
            continue
        script = _script(command.line)
        if script in early:
            yield Hit(
                command.where, f"{script} lies in the desktop during the episode: the agent can read and change it"
            )
        elif file := _only_reads(command):
            yield Hit(command.where, f"reads {file} by programs of the desktop")


def _only_reads(command: Command) -> str:
    """The file that a command reads, where it does nothing but read and filter."""
    line = command.line
    if any(mark in line for mark in ("$(", "`", "if ", "for ", "[ ", "while ")):
        return ""
    programs = [PurePosixPath(part.split()[0]).name for part in _PIPE.split(_unquoted(line)) if part.split()]
    if not programs or not all(name in _READERS for name in programs):
        return ""
    found = re.search(r"(?:~|\$HOME|/(?!proc/|sys/|dev/)\w)[\w./~-]*", line)
    return found[0] if found else ""


def _unquoted(line: str) -> str:
    """A command without what stands in quotation marks."""
    return re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", "x", line)


@rule(
    "DB019", "error", "a model judges without a fixed version, a form for its answer and fences around what it reads",
    source="BenchJack V4; ABC I.c",
    help="name the model's version and the answer's form in options, fence the evidence, add a check that is no model",
    bad={"evaluator": {"func": "my_checks:llm_judge", "options": {"model": "latest"}}},
    good={"evaluator": {"func": ["my_checks:llm_judge", "text_equals"], "options": [
              {"model": "judge-2026-01-15", "form": {"pass": "boolean"}, "fenced": True}, {}],
          "result": [{"type": "vm_file", "path": "~/Documents/letter.txt", "dest": "letter.txt"}] * 2,
          "expected": [{"type": "rule", "rules": {"expected": "We meet on Thursday."}}] * 2}},
)  # fmt: skip
def judged_by_model(facts: Facts) -> Iterator[Hit]:
    """A model's verdict changes with the model, and what the agent wrote can talk to it.

    A metric whose name says judge, llm or the like needs in its options a `model` with a version, the `form` of its
    answer and `fenced`, and beside it at least one check that is no model.
    """
    judges = [check for check in facts.checks if _JUDGE.search(check.metric)]
    for check in judges:
        lacking = [key for key in ("model", "form", "fenced") if not check.options.get(key)]
        if not lacking and not re.search(r"\d", str(check.options["model"])):
            lacking = ["model with a version"]
        if lacking:
            yield Hit(check.where, f"{check.metric} has no {', no '.join(lacking)}")
        elif len(judges) == len(facts.checks):
            yield Hit(check.where, f"{check.metric} is the only check")


@rule(
    "DB020", "warning", "only what should change is looked at: nothing guards the rest of the file",
    source="ABC I.g.2",
    help="compare the whole document, or add a check that the rest is as it was",
    bad={"evaluator": {"func": "check_include_exclude", "expected": {"rules": {
        "include": ["Thursday"], "exclude": ["Monday"], "expected": None}}}},
    good={},
)  # fmt: skip
def unguarded(facts: Facts) -> Iterator[Hit]:
    """An agent that empties a document and writes the one right word into it has not done the task.

    Found are files that set-up puts there and that only metrics of one property look at. Settings, which the program
    writes itself, are not documents and no finding.
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
            yield Hit(
                checks[0].where, f"{PurePosixPath(path).name} may lose everything else: {names} alone looks at it"
            )


@rule(
    "DB023",
    "error",
    "postconfig does what the agent was asked to do",
    source="OSWorld's tasks whose evaluator saves the document",
    help="leave it to the agent: read what is there when the episode ends",
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

    Found are saving, closing and clicking in postconfig where the instruction asks for saving, closing or a click.
    Postconfig that saves what nobody asked to save is lenient, not wrong.
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
    """Whether saving under the name that is there is the agent's work; `save as` and `save for later` are others."""
    return re.search(r"\bsave (it|the (file|document|changes|presentation|spreadsheet|workbook|slides?)|my \w+|all \w+)"
                     r"(?! (as|to|in|under|with) )", facts.instruction) is not None  # fmt: skip
