"""The table at the end of a run: who failed and why, one line a task, and nothing of it is read as markup."""

import io
import re

import pytest
from rich.console import Console

from deskbench.agent.cli.outcomes import MOST_TASKS, print_outcomes, score
from deskbench.agent.report.outcomes import Outcome


class Terminal(io.StringIO):
    """A file that says that a person reads it."""

    def isatty(self) -> bool:
        return True


LONG = "note.txt: the text\ndiffers [bold]from[/nope] what was asked for :smile: " + "and more " * 20


def printed(episodes: list[Outcome], width: int | None) -> list[str]:
    said = io.StringIO() if width is None else Terminal()
    print_outcomes(episodes, Console(file=said, width=width or 80, color_system="standard"))
    return re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()).splitlines()


EPISODES = [
    Outcome("s/good", 0, 1.0, "done", "all checks passed", attempt=1, steps=3, seconds=4.0, cost_usd=0.01),
    Outcome("s/[bold]bad", 0, 0.0, "step_limit", LONG, attempt=1, steps=15, seconds=61.25, cost_usd=0.5),
    Outcome("s/lost", 0, None, "env_error", "the desktop failed: \x1b[2Jboo", attempt=3, steps=0, seconds=1.0),
    Outcome("s/net", 0, None, "skipped", "requires the network"),
]


def test_failures_come_first_each_with_its_reason() -> None:
    head, lost, bad, good = printed(EPISODES, None)
    assert head.split() == ["score", "task", "ending", "steps", "seconds", "cost", "reason"]
    assert lost.split()[:4] == ["-", "lost", "env_error", "0"]
    assert lost.endswith(r"the desktop failed: \x1b[2Jboo")
    assert bad.split()[:6] == ["0", "[bold]bad", "step_limit", "15", "61.2", "$0.5000"]
    assert bad.endswith(" ".join(LONG.split()))
    assert good.split() == ["1", "good", "done", "3", "4.0", "$0.0100"]


@pytest.mark.parametrize(("width", "lines"), [(140, 4), (60, 6)])
def test_on_a_terminal_the_reason_is_shortened_to_the_width(width: int, lines: int) -> None:
    found = printed(EPISODES, width)
    assert len(found) == lines
    assert max(map(len, found)) <= width
    (bad,) = [line for line in found if "note.txt" in line]
    assert bad.endswith("…") and "the text differs [bold]from[/nope]" in bad


def test_repeats_share_a_line() -> None:
    ones = [Outcome("s/a", n, n % 2, "done", "no", attempt=1, steps=n, seconds=2.0) for n in range(3)]
    many = [Outcome("s/b", n, n % 2, "done", "no", attempt=1, steps=1, seconds=2.0) for n in range(9)]
    lines = printed([*ones, *many], None)
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "0.33 (0 1 0) a done 1 2.0 2 times: no", "0.44 (5x0 4x1) b done 1 2.0 5 times: no"
    ]  # fmt: skip


def test_hundreds_of_tasks_are_shown_by_domain_and_every_failure_by_name() -> None:
    episodes = [
        Outcome(f"{domain}/t{n}", 0, float(n % 3 > 0), "done", "wrong text", attempt=1, steps=2, seconds=10.0)
        for domain in ("chrome", "gimp")
        for n in range(MOST_TASKS)
    ]
    lines = printed(episodes, None)
    assert [line.split() for line in lines[1:3]] == [
        [name, "60", "40", "0.667", "120", "600"] for name in ("chrome", "gimp")
    ]
    assert lines[3] == "40 of 120 tasks without the full score:"
    assert len(lines) == 3 + 1 + 1 + 40
    assert all(line.startswith("0") and line.endswith("wrong text") for line in lines[5:])


def test_a_score_is_not_rounded_up_to_solved() -> None:
    assert [score(value) for value in (None, 0.0, 0.001, 0.5, 0.999, 1.0)] == ["-", "0", "0.01", "0.50", "0.99", "1"]
