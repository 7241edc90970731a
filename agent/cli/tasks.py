"""`deskbench tasks ...`: list, check, verify and write task files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from deskbench.agent.cli import complete
from deskbench.agent.cli.lint import Format, Wanted, check_tasks, explain_rule
from deskbench.agent.cli.mutate import mutate
from deskbench.agent.cli.output import HostFiles, counted, print_table, result

tasks_app = typer.Typer(help="List, check, verify and write task files.", no_args_is_help=True)
tasks_app.command("mutate", epilog="Example: deskbench tasks mutate runs/X --task editor-write-note")(mutate)
Source = Annotated[
    str, typer.Argument(help="Task file, folder, suite, or OSWorld checkout.", autocompletion=complete.sources)
]
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
    print_table(
        ("task", "instruction", "programs", "oracle"),
        ((t.key, t.instruction, ", ".join(t.requires.apps), "yes" if t.oracle else "") for t in tasks),
    )
    typer.echo(f"{counted(len(tasks), 'task')}, {sum(not t.feasible for t in tasks)} of them infeasible")


@tasks_app.command("check", epilog="Example: deskbench tasks check my-tasks/ --select DB01 --format github")
def check(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    source: Source = "basics",
    split: Annotated[str | None, typer.Option(help="Split of an OSWorld checkout, such as test_small.")] = None,
    host_files: HostFiles = False,
    select: Annotated[list[str] | None, typer.Option(help="Rules to apply: ids or prefixes, with commas.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Rules to leave out, written in the same way.")] = None,
    format: Annotated[Format, typer.Option(help="The format of the findings.")] = Format.TEXT,
    fix: Annotated[bool, typer.Option("--fix", help="Fix the files where a rule has a safe fix.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 1 for warnings, too.")] = False,
    explain: Annotated[str | None, typer.Option(help="Explain this rule; `all` prints the table.")] = None,
    as_json: Json = False,
) -> None:
    """Check task files with 32 rules, from misspelt keys to answers that can be guessed; exit status 1 for an error.

    A file can silence a rule and say why: "noqa": {"DB022": "why"}. A task with an error of DB001 to DB003 does not
    run.
    """
    if explain is not None:
        explain_rule(explain)
        return
    wanted = Wanted(select or [], ignore or [], Format.JSON if as_json else format, fix, strict)
    raise typer.Exit(check_tasks(source, split, host_files, wanted))


@tasks_app.command("mirror", epilog="Example: deskbench tasks mirror path/to/OSWorld --out mirror/")
def mirror(
    source: Source,
    out: Annotated[Path | None, typer.Option(help="Output folder (default: the cache that runs use).")] = None,
    split: Annotated[str | None, typer.Option(help="Split of an OSWorld checkout, such as test_small.")] = None,
    as_json: Json = False,
) -> None:
    """Download every file that the tasks' set-up and checks use; DESKBENCH_OFFLINE=1 then runs them offline.

    On other machines, copy the folder of --out and set DESKBENCH_MIRROR=FOLDER to the copy.
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
        result(f"{store.root}: {len(urls) - len(failed)} of {len(urls)} files")
    raise typer.Exit(1 if failed else 0)


@tasks_app.command("schema", epilog="Example: deskbench tasks schema > task.schema.json")
def schema() -> None:
    """Print the JSON Schema of task files, for editors."""
    from deskbench.tasks.schema import task_schema

    typer.echo(json.dumps(task_schema(), indent=1))


@tasks_app.command("new", epilog="Example: deskbench tasks new my-tasks/rename-file.json --like files")
def new(
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    like: Annotated[
        str,
        typer.Option(
            help="Template: editor, files, terminal, form, infeasible or several (programs); browser and office need "
            "the image full."
        ),
    ] = "editor",
) -> None:
    """Write a small working task for you to change."""
    from deskbench.tasks.schema import new_task

    result(new_task(path, like))
