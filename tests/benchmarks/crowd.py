"""One run with 500 fake desktops at once, in a process of its own; prints what it cost as JSON."""

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from deskbench.agent.base import Decision, Goal, Needs
from deskbench.agent.batch import Batch
from deskbench.agent.build import prepare
from deskbench.agent.config import RunConfig
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.types import Action, Done, Key, Observation, Type
from tests.agent.paper import write_task

HERE = "tests.benchmarks.crowd"
DESKTOPS = 500
MODEL_SECONDS = 3.0
"""How long the agent thinks about a step."""


class Thinker:
    """Solves the task in ten steps, after some thought each."""

    name = "thinker"
    needs = Needs()

    def __init__(self) -> None:
        steps: list[Action] = [*map(Type, ("h", "e", "l", "l", "o")), *[Key(("ctrl", "s"))] * 4, Done()]
        self._left = iter(steps)

    def start(self, goal: Goal) -> None: ...

    def act(self, observation: Observation) -> Decision:
        wait.sleep(MODEL_SECONDS)
        return Decision((next(self._left),))

    def close(self) -> None: ...


class Metered:
    """A fake desktop that measures what itself costs: a real one would be another machine."""

    spent = 0.0
    _lock = threading.Lock()

    def __init__(self, desktop: FakeDesktop) -> None:
        self._desktop = desktop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._desktop, name)
        return self._metered(found) if callable(found) else found

    def _metered(self, method: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return method(*args, **named)
            finally:
                with Metered._lock:
                    Metered.spent += time.thread_time() - began

        return call


class Crowd(FakeProvider):
    """Such desktops."""

    def start(self, spec: DesktopSpec) -> Desktop:
        return Metered(super().start(spec))  # type: ignore[arg-type]


def main() -> None:
    """Run, and print CPU milliseconds for a step and the largest memory in MB, both without the desktops."""
    folder = Path(sys.argv[1])
    write_task(folder / "suite", "write")
    ready = prepare(
        RunConfig(
            source=str(folder / "suite"), agent=f"{HERE}:Thinker", provider=f"{HERE}:Crowd", repeats=DESKTOPS,
            parallel=DESKTOPS, width=320, height=240,
        )
    )  # fmt: skip
    before = time.process_time()
    summary = Batch(ready, folder / "run").run()
    spent = time.process_time() - before - Metered.spent
    records = RunFolder(folder / "run").records()
    assert summary.scored == DESKTOPS and summary.all.mean == 1.0, summary
    steps = sum(record.totals.steps for record in records)
    print(  # noqa: T201
        json.dumps(
            {
                "desktops": DESKTOPS,
                "steps": steps,
                "step_ms": 1e3 * spent / steps,
                "desktop_ms": 1e3 * Metered.spent / steps,
                "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "threads": psutil.Process().num_threads(),
            }
        )
    )
