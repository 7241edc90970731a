"""Run by an interpreter that has verifiers: its commands, one after another, with this tree's providers for tests.

Argument: the commands as JSON, each a list that begins with `eval` or `validate`. The last line has their exit
statuses as JSON: 0, or what the command gave for one.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

COMMANDS = {"eval": "verifiers.v1.cli.eval.main", "validate": "verifiers.v1.cli.validate"}


def status(name: str, *words: str) -> Any:
    try:
        import_module(COMMANDS[name]).main(list(words))
    except SystemExit as end:
        return end.code
    return 0


def main(commands: str) -> None:
    sys.path.append(
        str(Path(__file__).resolve().parents[3])
    )  # for providers of the tests; last, since it has an egg-info
    told = [status(*command) for command in json.loads(commands)]
    sys.stdout.write(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
