"""The runs in a folder, read fast: a run costs its manifest and one look at its ledger, whatever its size."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.runs.folder import REPLAYS, RunFolder
from deskbench.agent.runs.ledger import Counts, Ledger, held, read_counts
from deskbench.agent.runs.record import whole
from deskbench.agent.statistics.intervals import score_of
from deskbench.envs.errors import StorageError, UsageError

RUNNING, COMPLETE, INTERRUPTED, BUDGET, BROKEN, HALF, DAMAGED, NO_RUN, OF_REPLAYS = (
    "running", "complete", "interrupted", "budget spent", "broken", "half-written", "damaged", "no run", "replays",
)  # fmt: skip
"""States of a folder. Half-written: it has episodes or a ledger, but no manifest."""
NOT_RUNS = frozenset({NO_RUN, OF_REPLAYS})
UNFINISHED = frozenset({INTERRUPTED, BUDGET, BROKEN, HALF, DAMAGED})
_STATES = {"done": COMPLETE, "finished": COMPLETE, "budget": BUDGET, "broken": BROKEN}
STARTING_SECONDS = 60.0
"""How long a run may have a manifest and no ledger yet."""


@dataclass(frozen=True)
class Listed:
    """One folder.

    Attributes:
        name: its path below the folder of runs.
        path: its path.
        state: see above.
        started: Unix time, or None if it is unknown.
        agent, source: what ran on what; empty if unknown.
        planned: number of planned episodes.
        scored: number of episodes with a score; None while another process writes them.
        score: the mean over tasks of their mean scores, as at the end of a run; or None.
        bytes: size of the folder; None for what is no run.
        problem: what is wrong with the folder, or what it holds instead of a run; else empty.
    """

    name: str
    path: Path
    state: str
    started: float | None = None
    agent: str = ""
    source: str = ""
    planned: int = 0
    scored: int | None = None
    score: float | None = None
    bytes: int | None = None
    problem: str = ""


def listed(root: Path) -> Iterator[Listed]:
    """Every run in a folder and one level below it, and the folders that hold none, by name.

    Raises:
        UsageError: there is no such folder.
    """
    try:
        inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        raise UsageError(f"cannot read {root}: {(error.strerror or str(error)).lower()}") from None
    for path in inside:
        below = [] if RunFolder(path).begun else _runs_in(path)
        yield from (look(one, root) for one in below or [path])


def _runs_in(path: Path) -> list[Path]:
    try:
        return sorted(one for one in path.iterdir() if not one.is_symlink() and RunFolder(one).exists)
    except OSError:
        return []


def look(path: Path, root: Path) -> Listed:
    """What a folder holds."""
    name, run = path.relative_to(root).as_posix(), RunFolder(path)
    if not run.begun:
        replays = _replays(path)
        if replays:
            return Listed(name, path, OF_REPLAYS, problem=replays)
        return Listed(name, path, NO_RUN, problem="it has no manifest, no ledger and no episodes")
    live = held(run.ledger)
    counts = None if live else read_counts(run.ledger)
    if not run.exists:
        problem = "a process is working on it" if live else "the manifest is missing"
        return Listed(name, path, RUNNING if live else HALF, _changed(path), bytes=run.size(), problem=problem)
    try:
        manifest = run.manifest()
    except UsageError as error:
        return Listed(name, path, RUNNING if live else DAMAGED, _changed(path), bytes=run.size(), problem=str(error))
    return _run(Listed(name, path, state_of(run, manifest.get("state"), live=live)), manifest, counts)


def _replays(path: Path) -> str:
    """What a folder of replays holds; empty if it holds none."""
    try:
        found = whole(json.loads((path / REPLAYS).read_bytes()))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError):
        found = None
    done = found.get("episodes") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(done, list):
        return f"of a run; {REPLAYS} is damaged"
    return f"of {Path(str(found.get('run'))).name}: {len(done)} of {found.get('planned')} episodes; see replay.html"


def _run(found: Listed, manifest: Mapping[str, Any], counts: Counts | None) -> Listed:
    config, created, size = manifest.get("config"), manifest.get("created"), manifest.get("bytes")
    planned = manifest.get("planned")
    scores = None if counts is None else counts.scores
    run = RunFolder(found.path)
    known = isinstance(size, int) and found.state not in (RUNNING, INTERRUPTED)
    return Listed(
        found.name, found.path, found.state,
        started=created if isinstance(created, (int, float)) else None,
        agent=str(manifest.get("agent", "")),
        source=str(config.get("source", "")) if isinstance(config, dict) else "",
        planned=planned if isinstance(planned, int) else counts.planned if counts else 0,
        scored=None if scores is None else sum(map(len, scores.values())),
        score=score_of(scores or {}),
        bytes=size + _report_size(run) if known and isinstance(size, int) else run.size(),
    )  # fmt: skip


def _report_size(run: RunFolder) -> int:
    """The report is written after the manifest says how large the rest is."""
    try:
        return run.report.stat().st_size
    except OSError:
        return 0


def state_of(run: RunFolder, said: object, *, live: bool | None = None) -> str:
    """The state of a run whose manifest can be read; it is cheap, whatever the size of the run.

    Args:
        run: the run's folder.
        said: the state in its manifest. A process that was killed has left it at `running`.
        live: whether a process has the ledger; None if this is not known.
    """
    live = held(run.ledger) if live is None else live
    if live or (said == "running" and not run.ledger.exists() and time.time() - _changed(run.path) < STARTING_SECONDS):
        return RUNNING
    return INTERRUPTED if said in ("running", "interrupted") else _STATES.get(str(said), COMPLETE)


def is_live(path: Path) -> bool:
    """Whether a process is working on the run in this folder."""
    return look(path, path.parent).state == RUNNING


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def remove(one: Listed, root: Path) -> str | None:
    """Delete a run's folder; returns why it was not deleted, or None.

    Its ledger is held meanwhile, so that no process can work on the run.
    """
    path = one.path
    if path.is_symlink() or not path.resolve().is_relative_to(root.resolve()) or path.resolve() == root.resolve():
        return f"it is outside {root}"
    if not RunFolder(path).begun:
        return "it is no run"
    try:
        ledger = Ledger(RunFolder(path).ledger)
    except UsageError:
        return "a process is working on it"
    except StorageError as error:
        return str(error)
    try:
        shutil.rmtree(path)
        return None
    except OSError as error:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    finally:
        ledger.close()


def resync(folder: Path) -> None:
    """Let the ledger of the run that holds `folder` say the scores of its records, after they were scored again."""
    run = next((RunFolder(path) for path in (folder, *folder.absolute().parents[:4]) if RunFolder(path).exists), None)
    if run is None or not run.ledger.is_file():
        return
    try:
        ledger = Ledger(run.ledger)
    except UsageError:  # the process that works on the run has it
        return
    try:
        for record in run.records():
            ledger.rescored(record.task, record.attempt, record.score.value)
    finally:
        ledger.close()
