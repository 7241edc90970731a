"""One recording: a desktop at its start, a person's browser, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deskbench.agent.build import make_provider
from deskbench.agent.recording import snapshot
from deskbench.agent.recording.capture import Recorder, Tap
from deskbench.agent.recording.differences import Proposal, proposals
from deskbench.agent.recording.events import read_events
from deskbench.agent.recording.reduce import Step, reduced
from deskbench.agent.recording.start import at_start
from deskbench.envs.clients.vnc import Viewer
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import UsageError
from deskbench.tasks.types import Task


@dataclass(frozen=True)
class Recorded:
    """What a person did, and the checks that can be made of what it changed."""

    steps: list[Step]
    checks: list[Proposal]


@dataclass(frozen=True)
class Files:
    """Where a recording is kept: beside the task, under its name."""

    task: Path

    @property
    def events(self) -> Path:
        """Raw events, a JSON line each."""
        return self.task.with_suffix(".events.jsonl")

    @property
    def pictures(self) -> Path:
        """Screens before actions."""
        return self.task.with_suffix(".states")


def record(
    provider: str, spec: DesktopSpec, task: Task, files: Files, until_stopped: Callable[[str], None]
) -> Recorded:
    """Let a person work.

    Args:
        provider: whose desktop.
        spec: which.
        task: whose set-up makes the start.
        files: where events go.
        until_stopped: called with the browser's address; returns when the person has done.

    Raises:
        UsageError: the desktop cannot be recorded.
        EnvError: it broke off; the events so far are kept.
    """
    owner = make_provider(provider)
    with ExitStack() as stack:
        stack.callback(owner.close)
        desktop = owner.start(spec)
        if desktop.health().platform != "Linux":
            raise UsageError("only desktops of Linux can be recorded")
        stack.enter_context(at_start(task, desktop))
        return _worked(desktop, files, until_stopped)


def _worked(desktop: Desktop, files: Files, until_stopped: Callable[[str], None]) -> Recorded:
    before = snapshot.take(desktop)
    files.pictures.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(desktop, files.events, files.pictures)
    with ExitStack() as stack:
        stack.callback(recorder.close)

        def through(server: str) -> str:
            tap = Tap(server, recorder.heard)
            stack.callback(tap.close)
            return tap.address

        viewer = Viewer(desktop, through=through)
        stack.callback(viewer.close)
        until_stopped(viewer.url)
    if recorder.failed is not None:
        raise recorder.failed
    desktop.observe()  # settled
    return Recorded(reduced(read_events(files.events)), proposals(before, snapshot.take(desktop)))
