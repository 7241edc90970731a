"""Scores again what was recorded, with no machine: after a metric or a task's check has changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deskbench.agent.base import Ending
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, ScoreRecord, write_record
from deskbench.agent.runs.recorded import task_of
from deskbench.envs.errors import CheckError, UsageError
from deskbench.tasks.metrics.support.differences import REVISIONS, Revision
from deskbench.tasks.scoring.score import PROBED, rescore
from deskbench.tasks.types import Call, Score, Task

_REVISIONS: dict[Revision | Literal["no"], Revision | None] = {"no": None, **{name: name for name in REVISIONS}}


@dataclass(frozen=True)
class Rescored:
    """One episode: its score as recorded, and as it is now."""

    folder: Path
    task: str
    before: float | None
    after: float | None
    reason: str

    @property
    def changed(self) -> bool:
        """The score is another."""
        return self.before != self.after


def rescore_all(
    folder: Path, *, source: str | None = None, write: bool = False, strict: Revision | Literal["no"] | None = None
) -> list[Rescored]:
    """Score every finished episode of a run, or one episode, again.

    Args:
        folder: of a run or an episode.
        source: task files whose checks are used; None for those that were recorded.
        strict: the revision of OSWorld whose mistakes are repeated, or `no`; None for what each episode did.
        write: put the new scores into the episodes' records; all that was seen stays.

    Raises:
        UsageError: nothing finished is there, or a task is not.
    """
    return [_again(episode, source, write, strict) for episode in episodes(folder)]


def episodes(folder: Path) -> list[EpisodeFolder]:
    """The finished episodes of a run, or the one that the folder is.

    Raises:
        UsageError: nothing finished is there.
    """
    found = [episode for episode in EpisodeFolder.below(folder) if episode.finished]
    if not found:
        raise UsageError(f"{folder} is neither a run nor an episode: it holds no {EpisodeFolder(folder).record.name}")
    return found


def _again(folder: EpisodeFolder, source: str | None, write: bool, strict: Revision | Literal["no"] | None) -> Rescored:
    record = EpisodeReader(folder.path).episode
    revision = record.osworld_strict if strict is None else _REVISIONS[strict]
    score = _score(record, folder, source, revision)
    if score is None:
        return Rescored(folder.path, record.task, record.score.value, record.score.value, record.score.reason)
    if write and (score.value, revision) != (record.score.value, record.osworld_strict):
        update = {"score": ScoreRecord.model_validate(score.model_dump(mode="json")), "osworld_strict": revision}
        write_record(folder, record.model_copy(update=update))
    return Rescored(folder.path, record.task, record.score.value, score.value, score.reason)


def _score(record: EpisodeRecord, folder: EpisodeFolder, source: str | None, strict: Revision | None) -> Score | None:
    """The score now, or None where nothing was recorded that could be scored."""
    said_fail = record.ending is Ending.FAILED
    if record.ending in (Ending.ENV_ERROR, Ending.CRASHED, Ending.INTERRUPTED):
        return None
    if source is None and not record.task_json:  # results of elsewhere, without their tasks
        return None
    with tempfile.TemporaryDirectory(prefix="deskbench-rescore-") as scratch:
        before = task_of(record, Path(scratch))
        task = before if source is None else task_of(record, Path(scratch), source)
        if task.is_class or (not record.state and task.feasible and not said_fail):
            return None  # a task class is judged on its desktop, and nowhere else
        try:
            return rescore(
                task, state_for(record, before, task), folder.files, said_fail=said_fail,
                strict=strict,
            )  # fmt: skip
        except CheckError as error:
            return Score.none(f"the check failed: {error}")


def state_for(record: EpisodeRecord, before: Task, now: Task) -> dict[str, Any]:
    """What was read, for the getters that read the same, wherever in the task file they stand now.

    A rule's value stands in the task file itself.
    """
    known = {_asked(call): record.state[call.where] for call in _getters(before) if call.where in record.state}
    state = {where: value for where, value in record.state.items() if where.endswith(PROBED)}
    for call in _getters(now):
        if call.type == "rule":
            state[call.where] = call.parameters.get("rules")
        elif _asked(call) in known:
            state[call.where] = known[_asked(call)]
    return state


def _asked(call: Call) -> str:
    return json.dumps([call.type, call.parameters], sort_keys=True, default=str)


def _getters(task: Task) -> Iterator[Call]:
    for check in task.evaluator.checks:
        yield from (call for call in (check.result, check.expected) if call is not None)
