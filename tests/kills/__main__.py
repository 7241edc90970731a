"""`python -m tests.kills [COUNT] [--seed N]`: kill processes of runs at random moments; nothing may be lost."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.kills.driver import kill_many


def main() -> int:
    """Kill, print what was seen, and return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=200, help="how many kills (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other moments (default: 0)")
    args = parser.parse_args()
    os.environ["DESKBENCH_KILLS"] = f"k{os.getpid() % 100_000}"
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    told = kill_many(folder, args.count, args.seed)
    say = Console(highlight=False, soft_wrap=True).print
    for what, counts in (("hit", told.kills), ("attempts", told.attempts)):
        say(f"{what}: {', '.join(f'{name} {count}' for name, count in sorted(counts.items()))}")
    say(f"{sum(told.kills.values())} kills, {told.runs} runs, {told.planned} episodes planned")
    for wrong in told.wrong:
        say(f"WRONG: {wrong}", markup=False)
    if told.wrong:
        say(f"the runs are in {folder}")
    else:
        shutil.rmtree(folder)
        say("every planned episode has exactly one result that counts; nothing was left running")
    return 1 if told.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
