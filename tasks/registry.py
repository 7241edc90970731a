"""Set-up steps, getters and metrics by name: each is a decorated function, found by importing its folder.

A function's keyword-only parameters are the JSON's parameters. When a task file is loaded, their names, types and
defaults are checked against its signature. `package.module:function` names a function from outside deskbench.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model, with_config

from deskbench.envs.actions import nearest

Kind = Literal["setup", "getter", "metric"]
Source = Literal["task", "file", "program", "page", "answer"]
"""Where a getter's value comes from.

`task` is the task or its author's files; `file` a file of the desktop; `program` the output of a program of the
desktop; `page` a page in its browser; `answer` the agent's answer. An agent could have replaced a program or a page.
"""
F = TypeVar("F", bound=Callable[..., Any])
Fits = Callable[[Mapping[str, Any]], None]
"""Checks a getter's parameters, or a metric's options with `expected` (None if the task file has none)."""


def compiles(pattern: str) -> str:
    """Check that a regular expression compiles.

    Raises:
        ValueError: it does not.
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Regex = Annotated[str, AfterValidator(compiles)]
"""A Python regular expression; a broken one is reported when a task file is loaded."""
closed = with_config(ConfigDict(extra="forbid"))
"""Makes unknown keys of a TypedDict an error; for the rules in task files."""
_FOLDERS: dict[Kind, str] = {
    "setup": "deskbench.tasks.setup",
    "getter": "deskbench.tasks.getters",
    "metric": "deskbench.tasks.metrics",
}


@dataclass(frozen=True)
class Entry:
    """One registered function; its signature is read on first use.

    Attributes:
        source: where a getter's value comes from.
        linear: the metric parses nothing and its time is proportional to its input, so the controller may run it.
        fits: checks parameters beyond what the signature says; raises ValueError for unusable ones.
        programs: the desktop's programs that a getter runs (`tasks.scoring.tools`).
        late: seconds after which a program has surely written what a getter reads; scoring waits for it.
    """

    kind: Kind
    name: str
    function: Callable[..., Any]
    source: Source = "program"
    linear: bool = False
    fits: Fits | None = None
    programs: tuple[str, ...] = ()
    late: float = 0.0

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.function, eval_str=True)

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """A model of the keyword-only parameters, which are the JSON's; `class_` is `class` in JSON."""
        fields: dict[str, Any] = {}
        extra: Literal["allow", "forbid"] = "forbid"
        for p in self._signature.parameters.values():
            if p.kind is p.KEYWORD_ONLY:
                fields[p.name.removesuffix("_")] = (p.annotation, ... if p.default is p.empty else p.default)
            elif p.kind is p.VAR_KEYWORD:
                extra = "allow"
        return create_model(self.name, __config__=ConfigDict(extra=extra), **fields)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Names of the positional arguments without a default: the task file must say where each comes from."""
        found = self._signature.parameters.values()
        return tuple(p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty)

    @cached_property
    def keywords(self) -> dict[str, str]:
        """Python names of the parameters whose JSON name is a Python keyword."""
        return {name.removesuffix("_"): name for name in self._signature.parameters if name.endswith("_")}

    @cached_property
    def positional(self) -> tuple[Any, ...]:
        """Types of the arguments before the keyword-only ones: a metric takes (result) or (result, expected)."""
        keyword = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        return tuple(p.annotation for p in self._signature.parameters.values() if p.kind not in keyword)


class RegistryError(ValueError):
    """An unknown name or parameter, or a value of the wrong type; one line."""


_entries: dict[Kind, dict[str, Entry]] = {"setup": {}, "getter": {}, "metric": {}}


def setup_step(*names: str) -> Callable[[F], F]:
    """Register `def step(context, *, ...) -> None` under these names."""
    return _register("setup", names)


def getter(
    *names: str,
    source: Source = "program",
    fits: Fits | None = None,
    programs: tuple[str, ...] = (),
    late: float = 0.0,
) -> Callable[[F], F]:
    """Register `def get(world, *, ...) -> value` under these names; every check's record includes `source`."""
    return _register("getter", names, source=source, fits=fits, programs=programs, late=late)


def metric(*names: str, linear: bool = False, fits: Fits | None = None) -> Callable[[F], F]:
    """Register `def score(result, expected, *, ...) -> float` (or without `expected`) under these names."""
    return _register("metric", names, linear=linear, fits=fits)


def _register(kind: Kind, names: tuple[str, ...], **more: Any) -> Callable[[F], F]:
    def register(function: F) -> F:
        for name in names:
            if name in _entries[kind]:
                raise ValueError(f"{kind} {name!r} is registered twice")
            _entries[kind][name] = Entry(kind, name, function, **more)
        return function

    return register


@cache
def _import_all(kind: Kind) -> None:
    package = importlib.import_module(_FOLDERS[kind])
    for module in pkgutil.walk_packages(package.__path__, f"{_FOLDERS[kind]}."):
        importlib.import_module(module.name)


def load_all() -> None:
    """Import the modules of every kind now, so that nothing waits for them later."""
    for kind in _FOLDERS:
        _import_all(kind)


def names(kind: Kind) -> Iterator[str]:
    """Every registered name of a kind."""
    _import_all(kind)
    return iter(sorted(_entries[kind]))


def find(kind: Kind, name: str) -> Entry:
    """The entry of a name.

    Raises:
        RegistryError: the name is unknown; the message suggests the nearest one.
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
    except Exception as error:  # a foreign module may raise anything
        raise RegistryError(f"cannot import {name!r}: {type(error).__name__}: {error}") from error
    return Entry(kind, attribute, function)


def check_parameters(entry: Entry, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the parameters for the function: check their types, leave out defaults.

    A string "true" or "false" is accepted as a boolean, since some of OSWorld's files contain one. A key that begins
    with an underscore is a comment.

    Raises:
        RegistryError: names the parameter, the bad value and the nearest known name.
    """
    parameters = _told(parameters)
    try:
        valid = entry.parameters.model_validate(parameters)
    except ValidationError as error:
        raise RegistryError(_problems(entry, error)[0]) from None
    adapted = {}
    for name, value in parameters.items():
        field = entry.parameters.model_fields.get(name)
        adapted[entry.keywords.get(name, name)] = value if field is None else getattr(valid, name)
    return adapted


def parameter_problems(entry: Entry, parameters: Mapping[str, Any], **more: Any) -> list[str]:
    """Everything wrong with the parameters, one line each; `more` are a metric's additional arguments."""
    try:
        entry.parameters.model_validate(_told(parameters))
        if entry.fits is not None:
            entry.fits({**parameters, **more})
    except ValidationError as error:
        return _problems(entry, error)
    except ValueError as error:
        return [f"{entry.name}: {error}"]
    return []


def _told(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if not name.startswith("_")}


def rule_problems(entry: Entry, place: int, rules: Any) -> list[str]:
    """Check a metric's argument from a task file (getter `rule`) against the argument's type.

    Args:
        entry: the metric.
        place: 0 for the result, 1 for the expected value.
        rules: the value in the file.

    Returns:
        A line for each error, with the key, the bad value and the nearest known name.
    """
    if place >= len(entry.positional):
        return []
    try:
        _adapter(entry.positional[place]).validate_python(rules)
    except ValidationError as error:
        return [_rule_problem(entry, place, one) for one in _misspelt_first(error)]
    if place < len(entry.needed) and isinstance(rules, dict):
        return _unconditional(entry, _adapter(entry.positional[place]).json_schema(), rules)
    return []


def _unconditional(entry: Entry, schema: Mapping[str, Any], rules: Mapping[str, Any]) -> list[str]:
    """Report rules that could leave out each of their conditions, and do leave out all."""
    conditions = list(schema.get("properties", ()))
    if "required" in schema or not conditions or any(value not in (None, [], {}) for value in rules.values()):
        return []
    return [f"{entry.name}: the rules set no condition; give {' or '.join(map(repr, conditions))}"]


def misfit(entry: Entry, values: Sequence[Any], read: Sequence[bool]) -> str:
    """What is wrong with values read from a desktop, by the types of a metric's arguments; empty if nothing is."""
    for annotation, value, looked_at in zip(entry.positional, values, read, strict=False):
        if not looked_at:
            continue
        try:
            _adapter(annotation).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return f"the value has the wrong type{' at ' * bool(where)}{where}: {first['msg']}"
    return ""


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=None)


def _misspelt_first(error: ValidationError) -> list[Any]:
    """The errors. A misspelt required key is reported once, under its misspelt name."""
    there = [str(one["loc"][-1]) for one in error.errors() if one["type"] == "extra_forbidden"]
    kept = [
        one for one in error.errors()
        if one["type"] != "missing" or not difflib.get_close_matches(str(one["loc"][-1]), there)
    ]  # fmt: skip
    return sorted(kept, key=lambda one: one["type"] != "extra_forbidden")


def _rule_problem(entry: Entry, place: int, one: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in one["loc"])
    if one["type"] == "extra_forbidden":
        known = _keys(_adapter(entry.positional[place]).json_schema())
        return f"{entry.name}: unknown rule key {where!r}{nearest(str(one['loc'][-1]), known)}"
    if one["type"] == "missing":
        return f"{entry.name}: missing rule key {where!r}"
    return f"{entry.name}: {f'rule {where} is' if where else 'the rules are'} {_shown(one)}"


def _shown(one: Mapping[str, Any]) -> str:
    return f"{one['input']!r:.80}: {one['msg'][0].lower()}{one['msg'][1:]}"


def _keys(schema: Any) -> set[str]:
    """Every property that a JSON Schema names, at any depth."""
    if isinstance(schema, list):
        return set().union(*map(_keys, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})).union(*map(_keys, schema.values()))


def _problems(entry: Entry, error: ValidationError) -> list[str]:
    return [_problem(entry, one) for one in _misspelt_first(error)]


def _problem(entry: Entry, one: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in one["loc"])
    if one["type"] == "extra_forbidden":
        return f"{entry.name}: unknown parameter {where!r}{nearest(where, entry.parameters.model_fields)}"
    if one["type"] == "missing":
        return f"{entry.name}: missing parameter {where!r}"
    return f"{entry.name}: {where} is {_shown(one)}"
