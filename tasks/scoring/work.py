"""The process that handles hostile bytes: it reads one request and writes one answer (for `sandbox.run`).

With the argument `nursery` it forks copies of itself, each of which handles many requests (for `session.Nursery`). The
answer to {"do": "metric", "metric", "result", "expected", "options", "theirs", "strict", "harmless"} is {"value",
"note"}; the answer to {"do": "read", "reader", "arguments"} is {"value"}. Any other answer says why there is no value:
{"error": a fault in the check}, {"unfit": why it is not such a file}, {"spent": memory or stack ran out}, {"failed": an
exception, "bug": whether our own code raised it}.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from deskbench.envs.errors import CheckError, Unfit
from deskbench.tasks.metrics.support.packages import Unreadable
from deskbench.tasks.scoring.packing import packed, plain, unpacked
from deskbench.tasks.scoring.sandbox import MAX_ANSWER, homes
from deskbench.tasks.scoring.walls import enclose, limit, more_time

_LOADED = ("deskbench.tasks.mutation.copies", "deskbench.tasks.scoring.harmless", "deskbench.tasks.scoring.readers")
"""Modules to load before the process forks."""
_BUGS = (TypeError, LookupError, AttributeError, NameError, AssertionError)
"""Exceptions that a bug in our code raises; others come from the input."""


def main() -> None:
    """Read one request, write one answer."""
    request = json.load(sys.stdin)
    answers = _own_output()
    if os.name == "posix":
        limit(request["seconds"], request["memory"])
        enclose([Path(folder) for folder in (Path.cwd(), request["into"]) if folder], network=request["network"])
    answers.write(_said(request))
    answers.flush()
    os._exit(0)  # exit at once, so that nothing from the file can delay it


def nursery() -> None:
    """Load what checks need, then fork this process for each folder in a request, which comes with two pipes.

    Answers with the copy's process number (to `session.Nursery`).
    """
    from deskbench.tasks import registry
    from deskbench.tasks.mutation.operators import operators

    link = socket.socket(fileno=os.dup(0))
    registry.find("metric", "exact_match")  # a search among all metrics loads them all
    operators()
    for name in _LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies
    while True:
        folder, pipes, _, _ = socket.recv_fds(link, 4096, 2)
        if not folder:
            os._exit(0)
        number = os.fork()
        if number == 0:
            link.close()
            _settled(os.fsdecode(folder), pipes)
            session()
        for pipe in pipes:
            os.close(pipe)
        link.send(str(number).encode())


def _settled(folder: str, pipes: Sequence[int]) -> None:
    """Make this copy an independent process with this folder as its home and these pipes."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    os.chdir(folder)
    os.environ.update(homes(folder))
    tempfile.tempdir = None


def session() -> NoReturn:
    """Read names of request files, one a line; write one line for each answer (to `session.Session`)."""
    answers = _own_output()
    limit(None)
    enclose([Path.cwd()])
    for line in sys.stdin:
        request = json.loads(Path(line.rstrip("\n")).read_text(encoding="utf-8"))
        more_time(request["seconds"])
        answers.write(_said(request) + "\n")
        answers.flush()
    os._exit(0)


def _own_output() -> TextIO:
    """The stream for answers. A library that prints now writes to stderr, so its output is not taken for an answer."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _said(request: Mapping[str, Any]) -> str:
    said = json.dumps(_answer(request))
    return said if len(said) <= MAX_ANSWER else json.dumps({"spent": f"its answer has more than {MAX_ANSWER} bytes"})


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return _metric(request) if request["do"] == "metric" else _read(request)
    except CheckError as error:
        return {"error": str(error)}
    except (Unreadable, Unfit) as error:
        return {"unfit": str(error)}
    except MemoryError:
        return {"spent": f"it used more than {(request['memory'] or 0) // 2**20} MiB of memory"}
    except RecursionError:
        return {"spent": "it is nested too deep"}
    except Exception as error:  # noqa: BLE001  (the boundary to metrics and libraries)
        return {"failed": f"{type(error).__name__}: {error}"[:500], "bug": is_bug(error)}


def _metric(request: Mapping[str, Any]) -> dict[str, Any]:
    from deskbench.tasks import registry
    from deskbench.tasks.metrics.support.applied import files_in, worked_out
    from deskbench.tasks.metrics.support.fidelity import osworld_strict
    from deskbench.tasks.scoring.harmless import harmless

    try:
        entry = registry.find("metric", request["metric"])
        values = [unpacked(request[key], Path) for key in ("result", "expected")]
        trusted = [file for value, theirs in zip(values, request["theirs"], strict=True) if not theirs
                   for file in files_in(value)]  # fmt: skip
        if request["harmless"]:
            values = harmless(values, request["theirs"], Path.cwd())
        with osworld_strict(request["strict"]):
            found = worked_out(entry, values[0], values[1], request["options"], trusted, tuple(request["theirs"]))
    except registry.RegistryError as error:
        return {"error": str(error)}
    return {"value": float(found), "note": found.note}


def _read(request: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {key: unpacked(value, Path) for key, value in request["arguments"].items()}
    return {"value": packed(plain(_reader(request["reader"])(**arguments)), str)}


def _reader(name: str) -> Callable[..., Any]:
    if name.startswith("chrome."):
        from deskbench.tasks.web import pages

        return pages.READERS[name]
    if name == "mutation.copies":
        from deskbench.tasks.mutation.copies import copies

        return copies
    from deskbench.tasks.scoring import readers

    return readers.READERS[name]


def is_bug(error: BaseException) -> bool:
    """Whether an exception comes from a bug in our own code, rather than from a library that could not read its input.

    A missing library is our fault, too.
    """
    if isinstance(error, ImportError):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return isinstance(error, _BUGS) and where.startswith("deskbench.")


if __name__ == "__main__":
    nursery() if sys.argv[1:] == ["nursery"] else main()
