"""Output that the commands share: messages go to stderr, results to stdout."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deskbench.envs.errors import UsageError

out = Console()
"""Results."""
say = Console(stderr=True)
"""Messages go to stderr, because stdout is for results."""
_UNBOUNDED = 1_000_000
"""Columns of a line that does not go to a terminal: wide enough that nothing is wrapped or cut."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tabs and line breaks."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; messages go to stderr.")]


HostFiles = Annotated[
    bool, typer.Option("--host-files", help="Let tasks use files of this machine outside their own folder.")
]


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, with dataclasses as objects and paths as text."""
    typer.echo(json.dumps(value, indent=1, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


def message(text: str, style: str | None = None) -> None:
    """Print a line for people on stderr, without any formatting."""
    tell(say, text, style)


def tell(console: Console, text: str, style: str | None = None) -> None:
    """Print a line unchanged but for control characters: rich adds no markup, emoji, colours or line breaks."""
    console.print(Text(_without_controls(text), style or ""), soft_wrap=True)


def echo(text: str) -> None:
    """Print a line of the result on stdout; a terminal does nothing but show it."""
    typer.echo(_without_controls(text))


def _without_controls(text: str) -> str:
    """A text, which may be from a model, a desktop or somebody's run, without what a terminal would obey."""
    return _CONTROLS.sub("\ufffd", text)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], console: Console = out) -> None:
    """Print a table; the text of its cells is printed unchanged.

    On a terminal, cells that are too wide continue on the next line. Elsewhere each row is one plain, complete line,
    for `grep` and similar tools.
    """
    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(Text(header), overflow="fold")
    for row in rows:
        table.add_row(*(Text(" ".join(cell.splitlines())) for cell in row))
    if console.is_terminal:
        console.print(table)
        return
    for line in console.render_lines(table, console.options.update(width=_UNBOUNDED), pad=False):
        console.print(Text("".join(segment.text for segment in line).rstrip()), soft_wrap=True)


def screen_size(text: str | None) -> tuple[int | None, int | None]:
    """Read `1920x1080` as width and height in pixels.

    Raises:
        UsageError: the text does not have this form.
    """
    if text is None:
        return None, None
    width, x, height = text.partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise UsageError(f"--screen {text}: write WIDTHxHEIGHT, such as 1920x1080")
    return int(width), int(height)
