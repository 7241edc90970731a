"""`deskbench tasks verify`: test on fresh desktops whether tasks can be trusted."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli.output import HostFiles, Json, message, print_json
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.agent.build import Prepared
    from deskbench.agent.verify.verify import Found, Verification

EXAMPLE = "Example: deskbench tasks verify basics --k 1 -n 2"
VALID, INVALID, UNSUPPORTED, BROKEN = range(4)
"""Exit statuses, the same as those of OpenEnv's validator (openenv 0.10): pass, fail, unsupported, internal."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """One suite from the command line, and its verification."""

    prepared: Prepared
    verification: Verification

    @property
    def found(self) -> list[Found]:
        """The suite's tasks, with the results so far."""
        return list(self.verification.found.values())


def verify(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    sources: Annotated[list[str], typer.Argument(metavar="TASKS...", help="Task files, folders or suites.")],
    k: Annotated[int, typer.Option("--k", min=1, help="How often each oracle must pass.")] = 3,
    parallel: Annotated[int, typer.Option("-n", "--parallel", min=1, help="Desktops to run at once.")] = 1,
    provider: Annotated[
        str | None, typer.Option(help="Provider of the desktops (default: local; wine for Windows tasks).")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--task", help="Verify only this task (repeatable).")] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Verify only tasks without a current record.")] = False,
    network: Annotated[bool, typer.Option(help="Give network access to the tasks that require it.")] = False,
    host_files: HostFiles = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the episodes (default: runs/<time>-verify).")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue in this folder and keep its results.")] = None,
    record: Annotated[bool, typer.Option(help="Write validation.json beside the task files.")] = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Test tasks on fresh desktops: solutions score 1, all else scores 0, and an end state always scores the same.

    The record beside the suite becomes stale when a task, an asset, the code of a check or the desktop changes.
    Exit status 0: every task is valid; 1: a task is not; 2: nothing could be tried; 3: only errors or timeouts.
    """
    folder = _folder(out, resume)
    began = time.monotonic()
    chosen = _chosen(sources, only or [], host_files)
    prepared = [_prepare(source, names, provider, network, host_files) for source, names in chosen.items()]
    if not any(one.tasks for one in prepared):
        message("nothing was tried: no task can run on these desktops", "red")
        raise typer.Exit(UNSUPPORTED)
    if stale:
        prepared = [_stale(one) for one in prepared]
        if not any(one.tasks for one in prepared):
            message("every record is up to date: nothing to verify")
            raise typer.Exit(VALID)
    if record:
        _warn_of_suites_that_cannot_be_written(prepared, folder)
    suites = _verified([one for one in prepared if one.tasks], folder, k, parallel)
    written = [path for suite in suites for path in _write(suite, folder)] if record else []
    found = [one for suite in suites for one in suite.found]
    interrupted = any(suite.verification.interrupted for suite in suites)
    status = BROKEN if interrupted else exit_status(found)
    if as_json:
        print_json(_document(found, written, folder, status))
    else:
        for path in written:
            message(f"record {path}")
        message(f"{_counts(found)}; {time.monotonic() - began:.0f} s; episodes in {folder}")
    if interrupted:
        message(f"interrupted; continue with: {continued(sys.argv[1:], folder)}")
    raise typer.Exit(status)


def _folder(out: Path | None, resume: Path | None) -> Path:
    """Where the episodes go.

    Raises:
        UsageError: nothing to continue is there, or something that a new verification would continue.
    """
    from deskbench.agent.runs.folder import new_folder
    from deskbench.agent.verify.verify import ROWS

    if resume is not None and out is not None:
        raise UsageError("--resume continues in its own folder: leave out --out")
    folder = resume or out or new_folder("verify")
    there = any(folder.glob(f"*/{ROWS}"))
    if resume is not None and not there:
        raise UsageError(f"{folder} holds no verification: leave out --resume")
    if resume is None and there:
        raise UsageError(f"{folder} already holds a verification: continue it with --resume, or use another folder")
    return folder


def continued(words: Sequence[str], folder: Path) -> str:
    """The command that continues what a command line began, with the same options."""
    kept: list[str] = []
    for word, before in zip(words, ["", *words], strict=False):
        if not word.startswith(("--out", "--resume")) and before not in ("--out", "--resume"):
            kept.append(word)
    return shlex.join(["deskbench", *kept, "--resume", str(folder)])


def _chosen(sources: Sequence[str], only: Sequence[str], host_files: bool) -> dict[str, list[str]]:
    """The sources that have any of the named tasks, each with the ones it has; all sources if no task is named.

    Raises:
        UsageError: no source has a named task, or a file of a source cannot be used.
    """
    from deskbench.envs.actions import nearest
    from deskbench.tasks.load import load

    names = {source: {name for task in load(source, host_files=host_files) for name in (task.id, task.key)}
             for source in sources}  # fmt: skip
    for name in only:
        if not any(name in known for known in names.values()):
            raise UsageError(f"no task {name!r}{nearest(name, set().union(*names.values()))}")
    found = {source: [name for name in only if name in known] for source, known in names.items()}
    return {source: here for source, here in found.items() if here or not only}


def _prepare(source: str, only: Sequence[str], provider: str | None, network: bool, host_files: bool) -> Prepared:
    """The tasks of a source and what they run on; prints the tasks that cannot run here."""
    from deskbench.agent.build import prepare
    from deskbench.agent.config import RunConfig
    from deskbench.tasks.load import load

    if provider is None:
        tasks = load(source, host_files=host_files)
        provider = "wine" if all("windows" in task.requires.os for task in tasks) else "local"
    found = prepare(
        RunConfig(source=source, agent="null", provider=provider, only=tuple(only), network=network,
                  host_files=host_files)
    )  # fmt: skip
    for task, reason in found.skipped:
        message(f"skipped {task.key}: {reason}", "yellow")
    return found


def _stale(prepared: Prepared) -> Prepared:
    """The tasks whose record is missing or outdated; prints why."""
    from deskbench.agent.verify.record import validated

    why = validated(prepared.tasks, prepared.config.provider, prepared.made_of).why_not
    for task, reason in why.items():
        message(f"stale {task}: {reason}")
    return dataclasses.replace(prepared, tasks=tuple(task for task in prepared.tasks if task.key in why))


def _verified(prepared: Sequence[Prepared], folder: Path, k: int, parallel: int) -> list[Suite]:
    from deskbench.agent.verify.verify import Verification

    suites: list[Suite] = []
    for one in prepared:
        verification = Verification(one, folder / one.tasks[0].suite, k=k, parallel=parallel, on_task=_say)
        suites.append(Suite(one, verification))
        with interrupts(verification):
            verification.run()
        if verification.interrupted:
            break
    return suites


@contextmanager
def interrupts(verification: Verification) -> Iterator[None]:
    """The first Ctrl-C stops after the running steps, the second at once; results so far are kept."""

    def ask(signum: int, frame: object) -> None:
        if verification.interrupted:
            os._exit(130)
        verification.interrupt()
        message("stopping: running trials finish their step first (press Ctrl-C again to stop at once)")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(found: Found) -> None:
    """Print a line for the task, and one for each trial with a wrong result."""
    from deskbench.agent.verify.cells import COLUMNS, Outcome

    cells = list(found.cells.values())
    counts = []
    for column in COLUMNS:
        own = [cell for cell in found.of(column) if cell.outcome is not Outcome.NONE]
        if own:
            right = sum(cell.outcome is Outcome.RIGHT for cell in own)
            counts.append(f"{column} {right}/{len(own)}")
    seconds = sum(cell.seconds for cell in cells)
    message(f"{'valid' if found.valid else 'INVALID':8}{found.task.key}: {', '.join(counts)} ({seconds:.0f} s)",
            None if found.valid else "red")  # fmt: skip
    for cell in cells:
        if cell.outcome not in (Outcome.RIGHT, Outcome.NONE):
            score = "no score" if cell.score is None else f"score {cell.score:g}"
            message(f"        {cell.column} {cell.name}: {cell.outcome}: {score}: {cell.reason} [{cell.folder}]", "red")
    for note in (note for cell in cells for note in cell.notes):
        message(f"        note: {note}", "yellow")
    if not any(cell.column in ("oracle", "fail") and cell.score == 1.0 for cell in cells):
        message("        no solution passed: give the task file an oracle", "red")


def exit_status(found: Sequence[Found]) -> int:
    """0: every task is valid; 1: a task is not; 2: nothing was tried; 3: only errors or timeouts."""
    from deskbench.agent.verify.cells import Outcome

    if not any(one.cells for one in found):
        return UNSUPPORTED
    invalid = [one for one in found if not one.valid]
    if not invalid:
        return VALID
    undecided = [
        one for one in invalid if {cell.outcome for cell in one.cells.values()} & {Outcome.ERROR, Outcome.TIMEOUT}
        and not any(cell.outcome is Outcome.WRONG for cell in one.cells.values())
    ]  # fmt: skip
    return BROKEN if len(undecided) == len(invalid) else INVALID


def _can_be_written(place: Path) -> bool:
    return os.access(place, os.W_OK)


def _warn_of_suites_that_cannot_be_written(prepared: Sequence[Prepared], folder: Path) -> None:
    for place in dict.fromkeys(task.folder for one in prepared for task in one.tasks):
        if not _can_be_written(place):
            message(f"{place} cannot be written: the record goes to {folder}; copy it there, or it does not count",
                    "yellow")  # fmt: skip


def _write(suite: Suite, folder: Path) -> Iterator[Path]:
    """Write the record of each folder with tasks; entries of other tasks are kept."""
    from deskbench.agent.manifest import versions
    from deskbench.agent.verify.record import read, write
    from deskbench.tasks.load import VALIDATION

    places = {task.key: task.folder for task in suite.prepared.tasks}
    entries = list(suite.verification.entries())
    for place in dict.fromkeys(places[entry.task] for entry in entries):
        inside = folder / suite.prepared.tasks[0].suite
        path = (place if _can_be_written(place) else inside) / VALIDATION
        own = {entry.task: entry for entry in entries if places[entry.task] == place}
        kept = {**read(place / VALIDATION), **read(path), **own}
        write(
            path, suite.prepared.tasks[0].suite, sorted(kept.values(), key=lambda one: one.task), versions()
        )  # fmt: skip
        yield path


def _counts(found: Sequence[Found]) -> str:
    valid = sum(one.valid for one in found)
    left = sum(not one.complete for one in found)
    outcomes = Counter(cell.outcome.value for one in found for cell in one.cells.values())
    trials = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "none"
    unfinished = f", {left} are not finished" if left else ""
    return f"{valid} of {len(found)} tasks are valid{unfinished}; trials: {trials}"


def _document(found: Sequence[Found], written: Sequence[Path], folder: Path, status: int) -> dict[str, Any]:
    tasks = [
        {
            "task": one.task.key,
            "valid": one.valid,
            "complete": one.complete,
            "key": one.key,
            "cells": [cell.model_dump(mode="json", exclude={"task", "key"}) for cell in one.cells.values()],
        }
        for one in found
    ]
    return {"folder": str(folder), "records": [str(path) for path in written], "status": status, "tasks": tasks}
