"""Formats the results as two pages of the documentation."""

from collections import defaultdict
from collections.abc import Sequence

from deskbench.envs.providers.docker import image as images
from tests.osworld.container import Finding
from tests.osworld.programs import differences

INTRODUCTION = """# OSWorld's tasks in a container

This page shows which of OSWorld's Ubuntu tasks deskbench can set up and grade in a container of the image \
`full-code`, without a virtual machine or KVM.

## Result
"""
METHOD = """## How we measured it

```sh
python -m tests.osworld assets CHECKOUT FOLDER
python -m tests.osworld measure CHECKOUT FOUND.jsonl --assets FOLDER
python -m tests.osworld table FOUND.jsonl docs
```

The last command writes this page and [the table of tasks](tables/osworld-tasks.md). For each task, `measure`:

1. sets up the task as its file says, at 1920x1080 without a network; every step proves that it took effect;
2. runs the steps that the task has before its check, and grades the untouched desktop;
3. if a check compares a file of the desktop with one of OSWorld's, puts the expected file in the place of the result. \
The check must then give 1.

We had no access to OSWorld's own files. `assets` made files of the same kinds: programs can open them, and each has \
its own content. So the result shows that set-up and grading work. It does not show that a person could solve the \
tasks with these files.

## Try it

`tasks check` needs no container. It tells you what is wrong with a task file before you run it:

<!-- tested -->
```sh
mkdir -p examples/gimp
cat > examples/gimp/darker.json <<'END'
{"id": "darker", "instruction": "Make photo.png on the desktop darker.", "related_apps": ["gimp"],
 "config": [{"type": "launch", "parameters": {"command": ["gimp"]}}],
 "evaluator": {"func": "check_file_exist",
               "result": {"type": "vm_file", "path": "/home/user/Desktop/photo.png", "dest": "photo.png"}}}
END
deskbench tasks check examples || echo "exit status $?"
```

The output has these lines:

<!-- prints -->
```text
unknown metric 'check_file_exist'; did you mean 'check_file_exists'?
exit status 1
```
"""
TABLE = """# Every Ubuntu task of OSWorld in a container

[OSWorld's tasks in a container](../containers.md) explains how we measured this. The columns:

- **outcome**: `graded`, `not graded` (set up, but the check failed to run), `not set up`, or `skipped`.
- **untouched**: the score of the state after set-up.
- **placed**: `a of b of c`. The task has c checks, b of them compare files, and a of these give 1 with the expected \
file in the result's place.
- **stands in**: what replaces a part of OSWorld's machine. A: our own files. C: Chromium for Chrome. V: code-server \
for VS Code. X: a GNOME setting in an XFCE session.
"""
ODD = (
    "Either our own file already meets the check (it has no wrong record, no mail without a star, no password), or the "
    "image already does (VLC is its only video player)."
)
LOST = "These checks look for something that our own files do not have, or for a change to the expected file itself."
LETTERS = {"assets": "A", "Chromium": "C", "code-server": "V", "XFCE": "X"}
OUTCOMES = ("graded", "not graded", "not set up", "skipped")


def page(findings: Sequence[Finding]) -> str:
    """The main page: counts by domain, method, visible differences, failures."""
    tasks = sorted(findings, key=lambda finding: finding.task)
    lines = [INTRODUCTION, _sentence(tasks), "", *_by_domain(tasks), "", METHOD]
    lines += [*differences(images.lock_file("full").read_text(encoding="utf-8")), *_reasons(tasks)]
    return "\n".join(lines) + "\n"


def tasks_table(findings: Sequence[Finding]) -> str:
    """The detailed page, with a line for each task."""
    lines = [TABLE, "| task | outcome | untouched | placed | stands in | why |", "|---|---|---|---|---|---|"]
    for one in sorted(findings, key=lambda finding: finding.task):
        untouched = "" if one.untouched is None else f"{one.untouched:g}"
        placed = f"{one.placed} of {one.placeable} of {one.checks}" if one.placeable else ""
        letters = " ".join(LETTERS[name] for name in one.stand_ins)
        why = one.reason if one.feasible or one.reason else "infeasible: graded by what the agent says"
        lines.append(f"| {one.task} | {one.outcome} | {untouched} | {placed} | {letters} | {_cell(why)} |")
    return "\n".join(lines) + "\n"


def _sentence(tasks: Sequence[Finding]) -> str:
    graded = [one for one in tasks if one.outcome == "graded"]
    live = sum(one.outcome == "skipped" for one in tasks)
    checks, placed = sum(one.placeable for one in graded), sum(one.placed for one in graded)
    fetched = sum(bool(one.reason) for one in graded)
    return (
        f"**deskbench sets up and grades {len(graded)} of {len(tasks)} tasks.** {live} need the live web or a Google "
        f"Drive, which we did not have; {len(tasks) - live - len(graded)} failed. Of {checks} checks that compare "
        f"files, {placed} give 1 with the expected file in place. In {fetched} of the graded tasks, one of OSWorld's "
        "files is itself the grading program; there the result only shows that the check runs."
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
    lines = ["## Tasks that failed", ""]
    lines += [f"- {one.task}, {one.outcome}: {_cell(one.reason)}" for one in failed] or ["None."]
    if odd:
        lines += ["", "## Tasks that score 1 untouched", "", ODD, ""]
        lines += [f"- {one.task}: {one.untouched:g}" for one in odd]
    if lost:
        lines += ["", "## Checks that the expected file does not pass", "", LOST, ""]
        lines += [f"- {one.task}: {_cell('; '.join(one.lost))}" for one in lost]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
