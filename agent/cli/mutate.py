"""`deskbench tasks mutate`: test whether checks reject wrong end states and accept harmless changes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli.complete import RUN
from deskbench.agent.cli.output import Json, counted, message, print_json, result

if TYPE_CHECKING:
    from deskbench.agent.replay.mutants import Mutated, Suite, Verdict
    from deskbench.agent.statistics.intervals import Estimate


def mutate(
    run: Annotated[Path, typer.Argument(help="The folder of a run or an episode, with solved episodes.", **RUN)],
    tasks: Annotated[str | None, typer.Option(help="Task files with the checks (default: each task's own).")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Test only this task, by its id (repeatable).")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Show only these copies and their differences: 'text/drop-line[2]', 'json/*'."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change the end states of solved tasks and score them again, without a desktop; see docs/mutation.md.

    Exit status 1: a wrong copy scores, a harmless copy does not, or a check fails, and the task file's `allowed` does
    not say why. Exit status 2: nothing was counted.
    """
    from deskbench.agent.replay.mutants import mutate as judge_copies

    def told(one: Mutated) -> None:
        if not as_json:
            for line in task_lines(one, run, tasks, shown=bool(only)):
                result(line)

    suite = judge_copies(run, source=tasks, tasks=task or (), only=only or (), told=told)
    if as_json:
        print_json(as_object(suite))
    else:
        for line in summary_lines(suite):
            result(line)
    if not suite.sound and not as_json:
        message("fix the check, or say in the task's `allowed` why a copy may score (docs/mutation.md)")
    if not suite.verdicts:
        message("nothing was counted: this says nothing about the checks", "red")
        raise typer.Exit(2)
    raise typer.Exit(0 if suite.sound else 1)


def task_lines(one: Mutated, run: Path, tasks: str | None, *, shown: bool = False) -> Iterator[str]:
    """One line for the task, and one for each copy with the wrong outcome."""
    if one.excuse:
        yield f"{one.task}: not counted: {one.excuse}"
        return
    wrong, harmless = one.count("killed", "survived"), one.count("stayed", "broke")
    yield (f"{one.task}: {one.count('killed')} of {wrong} killed, {one.count('stayed')} of {harmless} stayed, "
           f"{one.equivalent} equivalent")  # fmt: skip
    for verdict in one.verdicts:
        if shown or verdict.outcome in ("survived", "broke", "failed"):
            yield from verdict_lines(one, verdict, run, tasks, shown=shown)
    for note in one.notes:
        yield f"  note: {note}"
    for pattern in one.unused:
        yield f"  note: allowed {pattern!r} matches no copy that survived or broke"


def verdict_lines(one: Mutated, verdict: Verdict, run: Path, tasks: str | None, *, shown: bool) -> Iterator[str]:
    """One copy in words, with the reason why it is allowed or the command that shows it."""
    word = {"survived": "scores 1", "broke": "costs the score", "failed": "check failed"}.get(
        verdict.outcome, verdict.outcome
    )
    yield f"  {word}: {verdict.evidence}: {verdict.id}: {verdict.words}"
    if verdict.allowed:
        yield f"    allowed: {verdict.allowed}"
    if shown:
        yield from (f"    {line}" for line in verdict.difference)
        for check in verdict.checks:
            yield f"    {check.metric}: {check.value:g} {check.note}".rstrip()
    if verdict.outcome in ("broke", "failed"):
        yield f"    {verdict.reason}"
    if verdict.at_fault and not shown:
        more = f" --tasks {shlex.quote(tasks)}" if tasks else ""
        name = shlex.quote(f"{verdict.evidence}:{verdict.id}")
        yield f"    deskbench tasks mutate {shlex.quote(str(run))}{more} --task {one.task} --only {name}"


def summary_lines(suite: Suite) -> Iterator[str]:
    """The two rates and the counts."""
    yield _rate("kill rate", suite.kills)
    yield _rate("tolerance rate", suite.tolerance)
    allowed = sum(bool(verdict.allowed) for verdict in suite.verdicts)
    failed = sum(task.count("failed") for task in suite.tasks)
    faults = sum(verdict.at_fault for verdict in suite.verdicts)
    left_out = sum(bool(task.excuse) for task in suite.tasks)
    equivalent = sum(task.equivalent for task in suite.tasks)
    yield (f"{faults} unexplained, {allowed} allowed, {counted(failed, 'check')} failed, {equivalent} equivalent; "
           f"{counted(len(suite.tasks) - left_out, 'task')}, {left_out} not counted")  # fmt: skip


def _rate(name: str, rate: Estimate) -> str:
    if rate.mean is None or rate.low is None or rate.high is None:
        return f"{name}: nothing was counted"
    return (f"{name} {rate.mean:.1%} ({round(rate.mean * rate.tasks)} of {rate.tasks}, 95 % interval {rate.low:.1%} to "
            f"{rate.high:.1%})")  # fmt: skip


def as_object(suite: Suite) -> dict[str, Any]:
    """The whole result, for `--json`."""
    tasks = [
        {**vars(task), "folder": str(task.folder), "verdicts": [_verdict(verdict) for verdict in task.verdicts]}
        for task in suite.tasks
    ]
    return {"kill_rate": vars(suite.kills), "tolerance_rate": vars(suite.tolerance), "sound": suite.sound,
            "tasks": tasks}  # fmt: skip


def _verdict(verdict: Verdict) -> dict[str, Any]:
    checks = [check.model_dump() for check in verdict.checks]
    return {**vars(verdict), "checks": checks, "at_fault": verdict.at_fault}
