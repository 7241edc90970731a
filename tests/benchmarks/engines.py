"""What the Ray engine costs: the same run of eight desktops in threads and on a cluster on this machine, in turns."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from deskbench.agent.batch import Batch, Progress, Running
from deskbench.agent.build import prepare
from deskbench.agent.config import RunConfig
from tests.agent.paper import write_task
from tests.benchmarks.arms import Row, limit_row
from tests.benchmarks.crowd import HERE as CROWD

DESKTOPS, REPEATS, ROUNDS = 8, 16, 3
MOST = 1.05
"""The mark: an episode takes at most so many times as long as in threads."""


class Arm:
    """One engine. The agent thinks for 3 s a step, and each desktop gets two episodes.

    Attributes:
        seconds: from the lease of an episode to the end of its desktop, one value an episode.
        before: seconds until the first lease of a run.
        memory: proportional set size of each seat's process in MB; empty for threads.
    """

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.seconds: list[float] = []
        self.before: list[float] = []
        self.memory: list[float] = []
        self._running: dict[int, Running] = {}
        self._ended: set[int] = set()

    def run(self, folder: Path, number: int) -> None:
        """Run the episodes once."""
        ready = prepare(
            RunConfig(
                source=str(folder / "suite"), agent=f"{CROWD}:Thinker", provider="fake", repeats=REPEATS,
                parallel=DESKTOPS, engine=self.engine, width=320, height=240,  # type: ignore[arg-type]
            )
        )  # fmt: skip
        began = time.monotonic()
        summary = Batch(ready, folder / f"{self.engine}-{number}", self._look).run()
        assert (summary.scored, summary.all.mean) == (REPEATS, 1.0), summary
        self.before.append(min(one.began for one in self._running.values()) - began)
        self._running.clear()
        self._ended.clear()

    def _look(self, progress: Progress) -> None:
        """Called after each change, one after another."""
        now, running = time.monotonic(), {id(one): one for one in progress.running}
        self.seconds += [
            now - one.began for key, one in self._running.items() if key not in running and key not in self._ended
        ]
        self._ended |= self._running.keys() - running.keys()
        self._running |= running  # keeps them, so that no other has the same id
        if self.engine == "ray" and not self.memory and progress.finished == DESKTOPS:
            self.memory = [*_seats()]


def _seats() -> Iterator[float]:
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith("ray::Seat"):
            yield process.memory_full_info().pss / 2**20


def engines() -> Iterator[Row]:
    """Wall time of an episode, the start of a run, and the memory of a seat."""
    threads, ray = Arm("threads"), Arm("ray")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_task(folder / "suite", "write")
        for number in range(ROUNDS):
            for arm in (threads, ray):
                arm.run(folder, number)
    one, other = statistics.fmean(ray.seconds), statistics.fmean(threads.seconds)
    ratio = one / other
    yield Row(f"an episode of 10 steps, {DESKTOPS} desktops, Ray beside threads", f"{one:.2f} s", f"{other:.2f} s",
              f"{ratio:.3f}x", f"<= {MOST}x", ratio <= MOST)  # fmt: skip
    yield Row("start of a run with a cluster of its own", f"{statistics.median(ray.before):.1f} s",
              f"{statistics.median(threads.before):.1f} s", "", "", True)  # fmt: skip
    yield limit_row("memory of a seat's process beside its desktop (PSS)", statistics.fmean(ray.memory), "MB", 150)
