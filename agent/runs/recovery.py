"""Open the ledger of a run, and settle what a kill, a lost power supply or an older version left open.

The records are the evidence. A record of an attempt that still holds its episode counts; an attempt without a record
does not. An older run's ledger is completed from its records, and a ledger that is gone is made again from them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import Ledger, Result, State

ENDED = "the process that worked on the run ended before the attempt did"
GONE = "its record is gone"
UNREADABLE = "its record cannot be read"


class _Recorded(NamedTuple):
    repeat: int
    result: Result


def recover(ledger: Ledger, run: RunFolder) -> None:
    """Let the ledger agree with the records; no attempt is open afterwards.

    Only the records that the ledger does not have are read.

    Raises:
        StorageError: the ledger cannot be written.
    """
    folders = {(run.task_of(one), int(one.path.name)): one for one in run.episodes() if one.path.name.isdigit()}
    known = {(one.task, one.number): one for one in ledger.attempts()}
    for (task, number), folder in folders.items():
        attempt = known.get((task, number))
        if attempt is not None and attempt.state is State.SUPERSEDED:
            _retire(folder)
        elif attempt is None or attempt.state is not State.FINISHED or not attempt.read or not folder.finished:
            _settle(ledger, task, number, folder)
    for (task, number), attempt in known.items():
        if (task, number) not in folders and attempt.state is not State.SUPERSEDED:
            ledger.lose(task, number, GONE if attempt.state is State.FINISHED else ENDED)


def _settle(ledger: Ledger, task: str, number: int, folder: EpisodeFolder) -> None:
    if not folder.finished:
        ledger.lose(task, number, ENDED)
        return
    found = _read(folder.record)
    if found is None:
        _retire(folder)
        ledger.lose(task, number, UNREADABLE)
    else:
        ledger.adopt(task, found.repeat, number, found.result)


def _read(path: Path) -> _Recorded | None:
    """What the ledger keeps of a record, read without checking the rest of it: there may be thousands."""
    try:
        value = json.loads(path.read_bytes())
        return _Recorded(int(value.get("repeat", 0)), Result.of_json(value))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _retire(folder: EpisodeFolder) -> None:
    """Keep a record that does not count under another name."""
    if folder.finished:
        folder.record.replace(folder.late)
