"""Measures how much of OSWorld a plain container can run, without a virtual machine or KVM.

    python -m tests.osworld assets CHECKOUT FOLDER       generate files instead of those that the tasks download
    python -m tests.osworld measure CHECKOUT FOUND.jsonl --assets FOLDER    try each task in the image `full-code`
    python -m tests.osworld table FOUND.jsonl DOCS       write the results as pages: containers.md and its table

`measure` resumes where it stopped. With OSWorld's own files (`deskbench tasks mirror`), leave out `--assets`.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from platformdirs import user_cache_path

from deskbench.tasks.load import load
from deskbench.tasks.types import Task
from tests.osworld.assets import generate
from tests.osworld.container import Finding, measure
from tests.osworld.page import page, tasks_table


def main() -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.osworld", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("assets")
    making.add_argument("checkout", type=Path)
    making.add_argument("folder", type=Path)
    measuring = commands.add_parser("measure")
    measuring.add_argument("checkout", type=Path)
    measuring.add_argument("found", type=Path)
    measuring.add_argument("--assets", type=Path)
    measuring.add_argument("--image", default="full-code")
    measuring.add_argument("--task", action="append", default=[], help="this one only (repeatable)")
    measuring.add_argument("-n", "--parallel", type=int, default=2)
    writing = commands.add_parser("table")
    writing.add_argument("found", type=Path)
    writing.add_argument("docs", type=Path)
    given = parser.parse_args()
    if given.command == "table":
        found = [Finding(**json.loads(line)) for line in given.found.read_text().splitlines()]
        (given.docs / "containers.md").write_text(page(found), encoding="utf-8")
        (given.docs / "tables" / "osworld-tasks.md").write_text(tasks_table(found), encoding="utf-8")
    elif given.command == "assets":
        sys.stdout.write(f"{generate(ubuntu(given.checkout), given.folder)} files written to {given.folder}\n")
    else:
        _measure(given)
    return 0


def _measure(given: argparse.Namespace) -> None:
    tasks = [task for task in ubuntu(given.checkout) if not given.task or task.key in given.task]
    cache = user_cache_path("deskbench") / "assets"
    if given.assets is not None:
        os.environ.update(DESKBENCH_MIRROR=str(given.assets), DESKBENCH_OFFLINE="1")
    measure(tasks, given.found, cache, given.parallel, given.image, _say)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def ubuntu(checkout: Path) -> list[Task]:
    """The tasks of an OSWorld checkout, or of its folder of examples, except those for Windows."""
    return [task for task in load(checkout) if "examples_windows" not in task.path.parts]


if __name__ == "__main__":
    sys.exit(main())
