"""Describes set-up steps, getters and metrics, all from the registry, so that the text matches the code."""

from __future__ import annotations

import collections.abc
import inspect
import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from typing_extensions import get_type_hints, is_typeddict

from deskbench.tasks import registry

EXAMPLES = Path(__file__).parent / "examples"
"""One JSON file for each kind: example task file entries, by name."""
SOURCES: dict[registry.Source, str] = {
    "task": "the task and its author's files",
    "file": "a file of the desktop",
    "program": "what a program of the desktop says",
    "page": "what a page in the desktop's browser shows",
    "answer": "the agent's answer",
}
_PLAIN: dict[Any, str] = {
    Any: "anything",
    object: "anything",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    None: "null",
    type(None): "null",
    Path: "file",
}
_PLURALS = {"text": "texts", "whole number": "whole numbers", "number": "numbers", "file": "files"}
_LISTS = (list, collections.abc.Sequence)
_OBJECTS = (dict, collections.abc.Mapping)


@dataclass(frozen=True)
class Field:
    """One key of an object: an option, a parameter or a key of the rules.

    Attributes:
        name: the key.
        shape: the values it may have, in words.
        required: whether it has no default.
        default: as JSON; empty if the key is required or may be left out.
    """

    name: str
    shape: str
    required: bool
    default: str = ""


@dataclass(frozen=True)
class Shape:
    """An object that other shapes refer to by name."""

    name: str
    meaning: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Described:
    """A description of one metric, getter or set-up step.

    Attributes:
        kind: metric, getter or set-up step.
        name: its name in task files.
        also: other names of the same function.
        group: its module, without the folder of its kind (`data.text`).
        meaning: the docstring; its first line is `line`.
        result: the shape of a metric's first argument; empty for other kinds.
        expected: the shape of a metric's second argument; empty if it takes only one.
        optional: a metric's arguments that may be left out.
        options: a metric's options; the parameters of the other kinds.
        open: whether it accepts any other option as well.
        shapes: the objects that the shapes name.
        source: where a getter's value comes from, in words.
        programs: the desktop's programs that a getter runs.
        example: an example entry of a task file; empty if there is none.
    """

    kind: registry.Kind
    name: str
    also: tuple[str, ...]
    group: str
    meaning: str
    result: str
    expected: str
    optional: tuple[str, ...]
    options: tuple[Field, ...]
    open: bool
    shapes: tuple[Shape, ...]
    source: str
    programs: tuple[str, ...]
    example: Mapping[str, Any]

    @property
    def line(self) -> str:
        """The first line of the meaning."""
        return self.meaning.partition("\n")[0]


def described(kind: registry.Kind) -> list[Described]:
    """Describe everything of a kind, ordered by group and name."""
    return sorted((describe(kind, name) for name in registry.names(kind)), key=lambda one: (one.group, one.name))


def describe(kind: registry.Kind, name: str) -> Described:
    """Describe one entry.

    Raises:
        RegistryError: the name is unknown; the message suggests the nearest one.
    """
    entry = registry.find(kind, name)
    arguments = entry.positional if kind == "metric" else ()
    names = ("result", "expected")
    fields = entry.parameters.model_fields
    annotations = [*arguments, *(_whole(field) for field in fields.values())]
    return Described(
        kind, name,
        also=tuple(other for other in registry.names(kind)
                   if other != name and registry.find(kind, other).function is entry.function),
        group=_group(entry),
        meaning=inspect.getdoc(entry.function) or "",
        result=shape(arguments[0]) if arguments else "",
        expected=shape(arguments[1]) if len(arguments) > 1 else "",
        optional=names[len(entry.needed) : len(arguments)],
        options=tuple(_option(key, field) for key, field in fields.items()),
        open=entry.parameters.model_config.get("extra") == "allow",
        shapes=_shapes(annotations),
        source=SOURCES[entry.source] if kind == "getter" else "",
        programs=entry.programs,
        example=examples(kind).get(name, {}),
    )  # fmt: skip


@cache
def examples(kind: registry.Kind) -> dict[str, Any]:
    """The examples of a kind, by name: a whole check for a metric, the call otherwise."""
    text = (EXAMPLES / f"{kind}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _group(entry: registry.Entry) -> str:
    parts = entry.function.__module__.split(".")
    return ".".join(parts[3:]) if parts[:2] == ["deskbench", "tasks"] else entry.function.__module__


def _whole(field: FieldInfo) -> Any:
    """A field's annotation, rejoined with the metadata that pydantic splits off."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _option(name: str, field: FieldInfo) -> Field:
    required = field.is_required()
    default = "" if required else json.dumps(field.default, default=str, ensure_ascii=False)
    return Field(name, shape(_whole(field)), required, default)


def shape(annotation: Any) -> str:
    """The values that a type allows, in words; an object with its own keys is given by the name of its type."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return "regular expression" if _is_regex(inner) else shape(inner[0])
    if origin in (Required, NotRequired):
        return shape(inner[0])
    if origin is Literal:
        return " or ".join(json.dumps(value) for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(sorted(map(shape, inner), key=lambda text: " of " in text))
    if origin is not None:
        return _container(origin, inner)
    return "object" if annotation in _OBJECTS else "list" if annotation in _LISTS else str(annotation.__name__)


def _is_regex(inner: tuple[Any, ...]) -> bool:
    return any(getattr(one, "func", None) is registry.compiles for one in inner[1:])


def _container(origin: Any, inner: tuple[Any, ...]) -> str:
    if origin in _OBJECTS:
        value = shape(inner[1])
        return "object" if value == "anything" else f"object of {_bracketed(value)}"
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"[{', '.join(map(shape, inner))}]"
    value = shape(inner[0])
    return "list" if value == "anything" else f"list of {_bracketed(value)}"


def _bracketed(text: str) -> str:
    return f"({text})" if " or " in text else _PLURALS.get(text, text)


def _shapes(annotations: list[Any]) -> tuple[Shape, ...]:
    """All objects that some annotations name, directly or through other objects, without duplicates."""
    found: dict[str, Shape] = {}
    waiting = [one for annotation in annotations for one in _named(annotation)]
    while waiting:
        kind = waiting.pop(0)
        if kind.__name__ not in found:
            hints, required = get_type_hints(kind, include_extras=True), _required(kind)
            fields = (Field(key, shape(hint), key in required) for key, hint in hints.items())
            found[kind.__name__] = Shape(kind.__name__, inspect.getdoc(kind) or "", tuple(fields))
            waiting += [one for hint in hints.values() for one in _named(hint)]
    return tuple(found.values())


def _required(kind: Any) -> set[object]:
    """The keys that an object must have: those that validation, as for task files, misses in an empty one."""
    try:
        TypeAdapter(kind).validate_python({})
    except ValidationError as error:
        return {one["loc"][0] for one in error.errors() if one["type"] == "missing"}
    return set()


def _named(annotation: Any) -> Iterator[Any]:
    if is_typeddict(annotation):
        yield annotation
    for inner in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from _named(inner)


TITLES: dict[registry.Kind, str] = {"metric": "Metrics", "getter": "Getters", "setup": "Set-up steps"}
COMMANDS: dict[registry.Kind, str] = {"metric": "metrics", "getter": "getters", "setup": "setup"}


def table(kind: registry.Kind) -> str:
    """Everything of a kind as a Markdown page, with one table for each group."""
    command = f"deskbench tasks {COMMANDS[kind]}"
    found = described(kind)
    lines = [
        f"# {TITLES[kind]}", "",
        f"Written by `{command} --markdown`. `{command} NAME` prints its options, the shape of its input, and an "
        "example.",
    ]  # fmt: skip
    for group in dict.fromkeys(one.group for one in found):
        lines += ["", f"## {group}", "", *_head(kind)]
        lines += [_row(one) for one in found if one.group == group]
    return "\n".join(lines) + "\n"


def _head(kind: registry.Kind) -> tuple[str, str]:
    if kind == "metric":
        return "| name | meaning | result | expected | options |", "|---|---|---|---|---|"
    if kind == "getter":
        return "| name | meaning | source | parameters |", "|---|---|---|---|"
    return "| name | meaning | parameters |", "|---|---|---|"


def _row(one: Described) -> str:
    options = ", ".join(f"`{option.name}`" for option in one.options)
    cells = {
        "metric": [one.result, one.expected, options],
        "getter": [one.source, options],
        "setup": [options],
    }[one.kind]
    return f"| {' | '.join([f'`{one.name}`', *(_cell(text) for text in (one.line, *cells))])} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
