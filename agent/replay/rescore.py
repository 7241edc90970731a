"""Score recorded end states again, without a desktop, for example after a metric or a task's check has changed."""

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
    """One episode: its recorded score and its new score."""

    folder: Path
    task: str
    before: float | None
    after: float | None
    reason: str

    @property
    def changed(self) -> bool:
        """Whether the score changed."""
        return self.before != self.after


def rescore_all(
    folder: Path, *, source: str | None = None, write: bool = False, strict: Revision | Literal["no"] | None = None
) -> list[Rescored]:
    """Score every finished episode of a run, or one episode, again.

    Args:
        folder: the folder of a run or an episode.
        source: task files with the checks to use; None for the recorded checks.
        strict: the revision of OSWorld whose mistakes the checks repeat, or `no`; None for each episode's own choice.
        write: write the new scores into the episodes' records, and leave the rest of each record unchanged.

    Raises:
        UsageError: there is no finished episode, or a task is missing.
    """
    return [_again(episode, source, write, strict) for episode in episodes(folder)]


def episodes(folder: Path) -> list[EpisodeFolder]:
    """The finished episodes of a run, or the folder itself if it is an episode.

    Raises:
        UsageError: there is no finished episode.
    """
    found = [episode for episode in EpisodeFolder.below(folder) if episode.finished]
    if not found:
        raise UsageError(f"{folder} is neither a run nor an episode: it has no {EpisodeFolder(folder).record.name}")
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
    """The new score, or None if the record has nothing to score."""
    said_fail = record.ending is Ending.FAILED
    if record.ending in (Ending.ENV_ERROR, Ending.CRASHED, Ending.INTERRUPTED):
        return None
    if source is None and not record.task_json:  # imported results without their tasks
        return None
    with tempfile.TemporaryDirectory(prefix="deskbench-rescore-") as scratch:
        before = task_of(record, Path(scratch))
        task = before if source is None else task_of(record, Path(scratch), source)
        if task.is_class or (not record.state and task.feasible and not said_fail):
            return None  # a task class can only be scored on its desktop
        try:
            return rescore(
                task, state_for(record, before, task), folder.files, said_fail=said_fail,
                strict=strict,
            )  # fmt: skip
        except CheckError as error:
            return Score.none(f"the check failed: {error}")


def state_for(record: EpisodeRecord, before: Task, now: Task) -> dict[str, Any]:
    """The recorded values for the getters that read the same things now, wherever they are in the task file.

    The value of a rule is in the task file itself.
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
