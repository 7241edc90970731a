"""Rules about a file's form: keys, ids, assets, instructions that are there twice, allowances."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from deskbench.tasks.lint.facts import Facts, normal, paths_of
from deskbench.tasks.lint.findings import Edit, Hit
from deskbench.tasks.lint.rules import loader_rule, rule, suite_rule

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NEAR = 0.85
"""How alike two paths are, from which on one is taken for a slip of the pen (difflib's ratio)."""

loader_rule(
    "DB001", "error", "an unknown or missing key, an unknown name, or a value of the wrong type",
    meaning="""A key that is misspelt is not read, so the task is another one than its author believes. Names of set-up
steps, getters and metrics, their parameters and rules, regular expressions and roles are checked as well. A key that
deskbench does not know, and that is not close to one of its own, is a warning: other people's files have such keys.""",
    source="Harbor's unknown-config-field and invalid-task-config",
    help="use the name that is offered, or see: deskbench tasks schema",
    bad={"evaluater": {}}, good={"related_apps": ["mousepad", "galculator"]}, fixable=True,
)  # fmt: skip
loader_rule(
    "DB003", "error", "an asset is missing, or stands outside of the suite",
    meaning="""A file that the task puts into the desktop, or compares with, is not there. A file elsewhere on the
author's machine, by `..` or by a link, is on no other machine; and a foreign task file could carry a secret of yours
into a desktop that way. `--host-files` allows such files to be read.""",
    source="Harbor's invalid-task-files; BenchJack V8",
    help="put the file beside the task file, or below it",
    bad={"config": [{"type": "upload_file",
                     "parameters": {"files": [{"local_path": "assets/none.txt", "path": "~/none.txt"}]}}]},
    good={"config": [{"type": "upload_file",
                      "parameters": {"files": [{"local_path": "assets/list.txt", "path": "~/list.txt"}]}}]},
)  # fmt: skip


@suite_rule(
    "DB002", "error", "an id is not unique, not the file's name, or not in lower case with hyphens",
    source="inspect-evals-lint's stable sample ids",
    help="name the file and the id alike: lower case, digits and single hyphens",
    bad={"id": "Replace_Word"}, good={"id": "replace-word"}, fixable=True,
)  # fmt: skip
def ids(suite: Sequence[Facts]) -> Iterator[tuple[Facts, Hit]]:
    """Ids name folders of results and stand in reports.

    Two ids that differ in case only are one folder on some systems, and a file that is called otherwise than its task
    is not found by people who read a report. What makes an id unusable, or the same as another one, is told by the
    loader under this rule, too.
    """
    taken = {str(facts.task.written.get("id")) for facts in suite}
    for facts in suite:
        task, stem = facts.task, facts.task.path.stem
        name = str(task.written.get("id"))
        edits = (Edit("replace", "$.id", value=stem),) if KEBAB.fullmatch(stem) and stem not in taken else ()
        if name != stem:
            yield facts, Hit("$.id", f"is {name!r}, and the file is {task.path.name}", edits)
        elif not KEBAB.fullmatch(name):
            yield facts, Hit("$.id", f"is {name!r}: lower case, digits and single hyphens only")


@suite_rule(
    "DB031", "warning", "an instruction is there twice, or a path is misspelt",
    source="Harbor's rubric (typos); inspect-evals-lint's duplicates",
    help="change what the second task asks for, or remove it; write the path as set-up has it",
    bad={"evaluator": {"result": {"path": "~/Documents/leter.txt"}}},
    good={"evaluator": {"result": {"path": "~/Documents/letter2.txt"}}},
)  # fmt: skip
def duplicates(suite: Sequence[Facts]) -> Iterator[tuple[Facts, Hit]]:
    """Two tasks that ask for the same count twice in a mean, and a second one shows nothing that the first does not.

    Case, punctuation and blanks are not compared, and the same start state with the same checks is the same task in
    other words. A check that reads a path that set-up nearly writes, and that nobody
    names elsewhere, is a slip of the pen: it scores 0 for ever.
    """
    words: dict[str, Facts] = {}
    works: dict[str, Facts] = {}
    for facts in suite:
        yield from ((facts, hit) for hit in _misspelt(facts))
        first = words.setdefault(" ".join(re.findall(r"\w+", facts.instruction)), facts)
        alike = works.setdefault(_work(facts), facts) if facts.task.feasible else facts
        if first.task.path.name != facts.task.path.name:  # another system's form of a task has its name
            yield facts, Hit("$.instruction", f"is that of {first.task.path.name}, too")
        elif alike.task.path.name != facts.task.path.name:
            yield facts, Hit("$.instruction", f"has the start and the checks of {alike.task.path.name} in other words")


def _work(facts: Facts) -> str:
    """The start state and the checks of a task."""
    calls = [*facts.task.config, *(call for check in facts.checks for call in (check.result, check.expected) if call)]
    metrics = [(check.metric, check.options) for check in facts.checks]
    return json.dumps([[(call.type, call.parameters) for call in calls], metrics], sort_keys=True, default=str)


def _misspelt(facts: Facts) -> Iterator[Hit]:
    written = {normal(put.path) for put in facts.puts}
    for call in facts.results:
        for path in map(normal, paths_of(call)):
            name = PurePosixPath(path).name
            if path in written or name.lower() in facts.instruction:
                continue
            near = difflib.get_close_matches(path, written, n=1, cutoff=NEAR)
            if near and _slip(path, near[0]) and not _named_elsewhere(facts, name, call.where):
                yield Hit(f"{call.where}.path", f"is {path}; set-up writes {near[0]}")


def _slip(path: str, other: str) -> bool:
    """Whether two paths differ in at most two letters of one part: not in a number, not in what is put behind."""
    parts, others = PurePosixPath(path).parts, PurePosixPath(other).parts
    unlike = [(a, b) for a, b in zip(parts, others, strict=False) if a != b]
    if len(parts) != len(others) or len(unlike) != 1:
        return False
    (a, b), digits = unlike[0], re.compile(r"\d+|[_-]")
    changes = [op for op in difflib.SequenceMatcher(None, a, b).get_opcodes() if op[0] != "equal"]
    letters = sum(max(op[2] - op[1], op[4] - op[3]) for op in changes)
    return (
        letters <= 2 and digits.findall(a) == digits.findall(b) and PurePosixPath(a).suffix == PurePosixPath(b).suffix
    )


def _named_elsewhere(facts: Facts, name: str, where: str) -> bool:
    return any(name in text.text for text in facts.texts if text.phase in ("config", "postconfig"))


@rule(
    "DB032", "warning", "an allowance without a reason, or one that allows nothing",
    source="inspect-evals-lint's suppression syntax",
    help="say in `noqa` why the rule does not apply here; remove what is no longer needed",
    bad={"noqa": {"DB022": "the program has no window to wait for"}}, good={"noqa": {}}, fixable=True,
)  # fmt: skip
def allowances(facts: Facts) -> Iterator[Hit]:
    """A rule may be allowed in the task file only, and with the reason in words: `"noqa": {"DB022": "why"}`.

    An allowance of a rule that finds nothing hides the next real finding. Blocking errors cannot be allowed, and
    neither can this rule. (An empty reason is told by the loader; what allows nothing is found after all other rules.)
    """
    yield from ()
