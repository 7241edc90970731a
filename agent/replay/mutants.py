"""Score changed copies of recorded evidence, without a desktop: does a check reject what is wrong, and only that?

Operators (`deskbench.tasks.mutation`) change the end state of every solved task, one piece of evidence at a time, and
the copies are scored as `rescore` does. A wrong copy that loses the score is killed; a harmless copy that keeps it
stays.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deskbench.agent.replay.rescore import episodes, state_for
from deskbench.agent.runs.folder import final_attempts
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord
from deskbench.agent.runs.recorded import task_of
from deskbench.agent.statistics.intervals import Estimate, share
from deskbench.envs.actions import nearest
from deskbench.envs.errors import CheckError, Unfit, UsageError
from deskbench.tasks.load import load
from deskbench.tasks.metrics.support.applied import files_in
from deskbench.tasks.mutation.copies import AS_IS, matches
from deskbench.tasks.scoring.packing import NotFit, packed
from deskbench.tasks.scoring.probes import PROBES
from deskbench.tasks.scoring.sandbox import Limits
from deskbench.tasks.scoring.score import NOT_OF_THE_DESKTOP, judge, recorded
from deskbench.tasks.scoring.session import Nursery
from deskbench.tasks.scoring.walls import MEMORY
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.types import Call, Check, CheckOutcome, Score, Task

Outcome = Literal["killed", "survived", "stayed", "broke", "failed"]
"""A wrong copy is killed or survives; a harmless copy stays or breaks; `failed` means that the check failed."""
Values = list[tuple[Check, Any, Any]]
MAKING = Limits(seconds=60.0, memory=MEMORY)
"""Limits for making the copies of one piece of evidence."""
WORKERS = 4


@dataclass(frozen=True)
class Verdict:
    """One changed copy and its score.

    Attributes:
        id: `operator[number]`.
        evidence: the changed evidence: the name of a file or a getter.
        words: the change, in words.
        value: the score; None if the check failed.
        reason: the reason for the score.
        allowed: the task author's reason why this is right; empty if there is none.
        difference: the changed lines, if single copies were requested.
    """

    id: str
    evidence: str
    words: str
    outcome: Outcome
    value: float | None
    reason: str
    allowed: str = ""
    difference: tuple[str, ...] = ()
    checks: tuple[CheckOutcome, ...] = ()

    @property
    def at_fault(self) -> bool:
        """Whether the check was wrong and `allowed` gives no reason."""
        return self.outcome == "failed" or (self.outcome in ("survived", "broke") and not self.allowed)


@dataclass
class Mutated:
    """One task: its verdicts, or the reason why there are none.

    Attributes:
        excuse: why none of its copies counts; empty if they count.
        equivalent: number of copies whose change does not matter.
        notes: what could not be tried.
        unused: patterns of `allowed` that match no copy that survived or broke.
    """

    task: str
    folder: Path
    excuse: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    equivalent: int = 0
    notes: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def count(self, *outcomes: Outcome) -> int:
        """The number of copies with one of these outcomes."""
        return sum(verdict.outcome in outcomes for verdict in self.verdicts)


@dataclass(frozen=True)
class Suite:
    """Every task of a run, and the two rates over all of their copies."""

    tasks: tuple[Mutated, ...]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of all tasks."""
        return [verdict for task in self.tasks for verdict in task.verdicts]

    def rate(self, good: Outcome, bad: Outcome) -> Estimate:
        """The share of `good` in both outcomes, with Wilson's interval (which treats the copies as independent)."""
        found = [verdict.outcome for verdict in self.verdicts if verdict.outcome in (good, bad)]
        return share(found.count(good), len(found))

    @property
    def kills(self) -> Estimate:
        """The share of wrong copies that lose the score."""
        return self.rate("killed", "survived")

    @property
    def tolerance(self) -> Estimate:
        """The share of harmless copies that keep the score."""
        return self.rate("stayed", "broke")

    @property
    def sound(self) -> bool:
        """Whether no copy survives, breaks or fails without a reason."""
        return not any(verdict.at_fault for verdict in self.verdicts)


@dataclass(frozen=True)
class _Solved:
    """A solved episode and its current task."""

    folder: Path
    record: EpisodeRecord
    task: Task
    state: dict[str, Any]

    def values(self) -> Values:
        return recorded(self.task, self.state, EpisodeFolder(self.folder).files)


def mutate(
    folder: Path, *, source: str | None = None, tasks: Sequence[str] = (), only: Sequence[str] = (),
    harmless: bool = False, told: Callable[[Mutated], None] = lambda one: None,
) -> Suite:  # fmt: skip
    """Score changed copies of the evidence of every solved task of a run, or of one episode.

    Args:
        folder: the folder of a run or an episode.
        source: task files with the checks to use; None for the current version of each task's own file.
        tasks: ids of the tasks to test; empty for all.
        only: patterns for the ids of single copies (`*` matches any text).
        harmless: leave out the wrong copies.
        told: called with each finished task.

    Raises:
        UsageError: no episode is solved, or there is no such source, task or copy.
    """
    if source is not None:
        load(source)
    chosen = _wanted(_solved_episodes(folder), tasks)
    with tempfile.TemporaryDirectory(prefix="deskbench-mutate-") as scratch:
        entries = [_read(path, record, source, Path(scratch)) for path, record in chosen]
        solved = [one for one in entries if isinstance(one, _Solved)]
        found = []
        with Nursery() as nursery, ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
            for one in pool.map(lambda one: _mutated(one, solved, only, nursery, harmless), entries):
                told(one)
                found.append(one)
    suite = Suite(tuple(found))
    if only and not suite.verdicts:
        raise UsageError(f"no copy is called {' or '.join(only)}; --json without --only lists them all")
    return suite


def _solved_episodes(folder: Path) -> list[tuple[Path, EpisodeRecord]]:
    """One solved episode of each task."""
    read_ones = {one.path: EpisodeReader(one.path).episode for one in episodes(folder)}
    found: dict[str, tuple[Path, EpisodeRecord]] = {}
    for path, record in final_attempts(read_ones.items(), lambda one: one[1]):
        if record.score.value == 1.0:
            found.setdefault(record.task, (path, record))
    if not found:
        raise UsageError(f"{folder}: no episode has a score of 1; only solved episodes can be tested")
    return [found[task] for task in sorted(found)]


def _wanted(solved: list[tuple[Path, EpisodeRecord]], tasks: Sequence[str]) -> list[tuple[Path, EpisodeRecord]]:
    for name in tasks:
        if not any(name in (record.task, record.task_id) for _, record in solved):
            ids = [record.task_id for _, record in solved]
            raise UsageError(f"there is no solved episode of a task {name!r}{nearest(name, ids)}")
    return [one for one in solved if not tasks or one[1].task in tasks or one[1].task_id in tasks]


def _read(folder: Path, record: EpisodeRecord, source: str | None, scratch: Path) -> _Solved | Mutated:
    """An episode with its task, or the reason why the task cannot be read."""
    if not record.task_json:
        return Mutated(record.task, folder, excuse="the record has no task: it comes from another harness")
    try:
        before = task_of(record, scratch)
        own = record.task_path if record.task_path and Path(record.task_path).is_file() else None
        now = task_of(record, scratch, source or own)
    except UsageError as error:
        return Mutated(record.task, folder, excuse=f"its task cannot be read: {error}")
    return _Solved(folder, record, now, state_for(record, before, now))


def _mutated(
    one: _Solved | Mutated, all_solved: Sequence[_Solved], only: Sequence[str], nursery: Nursery, harmless: bool
) -> Mutated:
    """Test one task; one process makes and scores all its copies."""
    if isinstance(one, Mutated):
        return one
    found = Mutated(one.task.key, one.folder)
    if not one.task.feasible:
        found.excuse = "it is infeasible: its check judges no end state"
    elif one.task.is_class:
        found.excuse = "a task class can only be scored on its desktop"
    if found.excuse:
        return found
    with nursery.one_process() as session:
        try:
            values = one.values()
            score = judge(one.task, values, strict=one.record.osworld_strict)
        except CheckError as error:
            found.excuse = f"it cannot be scored again: {error}"
            return found
        if score.value != 1.0:
            found.excuse = f"it does not score 1 when it is scored again: {score.reason}"
            return found
        for number, place in enumerate(_places(values, found)):
            room = session.folder / f"evidence-{number}"
            room.mkdir()
            _judge_copies(one, values, place, only, room, found, harmless=harmless)
        if not harmless:
            _judge_siblings(one, values, all_solved, only, found)
    _account(one.task, found, everything=not (only or harmless))
    return found


@dataclass(frozen=True)
class _Place:
    """A piece of evidence: the checks that judge it, on which side, and its place in the value."""

    call: Call
    checks: tuple[tuple[int, int], ...]
    """Indexes of the checks, each with its side: 1 for the result, 2 for the expected value."""
    item: int | None
    value: Any


def _places(values: Values, found: Mutated) -> Iterator[_Place]:
    """The evidence that was read from the desktop and is judged; each piece once, however many checks judge it."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for number, (check, _, _) in enumerate(values):
        side, call = _evidence_of(check)
        if call is None:
            continue
        if check.metric in PROBES:
            found.notes.append(f"{check.metric} needs a desktop: its evidence is not changed")
            continue
        groups.setdefault(json.dumps([call.type, call.parameters], sort_keys=True), []).append((number, side))
    for checks in groups.values():
        number, side = checks[0]
        _, call = _evidence_of(values[number][0])
        value = values[number][side]
        if call is None or value is None or isinstance(value, NotFit):
            continue
        whole: list[tuple[int | None, Any]] = [(None, value)]
        files = [(n, one) for n, one in enumerate(value if isinstance(value, list) else []) if isinstance(one, Path)]
        for item, part in files or whole:
            yield _Place(call, tuple(checks), item, part)


def _evidence_of(check: Check) -> tuple[int, Call | None]:
    """The evidence that an agent made: the result, or the expected value if the result is the task's own."""
    for side, call in ((1, check.result), (2, check.expected)):
        if call is not None and call.type not in NOT_OF_THE_DESKTOP:
            return side, call
    return 0, None


def _judge_copies(
    one: _Solved, values: Values, place: _Place, only: Sequence[str], room: Path, found: Mutated, *, harmless: bool
) -> None:
    try:
        made = read("mutation.copies", MAKING, getter=place.call.type, parameters=place.call.parameters,
                    value=place.value, named=_named(values, place), instruction=one.task.instruction, only=list(only),
                    into=room / "copies")  # fmt: skip
    except (Unfit, CheckError) as error:
        found.notes.append(f"{place.call.type}: no copies could be made: {error}")
        return
    found.equivalent += made["equivalent"]
    found.notes += made["notes"]
    spoilt: set[str] = set()
    for copy in made["copies"]:
        kind = copy["id"].partition("/")[0]
        if kind in spoilt or (harmless and copy["must"] == "fail"):
            continue
        if not all(_stands_in(room, file) for file in files_in(copy["value"])):
            found.notes.append(f"{copy['id']} is left out: its file is outside the folder of the copies")
            continue
        verdict = _verdict(one, _replaced(values, place, copy["value"]), copy, made["label"])
        if copy["must"] != "same":
            found.verdicts.append(verdict)
        elif verdict.value != 1.0:
            spoilt.add(kind)
            found.notes.append(f"{made['label']} is not changed as {kind}: {kind}/{AS_IS} does not score 1: "
                               f"{verdict.reason}")  # fmt: skip


def _stands_in(room: Path, file: Path) -> bool:
    """Whether a file is inside the folder: the process that names it has read an agent's bytes and is not trusted."""
    return file.is_file() and not file.is_symlink() and file.resolve().is_relative_to(room.resolve())


def _named(values: Values, place: _Place) -> str:
    """The names in the checks of a piece of evidence: their expected values and options."""
    told = []
    for number, side in place.checks:
        check = values[number][0]
        told += [packed(values[number][3 - side], lambda file: file.name), check.options]
    return json.dumps(told, ensure_ascii=False, default=str)


def _replaced(values: Values, place: _Place, value: Any) -> Values:
    copied = list(values)
    for number, side in place.checks:
        whole = value
        if place.item is not None:
            whole = list(values[number][side])
            whole[place.item] = value
        check, result, expected = values[number]
        copied[number] = (check, whole, expected) if side == 1 else (check, result, whole)
    return copied


def _verdict(one: _Solved, values: Values, copy: Mapping[str, Any], label: str) -> Verdict:
    try:
        score = judge(one.task, values, strict=one.record.osworld_strict)
    except CheckError as error:
        score = Score.none(f"the check failed: {error}")
    if score.value is None:
        outcome: Outcome = "failed"
    elif copy["must"] == "fail":
        outcome = "killed" if score.value < 1.0 else "survived"
    else:
        outcome = "stayed" if score.value == 1.0 else "broke"
    return Verdict(copy["id"], label, copy["words"], outcome, score.value, score.reason,
                   difference=tuple(copy["difference"]), checks=score.checks)  # fmt: skip


def _judge_siblings(
    one: _Solved, values: Values, all_solved: Sequence[_Solved], only: Sequence[str], found: Mutated
) -> None:
    """Score the end states of the same task with other seeds, which are wrong for this seed."""
    family = one.task.id.partition("@")[0]
    others = [s for s in all_solved if s is not one and s.task.suite == one.task.suite
              and s.task.id.partition("@")[0] == family]  # fmt: skip
    number = 0
    for other in others:
        theirs = _same_evidence(one, other)
        if theirs is None:
            continue
        if _packed_results(theirs) == _packed_results(values):
            found.equivalent += 1
            continue
        number += 1
        name = f"seed/other[{number}]"
        if only and not any(matches(name, pattern) for pattern in only):
            continue
        mixed = [(check, result, expected) for (check, _, expected), (_, result, _) in zip(values, theirs, strict=True)]
        copy = {"id": name, "must": "fail", "words": f"it is the end state of {other.task.id}", "difference": []}
        found.verdicts.append(_verdict(one, mixed, copy, "all of it"))


def _same_evidence(one: _Solved, other: _Solved) -> Values | None:
    """The other episode's values for this task's checks; None if its getters read other things."""
    pairs = zip(one.task.evaluator.checks, other.task.evaluator.checks, strict=False)
    alike = len(one.task.evaluator.checks) == len(other.task.evaluator.checks) and all(
        mine.metric == theirs.metric and mine.metric not in PROBES and mine.result is not None
        and theirs.result is not None and (mine.result.type, mine.result.parameters)
        == (theirs.result.type, theirs.result.parameters) for mine, theirs in pairs
    )  # fmt: skip
    try:
        return other.values() if alike else None
    except CheckError:
        return None


def _packed_results(values: Values) -> list[Any]:
    """The results, with files represented by their content."""
    return [packed(result, lambda file: file.read_bytes().hex()) for _, result, _ in values]


def _account(task: Task, found: Mutated, *, everything: bool) -> None:
    """Attach the author's reasons to the copies that survived or broke, and find the reasons that match none."""
    used = set()
    for number, verdict in enumerate(found.verdicts):
        names = (verdict.id, f"{verdict.evidence}:{verdict.id}")
        pattern = next((p for p in task.allowed if any(matches(name, p) for name in names)), None)
        if pattern is not None and verdict.outcome in ("survived", "broke"):
            used.add(pattern)
            found.verdicts[number] = replace(verdict, allowed=task.allowed[pattern])
    if everything:
        found.unused = [pattern for pattern in task.allowed if pattern not in used]
