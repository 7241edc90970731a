"""Metrics of files run in a process of their own: files from the desktop are hostile, and so are libraries' faults.

`evaluate` starts one for a check and speaks JSON with it, so that nothing it says is ever unpickled. The process has
a limit of memory and of time, no secrets in its environment, and no other task than this check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks import registry
from deskbench.tasks.metrics.applied import apply
from deskbench.tasks.metrics.fidelity import is_strict, osworld_strict
from deskbench.tasks.metrics.told import Told

MEMORY = 4 * 2**30
"""Bytes of address space of a check."""
SECONDS = 300
"""Of a check, of the processor and of the clock."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")


def evaluate(
    name: str,
    result: Any,
    expected: Any,
    options: Mapping[str, Any],
    trusted: Collection[Path] = (),
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Told:
    """A metric's score, worked out in a process of its own (`metrics.applied.apply` has the arguments).

    Raises:
        CheckError: the metric failed, or took too long or too much memory.
    """
    request = {
        "metric": name,
        "result": _packed(result),
        "expected": _packed(expected),
        "options": dict(options),
        "trusted": _packed(list(trusted)),
        "strict": is_strict(),
        "seconds": seconds,
        "memory": memory,
    }
    with tempfile.TemporaryDirectory(prefix="deskbench-check-") as scratch:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "deskbench.tasks.worker"],
                input=json.dumps(request),
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                env=environment(scratch),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CheckError(f"metric {name} took more than {seconds:g} s") from None
    return _answer(name, done)


def environment(scratch: str) -> dict[str, str]:
    """What a process for checks knows of the person's environment: no secrets, and a folder for its own files."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TMPDIR": scratch,
        "OPENBLAS_NUM_THREADS": "1",  # each thread's buffers count as address space
        "OMP_NUM_THREADS": "1",
    }


def _answer(name: str, done: subprocess.CompletedProcess[str]) -> Told:
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        if "error" in answer:
            raise CheckError(str(answer["error"]))
        return Told(float(answer["value"]), str(answer["note"]))
    except (ValueError, IndexError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CheckError(f"metric {name}: its process ended with status {done.returncode}; last said: {last}") from None


def _packed(value: Any) -> Any:
    """A value as JSON; files as {"": path}, a key that no JSON of a task has."""
    if isinstance(value, Path):
        return {"": str(value.resolve())}
    if isinstance(value, (list, tuple)):
        return [_packed(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _packed(item) for key, item in value.items()}
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if isinstance(value, dict):
        return Path(value[""]) if set(value) == {""} else {key: _unpacked(item) for key, item in value.items()}
    return value


def limit(seconds: float | None = SECONDS, memory: int = MEMORY) -> None:
    """Limit this process: seconds of the processor (None: no limit), bytes of address space."""
    import resource

    limits = [(resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)]
    if seconds is not None:
        limits.append((resource.RLIMIT_CPU, int(seconds) + 1))
    for what, most in limits:
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Read one request, write one answer."""
    request = json.load(sys.stdin)
    answers = sys.stdout
    sys.stdout = sys.stderr  # a library that prints must not be taken for the answer
    if os.name == "posix":
        limit(request["seconds"], request["memory"])
    answers.write(json.dumps(_work(request)) + "\n")


def _work(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        with osworld_strict(request["strict"]):
            entry = registry.find("metric", request["metric"])
            values = [_unpacked(request[key]) for key in ("result", "expected", "options", "trusted")]
            found = apply(entry, *values)
    except (CheckError, registry.RegistryError) as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"metric {request['metric']} took more than {request['memory'] // 2**20} MiB of memory"}
    return {"value": float(found), "note": found.note}


if __name__ == "__main__":
    main()
