"""Set-up steps, getters and metrics by name: each is one decorated function, found by importing its folder.

A function's keyword-only parameters are the JSON's parameters: their names, types and defaults are checked against
its signature when a task file is loaded. `package.module:function` names one that is not ours.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from deskbench.envs.actions import nearest

Kind = Literal["setup", "getter", "metric"]
F = TypeVar("F", bound=Callable[..., Any])
_FOLDERS: dict[Kind, str] = {
    "setup": "deskbench.tasks.setup",
    "getter": "deskbench.tasks.getters",
    "metric": "deskbench.tasks.metrics",
}
_POSITIONAL = {"setup": 1, "getter": 1, "metric": 2}


@dataclass(frozen=True)
class Entry:
    """One registered function and the model of its parameters."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    parameters: type[BaseModel]
    positional: int
    """Arguments before the keyword-only ones: a metric takes (result) or (result, expected)."""


class RegistryError(ValueError):
    """A name or a parameter that is not known, or a value of the wrong type; one line."""


_entries: dict[Kind, dict[str, Entry]] = {"setup": {}, "getter": {}, "metric": {}}


def setup_step(*names: str) -> Callable[[F], F]:
    """Register `def step(context, *, ...) -> None` under these names."""
    return _register("setup", names)


def getter(*names: str) -> Callable[[F], F]:
    """Register `def get(world, *, ...) -> value` under these names."""
    return _register("getter", names)


def metric(*names: str) -> Callable[[F], F]:
    """Register `def score(result, expected, *, ...) -> float` (or without `expected`) under these names."""
    return _register("metric", names)


def _register(kind: Kind, names: tuple[str, ...]) -> Callable[[F], F]:
    def register(function: F) -> F:
        for name in names:
            if name in _entries[kind]:
                raise ValueError(f"{kind} {name!r} is registered twice")
            _entries[kind][name] = entry_of(kind, name, function)
        return function

    return register


def entry_of(kind: Kind, name: str, function: Callable[..., Any]) -> Entry:
    """The entry of a function, from its signature."""
    signature = inspect.signature(function, eval_str=True)
    fields: dict[str, Any] = {}
    positional, extra = 0, False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            fields[p.name] = (p.annotation, ... if p.default is p.empty else p.default)
        elif p.kind is p.VAR_KEYWORD:
            extra = True
        else:
            positional += 1
    model = create_model(name, __config__=ConfigDict(extra="allow" if extra else "forbid"), **fields)
    return Entry(kind, name, function, model, positional)


@cache
def _import_all(kind: Kind) -> None:
    package = importlib.import_module(_FOLDERS[kind])
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{_FOLDERS[kind]}.{module.name}")


def names(kind: Kind) -> Iterator[str]:
    """Every registered name of a kind."""
    _import_all(kind)
    return iter(sorted(_entries[kind]))


def find(kind: Kind, name: str) -> Entry:
    """The entry of a name.

    Raises:
        RegistryError: unknown; names the nearest.
    """
    _import_all(kind)
    if name in _entries[kind]:
        return _entries[kind][name]
    if ":" in name:
        return _foreign(kind, name)
    what = {"setup": "set-up type", "getter": "getter", "metric": "metric"}[kind]
    raise RegistryError(f"unknown {what} {name!r}{nearest(name, _entries[kind])}")


def _foreign(kind: Kind, name: str) -> Entry:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RegistryError(f"cannot import {name!r}: {error}") from None
    return entry_of(kind, attribute, function)


def check_parameters(entry: Entry, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the function wants them: defaults left out, types checked.

    A string "true" or "false" passes for a boolean, since some of OSWorld's files have one.

    Raises:
        RegistryError: naming the parameter, the bad value, and the nearest known name.
    """
    try:
        valid = entry.parameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise RegistryError(_first_problem(entry, error)) from None
    adapted = {}
    for name, value in parameters.items():
        field = entry.parameters.model_fields.get(name)
        adapted[name] = value if field is None else getattr(valid, name)
    return adapted


def _first_problem(entry: Entry, error: ValidationError) -> str:
    # A misspelt name is the cause of the one that is missing: it is told first.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{entry.name}: unknown parameter {where!r}{nearest(where, entry.parameters.model_fields)}"
    if first["type"] == "missing":
        return f"{entry.name}: missing parameter {where!r}"
    return f"{entry.name}: {where} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
