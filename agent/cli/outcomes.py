"""The table at the end of a run: one line per task, failures first; by domain if there are many tasks."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from deskbench.agent.cli.output import on_terminal, one_line, plain, print_table, shortened, tell
from deskbench.agent.report.outcomes import Outcome, TaskOutcome, by_domain, by_task
from deskbench.agent.statistics.intervals import score_of

MOST_TASKS = 60
"""Lines of a table that a person still reads; with more tasks the table is by domain."""
LEAST_REASON = 32
"""Columns. A terminal with less room beside the other columns gets the reason on a line of its own."""
NUMBERS = frozenset({"steps", "seconds", "cost"})
"""Headers of columns that are aligned to the right."""


def print_outcomes(episodes: Sequence[Outcome], console: Console) -> None:
    """Print the outcome of every task of a run."""
    tasks = by_task(episodes)
    if len(tasks) <= MOST_TASKS:
        _print_tasks(tasks, console)
        return
    print_table(DOMAINS, domain_rows(by_domain(tasks)), console)
    failed = [one for one in tasks if not one.solved]
    tell(console, f"{len(failed)} of {len(tasks)} tasks without the full score" + (":" if failed else ""))
    if failed:
        _print_tasks(failed, console)


DOMAINS = ("domain", "tasks", "solved", "mean", "no score", "steps", "seconds", "cost")


def domain_rows(domains: dict[str, list[TaskOutcome]]) -> Iterator[tuple[str, ...]]:
    """One row per domain, with the columns DOMAINS: sums, and the mean over the tasks with a score."""
    for name, tasks in domains.items():
        episodes = [episode for one in tasks for episode in one.episodes]
        mean = score_of({one.task: one.scores for one in tasks})
        costs = [one.cost_usd for one in tasks if one.cost_usd is not None]
        yield (
            name, str(len(tasks)), str(sum(one.solved for one in tasks)),
            "-" if mean is None else f"{mean:.3f}", str(sum(one.missing for one in tasks) or ""),
            str(sum(one.steps for one in episodes)), f"{sum(one.seconds for one in episodes):.0f}",
            dollars(sum(costs)) if costs else "",
        )  # fmt: skip


def _print_tasks(tasks: Sequence[TaskOutcome], console: Console) -> None:
    rows = [_row(one, _shared(tasks)) for one in tasks]
    headers = ["score", "task", "ending", "steps", "seconds"]
    headers += ["cost"] if any(one.cost_usd is not None for one in tasks) else []
    widths = [max(map(cell_len, (header, *(row[header] for row in rows)))) for header in headers]
    room = console.width - sum(widths) - 2 * len(widths) if on_terminal(console) else None
    head = _line(dict(zip(headers, headers, strict=True)), headers, widths)
    tell(console, f"{head}  reason" if room is None or room >= LEAST_REASON else head, "bold")
    for one, row in zip(tasks, rows, strict=True):
        _print_row(_line(row, headers, widths), one, room, console)


def _print_row(line: str, task: TaskOutcome, room: int | None, console: Console) -> None:
    style = None if task.solved else "yellow" if task.score is None or task.score > 0 else "red"
    reason = one_line(task.reason)
    if room is None or not reason:
        tell(console, f"{line}  {reason}".rstrip(), style)
    elif room >= LEAST_REASON:
        tell(console, f"{line}  {shortened(reason, room)}", style)
    else:
        tell(console, line.rstrip(), style)
        tell(console, f"    {shortened(reason, console.width - 4)}", style)


def _line(row: dict[str, str], headers: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(headers, widths, strict=True)
    return "  ".join(
        row[name].rjust(width) if name in NUMBERS else set_cell_size(row[name], width) for name, width in cells
    )


def _row(one: TaskOutcome, shared: str) -> dict[str, str]:
    """The cells of a task by header; over repeats, steps and seconds are means and the cost is a sum."""
    ran = [episode for episode in one.episodes if episode.attempt]
    return {
        "score": score(one.score) + _each(one.episodes),
        "task": plain(one.task.removeprefix(shared)),
        "ending": _endings(one.episodes),
        "steps": f"{statistics.fmean(episode.steps for episode in ran):.3g}" if ran else "",
        "seconds": f"{statistics.fmean(episode.seconds for episode in ran):.1f}" if ran else "",
        "cost": "" if one.cost_usd is None else dollars(one.cost_usd),
    }


def _shared(tasks: Sequence[TaskOutcome]) -> str:
    """The suite of all tasks and a slash, or an empty text if there are several suites."""
    suites = {one.task.rpartition("/")[0] for one in tasks}
    return f"{suites.pop()}/" if len(suites) == 1 else ""


def _each(episodes: Sequence[Outcome]) -> str:
    """The scores of the repeats: each by itself, or how often each occurred if there are many."""
    if len(episodes) == 1:
        return ""
    scores = [score(one.score) for one in episodes]
    if len(scores) > 5:
        scores = [f"{count}x{text}" for text, count in Counter(scores).most_common()]
    return f" ({' '.join(scores)})"


def _endings(episodes: Sequence[Outcome]) -> str:
    counts = Counter(one.ending for one in episodes)
    return ", ".join(name if len(counts) == 1 else f"{count} {name}" for name, count in counts.most_common())


def score(value: float | None) -> str:
    """A score in a table; only a score of exactly 1 is `1`, and only exactly 0 is `0`."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value in (0.0, 1.0) else f"{min(max(value, 0.01), 0.99):.2f}"


def dollars(cost: float) -> str:
    """A cost in US dollars, with enough digits for the cheapest models."""
    return f"${cost:.2f}" if cost >= 10 else f"${cost:.4f}"
