"""Prints findings as text, JSON, SARIF and GitHub annotations, and explains rules."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deskbench.tasks.lint import Report, examples
from deskbench.tasks.lint.findings import Finding, Severity
from deskbench.tasks.lint.rules import Patch, Rule, rules

LEVELS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "information": "note"}
"""Levels of SARIF 2.1.0, section 3.27.10."""
COMMANDS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "information": "notice"}
"""GitHub's workflow commands."""
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def text(report: Report) -> str:
    """One line for each finding, and the summary."""
    return "\n".join([*map(str, report.findings), summary(report)])


def summary(report: Report) -> str:
    """The number of tasks, and of findings by severity and by rule."""
    found = [f"{count} {severity}{'s' * (count != 1 and severity != 'information')}"
             for severity, count in report.counts().items() if count]  # fmt: skip
    by_rule = ", ".join(f"{id} {count}" for id, count in report.by_rule().items())
    allowed = f"; {len(report.allowed)} allowed with a reason" if report.allowed else ""
    fixable = sum(bool(finding.edits) for finding in report.findings)
    fixes = f"; {fixable} with a fix (--fix)" if fixable else ""
    tasks = "1 task" if report.tasks == 1 else f"{report.tasks} tasks"
    return f"{tasks}, {', '.join(found) or 'no findings'}{f' ({by_rule})' if by_rule else ''}{allowed}{fixes}"


def document(report: Report) -> dict[str, Any]:
    """The findings as one JSON document; `problems` and `warnings` keep the form from before there were rules."""
    return {
        "tasks": report.tasks,
        "problems": [_row(finding) for finding in report.findings],
        "warnings": report.counts()["warning"],
        "counts": report.counts(),
        "by_rule": report.by_rule(),
        "allowed": [{**_row(finding), "reason": reason} for finding, reason in report.allowed],
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "file": str(finding.file), "where": finding.where, "line": finding.line, "rule": finding.rule,
        "severity": finding.severity, "message": finding.message, "warning": finding.severity != "error",
        "help": finding.help, "fixable": bool(finding.edits),
    }  # fmt: skip


def sarif(report: Report) -> dict[str, Any]:
    """A SARIF 2.1.0 log for code scanning; findings that files allow are marked as suppressed."""
    results = [_result(finding) for finding in report.findings]
    for finding, reason in report.allowed:
        results.append({**_result(finding), "suppressions": [{"kind": "inSource", "justification": reason}]})
    driver = {"name": "deskbench", "version": _version(), "rules": [_described(rule) for rule in rules().values()]}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _version() -> str:
    try:
        return version("deskbench")
    except PackageNotFoundError:
        return "0"


def _described(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": " ".join(rule.meaning.split())},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": list(rules()).index(finding.rule),
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. {finding.help}".strip()},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": _relative(finding.file)},
                                 "region": {"startLine": finding.line or 1}},
            "logicalLocations": [{"fullyQualifiedName": finding.where or "$"}],
        }],
    }  # fmt: skip


def _relative(file: Path) -> str:
    """A file's path from the current folder, with slashes, as its repository names it."""
    path = file.resolve()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_uri()


def github(report: Report) -> str:
    """Workflow commands that annotate the changed lines of a pull request, and the summary."""
    return "\n".join([*map(_annotation, report.findings), summary(report)])


def _annotation(finding: Finding) -> str:
    uri = _relative(finding.file)
    file = uri if "://" not in uri else str(finding.file)
    properties = {"file": file, "line": finding.line or 1, "title": finding.rule}
    given = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items())
    return f"::{COMMANDS[finding.severity]} {given}::{_escaped(f'{finding.where}: {finding.message}. {finding.help}')}"


def _escaped(value: str, more: str = "") -> str:
    """Escape percent signs, line ends and, in properties, separators, as GitHub's workflow commands require."""
    for char in "%\r\n" + more:
        value = value.replace(char, f"%{ord(char):02X}")
    return value


def explained(rule: Rule) -> str:
    """Explain a rule: its meaning and reason, an example that it finds, a similar one that it does not, and the fix."""
    meaning = "\n\n".join(textwrap.fill(" ".join(part.split()), 100) for part in rule.meaning.split("\n\n"))
    parts = [
        f"{rule.id} ({rule.severity}{', --fix' if rule.fixable else ''}): {rule.summary}",
        meaning,
        f"From: {rule.source}.",
        f"Found:\n{_example(rule.bad)}",
        f"Not found:\n{_example(rule.good)}",
        f"What to do: {rule.help}.",
    ]
    if rule.id in BLOCKING:
        parts.append("A file that cannot be loaded cannot be allowed.")
    else:
        parts.append(f'To allow it in a task file: "noqa": {{"{rule.id}": "the reason in words"}}')
    return "\n\n".join(parts)


BLOCKING = ("DB001", "DB003", "DB032")
"""Rules whose errors cannot be allowed."""


def _example(patches: Patch | Sequence[Patch]) -> str:
    """The parts of the example task that a rule's patches change, after the change, for each file."""
    found = []
    for patch in [patches] if isinstance(patches, Mapping) else patches:
        task = examples.merged(examples.TASK, patch)
        shown = {key: task[key] for key in patch if key in task}
        without = "".join(f"\n(no {key})" for key in patch if key not in task)
        found.append(json.dumps(shown, indent=1, ensure_ascii=False) * bool(shown) + without or "the task as it is")
    return textwrap.indent("\n".join(part.strip() for part in found), "  ")


def table() -> str:
    """All rules as a Markdown table."""
    lines = ["| id | severity | fix | what it finds | from |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.id} | {r.severity} | {'yes' if r.fixable else ''} | {r.summary} | {r.source} |" for r in rules().values()
    ]
    return "\n".join(lines)


def counted(report: Report) -> str:
    """The number of findings and files for each rule, as a Markdown table."""
    lines = ["| id | findings | files |", "|---|---|---|"]
    for id in rules():
        files = [finding.file for finding in report.findings if finding.rule == id]
        lines.append(f"| {id} | {len(files)} | {len(set(files))} |")
    return "\n".join(lines)
