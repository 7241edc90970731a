"""`deskbench tasks metrics|getters|setup [NAME]`: the functions of the registry that a task file may use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli.output import Json, print_json, print_table
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.tasks.reference import Described, Field
    from deskbench.tasks.registry import Kind

Name = Annotated[str | None, typer.Argument(help="The one to explain (default: list all).")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the table as a page of Markdown.")]
Command = Callable[[str | None, bool, bool], None]


def _command(kind: Kind, what: str) -> Command:
    def show(name: Name = None, markdown: Markdown = False, as_json: Json = False) -> None:
        if name is not None:
            _show_one(kind, name, as_json)
        else:
            _show_all(kind, markdown, as_json)

    show.__doc__ = f"{what}; with a NAME, print its options, the shape of its input, and an example."
    return show


metrics = _command("metric", "List the metrics that score an end state")
getters = _command("getter", "List the getters that read what metrics compare")
setup = _command("setup", "List the set-up steps that prepare a start state")


def _show_all(kind: Kind, markdown: bool, as_json: bool) -> None:
    from deskbench.tasks.reference import described, table

    if markdown:
        typer.echo(table(kind), nl=False)
    elif as_json:
        print_json([_plain(one) for one in described(kind)])
    else:
        print_table(("name", "group", "meaning"), ((one.name, one.group, one.line) for one in described(kind)))


def _show_one(kind: Kind, name: str, as_json: bool) -> None:
    from deskbench.tasks.reference import describe
    from deskbench.tasks.registry import RegistryError

    try:
        one = describe(kind, name)
    except RegistryError as error:
        raise UsageError(str(error)) from None
    if as_json:
        print_json(_plain(one))
    else:
        typer.echo("\n".join(_lines(one)))


def _plain(one: Described) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "line": one.line}


def _lines(one: Described) -> Iterator[str]:
    yield f"{one.name} ({one.group})"
    if one.also:
        yield f"also: {', '.join(one.also)}"
    yield from ("", one.meaning, "")
    for key, text in (("result", one.result), ("expected", one.expected)):
        if text:
            yield f"{key}: {text}{' (may be left out)' if key in one.optional else ''}"
    if one.source:
        yield f"source: {one.source}"
    if one.programs:
        yield f"runs: {', '.join(one.programs)}"
    if one.options or one.open:
        yield "options:" if one.kind == "metric" else "parameters:"
        yield from (_field(field) for field in one.options)
        yield from ("  any other",) if one.open else ()
    for shape in one.shapes:
        yield f"{shape.name}: {shape.meaning}"
        yield from (_field(field, key=True) for field in shape.fields)
    if one.example:
        yield from ("", "Example:", json.dumps(one.example, indent=2, ensure_ascii=False))


def _field(field: Field, key: bool = False) -> str:
    left_out = "may be left out" if key else f"default {field.default}"
    return f"  {field.name}: {field.shape}, {'required' if field.required else left_out}"
