"""`deskbench tasks record`: a person does a task in a desktop, and deskbench writes it as a task file and proves it."""

from __future__ import annotations

import select
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli.output import HostFiles, Json, message, plain, print_json, result, screen_size
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.agent.recording.differences import Proposal
    from deskbench.agent.verify.verify import Found
    from deskbench.tasks.types import Task

EXAMPLE = 'Example: deskbench tasks record my-tasks/rename.json --launch "pcmanfm Documents"'
STOP = frozenset({"stop", "end", "done", "quit", "exit"})
NEEDS_FILES = frozenset({"upload_file"})
"""Set-up steps that put files from beside the task into the desktop."""


@dataclass(frozen=True)
class Start:
    """Where a recording starts: the task whose set-up runs, and the content of its file."""

    task: Task
    written: Mapping[str, Any]


def record(  # noqa: PLR0913, PLR0917  (every option is a parameter: that is how typer is told)
    out: Annotated[Path, typer.Argument(help="The task file to write; its name is the id.")],
    task: Annotated[str | None, typer.Option("--task", help="Start in this task's start state.")] = None,
    launch: Annotated[list[str] | None, typer.Option(help="Start with this program open (repeatable).")] = None,
    instruction: Annotated[
        str | None, typer.Option(help="The instruction for the agent (default: it asks you).")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Provider of the desktops (default: local).")] = None,
    image: Annotated[str | None, typer.Option(help="Image to start, such as full (docker).")] = None,
    screen: Annotated[str, typer.Option(help="Screen size.")] = "1280x800",
    network: Annotated[bool, typer.Option(help="Give network access to a task that requires it.")] = False,
    host_files: HostFiles = False,
    seconds: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Keep every proposed check without asking.")] = False,
    verify: Annotated[bool, typer.Option(help="Prove the task on fresh desktops.")] = True,
    as_json: Json = False,
) -> None:
    """Write a task from what you do in a desktop: set-up, solution and checks.

    Open the address that it prints, and do the task with mouse and keyboard. To stop, type `stop` and Enter here, or
    press Ctrl-C.
    """
    from deskbench.agent.build import with_image
    from deskbench.agent.recording import session, write
    from deskbench.envs.desktop import DesktopSpec

    write.check_name(out)
    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody can be asked here which checks to keep: --yes keeps all")
    name = with_image(provider, image) or "local"
    width, height = screen_size(screen)
    start = _start(out, task, launch or [], name, network, host_files)
    spec = DesktopSpec(width or 1280, height or 800, network=start.task.requires.network if network else "off")
    out.parent.mkdir(parents=True, exist_ok=True)
    files = session.Files(out)
    found = session.record(name, spec, start.task, files, lambda url: _wait(url, seconds))
    message(f"{len(found.steps)} actions; events in {files.events}")
    checks = _kept(found.checks, yes)
    if not checks:
        raise UsageError(f"no check is left, and a task needs one; only {files.events} was written")
    told = _instruction(instruction, checks, yes)
    written = write.task_json(out, start.written, told, write.oracle(found.steps), checks)
    write.write_task(out, written, checks)
    message(f"task {out}")
    proof = _proved(out, name, (spec.width, spec.height), network, host_files) if verify else None
    if as_json:
        print_json({"task": str(out), "events": str(files.events), "checks": [one.words for one in checks],
                    "steps": len(written["oracle"]), "proved": proof})  # fmt: skip
    else:
        result(out)
    raise typer.Exit(0 if proof in {None, True} else 1)


def _start(
    out: Path, source: str | None, launch: list[str], provider: str, network: bool, host_files: bool
) -> Start:  # fmt: skip
    """The start state that the options name.

    Raises:
        UsageError: a recording, or the new task, cannot start there.
    """
    from deskbench.agent.recording.start import only_task
    from deskbench.tasks.types import Call, Evaluator, Task

    if source is not None and launch:
        raise UsageError("--task already says how the recording starts: leave out --launch or --task")
    if source is None:
        commands = [_words(command) for command in launch]
        calls = tuple(
            Call(type="launch", parameters={"command": command}, where=f"$.config[{number}]")
            for number, command in enumerate(filter(None, commands))
        )
        steps = [call.model_dump(exclude={"where"}) for call in calls]
        apps = list(dict.fromkeys(command[0] for command in commands if command))
        written = {"config": steps, "requires": {"os": ["linux"], "apps": apps}, "related_apps": apps}
        return Start(Task(id=out.stem, suite=out.parent.name, instruction="", path=out, config=calls,
                          evaluator=Evaluator()), written)  # fmt: skip
    found = only_task(source, provider, network=network, host_files=host_files).tasks[0]
    if found.is_class or "@" in found.id:
        raise UsageError(f"{found.path}: a recording cannot start from a task class or from a task with seeds")
    elsewhere = found.folder.resolve() != out.absolute().parent.resolve()
    if elsewhere and any(call.type in NEEDS_FILES for call in found.config):
        raise UsageError(
            f"the set-up of {found.key} uses files in its folder: write the new task to {found.folder}, too"
        )
    return Start(found, found.written)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--launch {command}: {error}") from None


def _wait(url: str, seconds: float | None) -> None:
    """Wait until the person stops the recording, with `stop`, Ctrl-C or SIGTERM, or until the time is up."""
    from deskbench.envs import wait

    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    until = None if seconds is None else wait.now() + seconds
    message(f"work here: {url}")
    message("recording; to stop, type stop and Enter, or press Ctrl-C")
    typed = _Typed()
    try:
        while not wait.until(lambda: ended.is_set() or typed.stop(), timeout=1.0):
            if until is not None and wait.now() > until:
                return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Typed:
    """Lines on the terminal, without waiting for them."""

    def __init__(self) -> None:
        self._open = True

    def stop(self) -> bool:
        """Whether a line says to stop."""
        while self._open and select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            self._open = bool(line)
            if line.strip().lower() in STOP:
                return True
        return False


def _kept(checks: list[Proposal], yes: bool) -> list[Proposal]:
    """The checks that the person wants."""
    if not checks:
        message("nothing has changed that a check could read: no file, no setting, not the clipboard")
        return []
    message("what has changed:")
    kept = []
    for check in checks:
        if yes:
            message(f"  {check.words}")
            kept.append(check)
        elif typer.confirm(f"  {plain(check.words)}: check this?", default=True, err=True):
            kept.append(check)
    return kept


def _instruction(given: str | None, checks: list[Proposal], yes: bool) -> str:
    if given is not None:
        return given
    default = plain(f"Make sure that {', and that '.join(check.words for check in checks)}.")
    if yes:
        return default
    answer: str = typer.prompt("What should the agent do?", default=default, err=True)
    return answer


def _proved(out: Path, provider: str, screen: tuple[int, int], network: bool, host_files: bool) -> bool:
    """Whether the solution scores 1 and everything else 0; prints each trial."""
    from deskbench.agent.build import prepare
    from deskbench.agent.cli.verify import interrupts
    from deskbench.agent.config import RunConfig
    from deskbench.agent.runs.folder import new_folder
    from deskbench.agent.verify.verify import Verification

    folder = new_folder("record")
    config = RunConfig(source=str(out), agent="null", provider=provider, width=screen[0], height=screen[1],
                       network=network, host_files=host_files)  # fmt: skip
    message(f"proving it on fresh desktops; episodes in {folder}")
    verification = Verification(prepare(config), folder, k=1, on_task=_say)
    with interrupts(verification):
        (found,) = verification.run().values()
    if verification.interrupted:
        message(f"interrupted; continue with: deskbench tasks verify {out} --resume {folder}")
    return not verification.interrupted and _is_valid(found)


def _is_valid(found: Found) -> bool:
    from deskbench.agent.verify.record import is_valid

    return is_valid(list(found.cells.values()))


def _say(found: Found) -> None:
    """A line for each kind of trial: what it must score, and what it did."""
    from deskbench.agent.verify.cells import Outcome

    tried = [cell for cell in found.cells.values() if cell.outcome is not Outcome.NONE]
    for cell in tried:
        right = cell.outcome is Outcome.RIGHT
        score = "no score" if cell.score is None else f"score {cell.score:g}"
        words = f"  {'right' if right else 'WRONG'}  {cell.column} {cell.name}: {score}"
        message(words if right else f"{words}: {cell.reason}", None if right else "red")
    message("the task is valid" if _is_valid(found) else "the task is not valid: change its file, or record it again")
