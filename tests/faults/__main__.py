"""`python -m tests.faults [--provider fake|local]...`: inject every fault into a run; a table of the results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.faults import desktops, models, tasks  # noqa: F401  (they add themselves to the list)
from tests.faults.base import FAKE, FAULTS, PLACES, Becomes, Fault
from tests.faults.runs import CannotRun, carry_out, mismatches
from tests.page import put

BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"
"""The table goes between these lines of a page."""
RIGHT, WRONG, NOT_RUN, NONE = "as expected", "WRONG", "not run", "n/a"


@dataclass(frozen=True)
class Verdict:
    """Whether a fault had the expected result, and if not, the differences."""

    verdict: str
    why: list[str] = field(default_factory=list)


Table = dict[str, dict[str, Verdict]]
"""Verdicts by place and fault."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Inject the faults and print the table; the exit status says whether a fault was judged wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--provider", action="append", choices=PLACES, help=f"a column (default: {FAKE})")
    parser.add_argument("--only", action="append", choices=list(FAULTS), metavar="ID", help="a fault's id")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", type=Path, help="put the table into a page")
    args = parser.parse_args(arguments)
    if args.write and not args.write.is_file():
        parser.error(f"{args.write} is no page to put the table into")
    chosen = [one for key, one in FAULTS.items() if not args.only or key in args.only]
    table = {place: {one.id: verdict(one, place) for one in chosen} for place in args.provider or [FAKE]}
    if args.json:
        sys.stdout.write(json.dumps({p: {k: asdict(v) for k, v in found.items()} for p, found in table.items()}) + "\n")
    else:
        sys.stdout.write(shown(chosen, table))
    if args.write:
        put(args.write, shown(chosen, table), BEGIN, END)
    return status(table)


def status(table: Table) -> int:
    """The command's exit status."""
    return 1 if any(v.verdict == WRONG for found in table.values() for v in found.values()) else 0


def verdict(one: Fault, place: str) -> Verdict:
    """Inject one fault; differences are printed at once."""
    if place not in one.places:
        return Verdict(NONE)
    try:
        why = mismatches(one, carry_out(one, place))
    except CannotRun as error:
        return Verdict(NOT_RUN, [str(error)])
    except Exception as error:  # noqa: BLE001  (the boundary: no fault may end a run, nor this table)
        why = [f"it ended the run: {type(error).__name__}: {error}"]
    found = Verdict(WRONG if why else RIGHT, why)
    sys.stderr.write("".join(f"{line}\n" for line in [f"{place}: {one.id}: {found.verdict}", *why]))
    return found


def shown(chosen: Sequence[Fault], table: Table) -> str:
    """The table in Markdown."""
    places = [place for place in PLACES if place in table]
    lines = [f"| fault | owner | result | {' | '.join(places)} |", f"|---|---|---|{'---|' * len(places)}"]
    lines += [row(one, [table[place][one.id].verdict for place in places]) for one in chosen]
    return "\n".join([*lines, ""])


def row(one: Fault, cells: Sequence[str]) -> str:
    """A fault's row."""
    return f"| {one.title} | {one.whose} | {words(one.becomes)} | {' | '.join(cells)} |"


def words(becomes: Becomes) -> str:
    """The expected result in words."""
    if not becomes.begins:
        return f"refused before the run (exit status {becomes.exit})"
    if becomes.ending is None:
        return "the run stops; what is recorded stays"
    score = "not scored" if becomes.value is None else f"scored {becomes.value:g}"
    tried = {1: "", 2: ", after another attempt"}.get(becomes.attempts, f", after {becomes.attempts} attempts")
    return f"{score} (`{becomes.ending}`){tried}{'' if becomes.goes_on else '; the run stops'}"


if __name__ == "__main__":
    sys.exit(main())
