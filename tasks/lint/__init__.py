"""`deskbench tasks check`: the loader's problems, and 32 rules for tasks that people can trust.

The loader's problems keep a task from running; here they are findings under the ids of their rules. The other rules
check tasks that can run. They are for authors: a run does not load this package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deskbench.envs import foreign
from deskbench.tasks.lint.facts import Facts, below
from deskbench.tasks.lint.findings import SEVERITIES, Edit, Finding, Hit, Severity
from deskbench.tasks.lint.places import Places, places
from deskbench.tasks.lint.renames import rename
from deskbench.tasks.lint.rules import Rule, rules
from deskbench.tasks.load import Checked, check_all
from deskbench.tasks.taskfile import Problem

ALLOWANCES = "DB032"


@dataclass(frozen=True)
class Report:
    """The findings of the rules in a suite.

    Attributes:
        tasks: how many tasks can run.
        findings: in the order of files and lines.
        allowed: findings that the files allow, each with its reason.
    """

    tasks: int
    findings: tuple[Finding, ...]
    allowed: tuple[tuple[Finding, str], ...] = ()

    def counts(self) -> dict[Severity, int]:
        """The number of findings of each severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def by_rule(self) -> dict[str, int]:
        """The number of findings of each rule that found something, ordered by id."""
        return dict(sorted(Counter(finding.rule for finding in self.findings).items()))


def lint(
    source: str | Path, *, split: str | None = None, host_files: bool = False, chosen: Collection[str] | None = None
) -> Report:
    """Check a source's task files against all rules, and report the findings of the chosen ones.

    Args:
        source: a file, a folder, a suite's name or an OSWorld checkout.
        split: a split of an OSWorld checkout.
        host_files: as in `load`.
        chosen: ids of rules to report (`rules.chosen`); None for all.

    Raises:
        UsageError: there is no such source.
    """
    checked = check_all(source, split=split, host_files=host_files)
    told = [_told(problem) for problem in checked.problems]
    kept, allowed = _without_allowed([*told, *_found(checked)], checked)
    wanted = [finding for finding in kept if chosen is None or finding.rule in chosen]
    lined = sorted(_lined(wanted), key=lambda found: (found.file, found.line or 0, found.rule))
    excused = tuple((at_line(one), why) for one, why in allowed if chosen is None or one.rule in chosen)
    return Report(len(checked.tasks), tuple(lined), excused)


def _told(problem: Problem) -> Finding:
    """Convert a problem from the loader to a finding."""
    rule, edits = rules()[problem.rule], rename(problem.where, problem.message)
    severity: Severity = "warning" if problem.warning else "error"
    return Finding(rule.id, severity, problem.file, problem.where, problem.message, rule.help, edits=edits,
                   blocking=not problem.warning)  # fmt: skip


def _found(checked: Checked) -> Iterator[Finding]:
    suite = [Facts(task) for task in checked.tasks if not task.is_class]
    seen: set[tuple[Path, str, str]] = set()
    for rule, facts, hit in _hits(suite):
        place = (facts.task.path, rule.id, hit.where)
        if place in seen:  # another seed of the file has it, too
            continue
        seen.add(place)
        yield Finding(rule.id, rule.severity, facts.task.path, hit.where, hit.message, rule.help, edits=hit.edits)


def _hits(suite: Sequence[Facts]) -> Iterator[tuple[Rule, Facts, Hit]]:
    for rule in rules().values():
        if rule.of_suite is not None:
            yield from ((rule, facts, hit) for facts, hit in rule.of_suite(suite))
    for facts in suite:
        for rule in rules().values():
            if rule.of_task is not None:
                yield from ((rule, facts, hit) for hit in rule.of_task(facts))


def _without_allowed(findings: Iterable[Finding], checked: Checked) -> tuple[list[Finding], list[tuple[Finding, str]]]:
    """Split findings into those to report and those that a file allows; report each unused allowance, too."""
    noqa = {task.path: task.noqa for task in checked.tasks}
    kept, allowed, used = [], [], set()
    for finding in findings:
        reason = noqa.get(finding.file, {}).get(finding.rule)
        if reason is None or finding.blocking or finding.rule == ALLOWANCES:
            kept.append(finding)
        else:
            allowed.append((finding, reason))
            used.add((finding.file, finding.rule))
    kept += [_unused(file, id) for file, reasons in noqa.items() for id in reasons if (file, id) not in used]
    return kept, allowed


def _unused(file: Path, id: str) -> Finding:
    rule = rules()[ALLOWANCES]
    where = below("$.noqa", id)
    known = id in rules() and id != ALLOWANCES
    message = f"{id} finds nothing here" if known else f"{id} is not a rule that can be allowed"
    return Finding(rule.id, rule.severity, file, where, message, rule.help, edits=(Edit("remove", where),))


def at_line(finding: Finding) -> Finding:
    """A finding with its line."""
    return next(_lined([finding]))


def _lined(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Add line numbers to the findings, where the file is text."""
    read: dict[Path, Places | None] = {}
    for finding in findings:
        if finding.file not in read:
            read[finding.file] = places_of(finding.file)
        found = read[finding.file]
        yield finding if found is None or not finding.where else replace(finding, line=found.line(finding.where))


def places_of(file: Path) -> Places | None:
    """The positions of the values in a task file; None if it is not readable JSON."""
    try:
        return places(foreign.read_text(file)) if file.suffix == ".json" else None
    except (OSError, foreign.Unread):
        return None
