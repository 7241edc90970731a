"""Rules about the proof that a task is right: oracles, mutants, reasons, seeds."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deskbench.tasks.lint.facts import Facts
from deskbench.tasks.lint.findings import Hit
from deskbench.tasks.lint.rules import rule, suite_rule

WRONG_ENDS = 3
"""The minimum number of wrong end states to test a task with."""
STOPPED = 2
"""How many of them the oracle may provide by stopping early, so that nobody has to write them."""
_NAME = re.compile(r"\{\{(\w+)\}\}")
_ARTICLE = re.compile(r"\b(a|an) \{\{(\w+)\}\}", re.IGNORECASE)
_SOUNDS = re.compile(r"(eu|uni|use|usu|one|ur[aeiou])", re.IGNORECASE)
_COUNT = re.compile(r"\{\{(\w+)\}\} (\w+s)\b")


@rule(
    "DB024", "warning", "pixels in an oracle",
    source="ours; recorded clicks that a new version of a program breaks",
    help="name the element by role and name: deskbench finds its place",
    bad={"oracle": [{"type": "click", "x": 40, "y": 60}]},
    good={"oracle": [{"type": "click", "target": {"role": "push-button", "name": "Save"}}]},
)  # fmt: skip
def pixels(facts: Facts) -> Iterator[Hit]:
    """A point on the screen moves with the window, the font and the program's version.

    The oracle then fails although the task is right, or clicks something else. deskbench finds a target in the
    accessibility tree. For something that is not in the tree, give its place in a window or on the screen (`at`).
    """
    for index, step in enumerate(facts.task.oracle):
        if not step.targets and ("x" in step.action or "path" in step.action):
            yield Hit(f"$.oracle[{index}]", f"{step.action['type']} at a point in pixels")


@suite_rule(
    "DB027",
    "error",
    "an infeasible task without a reason and without a feasible twin",
    source="WindowsAgentArena-V2, which removed such tasks",
    help="let the oracle fail with the reason, or add a feasible form of the same task",
    bad={
        "evaluator": {"func": "infeasible", "result": None, "expected": None},
        "oracle": [{"type": "fail"}],
        "mutants": [],
    },
    good={
        "evaluator": {"func": "infeasible", "result": None, "expected": None},
        "mutants": [],
        "oracle": [{"type": "fail", "reason": "the program cannot encrypt"}],
    },
)
def infeasible(suite: Sequence[Facts]) -> Iterator[tuple[Facts, Hit]]:
    """An agent that always answers "this cannot be done" scores 1 here without looking at the screen.

    Such a task is fine if it gives the reason why it is infeasible, or if it has a feasible twin with the same start
    state: then an agent that always gives up loses there what it wins here. Reports list infeasible tasks separately.
    """
    feasible: defaultdict[str, list[Facts]] = defaultdict(list)
    for facts in suite:
        if facts.task.feasible and facts.task.config:
            feasible[_start(facts)].append(facts)
    for facts in suite:
        task = facts.task
        last = task.oracle[-1].action if task.oracle else {}
        reason = last.get("type") == "fail" and str(last.get("reason", "")).strip()
        if not task.feasible and not reason and not any(_alike(facts, twin) for twin in feasible[_start(facts)]):
            yield (
                facts,
                Hit(
                    "$.evaluator.func",
                    "an agent that always answers FAIL scores 1; the task gives no reason and has no twin",
                ),
            )


def _alike(facts: Facts, twin: Facts) -> bool:
    """Whether two instructions share half of their words."""
    return 2 * len(facts.words & twin.words) >= len(facts.words | twin.words)


def _start(facts: Facts) -> str:
    return json.dumps([(call.type, call.parameters) for call in facts.task.config], sort_keys=True, default=str)


@rule(
    "DB028", "warning", "no oracle, or fewer than three wrong end states",
    source="ABC II.9",
    help="write an oracle, and mutants: end states that look almost right but must score 0",
    bad={"oracle": None}, good={},
)  # fmt: skip
def unproven(facts: Facts) -> Iterator[Hit]:
    """An oracle shows that the task is feasible and that its check passes. Wrong end states show that it can also fail.

    The oracle, stopped one and two steps early, gives up to two wrong end states; the file's mutants give the rest.
    Infeasible tasks and tasks that only check an answer need neither.
    """
    task = facts.task
    if not task.oracle:
        yield Hit("$", "has no oracle: nothing shows that the task is feasible")
        return
    if not task.feasible or facts.sources <= {"answer"}:
        return
    acting = sum(step.action["type"] not in ("done", "fail", "wait") for step in task.oracle)
    ends = len(task.mutants) + min(STOPPED, acting)
    if ends < WRONG_ENDS:
        yield Hit("$.mutants" if task.mutants else "$", f"tries {ends} wrong end states; it should try {WRONG_ENDS}")


@suite_rule(
    "DB029",
    "warning",
    "seeds are the same, unused or ungrammatical, or do not change the start state",
    source="PRISM; the blind-replay finding that static suites reward memory",
    help="let each seed change what the screen shows, and write the sentence so that every value fits",
    bad={
        "instruction": 'Replace "Monday" by "{{day}}" in letter.txt, and save it.',
        "seeds": [{"day": "Friday"}, {"day": "Friday"}],
    },
    good={
        "instruction": 'Replace "{{old}}" by "{{day}}" in letter.txt, and save it.',
        "config": [
            {"type": "write_file", "parameters": {"path": "~/Documents/letter.txt", "text": "We meet on {{old}}.\n"}},
            {"type": "launch", "parameters": {"command": ["mousepad", "~/Documents/letter.txt"]}},
        ],
        "evaluator": {"expected": {"rules": {"expected": "We meet on {{day}}."}}},
        "seeds": [{"old": "Monday", "day": "Friday"}, {"old": "Sunday", "day": "Tuesday"}],
    },
)
def seeds(suite: Sequence[Facts]) -> Iterator[tuple[Facts, Hit]]:
    """Seeds prevent an agent from passing a task by heart.

    Two equal seeds count one task twice. If all seeds share a start state, recorded actions work with each of them. A
    name that is not filled in, "a apple" or "1 files" make an instruction that nobody would write.
    """
    by_file: defaultdict[Any, list[Facts]] = defaultdict(list)
    for facts in suite:
        if isinstance(facts.task.written.get("seeds"), list):
            by_file[facts.task.path].append(facts)
    for instances in by_file.values():
        first = instances[0]
        given = [seed for seed in first.task.written["seeds"] if isinstance(seed, dict)]
        yield from ((first, hit) for hit in (*_collisions(instances), *_names(first, given), *_grammar(first, given)))


def _collisions(instances: Sequence[Facts]) -> Iterator[Hit]:
    seen: dict[str, int] = {}
    for number, facts in enumerate(instances):
        whole = json.dumps([facts.task.instruction, _start(facts)], default=str)
        other = seen.setdefault(whole, number)
        if other != number:
            yield Hit(f"$.seeds[{number}]", f"gives the same task as seed {other}")
    if len(seen) > 1 and len({_start(facts) for facts in instances}) == 1:
        yield Hit("$.seeds", "the start state is the same for all seeds: recorded actions work with every seed")


def _names(first: Facts, given: Sequence[Mapping[str, Any]]) -> Iterator[Hit]:
    written = {key: value for key, value in first.task.written.items() if key != "seeds"}
    used = set(_NAME.findall(json.dumps(written)))
    for number, seed in enumerate(given):
        for name in sorted(used - set(seed)):
            yield Hit(f"$.seeds[{number}]", f"has no value for {{{{{name}}}}}")
        for name in sorted(set(seed) - used):
            yield Hit(f"$.seeds[{number}].{name}", "is never used")


def _grammar(first: Facts, given: Sequence[Mapping[str, Any]]) -> Iterator[Hit]:
    text = str(first.task.written.get("instruction"))
    for number, seed in enumerate(given):
        for article, name in _ARTICLE.findall(text):
            value = str(seed.get(name, ""))
            vowel = value[:1].lower() in "aeiou" and not _SOUNDS.match(value)
            if value[:1].isalpha() and not value.lower().startswith("h") and vowel != (article.lower() == "an"):
                yield Hit(f"$.seeds[{number}].{name}", f"makes {f'{article} {value}'!r} of the instruction")
        for name, word in _COUNT.findall(text):
            if seed.get(name) in (1, "1"):
                yield Hit(f"$.seeds[{number}].{name}", f"makes {f'1 {word}'!r} of the instruction")
