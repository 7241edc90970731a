"""`python -m tests.attacks [--provider NAME]... [--json] [--write PAGE]`: attack desktops and print what held."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.attacks import answers, escape, exhaustion, impostor, leaks, pages, persistence, scored, server_limits  # noqa: F401  (they add themselves)
from tests.attacks.arenas import MAKERS, CannotRun, arena
from tests.attacks.base import ATTACKS, COLUMNS, KINDS, ROOT, USER, Attack, Outcome, Verdict, attempt, is_breach, line
from tests.other_user import made
from tests.page import put

BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"
"""The table goes between these lines of a page."""
CHECKOUT = Path(__file__).resolve().parents[2]
USER_SECONDS = 1800.0
Table = dict[str, dict[str, Outcome]]
"""Outcomes by column and attack."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attacks and print the table; the exit status says whether a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--provider", action="append", choices=list(MAKERS), help=f"a column (default: {ROOT})")
    parser.add_argument("--only", action="append", help="an attack's id")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="attacks of a kind")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--from", dest="found", action="append", type=Path, default=[],
                        help="what --json printed before, to be put into the same table")  # fmt: skip
    parser.add_argument("--write", type=Path, help="put the table into a page")
    args = parser.parse_args(arguments)
    table = told(args.found)
    for name in args.provider or ([] if args.found else [ROOT]):
        table.setdefault(name, {}).update(carry_out(name, args.only, args.kind))
    if args.json:
        plain = {
            name: {key: [o.verdict.value, o.evidence] for key, o in found.items()} for name, found in table.items()
        }
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
    else:
        sys.stdout.write(shown(table))
    if args.write:
        put(args.write, shown(table), BEGIN, END)
    breaches = [
        (name, key) for name, found in table.items() for key, o in found.items() if is_breach(ATTACKS[key], name, o)
    ]
    for name, key in breaches:
        sys.stderr.write(f"{name}: {key}: {table[name][key].verdict.value}: {table[name][key].evidence}\n")
    return 1 if breaches else 0


def carry_out(name: str, only: Sequence[str] | None, kinds: Sequence[str] | None) -> dict[str, Outcome]:
    """Run all attacks, or the named ones, on one provider."""
    if name == USER and os.geteuid() == 0:
        return as_user([*(f"--only={one}" for one in only or ()), *(f"--kind={one}" for one in kinds or ())])
    chosen = {
        key: one for key, one in ATTACKS.items() if (not only or key in only) and (not kinds or one.kind in kinds)
    }
    found: dict[str, Outcome] = {}
    try:
        with arena(name) as place:
            for key, one in chosen.items():
                found[key] = attempt(one, place)
                if name in one.columns:
                    sys.stderr.write(f"{name}: {key}: {found[key].verdict.value}: {found[key].evidence}\n")
    except CannotRun as error:
        return {key: Outcome(Verdict.NOT_RUN, line(error)) for key in chosen}
    return found


def as_user(options: Sequence[str]) -> dict[str, Outcome]:
    """Run the column of an ordinary user in a process of a user that root creates for it."""
    with tempfile.TemporaryDirectory(prefix="user-", dir="/var/tmp") as folder, made(Path(folder)) as user:
        script = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from tests.attacks.__main__ import main; "
        done = user.python(f"{script}main({['--provider', USER, '--json', *options]!r})", seconds=USER_SECONDS)
    if not done.stdout:
        raise RuntimeError(f"{USER}: {done.stderr[-500:]}")
    sys.stderr.write(done.stderr)
    return read(json.loads(done.stdout))[USER]


def told(files: Sequence[Path]) -> Table:
    """Merge the results of earlier runs; a later file wins."""
    table: Table = {}
    for file in files:
        for name, found in read(json.loads(file.read_text(encoding="utf-8"))).items():
            table.setdefault(name, {}).update(found)
    return table


def read(plain: dict[str, dict[str, list[str]]]) -> Table:
    """Read a table from JSON, without attacks that no longer exist."""
    return {
        name: {key: Outcome(Verdict(verdict), said) for key, (verdict, said) in found.items() if key in ATTACKS}
        for name, found in plain.items()
    }


def cell(one: Attack, column: str, outcome: Outcome | None) -> str:
    """The text of a cell."""
    if column not in one.columns:
        return Verdict.NOT_APPLICABLE.value
    if outcome is None:
        return Verdict.NOT_RUN.value
    return "accepted" if outcome.verdict is Verdict.OPEN and column in one.accepted else outcome.verdict.value


def shown(table: Table) -> str:
    """The table in Markdown; below it, why some successful attacks break no promise."""
    columns = [name for name in COLUMNS if name in table]
    lines = [f"| attack | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for kind, title in KINDS.items():
        mine = [one for one in ATTACKS.values() if one.kind == kind and any(one.id in table[name] for name in columns)]
        lines += [f"| **{title}** |{' |' * len(columns)}"] if mine else []
        for one in mine:
            cells = [cell(one, name, table[name].get(one.id)) for name in columns]
            lines.append(f"| {one.title} | {' | '.join(cells)} |")
    accepted = [
        f"- {one.title} ({name}): {one.accepted[name]}"
        for one in ATTACKS.values() for name in columns
        if name in one.accepted and one.id in table[name] and table[name][one.id].verdict is Verdict.OPEN
    ]  # fmt: skip
    return "\n".join(
        [*lines, "", *(["Accepted attacks succeed, and break no promise:", "", *accepted, ""] if accepted else [])]
    )


if __name__ == "__main__":
    sys.exit(main())
