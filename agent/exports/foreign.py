"""Import the results of another program, whichever it is."""

from __future__ import annotations

from pathlib import Path

from deskbench.agent.exports.trials import import_trials, trials_in
from deskbench.agent.osworld.imports import Imported, import_results
from deskbench.envs.errors import UsageError

INSPECT = (
    "{} is a log of inspect: its samples are messages to a model, without the actions and screens of a desktop that a "
    "run consists of"
)
CUA_BENCH = (
    "{} is a data set of traces, as cua-bench keeps them, without the scores: import the trials that have "
    "trajectory.json and result.json"
)


def import_any(source: Path, out: Path, *, tasks: str | None = None, split: str | None = None) -> Imported:
    """Import OSWorld's results, or the trials of a job of Harbor.

    Raises:
        UsageError: neither is there, or as `import_results` and `import_trials` say.
    """
    if trials_in(source):
        if tasks is not None:
            raise UsageError("--tasks is for OSWorld's results; trials of Harbor are their own plan")
        return import_trials(source, out)
    if not any(source.rglob("traj.jsonl")) and not any(source.rglob("result.txt")):
        for pattern, told in (("*.eval", INSPECT), ("dataset_info.json", CUA_BENCH)):
            log = source if source.match(pattern) else next(source.rglob(pattern), None)
            if log is not None:
                raise UsageError(told.format(log))
    return import_results(source, out, tasks=tasks, split=split)
