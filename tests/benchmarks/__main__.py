"""`python -m tests.benchmarks [NAME ...] [--json FILE]`: measure the marks, print them, exit 1 if one is missed."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    comparing,
    containers,
    engines,
    environments,
    launches,
    ledger,
    machines,
    marks,
    pages,
    settling,
)

GROUPS = {
    "screens": marks.screens, "tree": marks.tree, "life": marks.life, "launches": launches.launches,
    "episode": marks.episode, "density": marks.density, "containers": containers.containers,
    "machines": machines.machines, "soak": containers.soak, "comparing": comparing.comparing, "pages": pages.pages,
    "ledger": ledger.ledger, "programs": settling.programs,
    "environments": environments.environments, "engines": engines.engines,
}  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*GROUPS, []], help=f"any of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    args = parser.parse_args()
    console = Console()
    rows = []
    table = Table("mark", "ours", "reference", "result", "promised", "met")
    for name in args.names or GROUPS:
        for row in GROUPS[name]():
            rows.append(row)
            table.add_row(*(str(v) for v in dataclasses.astuple(row)[:-1]), "yes" if row.met else "NO")
            console.print(f"{row.name}: {row.result} (promised {row.mark})", highlight=False)
    console.print(table)
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
