"""Checks that run code in the desktop: the output becomes the value that the metric judges.

The controller never runs code from the desktop. A probe copies what the getters read into the desktop and runs it
there. It returns a plain value, which is recorded, so the metric itself stays a pure function.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks.guest import ask
from deskbench.tasks.world import MAX_TEXT, World

Probe = Callable[[World, Any, Any, Mapping[str, Any]], Any]
TEST_SECONDS = 60.0
SPARE_SECONDS = 15.0
"""Time to start and stop two interpreters, in addition to the test's own time."""

_RUN_TESTS = """
import os, sys
def main():
    # All that is needed later is taken now: the program may put other things in the modules' places.
    import json
    from importlib.util import module_from_spec, spec_from_file_location
    write, dumps, out, leave = os.write, json.dumps, os.dup(1), os._exit
    key = sys.stdin.readline().strip()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    folder, name, function = sys.argv[1:]
    del sys.argv[1:]
    os.chdir(folder)
    sys.path.insert(0, folder)
    try:
        spec = spec_from_file_location("suite", name)
        suite = module_from_spec(spec)
        spec.loader.exec_module(suite)
        said = getattr(suite, function)()
        value = float(said) if type(said) in (bool, int, float) else float(bool(said))
        answer = {"value": value, "note": ""}
    except BaseException as error:
        answer = {"value": 0.0, "note": (type(error).__name__ + ": " + str(error))[:500]}
    write(out, ("\\n" + key + dumps(answer) + "\\n").encode())
    leave(0)
main()
"""
"""The interpreter that runs the test and the agent's program. Its modules and arguments do not contain the key."""

_JUDGE = """
import json, os, secrets, signal, subprocess, sys
seconds, source, *arguments = sys.argv[1:]
try:
    import ctypes
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: other processes of this user may not look into this one
except (ImportError, OSError, AttributeError):
    pass
key = secrets.token_hex(16)
run = [sys.executable, "-I", "-c", source, *arguments]
child = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         start_new_session=True)
def over(*_):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
def late(*_):
    over()
    raise TimeoutError
note = "it ended without an answer"
if hasattr(signal, "SIGALRM"):
    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(float(seconds)))
    signal.signal(signal.SIGCHLD, over)  # what it leaves behind would keep its output open
answer = None
try:
    child.stdin.write(key.encode() + b"\\n")
    child.stdin.close()
    for line in iter(lambda: child.stdout.readline(65536), b""):
        if line.startswith(key.encode()):
            answer = json.loads(line[len(key):])
            break
except TimeoutError:
    note = "it took more than %s s" % seconds
except (OSError, ValueError):
    pass
try:
    over()
except (OSError, AttributeError):
    child.kill()
print(json.dumps(answer or {"value": 0.0, "note": note}))
sys.stdout.flush()
os._exit(0)
"""
"""The process that prints the answer. It starts the other one, which can neither write nor read that output."""


def run_test_suite(world: World, result: Any, expected: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run a test function on the agent's files in the desktop: {"value": 0 to 1, "note": why not}.

    As in OSWorld, the agent's program and the test share an interpreter. It sends the verdict to another process,
    together with a key that is new each time. A program gains nothing if it ends the interpreter, prints, looks at its
    arguments, its modules or the other process, or replaces functions in modules. A program that searches the
    interpreter's frames and objects for the key, or changes the test there, can still forge the verdict. The record
    therefore lists the verdict as the output of a program of the desktop.

    Raises:
        Unfit: the run did not finish.
    """
    if not isinstance(expected, Path):
        raise CheckError("check_python_file_by_test_suite needs a test file")
    files = [file for file in (result if isinstance(result, list) else [result]) if isinstance(file, Path)]
    folder = f"/tmp/deskbench-{secrets.token_hex(8)}"
    for file in (*(f for first in files for f in sorted(first.parent.iterdir()) if f.is_file()), expected):
        world.desktop.write_file(f"{folder}/{file.name}", file.read_bytes())
    function = str(options.get("test_function_name", "test"))
    judge = ["python3", "-I", "-c", _JUDGE, f"{TEST_SECONDS:g}", _RUN_TESTS, folder, f"{folder}/{expected.name}"]
    try:
        done = ask(world.desktop, [*judge, function], timeout=TEST_SECONDS + SPARE_SECONDS, HOME=folder)
    finally:
        ask(world.desktop, ["rm", "-rf", folder], timeout=120.0)
    return _said(done.stdout) or {"value": 0.0, "note": f"no answer: {done.stderr.strip()[-300:]}"}


def _said(stdout: str) -> dict[str, Any] | None:
    """The verdict, or None if the output is not one."""
    try:
        answer = json.loads(stdout[:MAX_TEXT])
        return {"value": float(answer["value"]), "note": str(answer["note"])[:500]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


PROBES: dict[str, Probe] = {"check_python_file_by_test_suite": run_test_suite}
"""Probes by the metric that judges their value."""
PROGRAMS: dict[str, tuple[str, ...]] = {"check_python_file_by_test_suite": ("python3",)}
"""Programs of the desktop that the probes run, by metric."""
