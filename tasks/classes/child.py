"""The process that runs a task class: it reads requests, asks questions while it works, and writes results.

Each message is one line of JSON. In: {"do": "describe" | "setup" | "phases" | "evaluate", ...} and, as the answer to a
question, {"value": ...} or {"raise": text}. Out: {"ask": kind, "name": ..., "arguments": [...], "keywords": {...}}, and
at the end of a request {"done": value} or {"failed": one line, "traceback": text}. Bytes are {"": base64}.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from deskbench.tasks.classes import stand_ins
from deskbench.tasks.classes.base import FIELDS, BaseTask, MultiPhaseTask
from deskbench.tasks.metrics.support.fidelity import osworld_strict
from deskbench.tasks.scoring.walls import limit

MEMORY = 4 * 2**30
"""Address space in bytes."""


class Child:
    """One task class and the conversation about it."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests, self._answers = requests, answers
        self._task: BaseTask | None = None
        self._phases: list[Any] = []

    def serve(self) -> None:
        """Handle requests until there are no more."""
        for line in self._requests:
            request = json.loads(line)
            try:
                with osworld_strict(request.get("strict")):
                    done = getattr(self, f"do_{request['do']}")(request)
                self._say({"done": done})
            except Exception as error:  # noqa: BLE001  (the boundary to the task's own code)
                last = traceback.format_exception_only(error)[-1].strip()
                self._say({"failed": last, "traceback": "".join(traceback.format_exception(error))})

    def ask(self, kind: str, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        """Ask the controller a question."""
        self._say({"ask": kind, "name": name, "arguments": arguments, "keywords": dict(keywords)})
        answer = json.loads(self._requests.readline() or '{"raise": "the controller is gone"}')
        if "raise" in answer:
            raise stand_ins.Refused(answer["raise"])
        value = answer["value"]
        return base64.b64decode(value[""]) if isinstance(value, dict) and set(value) == {""} else value

    def _say(self, message: Mapping[str, Any]) -> None:
        self._answers.write(json.dumps(message, default=_plain) + "\n")
        self._answers.flush()

    def do_describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Load a file's class and return its attributes."""
        self._task = task_in(Path(request["path"]))
        fields = {name: self._task.get(name, default) for name, default in FIELDS.items()}
        return {**fields, "phases": isinstance(self._task, MultiPhaseTask)}

    def do_setup(self, request: Mapping[str, Any]) -> None:
        """Prepare the desktop for the task or for one of its phases."""
        controller, proxy = stand_ins.SetupController(self.ask), bool(request.get("use_proxy"))
        work = self._loaded().setup if request["phase"] is None else _part(self._phases[request["phase"]], "setup")
        if work is not None:
            work(controller, proxy)

    def do_phases(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the attributes of the phases."""
        task = self._loaded()
        assert isinstance(task, MultiPhaseTask)
        self._phases = list(task.get_phases())
        return [
            {
                "name": str(_part(phase, "name", f"phase {number}")),
                "instruction": _told(_part(phase, "instruction")),
                "weight": float(_part(phase, "weight", 1.0)),
                "gate_min_score": _part(phase, "gate_min_score"),
            }
            for number, phase in enumerate(self._phases, 1)
        ]

    def do_evaluate(self, request: Mapping[str, Any]) -> Any:
        """Judge the desktop for the task or for one of its phases."""
        work = (
            self._loaded().evaluate if request["phase"] is None else _part(self._phases[request["phase"]], "evaluate")
        )
        return work(stand_ins.Environment(self.ask))

    def _loaded(self) -> BaseTask:
        assert self._task is not None
        return self._task


def task_in(path: Path) -> BaseTask:
    """The task of a file, found as in OSWorld-V2: get_task(), TASK_CLASS, Task, or the first task class.

    Raises:
        TypeError: the file has no task.
    """
    spec = importlib.util.spec_from_file_location(f"deskbench_task_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    if hasattr(module, "get_task"):
        found = module.get_task()
    else:
        own = [
            one
            for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, BaseTask) and one.__module__ == module.__name__
        ]
        kind = getattr(module, "TASK_CLASS", None) or getattr(module, "Task", None) or (own[0] if own else None)
        found = kind() if kind is not None else None
    if not isinstance(found, BaseTask):
        raise TypeError("no task: neither get_task(), TASK_CLASS, Task nor a class of desktop_env.task_base.BaseTask")
    return found


def _part(phase: Any, name: str, default: Any = None) -> Any:
    return phase.get(name, default) if isinstance(phase, Mapping) else getattr(phase, name, default)


def _told(instruction: Any) -> str:
    return str(instruction() if callable(instruction) else instruction)


def _plain(value: Any) -> Any:
    """Convert a value that JSON cannot express."""
    if isinstance(value, bytes):
        return {"": base64.b64encode(value).decode()}
    if isinstance(value, (set, tuple)):
        return list(value)
    return float(value) if hasattr(value, "__float__") else str(value)


def main() -> None:
    """Serve on stdin and stdout; the class's own output goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if os.name == "posix":
        limit(seconds=None, memory=MEMORY)
    child = Child(sys.stdin, answers)
    stand_ins.install(child.ask)
    child.serve()


if __name__ == "__main__":
    main()
