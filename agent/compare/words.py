"""A comparison in words, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterator

from deskbench.agent.compare.runs import Comparison, Versus
from deskbench.agent.statistics.paired import Difference
from deskbench.agent.statistics.power import Plan
from deskbench.agent.statistics.words import counted, protocol_line

TESTS = {"mcnemar-midp": "McNemar's test, mid-p", "sign-flip": "permutation test over tasks", "none": "no test"}
METHODS = {"newcombe": "Newcombe", "bca": "BCa bootstrap over tasks", "t": "Student's t over tasks", "none": "none"}


def verdict(versus: Versus) -> str:
    """The one sentence to remember; it never says that runs are equal."""
    found = versus.all
    if found.shown and found.difference:
        return f"{versus.second} scores {'higher' if found.difference > 0 else 'lower'} than {versus.first}"
    return f"{versus.first} and {versus.second} are not distinguishable"


def told(versus: Versus) -> Iterator[str]:
    """The verdict, the difference with its interval and test, and what these tasks can show."""
    found, a, b = versus.all, versus.first, versus.second
    interval = f" {ends(found)}" if found.low is not None else ""
    note = f" ({found.note})" if found.note else ""
    yield f"{verdict(versus)}: {b} - {a} = {difference(found)}{interval}, {p_value(found)}{note}"
    yield (f"{counted(found.tasks, 'task')}, {counted(found.pairs, 'pair')} of episodes; higher only in {a}: "
           f"{found.only_first}, only in {b}: {found.only_second}; {TESTS[found.test]}; interval: "
           f"{METHODS[found.method]}{resampled(found)}")  # fmt: skip
    yield least(found)


def protocols(found: Comparison) -> Iterator[str]:
    """How the runs' scores came about; runs with the same protocol share a line."""
    letters: dict[str, list[str]] = {}
    for run in found.runs:
        letters.setdefault(protocol_line(run.protocol), []).append(run.letter)
    for line, those in letters.items():
        yield f"{', '.join(those[:-1])}{' and ' if len(those) > 1 else ''}{those[-1]}: {line}"


def unpaired(versus: Versus) -> str:
    """The episodes that only one of two runs has a score for."""
    named = ", ".join(f"{episode} (only {letter})" for episode, letter in versus.unpaired)
    return f"left out of the pairs, as one run alone has a score: {named}"


def least(found: Difference) -> str:
    """The least difference that this many tasks can show."""
    if found.least is None:
        return f"{counted(found.tasks, 'task')} cannot show any difference"
    return f"the least true difference that {counted(found.tasks, 'task')} show with 80 % power is {found.least:.3f}"


def difference(found: Difference) -> str:
    """The difference with its sign."""
    return "-" if found.difference is None else f"{found.difference:+.3f}"


def ends(found: Difference) -> str:
    """Its interval, or why there is none."""
    return found.note or "" if found.low is None or found.high is None else f"[{found.low:+.3f}, {found.high:+.3f}]"


def p_value(found: Difference) -> str:
    """The p value, with the adjusted one where several runs were compared."""
    if found.p is None:
        return ""
    several = found.adjusted is not None and found.adjusted != found.p
    return f"p = {_p(found.p)}" + (f" (adjusted {_p(found.adjusted or 0.0)})" if several else "")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def resampled(found: Difference) -> str:
    """How numbers were drawn, if they were."""
    return "" if found.resamples is None else f"; {found.resamples:,} resamples, seed {found.seed}"


def group_rows(versus: Versus) -> Iterator[tuple[str, ...]]:
    """Rows of the table by suite, domain and tag."""
    for group in versus.groups:
        found = group.difference
        p = "-" if found.adjusted is None else _p(found.adjusted)
        first, second = ("-" if value is None else f"{value:.3f}" for value in (found.first, found.second))
        yield group.kind, group.name, str(found.tasks), first, second, difference(found), ends(found), p


def plan_lines(plan: Plan) -> Iterator[str]:
    """What a plan assumes, and what it says about the given number of tasks."""
    whose = "as measured" if plan.measured else "assumed"
    yield (f"to show a difference of {plan.difference:g} with {plan.power:.0%} power at a level of {plan.alpha:g}; "
           f"{plan.discordant:.0%} of tasks have another result in the other run ({whose}), and repeats average out "
           f"{plan.chance:.0%} of that")  # fmt: skip
    if plan.tasks is not None:
        enough = plan.enough_repeats
        yield (f"{plan.tasks} tasks: no number of repeats is enough; use more tasks" if enough is None
               else f"{plan.tasks} tasks: {counted(enough, 'attempt')} per task are enough")  # fmt: skip
