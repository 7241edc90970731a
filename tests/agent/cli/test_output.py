"""What the commands print: as it is, and for `grep` a row on a line."""

import io
import re

from rich.console import Console

from deskbench.agent.cli.output import print_table, tell

ODD = "buggy:A: [bold]x[/nope] :smile: http://127.0.0.1:80/"
LONG = "suite/" + "a-long-name-" * 8
HEADERS = ("task", "instruction")
ROWS = [(LONG, "Save it.\nThen close it. " + "word " * 40), ("s/b", ODD)]


def printed(*, terminal: bool) -> list[str]:
    said = io.StringIO()
    print_table(HEADERS, ROWS, Console(file=said, width=60, force_terminal=terminal, no_color=True))
    return said.getvalue().splitlines()


def test_where_no_terminal_reads_it_a_row_is_one_whole_line() -> None:
    lines = printed(terminal=False)
    assert [line.split()[0] for line in lines] == ["task", LONG, "s/b"]
    assert lines[1].endswith("word") and "Save it. Then close it." in lines[1]
    assert lines[2].endswith(ODD)
    assert lines[2].index("buggy") == lines[1].index("Save") == lines[0].index("instruction")


def test_on_a_terminal_lines_are_no_wider_and_nothing_is_lost() -> None:
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in printed(terminal=True)]
    assert max(map(len, lines)) <= 60
    assert LONG in "".join(line.split()[0] for line in lines if not line.startswith(" "))
    assert sum(line.count("word") for line in lines) == 40


def test_a_line_is_told_as_it_is() -> None:
    said = io.StringIO()
    tell(Console(file=said, width=20), ODD, "red")
    assert said.getvalue() == ODD + "\n"
