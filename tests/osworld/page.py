"""The findings as a page of the documentation."""

from collections import defaultdict
from collections.abc import Sequence

from deskbench.envs.providers.docker import image as images
from tests.osworld.container import Finding
from tests.osworld.programs import differences

INTRODUCTION = """# OSWorld in a plain container

Which of OSWorld's Ubuntu tasks can be set up and graded in a container of the image `full-code`, with no virtual \
machine and no KVM. Written by

    python -m tests.osworld assets CHECKOUT FOLDER
    python -m tests.osworld measure CHECKOUT FOUND.jsonl --assets FOLDER
    python -m tests.osworld table FOUND.jsonl

Each task is set up as its file says, at 1920x1080 with the network off, and every step proves itself. Then the task's \
own steps before the check are run and the untouched state is graded. Then, where a check compares a file of the \
desktop with one of OSWorld's, the expected file is put in the result's place, and that check has to give 1.

The files were not OSWorld's (there was no way to them) but made by `assets`: of the same kinds, openable, each with \
content of its own. So this shows that set-up and grading work, not that a person could solve the task with these files.
"""
LEGEND = """
**untouched**: the score of the state after set-up. **placed**: checks that give 1 with the expected file in the \
result's place, of those that compare files, of all. **stands in**: A files of our own for OSWorld's, C Chromium for \
Chrome, V code-server for VS Code, X a setting of GNOME on a session of XFCE.
"""
LETTERS = {"assets": "A", "Chromium": "C", "code-server": "V", "XFCE": "X"}
OUTCOMES = ("graded", "not graded", "not set up", "skipped")


def page(findings: Sequence[Finding]) -> str:
    """The page: how many, by domain; why the others not; a line for each task."""
    tasks = sorted(findings, key=lambda finding: finding.task)
    lines = [INTRODUCTION, _sentence(tasks), "", *_by_domain(tasks), ""]
    lines += differences(images.lock_file("full").read_text(encoding="utf-8"))
    lines += [*_reasons(tasks), "", "## Every task"]
    lines += [LEGEND, "| task | outcome | untouched | placed | stands in | why |", "|---|---|---|---|---|---|"]
    for one in tasks:
        untouched = "" if one.untouched is None else f"{one.untouched:g}"
        placed = f"{one.placed} of {one.placeable} of {one.checks}" if one.placeable else ""
        letters = " ".join(LETTERS[name] for name in one.stand_ins)
        why = one.reason if one.feasible or one.reason else "infeasible: graded by the agent's word"
        lines.append(f"| {one.task} | {one.outcome} | {untouched} | {placed} | {letters} | {_cell(why)} |")
    return "\n".join(lines) + "\n"


def _sentence(tasks: Sequence[Finding]) -> str:
    graded = [one for one in tasks if one.outcome == "graded"]
    live = sum(one.outcome == "skipped" for one in tasks)
    checks, placed = sum(one.placeable for one in graded), sum(one.placed for one in graded)
    fetched = sum(bool(one.reason) for one in graded)
    return (
        f"**{len(graded)} of {len(tasks)} tasks are set up and graded.** {live} want the live web or a Google Drive, "
        f"which there was not; {len(tasks) - live - len(graded)} failed. Of {checks} checks that compare files, "
        f"{placed} give 1 with the expected file in place. In {fetched} of the graded tasks the program that judges is "
        "one of OSWorld's files: that it runs is all that is shown there."
    )


def _by_domain(tasks: Sequence[Finding]) -> list[str]:
    domains: dict[str, list[Finding]] = defaultdict(list)
    for one in tasks:
        domains[one.task.partition("/")[0]].append(one)
    lines = ["| domain | tasks | " + " | ".join(OUTCOMES) + " |", "|---|---|" + "---|" * len(OUTCOMES)]
    for domain, found in [*sorted(domains.items()), ("all", list(tasks))]:
        counts = " | ".join(str(sum(one.outcome == outcome for one in found)) for outcome in OUTCOMES)
        lines.append(f"| {domain} | {len(found)} | {counts} |")
    return lines


def _reasons(tasks: Sequence[Finding]) -> list[str]:
    failed = [one for one in tasks if one.outcome in ("not graded", "not set up")]
    odd = [one for one in tasks if one.untouched and one.feasible]
    lost = [one for one in tasks if one.placed < one.placeable]
    lines = ["## What failed", ""]
    lines += [f"- {one.task}, {one.outcome}: {_cell(one.reason)}" for one in failed] or ["Nothing."]
    if odd:
        lines += ["", "Passed with nothing done: the check wants what a file of our own holds as it is made (no record "
                  "that is wrong, no mail without a star, no password), or the image is as the task wants it (VLC is "
                  "its only player of films).", ""]  # fmt: skip
        lines += [f"- {one.task}: {one.untouched:g}" for one in odd]
    if lost:
        lines += ["", "Checks that the expected file in its place does not pass: they want what a file of our own has "
                  "not, or a change of the very file that is expected.", ""]  # fmt: skip
        lines += [f"- {one.task}: {_cell('; '.join(one.lost))}" for one in lost]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
