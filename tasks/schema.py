"""The JSON Schema of task files and templates for new ones, from the same source as the loader's checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from deskbench.envs.actions import ACTION_TYPES, nearest
from deskbench.envs.errors import UsageError
from deskbench.tasks import registry
from deskbench.tasks.load import LIBRARY
from deskbench.tasks.taskfile import DEAD, KEBAB, bad_id
from deskbench.tasks.types import Limits, Requires
from deskbench.tasks.user import User

TEMPLATES = Path(__file__).parent / "templates"
LIKE: dict[str, tuple[str, ...]] = {
    "editor": (), "files": (), "terminal": (), "form": ("assets/form.py",), "browser": (), "office": (),
    "infeasible": (), "several": (),
}  # fmt: skip
"""The templates of new tasks, each with the files of `basics` that it needs next to it."""


def task_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) for one task file."""
    step = {"oneOf": [_call("setup", name) for name in registry.names("setup")]}
    getter = {"oneOf": [_getter(name) for name in registry.names("getter")]}
    one_or_many = {"oneOf": [getter, {"type": "array", "items": getter}]}
    actions = {"type": "array", "items": {"properties": {"type": {"enum": sorted(ACTION_TYPES)}}}}
    states = {
        "type": "array",
        "items": {"properties": {"name": {"type": "string"}, "steps": {"type": "array", "items": step}}},
    }
    reasons = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
    metrics = {"enum": ["infeasible", *registry.names("metric")]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deskbench task (OSWorld's format, with optional keys of deskbench)",
        "type": "object",
        "required": ["id", "instruction", "evaluator"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "id": {"type": "string", "pattern": r"^[\w.@-]+$"},
            "instruction": {"type": "string"},
            "source": {},
            "related_apps": {"type": "array", "items": {"type": "string"}},
            "config": {"type": "array", "items": step},
            "proxy": {"type": "boolean"},
            "evaluator": {
                "type": "object",
                "required": ["func"],
                "properties": {
                    "func": {"oneOf": [metrics, {"type": "array", "items": metrics}]},
                    "conj": {"enum": ["and", "or"]},
                    "result": one_or_many,
                    "expected": one_or_many,
                    "options": {},
                    "postconfig": {"type": "array", "items": step},
                },
            },
            "oracle": actions,
            "limits": Limits.model_json_schema(),
            "requires": Requires.model_json_schema(),
            "tags": {"type": "array", "items": {"type": "string"}},
            "solutions": {
                "type": "array",
                "items": {
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "steps": actions, "script": {"type": "string"}},
                },
            },
            "mutants": states,
            "neutral": states,
            "allowed": reasons,
            "noqa": reasons,
            "user": TypeAdapter(User).json_schema(),
            "seeds": {"type": "array", "items": {"type": "object"}},
            **{name: {} for name in DEAD},
        },
    }


def _call(kind: registry.Kind, name: str) -> dict[str, Any]:
    entry = registry.find(kind, name)
    return {
        "type": "object",
        "description": (entry.function.__doc__ or "").partition("\n")[0],
        "required": ["type"],
        "additionalProperties": False,
        "properties": {"type": {"const": name}, "parameters": entry.parameters.model_json_schema()},
    }


def _getter(name: str) -> dict[str, Any]:
    entry = registry.find("getter", name)
    inner = entry.parameters.model_json_schema()
    return {
        **inner,
        "description": (entry.function.__doc__ or "").partition("\n")[0],
        "required": ["type", *inner.get("required", [])],
        "properties": {"type": {"const": name}, **inner.get("properties", {})},
    }


def new_task(path: Path, like: str = "editor") -> Path:
    """Write a small task that passes the check and that its oracle solves, with the files that it needs.

    Args:
        path: the task's file; its name is the id, and it gets the suffix `.json` if it has none.
        like: one of `LIKE`.

    Returns:
        The file's path.

    Raises:
        UsageError: there is no such template, the name cannot be an id, or one of the files already exists.
    """
    if like not in LIKE:
        raise UsageError(f"no template {like!r}{nearest(like, LIKE)}")
    name = path.name.removesuffix(".json")
    if not KEBAB.fullmatch(name):
        raise UsageError(
            f"the name of the task's file is {name[:80]!r}, its id: use lower case, digits and single hyphens"
        )
    wrong = bad_id(name)
    if wrong:
        raise UsageError(f"the name of the task's file {wrong}")
    path = path if path.suffix == ".json" else path.with_name(f"{path.name}.json")
    if path.exists():
        raise UsageError(f"{path} already exists")
    task = json.loads((TEMPLATES / f"{like}.json").read_text(encoding="utf-8"))
    needed = {path.parent / name: (LIBRARY / "basics" / name).read_bytes() for name in LIKE[like]}
    for file, content in needed.items():
        if file.exists() and file.read_bytes() != content:
            raise UsageError(f"{file} already exists, and is not the file that the task needs")
    for file, content in needed.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**task, "id": path.stem}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
