"""Rules about trust: who could have made the evidence of a check, and what the check does with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from deskbench.tasks import registry
from deskbench.tasks.lint.commands import script_of
from deskbench.tasks.lint.facts import Command, Facts, normal, paths_of
from deskbench.tasks.lint.findings import Hit
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.types import Check

_READERS = frozenset({"cat", "grep", "egrep", "fgrep", "zgrep", "sed", "awk", "gawk", "head", "tail", "tr", "cut", "wc",
                      "sort", "uniq", "jq", "xmllint", "nl", "tac", "strings", "md5sum", "sha256sum"})  # fmt: skip
_PIPE = re.compile(r"\|\||&&|[|;]|\n")
_EXECUTES = re.compile(
    r"\beval\s+[\"']?\$|\$\(\s*\$|\bexec\(\s*open\(|\beval\(\s*open\(|\bpickle\.loads?\(|\byaml\.(?:unsafe_)?load\((?!.*Safe)|"
    r"\b(?:bash|sh) -c [\"']?\$\(\s*cat|\bmarshal\.loads?\(|\|\s*(?:ba)?sh\b")  # fmt: skip
_FOREIGN = re.compile(
    r"(?<![\w.])(?:eval|exec)\(|\bpickle\.loads?\(|\byaml\.(?:unsafe_)?load\((?!.*Safe)|\bos\.system\(|shell\s*=\s*True|"
    r"\bmarshal\.loads?\(")  # fmt: skip
_JUDGE = re.compile(r"judge|llm|gpt|vlm|claude|gemini", re.IGNORECASE)
_REWARD = re.compile(r"(^|[\W_])(reward|score|success|done|status|flag|passed|verdict)([\W_]|$)|\.log$", re.IGNORECASE)


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
    """The check must not run what the agent wrote: the agent could give itself any score.

    The rule reports `eval`, `exec`, pickle and unsafe YAML in commands of checks and in functions that come with the
    task. It also reports a test suite that imports the agent's program, because that program can answer for the suite.
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
    """The source code of a metric; empty if it cannot be read."""
    try:
        return inspect.getsource(registry.find("metric", name).function)
    except (OSError, TypeError):
        return ""


@rule(
    "DB017", "warning", "all the evidence is something that the agent writes itself",
    source="BenchJack V1 and V7",
    help="check what the program stores: its document, its settings, its database",
    bad={"evaluator": {"func": "exact_match", "result": {"type": "vm_terminal_output", "path": None, "dest": None}}},
    good={"evaluator": {"func": "exact_match", "result": {"type": "vm_clipboard", "path": None, "dest": None}}},
)  # fmt: skip
def self_reported(facts: Facts) -> Iterator[Hit]:
    """A log, a status file or the text in a terminal shows what the agent typed, not that it did the work.

    The rule does not report a file that the instruction asks for by name: that file is the work itself.
    """
    told = [_reported(facts, check) for check in facts.checks]
    if told and all(told):
        yield Hit("$.evaluator.result", f"the checks look only at {told[0]}")


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
    "the check asks a program of the desktop although it could read the file",
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
    """An agent can put its own `cat` or `grep` first in PATH, and can change a script of the check.

    The rule reports commands that only read and filter files, and scripts that set-up copies into the desktop, where
    the agent can change them until the check runs them. It does not report what only a program can tell (a registry, a
    process list).
    """
    early = {PurePosixPath(normal(put.path)).name for put in facts.puts if put.phase == "config"}
    early -= {PurePosixPath(normal(put.path)).name for put in facts.puts if put.phase == "postconfig"}
    for command in facts.commands:
        if command.phase not in ("result", "expected"):
            continue
        script = script_of(command.line)
        if script in early:
            yield Hit(command.where, f"{script} is in the desktop during the episode: the agent can read and change it")
        elif file := _only_reads(command):
            yield Hit(command.where, f"reads {file} with programs of the desktop")


def _only_reads(command: Command) -> str:
    """The file that a command reads, if the command only reads and filters."""
    line = command.line
    if any(mark in line for mark in ("$(", "`", "if ", "for ", "[ ", "while ")):
        return ""
    programs = [PurePosixPath(part.split()[0]).name for part in _PIPE.split(_unquoted(line)) if part.split()]
    if not programs or not all(name in _READERS for name in programs):
        return ""
    found = re.search(r"(?:~|\$HOME|/(?!proc/|sys/|dev/)\w)[\w./~-]*", line)
    return found[0] if found else ""


def _unquoted(line: str) -> str:
    """A command with its quoted parts replaced by `x`."""
    return re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", "x", line)


@rule(
    "DB019", "error", "a model judges without a fixed version, a form for its answer or fences around what it reads",
    source="BenchJack V4; ABC I.c",
    help="name the model's version and the answer's form in options, fence the evidence, add a check without a model",
    bad={"evaluator": {"func": "my_checks:llm_judge", "options": {"model": "latest"}}},
    good={"evaluator": {"func": ["my_checks:llm_judge", "text_equals"], "options": [
              {"model": "judge-2026-01-15", "form": {"pass": "boolean"}, "fenced": True}, {}],
          "result": [{"type": "vm_file", "path": "~/Documents/letter.txt", "dest": "letter.txt"}] * 2,
          "expected": [{"type": "rule", "rules": {"expected": "We meet on Thursday."}}] * 2}},
)  # fmt: skip
def judged_by_model(facts: Facts) -> Iterator[Hit]:
    """A model's verdict changes with the model's version, and the agent's text can address the model.

    A metric with judge, llm or the like in its name needs three options: a `model` with a version, the `form` of its
    answer, and `fenced`. The task also needs at least one check without a model.
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
