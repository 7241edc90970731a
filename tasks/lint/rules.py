"""The rules by id: each is a decorated function, and `--explain` prints its docstring.

A task rule takes a task's facts and yields hits. A suite rule takes the facts of all files and yields hits with the
facts that they belong to. `bad` and `good` are patches (RFC 7396, JSON Merge Patch) of the task in
`deskbench.tasks.lint.examples`. The rule must report the first and not the second, which a test checks.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.tasks.lint.facts import Facts
from deskbench.tasks.lint.findings import Hit, Severity

TaskRule = Callable[[Facts], Iterable[Hit]]
SuiteRule = Callable[[Sequence[Facts]], Iterable[tuple[Facts, Hit]]]
Patch = Mapping[str, Any]
_MODULES = ("form", "elsewhere", "environment", "evidence", "matching", "trust", "answers", "validity")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: `DB` and three digits; never reused for another rule.
        severity: of its findings, unless the loader sets another.
        summary: what is wrong, in a few words.
        source: the benchmark or paper that the rule comes from.
        help: how to fix a finding.
        bad: a patch of the example task that the rule reports; a list of patches for several files.
        good: a similar patch that it does not report.
        fixable: whether `--fix` can fix some of its findings.
        of_task: checks one task; None for rules that the loader or the whole suite decides.
        of_suite: checks all tasks at once.
    """

    id: str
    severity: Severity
    summary: str
    source: str
    help: str
    bad: Patch | Sequence[Patch]
    good: Patch | Sequence[Patch]
    meaning: str
    fixable: bool = False
    of_task: TaskRule | None = None
    of_suite: SuiteRule | None = None


_rules: dict[str, Rule] = {}


def rule(id: str, severity: Severity, summary: str, **more: Any) -> Callable[[TaskRule], TaskRule]:
    """Register a rule that checks one task; `more` is source, help, bad, good and fixable of `Rule`."""

    def register(function: TaskRule) -> TaskRule:
        _add(Rule(id, severity, summary, meaning=inspect.getdoc(function) or "", of_task=function, **more))
        return function

    return register


def suite_rule(id: str, severity: Severity, summary: str, **more: Any) -> Callable[[SuiteRule], SuiteRule]:
    """Register a rule that checks all tasks at once."""

    def register(function: SuiteRule) -> SuiteRule:
        _add(Rule(id, severity, summary, meaning=inspect.getdoc(function) or "", of_suite=function, **more))
        return function

    return register


def loader_rule(id: str, severity: Severity, summary: str, *, meaning: str, **more: Any) -> None:
    """Register a rule whose findings come from the loader (`Problem.rule`)."""
    _add(Rule(id, severity, summary, meaning=meaning, **more))


def _add(one: Rule) -> None:
    if one.id in _rules:
        raise ValueError(f"rule {one.id} is registered twice")
    _rules[one.id] = one


@cache
def rules() -> dict[str, Rule]:
    """Every rule by id, ordered by id."""
    for name in _MODULES:
        importlib.import_module(f"deskbench.tasks.lint.{name}")
    return dict(sorted(_rules.items()))


def named(id: str) -> Rule:
    """The rule with an id, in upper or lower case.

    Raises:
        UsageError: there is no such rule.
    """
    known = rules()
    if id.upper() not in known:
        raise UsageError(f"no rule {id!r}{nearest(id.upper(), known)}; the rules are DB001 to {max(known)}")
    return known[id.upper()]


def chosen(select: Sequence[str], ignore: Sequence[str]) -> frozenset[str]:
    """Ids of the rules that start with one of `select` (all by default) and with none of `ignore`.

    Raises:
        UsageError: no rule starts with one of the prefixes.
    """
    known = rules()
    wanted, unwanted = _prefixes(select), _prefixes(ignore)
    for prefix in (*wanted, *unwanted):
        if not any(id.startswith(prefix) for id in known):
            raise UsageError(f"no rule begins with {prefix!r}; the rules are DB001 to {max(known)}")
    return frozenset(id for id in known if id.startswith(wanted or ("DB",)) and not id.startswith(unwanted or ("-",)))


def _prefixes(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip().upper() for text in given for part in text.split(",") if part.strip())
