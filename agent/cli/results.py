"""`deskbench export` and `deskbench import-results`: write and read runs in the layout of OSWorld's results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from deskbench.agent.cli.output import Json, message, print_json


def export(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    out: Annotated[Path, typer.Option(help="The results folder to write into.")],
    format_: Annotated[Literal["osworld"], typer.Option("--format", help="The layout to write.")] = "osworld",
    as_json: Json = False,
) -> None:
    """Write a run in the layout of OSWorld's results."""
    from deskbench.agent.osworld.export import export as write

    done = write(run, out)
    if as_json:
        print_json({"folder": done.folder, "scored": done.scored, "not_scored": done.not_scored})
    else:
        typer.echo(f"{done.folder}: {done.scored} results, {done.not_scored} without a score")


def import_results(
    source: Annotated[Path, typer.Argument(help="A folder of OSWorld's results, for one model.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    tasks: Annotated[
        str | None, typer.Option(help="The task files (an OSWorld checkout), for the plan and the instructions.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of an OSWorld checkout, such as test_all.")] = None,
    as_json: Json = False,
) -> None:
    """Import OSWorld's results as a run, for `report`, `view`, `rescore` and `replay --provider`."""
    from deskbench.agent.osworld.imports import import_results as read

    done = read(source, out, tasks=tasks, split=split)
    for problem in done.problems:
        message(problem)
    if as_json:
        print_json({**vars(done), "problems": list(done.problems)})
    else:
        typer.echo(f"{done.folder}: {done.planned} planned, {done.scored} with a score, {done.not_scored} without")
