"""`python -m tests.attacks [--provider NAME]... [--json] [--write PAGE]`: attack desktops from inside; a table of what held."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.attacks import answers, escape, exhaustion, impostor, leaks, pages, persistence, scored, server_limits  # noqa: F401  (they add themselves)
from tests.attacks.arenas import MAKERS, CannotRun, arena
from tests.attacks.base import ATTACKS, COLUMNS, KINDS, ROOT, Outcome, Verdict, attempt, is_breach, line

BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"
"""Between these lines of a page stands the table."""
Table = dict[str, dict[str, Outcome]]
"""Column to attack to outcome."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit status whether a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--provider", action="append", choices=list(MAKERS), help=f"a column (default: {ROOT})")
    parser.add_argument("--only", action="append", help="an attack's id")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="attacks of a kind")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", type=Path, help="put the table into a page")
    args = parser.parse_args(arguments)
    table = {name: carry_out(name, args.only, args.kind) for name in args.provider or [ROOT]}
    if args.json:
        plain = {
            name: {key: [o.verdict.value, o.evidence] for key, o in found.items()} for name, found in table.items()
        }
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
    else:
        sys.stdout.write(shown(table))
    if args.write:
        put(args.write, shown(table))
    breaches = [
        (name, key) for name, found in table.items() for key, o in found.items() if is_breach(ATTACKS[key], name, o)
    ]
    for name, key in breaches:
        sys.stderr.write(f"{name}: {key}: {table[name][key].verdict.value}: {table[name][key].evidence}\n")
    return 1 if breaches else 0


def carry_out(name: str, only: Sequence[str] | None, kinds: Sequence[str] | None) -> dict[str, Outcome]:
    """Every attack on one provider, or those that are named."""
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


def shown(table: Table) -> str:
    """The table in Markdown; an attack whose success breaks no promise says why below it."""
    columns = [name for name in COLUMNS if name in table]
    lines = [f"| attack | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for kind, title in KINDS.items():
        mine = [one for one in ATTACKS.values() if one.kind == kind and any(one.id in table[name] for name in columns)]
        lines += [f"| **{title}** |{' |' * len(columns)}"] if mine else []
        for one in mine:
            cells = [table[name][one.id].verdict.value if one.id in table[name] else "" for name in columns]
            lines.append(f"| {one.title} | {' | '.join(cells)} |")
    accepted = [
        f"- {one.title} ({name}): {one.accepted[name]}"
        for one in ATTACKS.values() for name in columns
        if name in one.accepted and one.id in table[name] and table[name][one.id].verdict is Verdict.OPEN
    ]  # fmt: skip
    return "\n".join([*lines, "", *(["Open, and no broken promise:", "", *accepted, ""] if accepted else [])])


def put(page: Path, text: str) -> None:
    """Put the table where the page has room for it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
