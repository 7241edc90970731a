"""Runs checks and readings of data from a desktop in separate processes, and decides whose fault a failure is.

If the agent's file cannot be read, that is the agent's fault: a 0 with the reason. If a metric gives no score, it runs
once more without the agent's value, with the expected value or a small value of the same kind instead (`harmless`). If
that works, the agent's value was at fault; if it fails too, the check or the machine was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError, Unfit
from deskbench.tasks.metrics.support.applied import files_in
from deskbench.tasks.metrics.support.fidelity import strict_revision
from deskbench.tasks.metrics.support.told import Told
from deskbench.tasks.scoring.compiled import compiled
from deskbench.tasks.scoring.packing import packed, unpacked
from deskbench.tasks.scoring.sandbox import SECONDS, Ended, Limits, named
from deskbench.tasks.scoring.session import run
from deskbench.tasks.scoring.walls import MEMORY

READING = Limits(seconds=20.0, memory=2**30)
"""Limits of one reading."""
_REMEMBERED = 256
_controls: dict[str, str] = {}
"""Faults found in checks that ran without the agent's value; empty where there was none."""


def evaluate(
    name: str,
    result: Any,
    expected: Any,
    options: Mapping[str, Any],
    theirs: tuple[bool, bool] = (True, True),
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Told:
    """A metric's score, computed in a separate process (arguments as in `metrics.applied`).

    Args:
        name: the metric.
        result, expected: the values that getters read.
        options: the options in the task file.
        theirs: for each of the two values, whether it comes from the desktop.
        seconds: processor time.
        memory: address space in bytes.

    Raises:
        CheckError: the metric failed, and the agent's value is not the reason.
    """
    request: dict[str, Any] = {
        "do": "metric",
        "metric": name,
        "result": packed(result, named),
        "expected": packed(expected, named),
        "options": dict(options),
        "theirs": list(theirs),
        "strict": strict_revision(),
        "harmless": False,
    }
    limits = Limits(seconds, memory)
    code = compiled(request)
    ended = run(request, limits, code=code)
    answer = ended.answer or {}
    if "value" in answer:
        return Told(float(answer["value"]), str(answer["note"]))
    why = _why(ended)
    if "error" in answer or answer.get("bug") or not any(theirs):
        raise CheckError(f"metric {name}: {why}")
    trusted = [file for value, agents in zip((result, expected), theirs, strict=True) if not agents
               for file in files_in(value)]  # fmt: skip
    wrong = _without_the_agent(request, trusted, limits, code, spent=bool(ended.spent))
    if wrong:
        raise CheckError(f"metric {name}: {why}; without the agent's part: {wrong}")
    return Told(0.0, f"the agent's part cannot be read: {why}; the check works without it")


def read(reader: str, limits: Limits = READING, **arguments: Any) -> Any:
    """The value that one of `readers.READERS` gives for data from the desktop, read in a separate process.

    An argument `into` is a file that the reader writes, in a folder that holds nothing else (`World.room`).

    Raises:
        Unfit: the data cannot be read.
        CheckError: the reader has a bug.
    """
    sent = {key: packed(value, named) for key, value in arguments.items()}
    into = arguments["into"].parent if "into" in arguments else None
    ended = run({"do": "read", "reader": reader, "arguments": sent}, limits, into)
    answer = ended.answer or {}
    if "value" in answer:
        return unpacked(answer["value"], Path)
    if "error" in answer or answer.get("bug"):
        raise CheckError(f"{reader}: {_why(ended)}")
    raise Unfit(f"it cannot be read: {_why(ended)}")


def _why(ended: Ended) -> str:
    answer = ended.answer or {}
    return ended.spent or str(next((answer[key] for key in ("error", "unfit", "failed") if key in answer), answer))


def _without_the_agent(
    request: Mapping[str, Any], trusted: Sequence[Path], limits: Limits, code: Path | None, *, spent: bool
) -> str:
    """The fault that a check has even without the agent's value; else empty. Tested once for each check."""
    sent = {**request, "harmless": True}
    files = [(named(file), file.stat().st_size, file.stat().st_mtime_ns) for file in trusted]
    kinds = [_kinds(request[key]) if theirs else request[key]
             for key, theirs in zip(("result", "expected"), request["theirs"], strict=True)]  # fmt: skip
    what = [request["metric"], kinds, request["options"], request["theirs"], request["strict"], files, spent]
    key = hashlib.sha256(json.dumps([*what, limits.seconds, limits.memory]).encode()).hexdigest()
    if key not in _controls:
        while len(_controls) >= _REMEMBERED:
            _controls.pop(next(iter(_controls)), None)
        _controls[key] = _wrong(run(sent, limits, code=code), spent)
    return _controls[key]


def _wrong(ended: Ended, spent: bool) -> str:
    """What the trial without the agent's value says against the check.

    A small replacement may raise an error in a metric that needs more, but it uses up neither time nor memory.
    """
    answer = ended.answer or {}
    return _why(ended) if ended.spent or "error" in answer or ("failed" in answer and not spent) else ""


def _kinds(value: Any) -> Any:
    """The shape of a packed value, as far as `harmless` distinguishes it."""
    if isinstance(value, dict):
        return [Path(str(item)).suffix for item in value.values()] if set(value) == {"file"} else {}
    if isinstance(value, list):
        return [_kinds(item) for item in value[:20]]
    return type(value).__name__
