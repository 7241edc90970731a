"""A desktop, and what a task does there."""

import json
from pathlib import Path
from typing import Any

from deskbench.envs.desktop import Desktop
from deskbench.tasks import registry
from deskbench.tasks.load import load
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call
from deskbench.tasks.world import Context, World


class Stage:
    """A desktop, and a task's set-up steps and getters on it."""

    def __init__(self, desktop: Desktop, folder: Path) -> None:
        (folder / "t.json").write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": {"func": "infeasible"}}))
        self.desktop, self.folder = desktop, folder
        task = load(folder / "t.json")[0]
        self.context = Context(desktop, task, folder / "cache", folder / "assets", (1280, 800))
        self.world = World(desktop, task, folder / "cache", folder / "assets")

    def do(self, kind: str, **parameters: Any) -> None:
        run_steps([Call(type=kind, parameters=parameters, where="$")], self.context)

    def get(self, name: str, **parameters: Any) -> Any:
        entry = registry.find("getter", name)
        return entry.function(self.world, **registry.check_parameters(entry, parameters))
