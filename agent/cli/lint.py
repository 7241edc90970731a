"""`deskbench tasks check`: choose, explain and apply the rules, and print the findings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from deskbench.agent.cli.output import counted, message, print_json, result

if TYPE_CHECKING:
    from deskbench.tasks.lint import Report


class Format(StrEnum):
    """The format in which findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    COUNTS = "counts"


@dataclass(frozen=True)
class Wanted:
    """The options of the command: rules, format, whether to change files and whether warnings count as errors."""

    select: list[str]
    ignore: list[str]
    format: Format
    fix: bool
    strict: bool


def explain_rule(rule: str) -> None:
    """Print the explanation of one rule, or with `all` the table of all rules.

    Raises:
        UsageError: there is no such rule.
    """
    from deskbench.tasks.lint import output
    from deskbench.tasks.lint.rules import named

    typer.echo(output.table() if rule == "all" else output.explained(named(rule)))


def check_tasks(source: str, split: str | None, host_files: bool, wanted: Wanted) -> int:
    """Check a source and print the findings; returns the exit status.

    Raises:
        UsageError: there is no such source, or no such rule.
    """
    from deskbench.agent.build import ASSETS
    from deskbench.tasks.assets import AssetStore
    from deskbench.tasks.lint import lint
    from deskbench.tasks.lint.fix import fix
    from deskbench.tasks.lint.rules import chosen

    ids = chosen(wanted.select, wanted.ignore)
    report = lint(source, split=split, host_files=host_files, chosen=ids)
    if wanted.fix:
        done = fix(report, AssetStore.here(ASSETS).digest)
        for file, reason in done.left:
            message(f"{file}: not changed: {reason}")
        files = {one.file for one in done.findings}
        message(f"fixed {counted(len(done.findings), 'finding')} in {counted(len(files), 'file')}")
        report = lint(source, split=split, host_files=host_files, chosen=ids)
    _print(report, wanted.format)
    counts = report.counts()
    return int(counts["error"] > 0 or (wanted.strict and counts["warning"] > 0))


def _print(report: Report, format: Format) -> None:
    from deskbench.tasks.lint import output

    if format is Format.JSON:
        print_json(output.document(report))
    elif format is Format.SARIF:
        typer.echo(json.dumps(output.sarif(report), indent=1))
    else:
        write = {Format.TEXT: output.text, Format.GITHUB: output.github, Format.COUNTS: output.counted}[format]
        result(write(report))
