"""`deskbench export` and `deskbench import-results`: write and read runs in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deskbench.agent.cli.complete import RUN, choices
from deskbench.agent.cli.output import Json, message, print_json, result
from deskbench.agent.exports.export import FORMATS
from deskbench.agent.exports.export import export as write


def export(
    run: Annotated[Path, typer.Argument(help="The run's folder.", **RUN)],
    out: Annotated[Path, typer.Option(help="The folder to write into.")],
    format_: Annotated[
        str,
        typer.Option("--format", help=f"One of {', '.join(FORMATS)}.", autocompletion=choices(*FORMATS)),
    ] = "osworld",
    success_only: Annotated[bool, typer.Option("--success-only", help="Write only the episodes with score 1.")] = False,
    frames: Annotated[bool, typer.Option("--with-frames/--no-frames", help="Write the pictures, too.")] = True,
    as_json: Json = False,
) -> None:
    """Write a run in a format that other programs read."""
    done = write(run, out, format_, success_only=success_only, frames=frames)
    for line in done.left_out:
        message(f"left out: {line}", "yellow")
    if as_json:
        print_json({**vars(done), "left_out": list(done.left_out)})
    else:
        result(f"{done.folder}: {done.scored} results, {done.not_scored} without a score")


def import_results(
    source: Annotated[
        Path,
        typer.Argument(help="A folder of OSWorld's results for one model, a job of Harbor, or logs of inspect."),
    ],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    tasks: Annotated[
        str | None, typer.Option(help="The task files (an OSWorld checkout), for the plan and the instructions.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of an OSWorld checkout, such as test_all.")] = None,
    as_json: Json = False,
) -> None:
    """Import results of OSWorld, Harbor or inspect as a run, for `report`, `view`, `rescore`, `replay --provider`."""
    from deskbench.agent.exports.foreign import import_any

    done = import_any(source, out, tasks=tasks, split=split)
    for problem in done.problems:
        message(problem)
    if as_json:
        print_json({**vars(done), "problems": list(done.problems)})
    else:
        result(f"{done.folder}: {done.planned} planned, {done.scored} with a score, {done.not_scored} without")
