"""Checks that need the desktop to run something: what it says becomes the value that the metric judges.

Code from the desktop is never run on the controller. A probe puts what getters read into the desktop, runs it there,
and gives the metric a plain value, which is recorded, so that the metric itself stays a pure function.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks.world import World

Probe = Callable[[World, Any, Any, Mapping[str, Any]], Any]
TEST_SECONDS = 60.0

_RUN_TESTS = """
import importlib.util, json, os, sys
folder, name, function, mark = sys.argv[1:]
os.chdir(folder)
sys.path.insert(0, folder)
try:
    spec = importlib.util.spec_from_file_location("suite", name)
    suite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(suite)
    said = getattr(suite, function)()
    answer = {"value": float(said) if isinstance(said, (bool, int, float)) else float(bool(said)), "note": ""}
except BaseException as error:
    answer = {"value": 0.0, "note": type(error).__name__ + ": " + str(error)}
print("\\n" + mark + json.dumps(answer))
"""


def run_test_suite(world: World, result: Any, expected: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run a test function over the agent's files in the desktop: {"value": 0 to 1, "note": why not}.

    The agent's program and the test run in one interpreter, as in OSWorld; a program that forges the answer has to
    guess a mark that is new each time and stands in the interpreter's arguments.
    """
    if not isinstance(expected, Path):
        raise CheckError("check_python_file_by_test_suite needs a test file")
    files = [file for file in (result if isinstance(result, list) else [result]) if isinstance(file, Path)]
    folder, mark = f"/tmp/deskbench-{secrets.token_hex(8)}", secrets.token_hex(16)
    for file in (*(f for first in files for f in sorted(first.parent.iterdir()) if f.is_file()), expected):
        world.desktop.write_file(f"{folder}/{file.name}", file.read_bytes())
    function = str(options.get("test_function_name", "test"))
    command = ["python3", "-I", "-c", _RUN_TESTS, folder, f"{folder}/{expected.name}", function, mark]
    try:
        done = world.desktop.run(command, timeout=TEST_SECONDS)
    finally:
        world.desktop.run(["rm", "-rf", folder])
    return _said(done.stdout, mark) or {"value": 0.0, "note": f"no answer: {done.stderr.strip()[-300:]}"}


def _said(stdout: str, mark: str) -> dict[str, Any] | None:
    line = next((line for line in reversed(stdout.splitlines()) if line.startswith(mark)), "")
    try:
        answer = json.loads(line.removeprefix(mark))
        return {"value": float(answer["value"]), "note": str(answer["note"])[:500]}
    except (ValueError, KeyError, TypeError):
        return None


PROBES: dict[str, Probe] = {"check_python_file_by_test_suite": run_test_suite}
"""By the metric that judges what they find."""
