"""`deskbench tasks verify`: test on fresh desktops whether tasks can be trusted."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deskbench.agent.cli import complete
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
    sources: Annotated[list[str], typer.Argument(metavar="TASKS...", help="Task files, folders or suites.",
                                                 autocompletion=complete.sources)],
    k: Annotated[int, typer.Option("--k", min=1, help="How often each oracle must pass.")] = 3,
    parallel: Annotated[int, typer.Option("-n", "--parallel", min=1, help="Desktops to run at once.")] = 1,
    provider: Annotated[
        str | None, typer.Option(help="Provider of the desktops (default: local; wine for Windows tasks).",
                           autocompletion=complete.providers)
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--task", help="Verify only this task (repeatable).",
                                                    autocompletion=complete.tasks)] = None,
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
    skipped = {task.key: reason for one in prepared for task, reason in one.skipped}
    if not any(one.tasks for one in prepared):
        message("nothing was tried: no task can run on these desktops", "red")
        _end([], skipped, [], None, UNSUPPORTED, as_json=as_json)
    if stale:
        prepared = [_stale(one, k) for one in prepared]
        if not any(one.tasks for one in prepared):
            message("every record is up to date: nothing to verify")
            _end([], skipped, [], None, VALID, as_json=as_json)
    if record:
        _warn_of_suites_that_cannot_be_written(prepared, folder)
    suites = _verified([one for one in prepared if one.tasks], folder, k, parallel)
    written = [path for suite in suites for path in _write(suite, folder)] if record else []
    found = [one for suite in suites for one in suite.found]
    interrupted = any(suite.verification.interrupted for suite in suites)
    status = BROKEN if interrupted else exit_status(found)
    if not as_json:
        for path in written:
            message(f"record {path}")
        message(f"{_counts(found, len(skipped))}; {time.monotonic() - began:.0f} s; episodes in {folder}")
    if interrupted:
        message(f"interrupted; continue with: {continued(sys.argv[1:], folder)}")
    _end(found, skipped, written, folder, status, as_json=as_json)


def _end(
    found: Sequence[Found], skipped: Mapping[str, str], written: Sequence[Path], folder: Path | None, status: int, *,
    as_json: bool,
) -> NoReturn:  # fmt: skip
    """End the command; with --json, print its one document first."""
    if as_json:
        print_json(_document(found, skipped, written, folder, status))
    raise typer.Exit(status)


def _folder(out: Path | None, resume: Path | None) -> Path:
    """Where the episodes go.

    Raises:
        UsageError: --resume names a folder without a verification, or the folder of a new one already has one.
    """
    from deskbench.agent.runs.folder import new_folder
    from deskbench.agent.verify.verify import ROWS

    if resume is not None and out is not None:
        raise UsageError("--resume continues in its own folder: leave out --out")
    folder = resume or out or new_folder("verify")
    there = any(folder.glob(f"*/{ROWS}"))
    if resume is not None and not there:
        raise UsageError(f"{folder} has no verification to continue: leave out --resume")
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


def _stale(prepared: Prepared, k: int) -> Prepared:
    """The tasks whose record is missing or outdated, or has fewer oracle runs than `k`; prints why."""
    from deskbench.agent.verify.record import Records, validated

    records = Records()
    entries = {task.key: records.of(task) for task in prepared.tasks}
    fewer = {key: f"was verified with --k {one.k}, not {k}" for key, one in entries.items() if one and one.k < k}
    why = {**fewer, **validated(prepared.tasks, prepared.config.provider, prepared.made_of).why_not}
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
            message(f"cannot write {place}: the record goes to {folder}; copy it there, or it does not count",
                    "yellow")  # fmt: skip


def _write(suite: Suite, folder: Path) -> Iterator[Path]:
    """Write the record of each folder with tasks; entries of other tasks that still exist are kept."""
    from deskbench.agent.manifest import versions
    from deskbench.agent.verify.record import is_broken, read, stronger, write
    from deskbench.tasks.load import VALIDATION

    places = {task.key: task.folder for task in suite.prepared.tasks}
    entries = list(suite.verification.entries())
    for place in dict.fromkeys(places[entry.task] for entry in entries):
        inside = folder / suite.prepared.tasks[0].suite
        path = (place if _can_be_written(place) else inside) / VALIDATION
        own = {entry.task: entry for entry in entries if places[entry.task] == place}
        if is_broken(path):
            message(f"{path} could not be read, or has another format: it is replaced", "yellow")
        before = {**read(place / VALIDATION), **read(path)}
        for key, entry in own.items():
            if stronger(before.get(key), entry):
                message(f"kept the record of {key} with --k {before[key].k}: it is up to date")
                own[key] = before[key]
        ids = _ids(place)
        kept = {key: entry for key, entry in before.items() if ids is None or key.endswith(ids)}
        entries_now = sorted({**kept, **own}.values(), key=lambda one: one.task)
        write(path, suite.prepared.tasks[0].suite, entries_now, versions())
        yield path


def _ids(place: Path) -> tuple[str, ...] | None:
    """How the keys of a folder's tasks end; None if a file cannot be used, which may be the file of any of them."""
    from deskbench.tasks.load import check_all

    found = check_all(place)
    return None if any(not problem.warning for problem in found.problems) else tuple(f"/{t.id}" for t in found.tasks)


def _counts(found: Sequence[Found], skipped: int) -> str:
    valid = sum(one.valid for one in found)
    left = sum(not one.complete for one in found)
    outcomes = Counter(cell.outcome.value for one in found for cell in one.cells.values())
    trials = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "none"
    unfinished = f", {left} not finished" if left else ""
    left_out = f", {skipped} skipped" if skipped else ""
    return f"{valid} of {len(found)} tasks are valid{unfinished}{left_out}; trials: {trials}"


def _document(
    found: Sequence[Found], skipped: Mapping[str, str], written: Sequence[Path], folder: Path | None, status: int
) -> dict[str, Any]:  # fmt: skip
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
    return {"folder": None if folder is None else str(folder), "records": [str(path) for path in written],
            "status": status, "tasks": tasks, "skipped": dict(skipped)}  # fmt: skip
