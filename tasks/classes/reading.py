"""Turns a task class into a `Task`, from its attributes and from what its source shows that it needs."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deskbench.envs.foreign import python_tree
from deskbench.tasks import registry
from deskbench.tasks.classes.stand_ins import asset
from deskbench.tasks.taskfile import bad_id
from deskbench.tasks.types import SOURCE, Evaluator, Requires, Task
from deskbench.tasks.user import User
from deskbench.tasks.web.live import FETCHES

WEB = re.compile(r"https?://(?!localhost|127\.0\.0\.1)|WEBSITE_HOST_SUFFIX")
"""Replaces this path in a class's texts, because the texts go to other machines."""
PACKAGES: dict[str, registry.Kind] = {"getters": "getter", "metrics": "metric"}


class Unusable(ValueError):
    """A class that is not a valid task; one line."""


def read_class(suite: str, file: Path, facts: Mapping[str, Any]) -> Task:
    """The task of a class file.

    Args:
        suite: the suite in its key.
        file: the Python file.
        facts: the attributes of its class (`process.describe`).

    Raises:
        Unusable: it lacks an id or an instruction.
    """
    for name in ("id", "instruction"):
        if not isinstance(facts.get(name), str) or not (facts[name] or (name == "instruction" and facts["phases"])):
            raise Unusable(f"{name} must be a non-empty string")
    wrong = bad_id(facts["id"])
    if wrong:
        raise Unusable(f"id {wrong}")
    source = file.read_bytes()
    tree = python_tree(source, "<task>")
    user, lacks = _user(facts.get("user_simulator"))
    unknown = sorted(set(_unknown(tree)))
    if unknown:
        lacks = f"uses {', '.join(unknown)}, which deskbench does not have"
    network = bool(facts.get("proxy")) or any(WEB.search(text) or FETCHES.search(text) for text in _texts(tree))
    return Task(
        id=facts["id"],
        suite=suite,
        instruction=facts["instruction"] or "(given phase by phase)",
        path=file,
        evaluator=Evaluator(),
        requires=Requires(network="full" if network else "off"),
        related_apps=tuple(str(app) for app in facts.get("related_apps") or ()),
        proxy=bool(facts.get("proxy")),
        source=str(facts.get("source") or ""),
        sha256=hashlib.sha256(source).hexdigest(),
        user=user,
        files=tuple(dict.fromkeys(_files(tree))),
        lacks=lacks,
        written={SOURCE: source.decode("utf-8", "replace")},
    )


def _user(value: Any) -> tuple[Any, str]:
    """The simulated user, or the reason why deskbench cannot provide it."""
    if not value:
        return None, ""
    try:
        return TypeAdapter(User).validate_python(value), ""
    except ValidationError:
        kind = value.get("type") if isinstance(value, Mapping) else type(value).__name__
        return None, f"has an unknown kind of user simulator: {kind}"


def _unknown(tree: ast.AST) -> Iterator[str]:
    """Getters and metrics that the source names and deskbench does not have."""
    for node in ast.walk(tree):
        used: list[tuple[str, str]] = []
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PACKAGES:
            used.append((node.value.id, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module:
            where = node.module.removeprefix("desktop_env.evaluators.").partition(".")[0]
            used += [(where, alias.name) for alias in node.names if where in PACKAGES]
        for package, name in used:
            plain = name.removeprefix("get_") if package == "getters" else name
            if plain not in registry.names(PACKAGES[package]):
                yield f"{package}.{name}"


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every string in the source except docstrings."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def _files(tree: ast.AST) -> Iterator[str]:
    """The addresses that the source fetches with `asset`, in order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for node in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if isinstance(node.func, ast.Name) and node.func.id == "asset" and node.args:
            path = node.args[0]
            if isinstance(path, ast.Constant) and isinstance(path.value, str):
                yield asset(path.value)
