"""Score recorded end states again, without a desktop, for example after a metric or a task's check has changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from deskbench.agent.base import Ending
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, ScoreRecord, write_record
from deskbench.agent.runs.recorded import task_of
from deskbench.envs.errors import CheckError, UsageError
from deskbench.tasks.fingerprint import functions_of
from deskbench.tasks.metrics.support.differences import REVISIONS, Revision
from deskbench.tasks.scoring.score import PROBED, rescore
from deskbench.tasks.types import Call, Score, Task

_REVISIONS: dict[Revision | Literal["no"], Revision | None] = {"no": None, **{name: name for name in REVISIONS}}

UNREAD = "a desktop: the record has no value for"
"""How a need begins if a check asks for more than was recorded: the old score says nothing about it."""


@dataclass(frozen=True)
class Rescored:
    """One episode: its recorded score and its new score.

    Attributes:
        needs: what scoring it again would need; empty if the record is enough.
        changed_code: the functions of its check that have changed since the run (`getter rule`), None if the run did
            not record their hashes.
    """

    folder: Path
    task: str
    before: float | None
    after: float | None
    reason: str
    needs: str = ""
    changed_code: tuple[str, ...] | None = None

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


class Asked(NamedTuple):
    """A task as it was recorded, and as it is to be scored now."""

    before: Task
    now: Task


def _again(folder: EpisodeFolder, source: str | None, write: bool, strict: Revision | Literal["no"] | None) -> Rescored:
    record = EpisodeReader(folder.path).episode
    revision = record.osworld_strict if strict is None else _REVISIONS[strict]
    with tempfile.TemporaryDirectory(prefix="deskbench-rescore-") as scratch:
        asked = None
        if source is not None or record.task_json:  # imported results may lack their tasks
            before = task_of(record, Path(scratch))
            asked = Asked(before, before if source is None else task_of(record, Path(scratch), source))
        needs, changed = needs_of(record, asked), changed_code(folder, asked)
        score = None if asked is None or needs else score_again(record, folder, asked, revision)
    if needs.startswith(UNREAD):
        score = Score.none(f"it needs {needs}")
    if score is None:
        same = record.score
        return Rescored(folder.path, record.task, same.value, same.value, same.reason, needs, changed)
    if write and (score.value, revision) != (record.score.value, record.osworld_strict):
        told = ScoreRecord.model_validate(score.model_dump(mode="json"))
        update = {"score": told, "osworld_strict": revision, "rescored": True}
        write_record(folder, record.model_copy(update=update))
        if (run := _run_of(folder)) is not None:
            run.touch()
    return Rescored(folder.path, record.task, record.score.value, score.value, score.reason, needs, changed)


def needs_of(record: EpisodeRecord, asked: Asked | None) -> str:
    """What scoring an episode again needs beside its record; empty if the record is enough."""
    if record.ending in (Ending.ENV_ERROR, Ending.CRASHED, Ending.INTERRUPTED):
        return f"another run: this episode ended as {record.ending.value}, without an end state to score"
    if asked is None:
        return "the task, which the record does not have: name its files with --tasks"
    if asked.now.is_class:
        return "a desktop: a task class reads it while it scores"
    if asked.now.evaluator.infeasible or record.ending is Ending.FAILED:
        return ""
    if not record.state:
        return "a desktop: nothing that the check reads was recorded"
    known = state_for(record, asked.before, asked.now)
    missing = [f"getter {call.type} at {call.where}" for call in _getters(asked.now) if call.where not in known]
    return f"{UNREAD} {', '.join(missing)}" if missing else ""


def _run_of(folder: EpisodeFolder) -> RunFolder | None:
    return next((RunFolder(path) for path in folder.path.parents if RunFolder(path).exists), None)


def changed_code(folder: EpisodeFolder, asked: Asked | None) -> tuple[str, ...] | None:
    """The functions of a task that have changed since its run; None if that is not known."""
    run = _run_of(folder)
    hashes = run.manifest().get("code", {}).get("functions") if run is not None else None
    if asked is None or not isinstance(hashes, dict):
        return None
    return tuple(name for name, key in functions_of(asked.before).items() if hashes.get(name) != key)


def score_again(record: EpisodeRecord, folder: EpisodeFolder, asked: Asked, strict: Revision | None) -> Score:
    """Score an episode from its record, which is enough for that (`needs_of`)."""
    said_fail = record.ending is Ending.FAILED
    state = state_for(record, asked.before, asked.now)
    try:
        return rescore(asked.now, state, folder.files, said_fail=said_fail, strict=strict)
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
