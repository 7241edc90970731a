"""The progress of a run: a live screen on a terminal, elsewhere a line as each episode ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from deskbench.agent.batch import Progress, Running
from deskbench.agent.cli.outcomes import score
from deskbench.agent.cli.output import counted, on_terminal, one_line, shortened, tell
from deskbench.agent.report.outcomes import Outcome
from deskbench.agent.report.words import in_words

REFRESH_SECONDS = 0.4
"""How often the screen is drawn. The run never waits for it."""
LONGEST_BAR = 40
"""Columns."""


@contextmanager
def showing(console: Console, name: str) -> Iterator[Callable[[Progress], None]]:
    """A function that takes the progress of a run whenever it changes, and shows it."""
    if on_terminal(console) and not console.is_dumb_terminal and name != "human":  # `human` asks on the same terminal
        screen = Screen(console, name)
        with screen:
            yield screen.change
        return
    last = [-1]

    def plain(progress: Progress) -> None:
        if progress.finished != last[0]:
            last[0] = progress.finished
            tell(console, line(name, progress))

    yield plain


class Screen:
    """Draws the progress at the bottom of the terminal, from its own thread; finished episodes scroll up above it.

    The run's threads only store the progress. If the terminal accepts no text (Ctrl-S, a slow connection), only the
    drawing stops.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._progress: Progress | None = None
        self._finished = 0
        self._ended: deque[Outcome] = deque()
        self._over = threading.Event()
        self._size = console.size
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def change(self, progress: Progress) -> None:
        """Store the progress, to be drawn."""
        if progress.finished != self._finished and progress.last is not None:
            self._finished = progress.finished
            self._ended.append(progress.last)
        self._progress = progress

    def __enter__(self) -> Screen:
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the terminal; the lines of the episodes that ended stay."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # a terminal that is gone
            self._draw()
            self._live.stop()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.wait(REFRESH_SECONDS):
                self._draw()

    def _draw(self) -> None:
        if self._console.size != self._size:  # the old lines have been wrapped anew, so nobody knows how many they are
            self._live.stop()
            self._console.clear()
            self._size = self._console.size
            self._live.start()
        while self._ended:
            outcome = self._ended.popleft()
            tell(self._console, shortened(ended(outcome), self._size.width), _style(outcome))
        if self._progress is not None:
            lines = drawn(self._name, self._progress, *self._size, ascii_only=self._console.options.ascii_only)
            self._live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)


def drawn(name: str, progress: Progress, width: int, height: int, *, ascii_only: bool = False) -> list[str]:
    """The lines of the screen: the bar, the numbers, and one line for each desktop that fits."""
    share = progress.finished / progress.total if progress.total else 1.0
    columns = max(0, min(LONGEST_BAR, width - len(name) - 20))
    full = round(share * columns)
    done, left = ("#", "-") if ascii_only else ("━", "─")
    counts = f"{progress.finished}/{progress.total}"
    lines = [f"{one_line(name)}: {counts} {done * full}{left * (columns - full)} {share:.0%}", numbers(progress)]
    running = sorted(progress.running, key=lambda one: one.slot)
    room = max(1, height - len(lines) - 2)
    now = time.monotonic()
    task_width = max((len(one_line(one.task)) for one in running), default=0)
    lines += [_desktop(one, min(task_width, width // 3), now) for one in running[:room]]
    if len(running) > room:
        lines.append(f"and {len(running) - room} more desktops")
    return [shortened(text, width - 1) for text in lines if text]


def _desktop(one: Running, task_width: int, now: float) -> str:
    """The line of one desktop: task, step, time, and the current stage or the agent's last action."""
    doing = one.doing
    task = one_line(one.task)
    task = task if len(task) <= task_width else "…" + task[len(task) - task_width + 1 :]
    step = f"{doing.step}/{one.steps}"
    did = doing.phase or (in_words(doing.actions) if doing.step else "wait for the agent")
    more = "".join(
        [f" repeat {one.repeat + 1}" if one.repeat else "", f" attempt {one.attempt}" if one.attempt > 1 else ""]
    )
    return f"{one.slot + 1:>3} {task:{task_width}} {step:>7} {clock(now - one.began):>6}{more}  {one_line(did)}"


def line(name: str, progress: Progress) -> str:
    """The progress on one line: counts, numbers, and the episode that ended last or the running tasks."""
    parts = [f"{name}: {progress.finished}/{progress.total}"]
    parts += [text for text in (numbers(progress),) if text]
    if progress.last is not None:
        parts.append(ended(progress.last))
    elif progress.running:
        more = " ..." if len(progress.running) > 3 else ""
        parts.append("now " + ", ".join(one.task for one in progress.running[:3]) + more)
    return " | ".join(parts)


def numbers(progress: Progress) -> str:
    """Mean, unscored and repeated attempts, rate, time left and cost, as far as they are known."""
    seconds = max(time.monotonic() - progress.began, 1e-3)
    scored = [value for value in progress.scores if value is not None]
    parts = [f"mean {sum(scored) / len(scored):.3f}"] if scored else []
    if len(scored) < len(progress.scores):
        zeros = f", {sum(scored) / len(progress.scores):.3f} with them as 0" if scored else ""
        parts.append(f"{len(progress.scores) - len(scored)} unscored{zeros}")
    if progress.retried:
        parts.append(f"{progress.retried} retried")
    if progress.finished:
        rate = progress.finished / seconds
        parts.append(f"{rate * 60:.1f}/min, {clock((progress.total - progress.finished) / rate)} left")
    if progress.cost_usd is not None:
        parts.append(f"${progress.cost_usd:.3f}")
    return " | ".join(parts)


def ended(outcome: Outcome) -> str:
    """An episode that ended, on one line."""
    repeat = f" (repeat {outcome.repeat + 1})" if outcome.repeat else ""
    steps = counted(outcome.steps, "step")
    why = "" if outcome.score == 1.0 else f": {outcome.reason}"
    number = "no score" if outcome.score is None else score(outcome.score)
    return one_line(f"{outcome.task}{repeat}: {number} ({outcome.ending}, {steps}, {outcome.seconds:.1f} s){why}")


def _style(outcome: Outcome) -> str | None:
    return None if outcome.score == 1.0 else "red" if outcome.score == 0.0 else "yellow"


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
