"""`deskbench run`: run a batch, show its progress, print its numbers and write its report."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from deskbench.agent.base import Ending
from deskbench.agent.batch import Batch
from deskbench.agent.build import Prepared, prepare
from deskbench.agent.cli.live import showing
from deskbench.agent.cli.outcomes import print_outcomes
from deskbench.agent.cli.output import counted, print_json, print_table, tell
from deskbench.agent.cli.reuse import begin
from deskbench.agent.config import RunConfig, make_config
from deskbench.agent.report.outcomes import SKIPPED, Outcomes, outcomes
from deskbench.agent.report.report import write_report
from deskbench.agent.runs.folder import RunFolder, new_folder
from deskbench.agent.runs.latest import mark_latest
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.statistics.intervals import Estimate
from deskbench.agent.statistics.summary import Summary, summarize
from deskbench.agent.statistics.words import interval, more_lines
from deskbench.envs.errors import UsageError

MEANS = ("tasks", "episodes", "mean", "95 % interval")
MAX_WARNINGS = 10
"""Warnings about task files to print before a run; `tasks check` prints the others."""
MAX_CHANGES = 4
"""Differences from the earlier sessions of a run to print."""


def resume_config(folder: Path, flags: Mapping[str, Any]) -> RunConfig:
    """The configuration that a run began with; flags may change how the run proceeds, but not what it runs."""
    manifest = RunFolder(folder).manifest()
    config = dict(manifest["config"])
    begun = Path(str(manifest.get("cwd", ""))) / str(config.get("source"))
    if not Path(str(config.get("source"))).exists() and begun.exists():  # it is resumed from another working directory
        config["source"] = str(begun)
    given = {k: v for k, v in flags.items() if v is not None}
    if "engine" in given:  # it says where the run goes on; the cluster of the earlier session may be gone
        config.pop("ray_address", None)
    return make_config(None, [], {**config, **given})


def run(
    config: RunConfig, *, out: Path | None, resume: bool, as_json: bool, say: Console, reuse: Path | None = None
) -> int:
    """Run the batch; returns the exit status: 0 if every planned episode has a score, else 1."""
    prepared = prepare(config)
    for warning in prepared.warnings[:MAX_WARNINGS]:
        tell(say, str(warning), style="yellow")
    if len(prepared.warnings) > MAX_WARNINGS:
        more = len(prepared.warnings) - MAX_WARNINGS
        tell(say, f"and {more} more warnings: deskbench tasks check {config.source}", style="yellow")
    for task, reason in prepared.skipped:
        tell(say, f"skipped {task.key}: {reason}", style="yellow")
    if not prepared.tasks:
        raise UsageError(f"{config.source}: all tasks were skipped; nothing to run")
    folder = out or default_folder(config)
    resume = begin(prepared, reuse, folder, say) or resume
    summary, state = run_batch(prepared, folder, resume=resume, say=say)
    write_report(folder, RunFolder(folder).report)
    if as_json:
        print_json(run_document(folder, summary=summary))
    else:
        show_run(folder, say, summary=summary)
        if state != "done":
            why = {"budget": "the budget is spent", "interrupted": "interrupted"}[state]
            tell(say, f"{why}; continue with: deskbench run --resume {folder}")
    return 0 if summary.scored == summary.planned else 1


def run_document(folder: Path, *, live: bool = False, summary: Summary | None = None) -> dict[str, Any]:
    """Everything that a run prints at its end, for `--json`; reads its folder, and its numbers if not given."""
    run, found = RunFolder(folder), outcomes(RunFolder(folder), live=live)
    manifest = run.manifest()
    summary = summary or summary_of(manifest, found)
    return {
        "folder": str(folder), "report": str(run.report), "state": manifest.get("state"),
        "on_tamper": manifest.get("on_tamper"), "skipped": sum(one.ending == SKIPPED for one in found.episodes),
        "validated": manifest.get("validated"), "summary": dataclasses.asdict(summary),
        "episodes": found.episodes,
    }  # fmt: skip


def show_run(folder: Path, console: Console, *, live: bool = False, summary: Summary | None = None) -> None:
    """Print everything that belongs at the end of a run; reads its folder, and its numbers if they are not given."""
    run, found = RunFolder(folder), outcomes(RunFolder(folder), live=live)
    manifest = run.manifest()
    summary = summary or summary_of(manifest, found)
    print_outcomes(found.episodes, console)
    tell(console, "")
    print_table(("", *MEANS), summary_rows(summary), console)
    tell(console, summary_line(manifest, summary))
    for text in more_lines(summary):
        tell(console, text)
    if summary.reused:
        tell(console, reused_line(manifest, summary))
    if isinstance(manifest.get("validated"), dict):
        tell(console, validated_line(manifest["validated"]))
    if summary.deaths:
        tell(console, deaths_line(manifest, summary), style="yellow")
    for text in crash_lines(found.records):
        tell(console, text, style="red")
    tell(console, f"run {folder}")
    if run.report.exists():
        tell(console, f"report {run.report}")


def summary_of(manifest: Mapping[str, Any], found: Outcomes) -> Summary:
    """The numbers of a run; some of its episodes may not have run yet."""
    planned = manifest.get("planned")
    return summarize(found.records, planned if isinstance(planned, int) else None, manifest)


def default_folder(config: RunConfig) -> Path:
    """runs/<time>-<agent>-<suite>."""
    return new_folder(f"{config.agent.rpartition(':')[2]}-{Path(config.source).stem}")


def run_batch(prepared: Prepared, folder: Path, *, resume: bool, say: Console) -> tuple[Summary, str]:
    """Run a batch and show progress on `say`; returns its numbers and its state: `done`, `interrupted` or `budget`."""
    try:
        with showing(say, str(prepared.config.agent)) as show:
            batch = Batch(prepared, folder, show, lambda begun: _begun(begun, batch, say))
            with _interrupts(batch, say):
                summary = batch.run(resume=resume)
        if batch.unclosed is not None:
            tell(say, f"some desktops could not be stopped: {batch.unclosed}", style="red")
    except KeyboardInterrupt:
        tell(say, f"stopped at once; what was recorded is in {folder}")
        os._exit(130)  # the desktops have stopped; threads that wait for a model would delay an orderly exit
    return summary, batch.state


def _begun(folder: Path, batch: Batch, say: Console) -> None:
    mark_latest(folder)
    if batch.notice:
        tell(say, batch.notice, style="yellow")
    if batch.changes:
        more = f"; {len(batch.changes) - MAX_CHANGES} more" if len(batch.changes) > MAX_CHANGES else ""
        told = "; ".join(batch.changes[:MAX_CHANGES])
        tell(say, f"not as when this run began (its manifest has both): {told}{more}", style="yellow")


@contextmanager
def _interrupts(batch: Batch, say: Console) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM, or closing the terminal) ends the run cleanly; the second ends it at once."""

    def ask(signum: int, frame: object) -> None:
        if batch.interrupted:
            raise KeyboardInterrupt
        batch.interrupt()
        tell(say, "stopping: running episodes finish their step first (press Ctrl-C again to stop at once)")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def summary_rows(summary: Summary) -> list[tuple[str, ...]]:
    """The numbers of a run: all tasks, feasible and infeasible ones, and all with unscored episodes as 0."""
    rows = {"all": summary.all, "feasible": summary.feasible, "infeasible": summary.infeasible}
    return [(name, *cells(mean)) for name, mean in {**rows, "all, unscored as 0": summary.all_planned}.items()]


def summary_line(manifest: Mapping[str, Any], summary: Summary) -> str:
    """The episodes that the means leave out, and how episodes ended."""
    config = manifest.get("config")
    source = config.get("source") if isinstance(config, dict) else None
    endings = ", ".join(f"{name} {count}" for name, count in sorted(summary.endings.items()))
    return (
        f"{manifest.get('agent')} on {source}: {summary.scored} of {summary.planned} scored, "
        f"{len(manifest.get('skipped') or ())} skipped; endings: {endings or 'none'}; policy {manifest.get('policy')}"
    )


def reused_line(manifest: Mapping[str, Any], summary: Summary) -> str:
    """How many episodes were taken over from another run, and from which."""
    source = manifest.get("reused")
    run = f" from {source['run']}" if isinstance(source, dict) and "run" in source else ""
    return f"reused {summary.reused} of {summary.planned} episodes{run}"


def validated_line(validated: Mapping[str, int]) -> str:
    """How many of the run's tasks had a current validation record at its start, and how to validate the others."""
    n, of = validated.get("n", 0), validated.get("of", 0)
    return f"validated {n} of {of} tasks" + ("" if n == of else "; the others: deskbench tasks verify TASKS --stale")


def deaths_line(manifest: Mapping[str, Any], summary: Summary) -> str:
    """The number of desktops that died while the agent acted, and the tasks where this happened twice."""
    tampered = len(summary.tampered)
    listed = f": {', '.join(summary.tampered)} (counted as {manifest.get('on_tamper')})" if tampered else ""
    return f"desktops that died while the agent acted: {summary.deaths}; tampered: {tampered}{listed}"


def crash_lines(records: Sequence[EpisodeRecord]) -> list[str]:
    """How many episodes failed in the agent's own code or in deskbench, with the first error of each."""
    lines = []
    for ending, whose in ((Ending.AGENT_CRASH, "the agent's code"), (Ending.CRASHED, "deskbench")):
        crashed = [record for record in records if record.ending is ending]
        if crashed:
            episodes = counted(len(crashed), "episode")
            lines.append(f"{whose} failed in {episodes}, first in {crashed[0].task}: {crashed[0].error}")
    return lines


def cells(found: Estimate) -> tuple[str, str, str, str]:
    """A mean as text, for the columns MEANS."""
    mean = "-" if found.mean is None else f"{found.mean:.3f}"
    return (
        str(found.tasks),
        str(found.episodes),
        mean,
        found.note if found.low is None and found.note else interval(found),
    )
