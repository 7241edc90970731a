"""The marks of `view` and `report`: how long lists, updates, an episode and a file take with many episodes."""

import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageDraw

from deskbench.agent.base import Ending
from deskbench.agent.report.catalog import ShownRun
from deskbench.agent.report.index import Index
from deskbench.agent.report.page import page_json
from deskbench.agent.report.report import write_report
from deskbench.agent.runs.record import (
    EpisodeRecord,
    FinalRecord,
    ScoreRecord,
    SeenRecord,
    StepRecord,
    Totals,
    UsageRecord,
)
from tests.agent.browser import chromium, tab
from tests.agent.report.test_view import serving
from tests.agent.staged_runs import run
from tests.benchmarks.arms import Row


def pages() -> list[Row]:
    """Lists, updates, an episode, the browser's memory, and a report."""
    with tempfile.TemporaryDirectory(prefix="pages-") as scratch:
        folder = Path(scratch)
        many = _run(folder / "many", episodes=10_000, steps=2)
        some = _run(folder / "some", episodes=1_000, steps=2)
        long = _run(folder / "long", episodes=1, steps=500)
        shown = _run(folder / "shown", episodes=400, steps=10, pictures=True)
        return [_list(many, folder), _update(some), _episode(long), _memory(many), *_report(shown, folder)]


def _list(made: Path, scratch: Path) -> Row:
    place = scratch / "index.sqlite"
    with _index(place) as index:
        first = _seconds(ShownRun(made, index).refresh)
    with _index(place) as index:
        opened = ShownRun(made, index)
        again = _seconds(lambda: (opened.refresh(), page_json(opened.rows())))
    return Row(
        "list of 10,000 episodes", f"{again:.2f} s", f"first time {first:.1f} s", f"{again:.2f} s", "< 1 s", again < 1
    )


def _update(made: Path) -> Row:
    live = ShownRun(made, Index(None))
    live.refresh()
    spent = []
    for number in range(9):
        record = made / f"episodes/s/task-{number:05}/1/episode.json"
        other = record.with_name("other")
        other.write_bytes(record.read_bytes())
        other.replace(record)
        token, begun = live.token(), time.process_time()
        live.refresh()
        page_json(live.rows(token))
        spent.append(1000 * (time.process_time() - begun))
    cost = sorted(spent)[len(spent) // 2]
    return Row("an update of 1,000 episodes", f"{cost:.0f} ms CPU", "", f"{cost:.0f} ms CPU", "< 50 ms", cost < 50)


def _episode(made: Path) -> Row:
    opened = ShownRun(made, Index(None))
    opened.refresh()
    (name,) = opened.places()
    spent = 1000 * _seconds(lambda: page_json(opened.episode(name)))
    return Row("an episode of 500 steps", f"{spent:.0f} ms", "", f"{spent:.0f} ms", "< 500 ms", spent < 500)


def _memory(made: Path) -> Row:
    with chromium("--enable-precise-memory-info") as browser, serving(made) as base, tab(browser, base) as seen:
        seen.wait("document.querySelector('.list')?.textContent.includes('10,000 episodes')")
        used = float(seen.run("performance.memory.usedJSHeapSize")) / 1e6
    return Row("memory of its page", f"{used:.0f} MB", "", f"{used:.0f} MB", "< 300 MB", used < 300)


def _report(made: Path, scratch: Path) -> Iterator[Row]:
    out = scratch / "report.html"
    spent = _seconds(lambda: write_report(made, out))
    size = out.stat().st_size / 1e6
    yield Row("report of 400 episodes", f"{spent:.1f} s", "", f"{spent:.1f} s", "< 10 s", spent < 10)
    yield Row("its size", f"{size:.1f} MB", "", f"{size:.1f} MB", "< 20 MB", size < 20)


@contextmanager
def _index(place: Path) -> Iterator[Index]:
    index = Index(place)
    try:
        yield index
    finally:
        index.close()


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _run(folder: Path, episodes: int, steps: int, *, pictures: bool = False) -> Path:
    draw = random.Random(0)
    made = run(folder, planned=episodes)
    for number in range(episodes):
        _write(made / f"episodes/s/task-{number:05}/1", number, steps, draw, pictures=pictures)
    return made


def _write(place: Path, number: int, steps: int, draw: random.Random, *, pictures: bool) -> None:
    (place / "frames").mkdir(parents=True)
    names = [_picture(place, draw) if pictures else f"{number:032x}{step:032x}" for step in range(steps + 1)]
    seen = [SeenRecord(frame=name, width=1280, height=800, cursor=(5, 5), settle_ms=120, act_ms=3) for name in names]
    usage = UsageRecord(input_tokens=3000, output_tokens=100, cost_usd=0.003)
    click = [{"type": "click", "button": "left", "count": 1, "x": 100, "y": 60}]
    lines = [
        StepRecord(index=step, time=step, observation=seen[step], actions=click, reply="I click on it. " * 20,
                   thought="It is there. " * 20, model_ms=500, usage=usage).model_dump_json()
        for step in range(steps)
    ]  # fmt: skip
    lines.append(FinalRecord(time=steps, observation=seen[steps]).model_dump_json())
    (place / "steps.jsonl").write_text("\n".join(lines) + os.linesep)
    value = draw.choice([0.0, 1.0])
    record = EpisodeRecord(
        task=f"s/task-{number:05}", task_id=f"task-{number:05}", suite="s", instruction="Do what is wanted. " * 5,
        task_sha256="0", feasible=True, attempt=1, agent="vlm", provider="local", seed=0, width=1280, height=800,
        policy="settled", started=0, finished=9, ending=Ending.DONE, score=ScoreRecord(value=value, reason="differs"),
        totals=Totals(steps=steps, wall_ms=9000), task_json={"related_apps": ["calc"], "evaluator": {"x": "y" * 2000}},
    )  # fmt: skip
    (place / "episode.json").write_text(record.model_dump_json())


@cache
def _desktop(number: int) -> bytes:
    """A PNG of a desktop with a few windows of text; about 50 kB."""
    draw = random.Random(number)
    image = Image.new("RGB", (1280, 800), "#3a6ea5")
    pen = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = draw.randrange(700), draw.randrange(400)
        pen.rectangle((x, y, x + 560, y + 380), fill="white", outline="black")
        for line in range(y + 8, y + 370, 14):
            pen.text((x + 8, line), f"{draw.getrandbits(320):x}", fill="black")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _picture(place: Path, draw: random.Random) -> str:
    """A picture of its own: readers of PNG ignore what follows its end."""
    data = _desktop(draw.randrange(24)) + draw.randbytes(8)
    name = sha256(data).hexdigest()
    (place / "frames" / f"{name}.png").write_bytes(data)
    return name
