"""What a person sees while a run goes on: on a terminal a live screen, elsewhere a line for each end."""

import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pytest
from rich.console import Console

from deskbench.agent.batch import Progress, Running
from deskbench.agent.cli.live import clock, drawn, ended, line, showing
from deskbench.agent.episode import Doing
from deskbench.agent.report.outcomes import Outcome
from deskbench.envs import wait
from deskbench.envs.types import Click, Type

from ..paper import write_suite
from ..runs.test_index import made
from .test_cli import PAPER, environment
from .test_outcomes import Terminal

BAD = Outcome("s/[bold]a", 1, 0.0, "step_limit", "wrong\n:smile:", attempt=1, steps=15, seconds=31.96)


def test_the_line_has_counts_mean_rate_time_left_cost_and_what_is_running() -> None:
    progress = Progress(
        total=40, finished=10, running=[Running("s/a"), Running("s/b")], retried=2, cost_usd=1.25,
        scores=[1.0, 0.0, None], began=time.monotonic() - 60,
    )  # fmt: skip
    assert line("vlm", progress) == (
        "vlm: 10/40 | mean 0.500 | 1 unscored, 0.333 with them as 0 | 2 retried | 10.0/min, 3:00 left | $1.250 "
        "| now s/a, s/b"
    )


def test_before_the_first_end_nothing_is_guessed() -> None:
    assert line("null", Progress(total=3, running=[Running("s/a")])) == "null: 0/3 | now s/a"


def test_the_end_of_an_episode_is_a_line_with_the_reason() -> None:
    assert ended(BAD) == "s/[bold]a (repeat 2): 0 (step_limit, 15 steps, 32.0 s): wrong :smile:"
    assert ended(Outcome("s/a", 0, 1.0, "done", "right", steps=1, seconds=2.0)) == "s/a: 1 (done, 1 step, 2.0 s)"


def test_without_a_terminal_there_is_a_line_for_each_end_and_no_escape_codes() -> None:
    said = io.StringIO()
    with showing(Console(file=said, width=60), "null") as show:
        for finished in (0, 0, 1, 1, 2):
            show(Progress(total=2, finished=finished, scores=[1.0] * finished, last=BAD if finished else None))
    assert [found.rpartition(" | ")[2] for found in said.getvalue().splitlines()] == [
        "null: 0/2",
        ended(BAD),
        ended(BAD),
    ]
    assert "\x1b" not in said.getvalue()


def test_the_screen_has_a_line_for_each_desktop_with_what_its_agent_did() -> None:
    began = time.monotonic() - 32
    running = [
        Running("s/typing", slot=1, steps=15, began=began, doing=Doing("", 4, (Click(x=3, y=4), Type("a[b]\nc")))),
        Running("s/new", slot=0, began=began, steps=15, attempt=2),
        Running("s/" + "long" * 30, slot=2, began=began, steps=15, doing=Doing("")),
    ]
    lines = drawn("vlm", Progress(total=10, finished=5, running=running), 100, 24)
    assert lines[0].startswith("vlm: 5/10 ━") and lines[0].endswith("─ 50%")
    assert re.split(" {2,}", lines[2].strip())[-1] == "start the desktop"
    assert "attempt 2" in lines[2]
    assert lines[3].split()[:4] == ["2", "s/typing", "4/15", "0:32"]
    assert lines[3].endswith('click at (3, 4); type "a[b] c"')
    assert lines[4].split()[1].startswith("…") and len(lines[4].split()[1]) == 33
    assert lines[4].endswith("wait for the agent")
    assert max(map(len, lines)) < 100


@pytest.mark.parametrize(("width", "height"), [(20, 4), (1, 1), (300, 5)])
def test_the_screen_is_no_larger_than_the_terminal(width: int, height: int) -> None:
    running = [Running(f"s/{n}", slot=n, doing=Doing("", 1, (Type("x" * 500),))) for n in range(30)]
    lines = drawn("vlm", Progress(total=99, running=running, scores=[None] * 9), width, height)
    assert len(lines) <= max(height, 5)
    assert max(map(len, lines)) <= max(width - 1, 0)


def test_a_terminal_that_takes_no_text_does_not_stop_the_run() -> None:
    free = threading.Event()

    class Stuck(Terminal):
        def write(self, text: str) -> int:
            free.wait(60)
            return len(text)

    free.set()
    with showing(Console(file=Stuck(), width=80, height=24), "vlm") as show:
        free.clear()
        began = time.monotonic()
        for finished in range(1000):
            show(Progress(total=1000, finished=finished, last=BAD))
        assert time.monotonic() - began < 30
        free.set()


def test_hours_are_hours() -> None:
    assert [clock(seconds) for seconds in (0, 59.7, 3599, 3661)] == ["0:00", "1:00", "59:59", "1:01:01"]


# On a real terminal.


class Watched:
    """A process on a terminal of its own, and everything that it printed so far."""

    def __init__(self, words: list[str], folder: Path, columns: int) -> None:
        self.terminal, inside = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(inside)
        command = [sys.executable, "-m", "deskbench.agent", *words]
        environ = {**environment(), "TERM": "xterm-256color"}
        environ.pop("COLUMNS")
        self.process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
        )
        self.inside = inside
        self.said = ""
        os.set_blocking(self.terminal, False)

    def resize(self, columns: int) -> None:
        ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self) -> str:
        """Everything so far."""
        try:
            while data := os.read(self.terminal, 65536):
                self.said += data.decode("utf-8", "replace")
        except (BlockingIOError, OSError):
            pass
        return self.said

    def until(self, text: str) -> bool:
        """Whether the process prints this text soon."""
        return bool(wait.until(lambda: text in self.read(), timeout=60))

    def end(self) -> int:
        """Wait for the end; returns the exit status."""
        wait.until(lambda: (self.read(), self.process.poll())[1] is not None, timeout=60)
        self.read()
        return self.process.wait(5)


@contextmanager
def watched(*words: object, folder: Path, columns: int = 100) -> Iterator[Watched]:
    found = Watched([str(word) for word in words], folder, columns)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()
        os.close(found.terminal)
        os.close(found.inside)


def rows(said: str) -> list[str]:
    """What stands on the terminal in the end, as one that does what rich's codes say."""
    screen: list[str] = [""]
    row = 0
    for code, text in re.findall(r"(\x1b\[[?\d;]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", said):
        if text:
            screen[row] += text
        elif code == "\n":
            row += 1
            screen += [""] * (row + 1 - len(screen))
        elif code.endswith("A"):
            row = max(0, row - int(code[2:-1] or 1))
        elif code == "\x1b[2K":
            screen[row] = ""
        elif code == "\x1b[2J":
            screen, row = [""], 0
    return screen


BUGGY = """
from deskbench.agent.base import Decision
from deskbench.envs import wait
from deskbench.envs.types import Done, Type
from tests.agent.paper import Script

class A(Script):
    def __init__(self):
        super().__init__([Type("hello[red]:smile:")], [Done()])

    def act(self, observation):
        wait.sleep(1)
        return super().act(observation)
"""


def test_a_run_on_a_terminal_shows_its_desktops_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "buggy.py").write_text(BUGGY)
    write_suite(tmp_path / "suite[bold]")
    words = ("run", "suite[bold]", "--agent", "buggy:A", "--provider", "fake", "-n", 2)
    with watched(*words, folder=tmp_path) as run:
        assert run.until('type "hello[red]:smile:"')
        run.resize(60)
        os.kill(run.process.pid, signal.SIGWINCH)
        assert run.until("\x1b[2J")
        assert run.end() == 0
        assert termios.tcgetattr(run.inside) == run.before
        assert run.said.count("\x1b[?25h") >= run.said.count("\x1b[?25l") > 0
    found = rows(run.said)
    for n in range(3):
        assert any(text.startswith(f"suite[bold]/write-{n}: 0 (done, 2 steps") for text in found)
    assert not any("━" in text for text in found)
    assert "buggy:A: 4/4" in run.said and "🅰" not in run.said
    assert any(text.startswith("score") for text in found)


def test_after_ctrl_c_on_a_terminal_the_message_can_be_read(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite")
    words = ("run", suite, "--agent", f"{PAPER}:Stubborn", "--max-steps", 9999, "--provider", "fake", "--out", "here")
    with watched(*words, folder=tmp_path) as run:
        assert run.until('type "x"')
        os.kill(run.process.pid, signal.SIGINT)
        assert run.end() == 1
        assert termios.tcgetattr(run.inside) == run.before
        assert run.said.rindex("\x1b[?25h") > run.said.rindex("\x1b[?25l")
    found = rows(run.said)
    assert any("press Ctrl-C again" in text for text in found)
    assert "interrupted; continue with: deskbench run --resume here" in found


def test_clean_asks_on_a_terminal(tmp_path: Path) -> None:
    made(tmp_path / "runs/20261129-cut", "interrupted")
    for answer, left in ((b"n", True), (b"y", False)):
        with watched("runs", "clean", "--unfinished", folder=tmp_path) as run:
            assert run.until("? [y/N]")
            os.write(run.terminal, answer + b"\n")
            assert run.end() == int(left)
        assert (tmp_path / "runs/20261129-cut").exists() is left
