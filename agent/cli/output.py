"""What the commands share: where messages go, how results are printed."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.console import Console

from deskbench.envs.errors import UsageError

say = Console(stderr=True)
"""Messages; stdout belongs to results."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; messages go to stderr.")]


HostFiles = Annotated[
    bool, typer.Option("--host-files", help="Let tasks use files of this machine that do not stand beside them.")
]


def print_json(value: Any) -> None:
    """One JSON document on stdout; dataclasses as objects, paths as text."""
    typer.echo(json.dumps(value, indent=1, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


def message(text: str, style: str | None = None) -> None:
    """A line for people on stderr, as it is: no markup, no wrapping."""
    say.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def screen_size(text: str | None) -> tuple[int | None, int | None]:
    """`1920x1080` as width and height in pixels.

    Raises:
        UsageError: not such a text.
    """
    if text is None:
        return None, None
    width, x, height = text.partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise UsageError(f"--screen {text}: write WIDTHxHEIGHT, such as 1920x1080")
    return int(width), int(height)
