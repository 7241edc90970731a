"""How long it takes to compare two runs of 369 tasks, as many as OSWorld has, and to plan them."""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deskbench.agent.base import Ending
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeRecord, ScoreRecord, Totals, UsageRecord, write_record
from deskbench.agent.statistics.power import plan
from deskbench.tasks.load import LIBRARY
from tests.benchmarks.arms import Row, limit_row

TASKS, ROUNDS = 369, 3


def comparing() -> list[Row]:
    """The command from start to end, and the plan's arithmetic."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for repeats, most in ((1, 3.0), (3, 9.0)):
            runs = [_run(Path(scratch) / f"{name}{repeats}", seed, repeats) for seed, name in enumerate("ab")]
            page = Path(scratch) / "page.html"
            command = [sys.executable, "-m", "deskbench.agent", "compare", *map(str, runs), "--html", str(page)]

            def compare(command: list[str] = command) -> None:
                subprocess.run(command, check=True, capture_output=True)

            name = f"compare two runs of {TASKS} tasks, {repeats} attempt{'s' if repeats > 1 else ''} each"
            rows.append(limit_row(name, _median(compare), "s", most))
        plan(0.05)  # loads scipy
        return [*rows, limit_row("compare --plan --difference 0.05", _median(lambda: plan(0.05)), "s", 1.0)]


def _median(what: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        what()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _run(folder: Path, seed: int, repeats: int) -> Path:
    """A run whose records are as large as real ones: each holds its task file."""
    run, draw = RunFolder(folder), random.Random(seed)
    files = sorted((LIBRARY / "basics").glob("*.json"))
    tasks = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for number in range(TASKS):
        task = tasks[number % len(tasks)]
        for repeat in range(repeats):
            key = f"{'abcd'[number % 4]}/t{number:03}"
            place = run.episode(key, repeat + 1)
            place.path.mkdir(parents=True)
            place.steps.touch()
            write_record(place, _record(key, task, repeat, draw))
    run.write_manifest({"agent": f"agent {seed}", "provider": "docker", "planned": TASKS * repeats, "state": "done"})
    return folder


def _record(key: str, task: dict[str, object], repeat: int, draw: random.Random) -> EpisodeRecord:
    suite, _, name = key.partition("/")
    return EpisodeRecord(
        task=key, task_id=name, suite=suite, instruction=str(task["instruction"]), task_sha256="0", feasible=True,
        attempt=repeat + 1, repeat=repeat, agent="vlm", provider="docker", seed=repeat, width=1920, height=1080,
        policy="settled", max_steps=15, max_seconds=600.0, started=0.0, finished=60.0, ending=Ending.DONE,
        score=ScoreRecord(value=float(draw.random() < 0.5), reason="expected 79, found 78"), task_json=task,
        totals=Totals(steps=draw.randint(1, 15), wall_ms=6e4, usage=UsageRecord(cost_usd=draw.random())),
    )  # fmt: skip
