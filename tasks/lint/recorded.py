"""Rules on evidence from a desktop: for `tasks verify`, which starts one, and for recorded start states.

The rules with the same ids elsewhere see only the task file. Each function here takes a task and observations of its
untouched start state, and returns findings as `lint` does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from deskbench.tasks.lint import at_line
from deskbench.tasks.lint.facts import normal, paths_of, rules_of, strings_in
from deskbench.tasks.lint.findings import Finding, Hit
from deskbench.tasks.lint.rules import rules
from deskbench.tasks.types import Task


def start_score(task: Task, values: Sequence[float]) -> list[Finding]:
    """DB009 and DB010, from the value of each check in the untouched start state, in the order of the file."""
    checks = task.evaluator.checks
    met = [check for check, value in zip(checks, values, strict=True) if value == 1.0]
    either = task.evaluator.conj == "or" and len(checks) > 1
    id, rest = ("DB010", ", so the whole `or` does") if either else ("DB009", "")
    return _findings(task, id, (Hit(c.where, f"{c.metric} gives 1 for the untouched start{rest}") for c in met))


def start_files(task: Task, found: Mapping[str, str], gold: Collection[str]) -> list[Finding]:
    """DB006, from the files of the start state.

    Args:
        task: the task.
        found: the SHA-256 of each file that the agent can read, by path.
        gold: the SHA-256 of each expected file. A file that a check reads as its result is not reported.
    """
    results = {normal(path) for check in task.evaluator.checks if check.result for path in paths_of(check.result)}
    hits = (
        Hit("$.config", f"{path} is the expected file")
        for path, digest in found.items()
        if digest in gold and normal(path) not in results
    )
    return _findings(task, "DB006", hits)


def first_screen(task: Task, text: str) -> list[Finding]:
    """DB008, from the text of the first screen: it already shows the answer."""
    return _findings(task, "DB008", _shown(task, text))


def _shown(task: Task, text: str) -> Iterator[Hit]:
    for check in task.evaluator.checks:
        if check.result is None or check.result.type != "agent_answer":
            continue
        for value in strings_in(rules_of(check.expected).get("expected")):
            if len(value) > 1 and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE):
                yield Hit(check.where, f"the first screen shows the answer {value[:60]!r}")


def _findings(task: Task, id: str, hits: Iterator[Hit]) -> list[Finding]:
    """The findings that the task file does not allow."""
    rule = rules()[id]
    if id in task.noqa:
        return []
    return [at_line(Finding(id, rule.severity, task.path, hit.where, hit.message, rule.help)) for hit in hits]
