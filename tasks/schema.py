"""The JSON Schema of task files and a template for new ones, from the same source as the loader's checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from deskbench.envs.actions import ACTION_TYPES
from deskbench.envs.errors import UsageError
from deskbench.tasks import registry
from deskbench.tasks.taskfile import DEAD
from deskbench.tasks.types import Limits, Requires
from deskbench.tasks.user import User


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


def new_task(path: Path) -> None:
    """Write a small task that passes the check and whose oracle solves it.

    Raises:
        UsageError: the file is there already.
    """
    if path.exists():
        raise UsageError(f"{path} is there already")
    task = {
        "id": path.stem,
        "instruction": 'Type "hello" in the text editor and save the file as hello.txt in the Documents folder.',
        "source": "mine",
        "config": [{"type": "launch", "parameters": {"command": ["mousepad"]}}],
        "related_apps": ["mousepad"],
        "evaluator": {
            "func": "text_equals",
            "result": {"type": "vm_file", "path": "~/Documents/hello.txt", "dest": "hello.txt"},
            "expected": {"type": "rule", "rules": {"expected": "hello"}},
        },
        "oracle": [
            {"type": "type", "text": "hello"},
            {"type": "key", "keys": ["ctrl", "s"]},
            {"type": "key", "keys": ["ctrl", "a"]},
            {"type": "type", "text": "/home/user/Documents/hello.txt"},
            {"type": "key", "keys": ["enter"]},
        ],
        "limits": {"steps": 15},
        "requires": {"apps": ["mousepad"]},
        "tags": ["easy"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(task, indent=2) + "\n", encoding="utf-8")
