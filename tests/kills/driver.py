"""Starts runs, kills what belongs to them at random moments, resumes them, and looks at what is left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deskbench.agent.base import Ending
from deskbench.agent.build import Prepared, prepare
from deskbench.agent.config import RunConfig
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Ledger, State
from deskbench.envs import wait
from tests.agent.paper import write_task
from tests.kills.engine import ENGINES
from tests.kills.machines import tag
from tests.kills.processes import become, named

HERE = __package__ or "tests.kills"
TASKS, REPEATS, PARALLEL = 4, 3, 4
LEASE_SECONDS = 1.0
LONGEST_PAUSE = 0.2
"""Seconds between two kills, at most."""
PATIENCE = 120.0
VICTIMS = {
    "threads": ("controller", "desktop", "server", "stopped controller"),
    "processes": ("controller", "node", "worker", "desktop", "server", "stopped worker"),
}
"""Whom to kill; the last, which is hit less often, is stopped for about as long as its leases last."""


@dataclass
class Told:
    """What was done and seen.

    Attributes:
        kills: how often each victim was hit.
        runs, planned: number of runs and of their episodes.
        attempts: number of attempts by state.
        wrong: what must not be.
    """

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    planned: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def suite(folder: Path) -> Path:
    """Tasks for the desktop in memory."""
    for number in range(TASKS):
        write_task(folder, f"write-{number}")
    return folder


def prepared(source: Path) -> Prepared:
    """A run of all of them that never stops trying."""
    return prepare(
        RunConfig(
            source=str(source), agent=f"{HERE}.agents:Writer", provider=f"{HERE}.machines:Machines", repeats=REPEATS,
            parallel=PARALLEL, retries=10_000, lease_seconds=LEASE_SECONDS, width=320, height=240,
        )
    )  # fmt: skip


def kill_many(folder: Path, count: int, seed: int) -> Told:
    """Kill so many processes, in as many runs as that takes; this process must have no threads."""
    told, rng, ready = Told(), random.Random(seed), prepared(suite(folder / "suite"))
    while sum(told.kills.values()) < count:
        engine = ("threads", "processes")[told.runs % 2]
        run = folder / f"run-{told.runs}"
        _one_run(ready, run, engine, rng, told, count)
        told.runs += 1
        _check(run, told)
    return told


def _one_run(ready: Prepared, run: Path, engine: str, rng: random.Random, told: Told, count: int) -> None:
    controller = _begin(ready, run, engine)
    until, victim = wait.now() + PATIENCE, _choose(engine, rng)
    while not (ended := _ended(controller)):
        wait.sleep(rng.uniform(0.0, LONGEST_PAUSE))
        if wait.now() > until:
            told.wrong.append(f"{run.name} ({engine}) does not end")
            os.kill(controller, signal.SIGKILL)
        if sum(told.kills.values()) >= count:
            continue
        if not _hit(victim, controller, rng):
            continue
        told.kills[victim] += 1
        if victim == "controller":
            os.waitpid(controller, 0)
            _gone(run, told)
            controller = _begin(ready, run, engine)
        victim = _choose(engine, rng)
    if ended != "ok":
        told.wrong.append(f"{run.name} ({engine}): the controller ended with {ended}")
    _gone(run, told)


def _choose(engine: str, rng: random.Random) -> str:
    return rng.choices(VICTIMS[engine], [4] * (len(VICTIMS[engine]) - 1) + [1])[0]


def _begin(ready: Prepared, run: Path, engine: str) -> int:
    """Fork a controller, which runs or resumes the run."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            become(f"{tag()}-control")
            ENGINES[engine](ready, run)
            status = 0
        except BaseException:  # noqa: BLE001  (a forked process must not return)
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def _ended(controller: int) -> str:
    """How the controller ended; empty while it is alive."""
    pid, status = os.waitpid(controller, os.WNOHANG)
    return "" if pid == 0 else "ok" if status == 0 else f"status {status}"


def _hit(victim: str, controller: int, rng: random.Random) -> bool:
    """Kill or stop a process; returns whether there was one."""
    stopped, role = victim.startswith("stopped "), victim.removeprefix("stopped ")
    found = [controller] if role == "controller" else sorted(one.pid for one in named(f"{tag()}-{role}"))
    if not found:
        return False
    pid = rng.choice(found)
    with contextlib.suppress(ProcessLookupError):
        if not stopped:
            os.kill(pid, signal.SIGKILL)
            return True
        os.kill(pid, signal.SIGSTOP)
        wait.sleep(LEASE_SECONDS * rng.uniform(0.5, 1.5))
        os.kill(pid, signal.SIGCONT)
        return True
    return False


def _gone(run: Path, told: Told) -> None:
    """Nothing of a run is left when its controller has ended."""
    if not wait.until(lambda: not list(named(f"{tag()}-")), timeout=20):
        left = [one.name() for one in named(f"{tag()}-")]
        told.wrong.append(f"{run.name}: left running: {', '.join(left)}")
        for one in named(f"{tag()}-"):
            with contextlib.suppress(psutil.Error):
                one.kill()


def _check(run: Path, told: Told) -> None:
    """Every planned episode has one result that counts: in the ledger, and in the records."""
    ledger = Ledger(RunFolder(run).ledger)
    try:
        attempts, planned = ledger.attempts(), ledger.count()
        waiting = ledger.open_episodes()
    finally:
        ledger.close()
    told.planned += planned
    told.attempts.update(f"{one.state} ({'scored' if one.score is not None else 'unscored'})" for one in attempts)
    counted = Counter((a.task, a.repeat) for a in attempts if a.state is State.FINISHED and a.score is not None)
    records = Counter((r.task, r.repeat) for r in RunFolder(run).records() if r.score.value is not None)
    wanted = {(f"suite/write-{number}", repeat): 1 for number in range(TASKS) for repeat in range(REPEATS)}
    for what, found in (("ledger", counted), ("records", records)):
        if found != wanted:
            odd = {key: found[key] for key in wanted | found if found[key] != 1}
            told.wrong.append(f"{run.name}: results in the {what}: {odd}")
    if planned != len(wanted) or waiting:
        told.wrong.append(f"{run.name}: {planned} planned, {len(waiting)} still to do")
    lost = [one for one in attempts if one.state is State.SUPERSEDED and not one.cause]
    broken = [a for a in attempts if a.state is State.FINISHED and a.score is None and not a.cause]
    if lost or broken:
        told.wrong.append(f"{run.name}: attempts without a cause: {lost + broken}")
    bad = [
        r for r in RunFolder(run).final() if not (r.episode.score.value == 1.0 or r.episode.ending is Ending.ENV_ERROR)
    ]
    if bad:
        told.wrong.append(f"{run.name}: {bad[0].episode.score.reason}")
