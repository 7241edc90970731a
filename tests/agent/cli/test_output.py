"""What the commands print: as it is, and for `grep` a row on a line."""

import io
import re

import pytest
from rich.console import Console

from deskbench.agent.cli.output import plain, print_table, shortened, tell

from .test_outcomes import Terminal

ODD = "buggy:A: [bold]x[/nope] :smile: http://127.0.0.1:80/"
LONG = "suite/" + "a-long-name-" * 8
HEADERS = ("task", "instruction")
ROWS = [(LONG, "Save it.\nThen close it. " + "word " * 40), ("s/b", ODD)]


def printed(*, terminal: bool) -> list[str]:
    said = Terminal() if terminal else io.StringIO()
    print_table(HEADERS, ROWS, Console(file=said, width=60, no_color=True))
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


def test_a_table_breaks_lines_between_words_where_the_words_fit() -> None:
    said = Terminal()
    reason = "the document has another heading and the paragraph below it is not in the style that the task asks for"
    rows = [("0", f"writer-table-of-contents-{n}", "step_limit", reason) for n in range(3)]
    print_table(("score", "task", "ending", "reason"), rows, Console(file=said, width=72, no_color=True))
    lines = re.sub(r"\x1b\[\d+m", "", said.getvalue()).splitlines()
    assert max(map(len, lines)) <= 72
    words = {word for line in lines for word in line.split()}
    assert words == {"score", "task", "ending", "reason", "0", "step_limit", *reason.split(), *(row[1] for row in rows)}


def test_a_table_gives_each_column_what_it_can_where_the_words_do_not_fit() -> None:
    said = Terminal()
    print_table(("a", "b"), [("x" * 90, "y" * 30)], Console(file=said, width=40, no_color=True))
    text = re.sub(r"\x1b\[\d+m", "", said.getvalue())
    assert max(map(len, text.splitlines())) <= 40 and (text.count("x"), text.count("y")) == (90, 30)


def test_a_line_is_told_as_it_is() -> None:
    said = io.StringIO()
    tell(Console(file=said, width=20), ODD, "red")
    assert said.getvalue() == ODD + "\n"


def test_a_text_from_outside_does_not_control_the_terminal() -> None:
    assert plain("a\x1b[2J\x9bK\r\n\tb\u202e") == r"a\x1b[2J\x9bK\r" + "\n\tb" + r"\u202e"
    said = io.StringIO()
    tell(Console(file=said), "task \x1b]0;title\x07")
    print_table(("task",), [("\x1b[31mred",)], Console(file=said))
    assert "\x1b" not in said.getvalue()


def test_a_table_that_is_piped_is_whole_though_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert printed(terminal=False)[1].split()[0] == LONG


def test_a_shortened_text_says_that_it_is() -> None:
    assert [shortened("日本語 text", width) for width in (12, 11, 6, 1, 0)] == [
        "日本語 text", "日本語 text", "日本…", "…", "",
    ]  # fmt: skip
