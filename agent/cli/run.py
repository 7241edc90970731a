"""`deskbench run`: run a batch, show its progress, print its numbers and write its report."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from deskbench.agent.base import Ending
from deskbench.agent.batch import Batch, Progress
from deskbench.agent.build import Prepared, prepare
from deskbench.agent.cli.output import print_table, tell
from deskbench.agent.cli.reuse import begin
from deskbench.agent.config import RunConfig, make_config
from deskbench.agent.report.report import write_report
from deskbench.agent.runs.folder import RunFolder, new_folder
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.statistics.intervals import Estimate
from deskbench.agent.statistics.summary import Summary
from deskbench.agent.statistics.words import interval, more_lines
from deskbench.envs.errors import UsageError

MEANS = ("tasks", "episodes", "mean", "95 % interval")
MAX_WARNINGS = 10
"""Warnings about task files to print before a run; `tasks check` prints the others."""


def resume_config(folder: Path, flags: Mapping[str, Any]) -> RunConfig:
    """The configuration that a run began with; flags may change how the run proceeds, but not what it runs."""
    manifest = RunFolder(folder).manifest()
    given = {k: v for k, v in flags.items() if v is not None}
    return make_config(None, [], {**manifest["config"], **given})


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
    report = write_report(folder, RunFolder(folder).report)
    if as_json:
        result = {"folder": str(folder), "report": str(report), "state": state, "on_tamper": config.on_tamper,
                  "skipped": len(prepared.skipped), "validated": validated_of(folder),
                  "summary": dataclasses.asdict(summary)}  # fmt: skip
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
    else:
        print_table(("", *MEANS), summary_rows(summary), say)
        tell(say, summary_line(prepared, summary))
        for text in more_lines(summary):
            tell(say, text)
        tell(say, validated_line(folder))
        if summary.deaths:
            tell(say, deaths_line(config, summary), style="yellow")
        for text in crash_lines([reader.episode for reader in RunFolder(folder).final()]):
            tell(say, text, style="red")
        tell(say, f"run {folder}\nreport {report}")
        if state != "done":
            why = {"budget": "the budget is spent", "interrupted": "interrupted"}[state]
            tell(say, f"{why}; continue with: deskbench run --resume {folder}")
    return 0 if summary.scored == summary.planned else 1


def default_folder(config: RunConfig) -> Path:
    """runs/<time>-<agent>-<suite>."""
    return new_folder(f"{config.agent.rpartition(':')[2]}-{Path(config.source).stem}")


def run_batch(prepared: Prepared, folder: Path, *, resume: bool, say: Console) -> tuple[Summary, str]:
    """Run a batch and show progress on `say`; returns its numbers and its state: `done`, `interrupted` or `budget`."""
    try:
        with showing(say, str(prepared.config.agent)) as show:
            batch = Batch(prepared, folder, show)
            with _interrupts(batch, say):
                summary = batch.run(resume=resume)
        if batch.unclosed is not None:
            tell(say, f"some desktops could not be stopped: {batch.unclosed}", style="red")
    except KeyboardInterrupt:
        tell(say, f"stopped at once; what was recorded is in {folder}")
        os._exit(130)  # the desktops have stopped; threads that wait for a model would delay an orderly exit
    return summary, batch.state


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


@contextmanager
def showing(say: Console, name: str) -> Iterator[Any]:
    """A function that shows progress: a live line on a terminal, else one line per finished episode."""
    if say.is_terminal and name != "human":  # the agent `human` asks on the same terminal
        with Live(console=say, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(Text(line(name, progress)))
        return
    last = [-1]

    def plain(progress: Progress) -> None:
        if progress.finished != last[0]:
            last[0] = progress.finished
            tell(say, line(name, progress))

    yield plain


def line(name: str, progress: Progress) -> str:
    """The progress line: counts, mean, rate, time left, cost and the running tasks."""
    seconds = time.monotonic() - progress.began
    scored = [s for s in progress.scores if s is not None]
    parts = [f"{name}: {progress.finished}/{progress.total}"]
    if scored:
        parts.append(f"mean {sum(scored) / len(scored):.3f}")
    if len(scored) < len(progress.scores):
        zeros = f", {sum(scored) / len(progress.scores):.3f} with them as 0" if scored else ""
        parts.append(f"{len(progress.scores) - len(scored)} unscored{zeros}")
    if progress.retried:
        parts.append(f"{progress.retried} retried")
    if progress.finished:
        rate = progress.finished / seconds
        parts.append(f"{rate * 60:.1f}/min, {_clock((progress.total - progress.finished) / rate)} left")
    if progress.cost_usd is not None:
        parts.append(f"${progress.cost_usd:.3f}")
    if progress.running:
        parts.append("now " + ", ".join(progress.running[:3]) + (" ..." if len(progress.running) > 3 else ""))
    return " | ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02d}"


def summary_rows(summary: Summary) -> list[tuple[str, ...]]:
    """The numbers of a run: all tasks, feasible and infeasible ones, and all with unscored episodes as 0."""
    rows = {"all": summary.all, "feasible": summary.feasible, "infeasible": summary.infeasible}
    return [(name, *cells(mean)) for name, mean in {**rows, "all, unscored as 0": summary.all_planned}.items()]


def summary_line(prepared: Prepared, summary: Summary) -> str:
    """The episodes that the means leave out, and how episodes ended."""
    endings = ", ".join(f"{name} {count}" for name, count in sorted(summary.endings.items()))
    return (
        f"{prepared.config.agent} on {prepared.config.source}: {summary.scored} of {summary.planned} scored, "
        f"{len(prepared.skipped)} skipped; endings: {endings or 'none'}; policy {prepared.config.policy}"
    )


def validated_of(folder: Path) -> dict[str, int]:
    """How many of the run's tasks had a current validation record when the run began."""
    found: dict[str, int] = RunFolder(folder).manifest().get("validated", {})
    return found


def validated_line(folder: Path) -> str:
    """The same for people, with the command that validates the others."""
    found = validated_of(folder)
    n, of = found.get("n", 0), found.get("of", 0)
    return f"validated {n} of {of} tasks" + ("" if n == of else "; the others: deskbench tasks verify TASKS --stale")


def deaths_line(config: RunConfig, summary: Summary) -> str:
    """The number of desktops that died while the agent acted, and the tasks where this happened twice."""
    tampered = len(summary.tampered)
    listed = f": {', '.join(summary.tampered)} (counted as {config.on_tamper})" if tampered else ""
    return f"desktops that died while the agent acted: {summary.deaths}; tampered: {tampered}{listed}"


def crash_lines(records: Sequence[EpisodeRecord]) -> list[str]:
    """How many episodes failed in the agent's own code or in deskbench, with the first error of each."""
    lines = []
    for ending, whose in ((Ending.AGENT_CRASH, "the agent's code"), (Ending.CRASHED, "deskbench")):
        crashed = [record for record in records if record.ending is ending]
        if crashed:
            lines.append(f"{whose} failed in {len(crashed)} episodes, first in {crashed[0].task}: {crashed[0].error}")
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
