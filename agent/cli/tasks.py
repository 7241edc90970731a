"""`deskbench tasks ...`: look at task files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deskbench.agent.cli.mutate import mutate
from deskbench.agent.cli.output import HostFiles, print_json

tasks_app = typer.Typer(help="Look at task files.", no_args_is_help=True)
tasks_app.command("mutate", epilog="Example: deskbench tasks mutate runs/X --task editor-write-note")(mutate)
Source = Annotated[str, typer.Argument(help="Task file, folder, suite, or OSWorld checkout.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@tasks_app.command("list", epilog="Example: deskbench tasks list basics")
def list_tasks(source: Source = "basics", as_json: Json = False) -> None:
    """List tasks with their programs and instructions."""
    from deskbench.tasks.load import load

    tasks = load(source)
    if as_json:
        rows = [
            {"task": t.key, "instruction": t.instruction, "feasible": t.feasible, "apps": t.requires.apps,
             "tags": t.tags, "oracle": bool(t.oracle), "file": str(t.path)}
            for t in tasks
        ]  # fmt: skip
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("task", "instruction", "programs", "oracle", box=None)
    for task in tasks:
        table.add_row(task.key, Text(task.instruction), ", ".join(task.requires.apps), "yes" if task.oracle else "")
    Console().print(table)
    typer.echo(f"{len(tasks)} tasks, {sum(not t.feasible for t in tasks)} of them infeasible on purpose")


@tasks_app.command("check", epilog="Example: deskbench tasks check my-tasks/")
def check(
    source: Source = "basics",
    split: Annotated[str | None, typer.Option(help="Split of an OSWorld checkout, such as test_small.")] = None,
    host_files: HostFiles = False,
    as_json: Json = False,
) -> None:
    """Check task files: every name, parameter, rule and asset, all problems of all files; exit status 1 for any.

    A warning (a key that deskbench does not read, a file that is left out) keeps no task from being run.
    """
    from deskbench.tasks.load import check_all

    found = check_all(source, split=split, host_files=host_files)
    if as_json:
        rows = [{"file": str(p.file), "where": p.where, "message": p.message, "warning": p.warning}
                for p in found.problems]  # fmt: skip
        print_json({"tasks": len(found.tasks), "problems": rows, "warnings": len(found.warnings)})
    else:
        for problem in found.problems:
            typer.echo(str(problem))
        told = f", {len(found.warnings)} warnings" if found.warnings else ""
        typer.echo(f"{len(found.tasks)} tasks, {len(found.errors)} problems{told}")
    raise typer.Exit(1 if found.errors else 0)


@tasks_app.command("mirror", epilog="Example: deskbench tasks mirror path/to/OSWorld --out mirror/")
def mirror(
    source: Source,
    out: Annotated[Path | None, typer.Option(help="The folder (default: the cache that runs use).")] = None,
    split: Annotated[str | None, typer.Option(help="Split of an OSWorld checkout, such as test_small.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch every file that the tasks' set-up and checks use; then DESKBENCH_OFFLINE=1 runs them without the web.

    On other machines, DESKBENCH_MIRROR=FOLDER names a copy of --out.
    """
    from deskbench.agent.build import ASSETS
    from deskbench.agent.cli.output import message
    from deskbench.envs.errors import SetupError
    from deskbench.tasks.assets import AssetStore, urls_of
    from deskbench.tasks.load import load

    store = AssetStore.here(out or ASSETS)
    urls = urls_of(load(source, split=split))
    failed = {}
    for number, url in enumerate(urls, 1):
        try:
            path = store.get(url)
        except SetupError as error:
            failed[url] = str(error)
            message(f"{number}/{len(urls)} {error}")
        else:
            message(f"{number}/{len(urls)} {path.stat().st_size} bytes {url}")
    if as_json:
        typer.echo(
            json.dumps({"folder": str(store.root), "files": len(urls) - len(failed), "failed": failed}, indent=1)
        )
    else:
        typer.echo(f"{store.root}: {len(urls) - len(failed)} of {len(urls)} files")
    raise typer.Exit(1 if failed else 0)


@tasks_app.command("schema", epilog="Example: deskbench tasks schema > task.schema.json")
def schema() -> None:
    """Print the JSON Schema of task files, for editors."""
    from deskbench.tasks.schema import task_schema

    typer.echo(json.dumps(task_schema(), indent=1))


@tasks_app.command("new", epilog="Example: deskbench tasks new my-tasks/rename-file.json")
def new(path: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Write a small task that passes the check, to be changed."""
    from deskbench.tasks.schema import new_task

    new_task(path)
    typer.echo(path)
