"""Output that the commands share: messages go to stderr, results to stdout.

Most texts come from outside: task files, desktops, models, users. So nothing here interprets markup, emoji codes or
links, and control characters are made visible instead of being sent to the terminal.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deskbench.envs.errors import UsageError

out = Console(markup=False, emoji=False, highlight=False)
"""Results."""
say = Console(stderr=True, markup=False, emoji=False, highlight=False)
"""Messages go to stderr, because stdout is for results."""
_UNBOUNDED = 1_000_000
"""Columns of a line that does not go to a terminal: wide enough that nothing is wrapped or cut."""
GAP = 2
"""Columns of a terminal between two columns of a table."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters (C0 without tab and line feed, DEL, C1) and those that change the direction of text."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; messages go to stderr.")]


HostFiles = Annotated[
    bool, typer.Option("--host-files", help="Let tasks use files of this machine outside their own folder.")
]


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, with dataclasses as objects and paths as text."""
    typer.echo(json.dumps(value, indent=1, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


def plain(text: object) -> str:
    """A text with its control characters visible, so that no text from outside can control the terminal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(text))


def on_terminal(console: Console) -> bool:
    """Whether a person reads this console, whatever FORCE_COLOR says about its colours."""
    return console.file.isatty()


def result(text: object) -> None:
    """Print a line on stdout, without any formatting."""
    typer.echo(plain(text))


def message(text: str, style: str | None = None) -> None:
    """Print a line for people on stderr, without any formatting."""
    tell(say, text, style)


def tell(console: Console, text: str, style: str | None = None) -> None:
    """Print a line unchanged: rich adds no markup, emoji, colours or line breaks."""
    console.print(Text(plain(text), style or ""), soft_wrap=True)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 task`, `2 tasks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """A text on one line, with single spaces."""
    return plain(" ".join(text.split()))


def shortened(text: str, width: int) -> str:
    """A text cut to at most `width` columns of a terminal, with an ellipsis where it is cut off."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…" if width > 0 else ""


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], console: Console = out) -> None:
    """Print a table. Cells are printed unchanged, except for control characters (`plain`).

    On a terminal, cells that are too wide continue on the next line, between two words where the words fit. Elsewhere
    each row is one plain, complete line, for `grep` and similar tools.
    """
    cells = [list(headers), *([plain(" ".join(cell.splitlines())) for cell in row] for row in rows)]
    width = console.width if on_terminal(console) else _UNBOUNDED
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for header, column in zip(headers, _widths(list(zip(*cells, strict=True)), width), strict=True):
        table.add_column(Text(header), overflow="fold", width=column)
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    if on_terminal(console):
        console.print(table)
        return
    for segments in console.render_lines(table, console.options.update(width=_UNBOUNDED), pad=False):
        console.print(Text("".join(segment.text for segment in segments).rstrip()), soft_wrap=True)


def _widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """The width of each column of a table: no narrower than its longest word, as far as `width` allows that."""
    room = width - GAP * (len(columns) - 1)
    words = [max((cell_len(word) for cell in column for word in cell.split()), default=1) for column in columns]
    least = _levelled(words, room)
    more = [max(map(cell_len, column)) - given for column, given in zip(columns, least, strict=True)]
    return [max(one + other, 1) for one, other in zip(least, _levelled(more, room - sum(least)), strict=True)]


def _levelled(wanted: Sequence[int], room: int) -> list[int]:
    """What each gets of `room`: what it wants, or else as much as each of the others that want too much."""
    given = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        given[index] = max(min(wanted[index], room // (len(wanted) - place)), 0)
        room -= given[index]
    return given


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
