"""Rules about a file's form: keys, ids, assets, duplicate instructions, allowances."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from deskbench.tasks.lint.facts import Facts, normal, paths_of
from deskbench.tasks.lint.findings import Edit, Hit
from deskbench.tasks.lint.rules import loader_rule, rule, suite_rule
from deskbench.tasks.taskfile import KEBAB

NEAR = 0.85
"""A path at least this similar to another counts as a typo (difflib's ratio)."""

loader_rule(
    "DB001", "error", "an unknown or missing key, an unknown name, or a value of the wrong type",
    meaning="""deskbench does not read a misspelt key, so the task is not what its author believes. Names of set-up
steps, getters and metrics, their parameters and rules, regular expressions and roles are checked as well. A key that
deskbench does not know, and that is not close to one of its own, is a warning: other people's files have such keys.""",
    source="Harbor's unknown-config-field and invalid-task-config",
    help="use the suggested name, or see: deskbench tasks schema",
    bad={"evaluater": {}}, good={"related_apps": ["mousepad", "galculator"]}, fixable=True,
)  # fmt: skip
loader_rule(
    "DB003", "error", "an asset is missing, or is outside the suite",
    meaning="""A file that the task copies into the desktop, or compares with, does not exist, or a path leads out of
the suite by `..` or a link. Other machines do not have such a file, and somebody else's task file could copy a secret
of yours into a desktop that way. `--host-files` allows deskbench to read such files.""",
    source="Harbor's invalid-task-files; BenchJack V8",
    help="put the file next to the task file, or in a folder there",
    bad={"config": [{"type": "upload_file",
                     "parameters": {"files": [{"local_path": "assets/none.txt", "path": "~/none.txt"}]}}]},
    good={"config": [{"type": "upload_file",
                      "parameters": {"files": [{"local_path": "assets/list.txt", "path": "~/list.txt"}]}}]},
)  # fmt: skip


@suite_rule(
    "DB002", "error", "an id is not unique, differs from the file's name, or is not in lower case with hyphens",
    source="inspect-evals-lint's stable sample ids",
    help="give the file and the id the same name: lower case, digits and single hyphens",
    bad={"id": "Replace_Word"}, good={"id": "replace-word"}, fixable=True,
)  # fmt: skip
def ids(suite: Sequence[Facts]) -> Iterator[tuple[Facts, Hit]]:
    """Result folders and reports use ids as names.

    On some systems two ids that differ only in case mean the same folder. Readers of a report cannot find a file whose
    name differs from its task's id. The loader also reports unusable and duplicate ids under this rule.
    """
    taken = {str(facts.task.written.get("id")) for facts in suite}
    for facts in suite:
        task, stem = facts.task, facts.task.path.stem
        name = str(task.written.get("id"))
        edits = (Edit("replace", "$.id", value=stem),) if KEBAB.fullmatch(stem) and stem not in taken else ()
        if name != stem:
            yield facts, Hit("$.id", f"is {name!r}, but the file is {task.path.name}", edits)
        elif not KEBAB.fullmatch(name):
            yield facts, Hit("$.id", f"is {name!r}; use only lower case, digits and single hyphens")


@suite_rule(
    "DB031", "warning", "two tasks have the same instruction, or a path is misspelt",
    source="Harbor's rubric (typos); inspect-evals-lint's duplicates",
    help="change or remove the second task; write the path as set-up does",
    bad={"evaluator": {"result": {"path": "~/Documents/leter.txt"}}},
    good={"evaluator": {"result": {"path": "~/Documents/letter2.txt"}}},
)  # fmt: skip
def duplicates(suite: Sequence[Facts]) -> Iterator[tuple[Facts, Hit]]:
    """Two tasks with the same instruction count twice in a mean, and the second one shows nothing new.

    The comparison ignores case, punctuation and blanks. Two tasks with the same start state and checks are the same
    task in other words. If a check reads a path that is almost one that set-up writes, and nothing else names it, the
    path is probably a typing error: the check would always score 0.
    """
    words: dict[str, Facts] = {}
    works: dict[str, Facts] = {}
    for facts in suite:
        yield from ((facts, hit) for hit in _misspelt(facts))
        first = words.setdefault(" ".join(re.findall(r"\w+", facts.instruction)), facts)
        alike = works.setdefault(_work(facts), facts) if facts.task.feasible else facts
        if first.task.path.name != facts.task.path.name:  # variants for other systems share the file name
            yield facts, Hit("$.instruction", f"is also the instruction of {first.task.path.name}")
        elif alike.task.path.name != facts.task.path.name:
            yield (
                facts,
                Hit("$.instruction", f"has the same start and checks as {alike.task.path.name}, in other words"),
            )


def _work(facts: Facts) -> str:
    """The start state and the checks of a task, as one string."""
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
                yield Hit(f"{call.where}.path", f"is {path}, but set-up writes {near[0]}")


def _slip(path: str, other: str) -> bool:
    """Whether two paths differ in at most two letters of one part; digits and the extension must be equal."""
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
    "DB032", "warning", "a `noqa` entry has no reason, or allows nothing",
    source="inspect-evals-lint's suppression syntax",
    help="say in `noqa` why the rule does not apply here; remove entries that are no longer needed",
    bad={"noqa": {"DB022": "the program has no window to wait for"}}, good={"noqa": {}}, fixable=True,
)  # fmt: skip
def allowances(facts: Facts) -> Iterator[Hit]:
    """You can allow a rule only in the task file, with the reason in words: `"noqa": {"DB022": "why"}`.

    An entry for a rule that finds nothing hides the next real finding. You cannot allow blocking errors or this rule.
    (The loader reports an empty reason. Entries that allow nothing are found after all other rules ran.)
    """
    yield from ()
