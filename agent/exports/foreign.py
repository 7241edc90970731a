"""Import the results of another program, whichever it is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deskbench.agent.exports.samples import logs_in, write_trials
from deskbench.agent.exports.trials import import_trials, trials_in
from deskbench.agent.osworld.imports import Imported, import_results
from deskbench.envs.errors import UsageError

CUA_BENCH = (
    "{} is a data set of traces, as cua-bench keeps them, without the scores: import the run's folder, whose variants "
    "have trajectory.json and result.json"
)


def import_any(source: Path, out: Path, *, tasks: str | None = None, split: str | None = None) -> Imported:
    """Import OSWorld's results, the trials of a job of Harbor, or logs of inspect.

    Raises:
        UsageError: neither is there, or as `import_results` and `import_trials` say.
    """
    if trials_in(source):
        if tasks is not None:
            raise UsageError("--tasks is for OSWorld's results; trials of Harbor are their own plan")
        return import_trials(source, out)
    if not any(source.rglob("traj.jsonl")) and not any(source.rglob("result.txt")):
        logs = logs_in(source)
        if logs and tasks is not None:
            raise UsageError("--tasks is for OSWorld's results; logs of inspect are their own plan")
        if logs:
            return _import_logs(logs, source, out)
        data_set = next(source.rglob("dataset_info.json"), None)
        if data_set is not None:
            raise UsageError(CUA_BENCH.format(data_set))
    return import_results(source, out, tasks=tasks, split=split)


def _import_logs(logs: Sequence[Path], source: Path, out: Path) -> Imported:
    """Import the samples that act on a desktop, by way of trials in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="deskbench-import-") as scratch:
        problems = write_trials(logs, Path(scratch))
        if not trials_in(Path(scratch)):
            raise UsageError(f"{source} has no sample that can be imported: {'; '.join(problems[:3]) or 'it has none'}")
        done = import_trials(Path(scratch), out, told=source)
    return replace(done, problems=(*problems, *done.problems))
