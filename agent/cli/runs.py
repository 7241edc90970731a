"""`deskbench runs ...`: list the runs on this machine, show one again, delete old ones."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli.complete import RUN
from deskbench.agent.cli.output import Json, counted, message, out, print_json, print_table
from deskbench.agent.runs.latest import LATEST, RUNS, find, repair_latest
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.agent.runs.index import Listed

runs_app = typer.Typer(help="List the runs on this machine, show one again, delete old ones.", no_args_is_help=True)
Opt = typer.Option
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""Seconds."""
MOST_NAMES = 5
"""Names of folders that are no run, in one message."""

Folder = Annotated[Path, Opt(help="The folder with the runs.")]


@runs_app.command("list", epilog="Example: deskbench runs list --json")
def list_runs(folder: Folder = RUNS, as_json: Json = False) -> None:
    """List the runs in a folder, the newest last: time, agent, tasks, score, state, size."""
    from deskbench.agent.runs.index import NOT_RUNS

    found = _listed(folder)
    if as_json:
        print_json([_object(one) for one in found])
        return
    runs = [one for one in found if one.state not in NOT_RUNS]
    print_table(HEADERS, rows(runs))
    if not runs:
        message(f"no runs in {folder}")
    _name_others(one for one in found if one.problem)


HEADERS = ("run", "started", "agent", "tasks", "scored", "score", "state", "size")


def rows(runs: Iterable[Listed]) -> Iterator[tuple[str, ...]]:
    """One row a run, with the columns HEADERS."""
    for one in runs:
        scored = "?" if one.scored is None else str(one.scored)
        yield (
            one.name, _time(one.started), one.agent, one.source, f"{scored}/{one.planned}",
            "-" if one.score is None else f"{one.score:.3f}", one.state, size(one.bytes),
        )  # fmt: skip


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def size(count: int | None) -> str:
    """Bytes for people."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.3g} GB"


def _name_others(problems: Iterable[Listed]) -> None:
    found = list(problems)
    for one in found[:MOST_NAMES]:
        message(f"{one.name}: {one.state}: {one.problem}", "yellow")
    if len(found) > MOST_NAMES:
        message(f"and {len(found) - MOST_NAMES} more folders that are not complete runs (--json names them)", "yellow")


def _listed(folder: Path) -> list[Listed]:
    """The runs in a folder, by the time when they started; none if the folder does not exist."""
    from deskbench.agent.runs.index import listed

    if folder == RUNS and not folder.exists():
        return []
    return sorted(listed(folder), key=lambda one: (one.started or 0.0, one.name))


def _object(one: Listed) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "path": str(one.path)}


@runs_app.command("show", epilog="Example: deskbench runs show latest")
def show(
    run: Annotated[Path, typer.Argument(help="The run.", **RUN)] = Path(LATEST),
    as_json: Json = False,
) -> None:
    """Print a run's numbers and its table of tasks again, from its folder; the run may still be in progress."""
    from deskbench.agent.cli.run import run_document, show_run
    from deskbench.agent.runs.index import is_live

    folder = find(run)
    live = is_live(folder)
    if as_json:
        print_json(run_document(folder, live=live))
    else:
        show_run(folder, out, live=live)


@runs_app.command("clean", epilog="Example: deskbench runs clean --older 30d --unfinished")
def clean(
    runs: Annotated[list[Path] | None, typer.Argument(help="Only these runs.", **RUN)] = None,
    older: Annotated[str | None, Opt(metavar="AGE", help="Only runs older than this: 12h, 30d, 2w.")] = None,
    unfinished: Annotated[bool, Opt("--unfinished", help="Only runs that are not complete.")] = False,
    yes: Annotated[bool, Opt("--yes", "-y", help="Do not ask.")] = False,
    folder: Folder = RUNS,
    as_json: Json = False,
) -> None:
    """Delete runs: print what would be deleted, and ask. A run that is in progress is never deleted.

    Exit status 1: something was not deleted.
    """
    if not (runs or older or unfinished):
        raise UsageError("say which runs to delete: name them, or use --older or --unfinished")
    chosen = _chosen(_listed(folder), runs or [], None if older is None else age(older), unfinished)
    if not chosen:
        message("no such runs: nothing to delete")
        if as_json:
            print_json({"deleted": [], "kept": []})
        return
    total = sum(one.bytes or 0 for one in chosen)
    if not as_json:
        print_table(HEADERS, rows(chosen))
    if not yes and not _agreed(f"Delete {counted(len(chosen), 'run')} ({size(total)})?"):
        message("nothing was deleted")
        raise typer.Exit(1)
    kept = _delete(chosen, folder)
    deleted = [one for one in chosen if one.name not in kept]
    if as_json:
        print_json({"deleted": [one.name for one in deleted], "kept": kept})
    message(f"deleted {counted(len(deleted), 'run')}")
    raise typer.Exit(1 if kept else 0)


def _chosen(found: Sequence[Listed], named: Sequence[Path], seconds: float | None, unfinished: bool) -> list[Listed]:
    """The runs to delete: the named ones, or all, that also meet every other option.

    Raises:
        UsageError: a name is not a run in the folder, or the run is in progress.
    """
    from deskbench.agent.runs.index import NOT_RUNS, RUNNING, UNFINISHED

    runs = {one.path.resolve(): one for one in found if one.state not in NOT_RUNS}
    for path in named:
        one = runs.get(path.resolve())
        if one is None:
            raise UsageError(f"{path} is not a run in this folder")
        if one.state == RUNNING:
            raise UsageError(f"{path} is in progress: it cannot be deleted")
    wanted = [runs[path.resolve()] for path in named] or list(runs.values())
    now = time.time()
    return [
        one for one in wanted
        if one.state != RUNNING
        and (seconds is None or (one.started is not None and now - one.started > seconds))
        and (not unfinished or one.state in UNFINISHED)
    ]  # fmt: skip


def age(text: str) -> float:
    """An age such as `30d` in seconds.

    Raises:
        UsageError: it is not a number with a unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text.strip())
    if found is None:
        raise UsageError(f"--older {text}: write a number with m, h, d or w, such as 30d")
    return float(found[1]) * UNITS[found[2]]


def _agreed(question: str) -> bool:
    """Ask on the terminal; without a terminal nobody can answer."""
    if not sys.stdin.isatty():
        message(f"{question} Nobody can answer here: use --yes")
        return False
    return typer.confirm(question, err=True)


def _delete(chosen: Sequence[Listed], folder: Path) -> dict[str, str]:
    """Delete runs; returns why some were kept, by name."""
    from deskbench.agent.runs.index import remove

    kept = {}
    for one in chosen:
        why = remove(one, folder)
        if why is not None:
            kept[one.name] = why
            message(f"{one.name} was not deleted: {why}", "red")
    repair_latest()
    return kept
