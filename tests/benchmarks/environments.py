"""Environments for trainers: what a step adds to the wire, and how many steps several desktops make together."""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import deskbench
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.types import Action, Click, Move, Observation, Screenshot
from deskbench.envs.wire import Observe
from tests.benchmarks.arms import Row, limit_row

STEPS = 400
MANY = 8
SECONDS = 8.0
TASK = {
    "id": "nothing", "instruction": "Nothing.", "limits": {"steps": 10**6, "seconds": 10**6},
    "evaluator": {"func": "infeasible"},
}  # fmt: skip
EDITOR = {**TASK, "config": [{"type": "launch", "parameters": {"command": ["mousepad"]}}]}


class Album(FakeDesktop):
    """Shows a picture that is ready, with another hash at every step, so that nothing but the way to it takes time."""

    def __init__(self, name: str, spec: DesktopSpec) -> None:
        super().__init__(name, spec)
        shown = super().observe().screenshot
        assert shown
        self._png, self._numbers = shown.png, count()

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        """Another picture."""
        png = self._png + next(self._numbers).to_bytes(4)  # what follows a picture's end is not looked at
        return Observation(Screenshot.of(png), self.spec.width, self.spec.height)


class Albums(FakeProvider):
    """Desktops that show pictures."""

    def start(self, spec: DesktopSpec) -> Desktop:
        """A desktop."""
        return Album("album", spec)


def environments() -> list[Row]:
    """All of them."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_added(Path(folder)), *_together(Path(folder))]


def _written(folder: Path, task: Mapping[str, object]) -> Path:
    path = folder / "nothing.json"
    path.write_text(json.dumps(task))
    return path


def _added(folder: Path) -> list[Row]:
    """The median of what `step` takes longer than the desktop's own `act`, in turns."""
    rows, provider = [], f"{__name__}:Albums"
    for name, record in (("", None), (", recorded", folder / "run")):
        with deskbench.Env(_written(folder, TASK), provider=provider, record=record) as env:
            env.reset()
            wire, more = Album("wire", DesktopSpec()), []
            for number in range(STEPS):
                action = Move(number, 100)
                began = time.perf_counter()
                wire.act([action])
                between = time.perf_counter()
                env.step(action)
                more.append((time.perf_counter() - between) - (between - began))
        rows.append(limit_row(f"Env.step, more than the wire{name}", statistics.median(more) * 1e3, "ms", 1))
    return rows


def _together(folder: Path) -> list[Row]:
    """Steps a second of a saturated `VectorEnv`, beside its desktops without it, on the same desktops in turns."""
    with deskbench.VectorEnv(
        _written(folder, EDITOR), MANY, policy="immediate", isolated=False, warm=1, width=1920, height=1080
    ) as many:
        many.reset()
        desktops = [env.desktop for env in many.envs]
        ours, together, plain = [], [], []
        for _ in range(3):
            plain.append(_plain(desktops))
            ours.append(_sent(many))
            together.append(_stepped(many))
    mine, all_of_them, other = (statistics.median(found) for found in (ours, together, plain))
    threads = f"threads: {other:.1f} steps/s"
    return [
        Row(f"{MANY} desktops, saturated: VectorEnv.send", f"{mine:.1f} steps/s", threads, f"{mine / other:.2f}x",
            ">= 0.9x", mine / other >= 0.9),
        Row("the same, each waits for all (step)", f"{all_of_them:.1f} steps/s", threads,
            f"{all_of_them / other:.2f}x", "", True),
    ]  # fmt: skip


def _click(number: int) -> Click:
    return Click(x=600 + number * 137 % 600, y=500)  # clicks in one place are spaced out in time


def _sent(many: deskbench.VectorEnv) -> float:
    began, done = time.perf_counter(), 0
    for place in range(MANY):
        many.send(place, _click(0))
    while time.perf_counter() - began < SECONDS:
        place, _ = many.receive()
        done += 1
        many.send(place, _click(done))
    for _ in range(MANY):
        many.receive()
    return (done + MANY) / (time.perf_counter() - began)


def _stepped(many: deskbench.VectorEnv) -> float:
    began, done = time.perf_counter(), 0
    for number in count():
        if time.perf_counter() - began > SECONDS:
            return done / (time.perf_counter() - began)
        many.step([_click(number)] * MANY)
        done += MANY
    raise AssertionError


def _plain(desktops: Sequence[Desktop]) -> float:
    began, counts = time.perf_counter(), []

    def work(desktop: Desktop) -> None:
        number = 0
        while time.perf_counter() - began < SECONDS:
            desktop.act([_click(number)], Observe(policy="immediate"))
            number += 1
        counts.append(number)

    threads = [threading.Thread(target=work, args=(desktop,)) for desktop in desktops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)
