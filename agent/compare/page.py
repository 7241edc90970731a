"""The page of a comparison: one file of HTML without scripts that loads nothing and can be mailed and printed.

Everything that it shows may come from a model or a desktop and is written as text.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from deskbench.agent.compare.drawing import picture, picture_of, reach
from deskbench.agent.compare.runs import Comparison, Flip, Played, Side, Versus
from deskbench.agent.compare.words import difference, ends, group_rows, p_value, protocols, told, unpaired, verdict
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import write_atomic
from deskbench.agent.statistics.words import interval
from deskbench.envs.errors import StorageError
from deskbench.envs.redact import KNOWN


def write_page(found: Comparison, path: Path) -> None:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create {path.parent}: {error.strerror}") from error
    write_atomic(path, KNOWN.text(page(found, path.parent)).encode("utf-8", "replace"))


def page(found: Comparison, beside: Path) -> str:
    """The whole page; links are relative to the folder `beside`."""
    style = files("deskbench.agent.compare").joinpath("compare.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = " and ".join(run.name for run in found.runs)
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    heads = (part for versus in found.against for part in _head(found, versus))
    details = (part for versus in found.against for part in _versus(versus, found, beside))
    title_line = f"<h1>{escape(', '.join(f'{run.letter}: {run.name}' for run in found.runs))}</h1>"
    body = "\n".join([title_line, *heads, *_runs(found), *details, *_left_out(found)])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} compared</title><style>{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _head(found: Comparison, versus: Versus) -> Iterator[str]:
    """The answer: the verdict, the difference and what these tasks can show."""
    several = f" ({versus.first} and {versus.second})" if len(found.against) > 1 else ""
    for conflict in versus.conflicts:
        yield f'<p class="warning"><b>Scores are not comparable{several}:</b> {escape(str(conflict))}</p>'
    yield f'<p class="large">{escape(verdict(versus))}</p>'
    numbers = f"{versus.second} - {versus.first} = {difference(versus.all)}", ends(versus.all), p_value(versus.all)
    yield f'<p class="middle"><b>{escape(numbers[0])}</b> {escape(numbers[1])} <span>{escape(numbers[2])}</span></p>'
    yield f'<div class="drawn">{picture_of(versus.all, reach([versus.all]), ticks=True)}</div>'
    yield from (f"<p>{_sentence(line)}</p>" for line in list(told(versus))[1:])


def _runs(found: Comparison) -> Iterator[str]:
    yield "<h2>Runs</h2>"
    yield _table(
        ("", "run", "agent", "score", "95 % interval", "tasks", "episodes", "0 to 1"), map(_run_row, found.runs)
    )
    yield from (f'<p class="soft">{escape(line)}.</p>' for line in protocols(found))


def _left_out(found: Comparison) -> Iterator[str]:
    lines = list(found.notes)
    for versus in found.against:
        if versus.unpaired:
            lines.append(unpaired(versus))
    if lines:
        yield "<h2>Left out</h2>"
        yield from (f"<p>{_sentence(line)}</p>" for line in lines)


def _sentence(text: str) -> str:
    return f"{escape(text[:1].upper() + text[1:])}."


def _run_row(run: Side) -> Iterator[str]:
    yield f'<th scope="row">{run.letter}</th>'
    yield from map(_cell, (run.name, run.agent))
    score = "-" if run.score.mean is None else f"{run.score.mean:.3f}"
    ends = run.score.note if run.score.low is None and run.score.note else interval(run.score)
    yield from map(_number, (score, ends, str(run.score.tasks), str(run.score.episodes)))
    kind = "a" if run.letter == "A" else "b"
    drawn = picture((run.score.low, run.score.mean, run.score.high), (0.0, 1.0), kind=kind)
    yield f"<td>{drawn}</td>"


def _versus(versus: Versus, found: Comparison, beside: Path) -> Iterator[str]:
    sides = {run.letter: run for run in found.runs}
    a, b = versus.first, versus.second
    yield f"<h2>{a} against {b}</h2>"
    yield from _groups(versus)
    yield "<h3>Steps, time and cost of an episode</h3>"
    yield _table(("mean of", "over", "pairs", a, b), _efforts(versus))
    if versus.flips:
        yield f"<h3>Tasks with another score in {b}: {len(versus.flips)}</h3>"
        rows = (_flip(flip, n, sides, versus, beside) for flip in versus.flips for n in range(len(flip.pairs)))
        yield _table(("task", "repeat", f"score {a}", f"score {b}", f"{a}: ending and reason",
                      f"{b}: ending and reason"), rows)  # fmt: skip


def _groups(versus: Versus) -> Iterator[str]:
    if not versus.groups:
        return
    yield "<h3>By suite, domain and tag</h3>"
    far = reach([group.difference for group in versus.groups])
    heads = (
        "",
        "",
        "tasks",
        versus.first,
        versus.second,
        "difference",
        "95 % interval",
        "p (Holm)",
        f"{-far:g} to {far:+g}",
    )
    rows = (
        [_cell(row[0]), f'<th scope="row">{escape(row[1])}</th>', *map(_number, row[2:]),
         f"<td>{picture_of(group.difference, far)}</td>"]
        for group, row in zip(versus.groups, group_rows(versus), strict=True)
    )  # fmt: skip
    yield _table(heads, rows)


def _efforts(versus: Versus) -> Iterator[list[str]]:
    for effort in versus.efforts:
        if effort.first is not None and effort.second is not None:
            places = 4 if effort.what == "US dollars" else 1
            numbers = (str(effort.pairs), f"{effort.first:.{places}f}", f"{effort.second:.{places}f}")
            yield [_cell(effort.what), _cell(effort.over), *map(_number, numbers)]


def _flip(flip: Flip, n: int, sides: dict[str, Side], versus: Versus, beside: Path) -> Iterator[str]:
    repeat, one, other = flip.pairs[n]
    yield f'<th scope="row" class="task">{escape(flip.task)}</th>'
    yield _number(str(repeat + 1))
    yield _number(f"{one.score:.2f}", "up" if one.score > other.score else "down")
    yield _number(f"{other.score:.2f}", "up" if other.score > one.score else "down")
    yield _episode(one, sides[versus.first], beside)
    yield _episode(other, sides[versus.second], beside)


def _episode(played: Played, run: Side, beside: Path) -> str:
    """A link to an episode in its run's report, its ending, and the reason of its score."""
    report = RunFolder(Path(run.folder)).report
    target = quote(os.fsencode(os.path.relpath(report, beside))) + "#" + quote(played.address)
    link = f'<a href="{escape(target)}">{escape(played.ending)}, {played.steps} steps</a>'
    return f'<td>{link}<div class="reason">{escape(played.reason)}</div></td>'


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(text: str, kind: str = "") -> str:
    return f'<td class="{f"n {kind}".strip()}">{escape(text)}</td>'


NUMBERS = ("tasks", "episodes", "score", "95 % interval", "difference", "pairs", "repeat", "p (Holm)")


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f'<th scope="col"{_kind(head)}>{escape(head)}</th>' for head in heads)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _kind(head: str) -> str:
    return ' class="n"' if head in NUMBERS or head.startswith("score") or len(head) == 1 else ""
