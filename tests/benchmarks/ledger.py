"""Marks of the ledger: what a run costs its controller, and how soon one of many attempts goes on after a kill."""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deskbench.agent.base import Ending
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result
from deskbench.agent.runs.record import EpisodeRecord, ScoreRecord, Totals, write_record
from deskbench.agent.runs.recovery import recover
from tests.benchmarks.arms import Row, limit_row

ATTEMPTS = 10_000
OPEN = 500
"""Attempts that were open at the kill: one for each desktop."""


def ledger() -> list[Row]:
    """Recovery with and without the ledger's file, and the controller of many desktops."""
    return [*_recoveries(), *_controller()]


def _recoveries() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "run")
        _killed_run(folder)
        yield _recovered(folder, f"resume a killed run of {ATTEMPTS:,} attempts")
        folder.ledger.unlink()
        yield _recovered(folder, f"the same, the ledger lost: from {ATTEMPTS:,} records")


def _killed_run(folder: RunFolder) -> None:
    """Nearly all attempts have a result; the last 500 were open when the run was killed, half of them recorded."""
    folder.path.mkdir()
    base = Ledger(folder.ledger)
    base.plan(_planned())
    base.begin_session(2)
    for number in range(ATTEMPTS):
        lease = base.lease("w", FOREVER)
        assert lease is not None
        record, place = _record(lease.episode), folder.episode(lease.episode.task, lease.number)
        place.path.mkdir(parents=True)
        place.steps.touch()
        is_open = number >= ATTEMPTS - OPEN
        if not is_open or number % 2:
            write_record(place, record)
        if not is_open:
            base.accept(lease.token, Result.of(record))
    base.close()


def _planned() -> list[Planned]:
    return [Planned(f"s/t{number:05}", 0, 0) for number in range(ATTEMPTS)]


def _recovered(folder: RunFolder, name: str) -> Row:
    """Seconds until the first episode can be handed out, and the CPU time, which a busy machine leaves as it is."""
    began, busy = time.perf_counter(), time.process_time()
    base = Ledger(folder.ledger)
    recover(base, folder)
    base.plan(_planned())
    base.begin_session(2)
    lease = base.lease("w", FOREVER)
    took, cpu = time.perf_counter() - began, time.process_time() - busy
    left = len(base.open_episodes())
    base.close()
    assert lease is not None and lease.number == 2 and left == OPEN // 2, (lease, left)
    return dataclasses.replace(limit_row(name, took, "s", 5.0), reference=f"{cpu:.2f} s of CPU")


def _record(episode: Planned) -> EpisodeRecord:
    suite, _, name = episode.task.partition("/")
    return EpisodeRecord(
        task=episode.task, task_id=name, suite=suite, instruction="Save hello.", task_sha256="0", feasible=True,
        attempt=1, repeat=episode.repeat, agent="vlm", provider="fake", seed=0, width=1920, height=1080,
        policy="settled", started=0.0, finished=60.0, ending=Ending.DONE, totals=Totals(steps=15),
        score=ScoreRecord(value=1.0, reason="as expected"), task_json={"instruction": "Save hello. " * 100},
    )  # fmt: skip


def _controller() -> list[Row]:
    """A run in a process of its own, which drives all desktops at once."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-c", "from tests.benchmarks.crowd import main; main()", scratch]
        seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    crowd = f"{seen['desktops']} fake desktops, {seen['steps']} steps"
    return [
        limit_row(f"CPU of the controller for a step: {crowd}", seen["step_ms"], "ms", 5.0),
        limit_row("memory of the controller beside them", seen["memory_mb"], "MB", 200.0),
    ]
