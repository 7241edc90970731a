"""`deskbench compare`: runs over the tasks that they share, and how large runs must be to show a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deskbench.agent.cli.complete import RUN
from deskbench.agent.cli.output import Json, message, out, print_json, print_table, tell
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.agent.compare.runs import Comparison, Versus
    from deskbench.agent.statistics.power import Plan

EXAMPLE = "Example: deskbench compare runs/old runs/new --html compare.html"
Opt = typer.Option


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Run folders; each is compared with the first.", **RUN)
    ] = None,
    anyway: Annotated[bool, Opt("--anyway", help="Compare runs even if their conditions differ.")] = False,
    html: Annotated[Path | None, Opt(metavar="FILE", help="Also write one HTML page.")] = None,
    plan: Annotated[
        bool, Opt("--plan", help="How many tasks and repeats show a difference; runs are optional.")
    ] = False,
    difference: Annotated[float, Opt(min=0.0, max=1.0, help="With --plan: the difference to show.")] = 0.05,
    tasks: Annotated[int | None, Opt(min=2, help="With --plan: the number of tasks.")] = None,
    repeats: Annotated[int | None, Opt(min=1, help="With --plan: the number of attempts per task.")] = None,
    as_json: Json = False,
) -> None:
    """Compare runs over the tasks that they share, or plan runs that can be compared."""
    from deskbench.agent.compare.page import write_page
    from deskbench.agent.compare.runs import compare_runs, plan_from

    if html is not None and plan:
        raise UsageError("--html is the page of a comparison: leave out --plan")
    found = compare_runs(runs or [], anyway=anyway) if runs or not plan else None
    for conflict in (conflict for versus in found.against for conflict in versus.conflicts) if found else ():
        message(f"warning: scores are not comparable: {conflict}", "yellow")
    if plan:
        made = plan_from(difference, found, tasks=tasks, repeats=repeats)
        print_json(made) if as_json else _print_plan(made)
        return
    assert found is not None
    if html is not None:
        write_page(found, html)
        message(f"page {html}")
    print_json(found.to_json()) if as_json else _print(found)


def _print(found: Comparison) -> None:
    from deskbench.agent.compare.words import protocols
    from deskbench.agent.statistics.words import interval

    rows = [(run.letter, run.name, run.agent, _number(run.score.mean), interval(run.score), str(run.score.tasks),
             str(run.score.episodes)) for run in found.runs]  # fmt: skip
    print_table(("", "run", "agent", "score", "95 % interval", "tasks", "episodes"), rows)
    for line in protocols(found):
        tell(out, line)
    for note in found.notes:
        tell(out, note)
    for versus in found.against:
        _print_versus(versus)


def _print_versus(versus: Versus) -> None:
    from deskbench.agent.compare.words import group_rows, told, unpaired

    tell(out, "")
    for line in told(versus):
        tell(out, line)
    a, b = versus.first, versus.second
    if versus.groups:
        tell(out, "")
        print_table(("", "", "tasks", a, b, f"{b} - {a}", "95 % interval", "p (Holm)"), group_rows(versus))
    tell(out, "")
    print_table(("mean of an episode", "over", "pairs", a, b), _effort_rows(versus))
    if versus.flips:
        tell(out, "")
        print_table(
            (f"tasks with another score in {b}", a, b, f"episode of {a}", f"episode of {b}"), _flip_rows(versus)
        )
    if versus.unpaired:
        tell(out, unpaired(versus))


def _effort_rows(versus: Versus) -> Iterator[tuple[str, ...]]:
    for effort in versus.efforts:
        if effort.pairs:
            places = 4 if effort.what == "US dollars" else 1
            means = (f"{value:.{places}f}" for value in (effort.first, effort.second) if value is not None)
            yield effort.what, effort.over, str(effort.pairs), *means


def _flip_rows(versus: Versus) -> Iterator[tuple[str, ...]]:
    for flip in versus.flips:
        _, one, other = flip.pairs[0]
        yield flip.task, _number(flip.first), _number(flip.second), one.folder, other.folder


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _print_plan(plan: Plan) -> None:
    from deskbench.agent.compare.words import plan_lines

    for line in plan_lines(plan):
        tell(out, line)
    rows: Sequence[tuple[str, ...]] = [
        (str(one.repeats), "more than 100,000" if one.tasks is None else f"{one.tasks:,}",
         "-" if one.episodes is None else f"{one.episodes:,}")
        for one in plan.needed
    ]  # fmt: skip
    tell(out, "")
    print_table(("repeats", "tasks needed", "episodes of both runs"), rows)
    tell(out, "")
    shown = [(str(one.tasks), str(one.repeats), "none" if one.difference is None else f"{one.difference:.3f}")
             for one in plan.shown]  # fmt: skip
    print_table(("tasks", "repeats", "least difference they show"), shown)
