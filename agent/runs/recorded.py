"""Load the tasks of recorded episodes again, for `replay` and `rescore`."""

from __future__ import annotations

import json
from pathlib import Path

from deskbench.agent.runs.record import EpisodeRecord
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.tasks.load import read
from deskbench.tasks.types import SOURCE, Task


def task_of(record: EpisodeRecord, scratch: Path, source: str | None = None, *, host_files: bool = False) -> Task:
    """The task of an episode.

    Args:
        record: the episode.
        scratch: a folder for the recorded task file, used if the file itself is gone or has changed.
        source: task files to use instead (such as a changed check, for `rescore`).
        host_files: the task may use files of this machine outside its own folder.

    Raises:
        UsageError: the task no longer exists or cannot be read.
    """
    if source is not None:
        return _pick(source, record, host_files)
    path = Path(record.task_path)
    there = bool(record.task_path) and path.is_file()
    if there:
        task = _pick(path, record, host_files)
        if task.sha256 == record.task_sha256:
            return task
    kept = _kept(record, scratch)
    task = _pick(kept, record, host_files)
    # A task file finds its assets beside it, but not in whatever folder a record names: an older version of the task
    # must be there. A task class runs from its own path.
    return task if task.is_class or not there else task.model_copy(update={"path": path})


def _kept(record: EpisodeRecord, scratch: Path) -> Path:
    """Write the recorded task file; the record may be somebody else's, so its names may lead anywhere."""
    source = record.task_json.get(SOURCE)
    name = f"{record.task_id}.json" if source is None else f"task_{record.task_id}.py"
    kept = scratch / record.suite / name
    if "\0" in str(kept) or not kept.resolve().is_relative_to(scratch.resolve()):
        raise UsageError(f"the recorded task {f'{record.suite}/{name}'[:80]!r} is not the name of a file")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(record.task_json) if source is None else str(source), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the recorded task cannot be written to {kept}: {error.strerror}") from None
    return kept


def _pick(source: str | Path, record: EpisodeRecord, host_files: bool) -> Task:
    tasks, problems = read(source, host_files=host_files)
    for task in tasks:
        if task.id == record.task_id and (task.suite == record.suite or len(tasks) == 1):
            return task
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        raise UsageError(str(errors[0]))
    raise UsageError(f"{source} has no task {record.task_id!r}{nearest(record.task_id, [t.id for t in tasks])}")
