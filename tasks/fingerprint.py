"""What the proof of a task depends on: a hash of the task, its assets and the code that its set-up and checks use.

`deskbench tasks verify` writes it into the suite's `validation.json` (`deskbench.agent.verify.record`). A proof whose
task has another hash by now is stale.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from deskbench.envs.foreign import python_tree
from deskbench.tasks import registry
from deskbench.tasks.checking import assets_of, calls_of
from deskbench.tasks.types import Outside, Task

TASK = "deskbench.task"
"""The id of a task's entry in the record."""
POLICY = "deskbench-2"
"""The set of trials that a task must pass; the number changes when the set changes."""
REACHED = tuple(
    f"deskbench.tasks.{name}" for name in ("getters", "guest", "metrics", "scoring", "setup", "web", "world")
)
"""The packages with the code that a result depends on."""
UNREAD = ("$schema", "tags", "noqa", "allowed", "source")
"""Keys of a task file that no result depends on."""


def key_of(task: Task) -> str:
    """Hash of the task's content, its assets, and the code that its set-up and checks use.

    Comments, docstrings and the order of a file's keys do not matter.
    """
    file = {name: value for name, value in task.written.items() if name not in UNREAD}
    parts = {
        "id": task.id,
        "file": file or task.sha256,
        "assets": {name: _asset(task, name) for name in sorted(set(assets_of(task)))},
        "code": {name: _code(name) for name in sorted(_reached(task))},
        "policy": POLICY,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _asset(task: Task, name: str) -> str:
    try:
        return hashlib.sha256(task.asset(name).read_bytes()).hexdigest()
    except OSError:
        return "missing"
    except Outside:  # the desktop does not get it either
        return "outside"


def functions_of(task: Task) -> dict[str, str]:
    """Hash of each function that a task uses, with the code that it imports; by kind and name: `getter rule`."""
    found = {}
    for kind, name in calls_of(task):
        found[f"{kind} {name}"] = code_key(registry.find(kind, name).function.__module__, REACHED)
    return found


def assets_key(task: Task) -> str:
    """Hash of the files that a task names beside its own."""
    found = {name: _asset(task, name) for name in sorted(set(assets_of(task)))}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest() if found else ""


@cache
def code_key(module: str, inside: tuple[str, ...]) -> str:
    """Hash of a module's code and, in the packages `inside`, the code that it imports."""
    code = {name: _code(name) for name in sorted(_closure([module], inside))}
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def _reached(task: Task) -> set[str]:
    """The modules of a task's set-up steps, getters and metrics, and the modules that these import."""
    return _closure([registry.find(kind, name).function.__module__ for kind, name in calls_of(task)], REACHED)


def _closure(modules: Sequence[str], inside: tuple[str, ...]) -> set[str]:
    """These modules and, in the packages `inside`, those that they import."""
    found: set[str] = set()
    left = list(modules)
    while left:
        module = left.pop()
        if module not in found:
            found.add(module)
            left += [name for name in _imports(module) if name.startswith(inside)]
    return found


@cache
def _tree(module: str) -> ast.Module | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    tree: ast.Module = python_tree(Path(spec.origin).read_text(encoding="utf-8"), spec.origin)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _said(part)]  # type: ignore[attr-defined]
    return tree


def _said(node: object) -> bool:
    """Whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _code(module: str) -> str:
    tree = _tree(module)
    return "" if tree is None else hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _imports(module: str) -> tuple[str, ...]:
    tree = _tree(module)
    found = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    ours = (name for name in found if name.startswith("deskbench."))  # parsing other libraries takes seconds
    return tuple(name for name in ours if _tree(name) is not None)


def recorded(path: Path) -> dict[str, tuple[str, bool]]:
    """The hash of each task in a record, by the task's key, and whether its trials went right.

    Empty if the record cannot be read.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        found = [one["measured"] for one in results if one["check_id"] == TASK]
        return {str(one["task"]): (str(one["key"]), bool(one["valid"])) for one in found}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
