"""Makes small run folders on disk, as `deskbench run` writes them."""

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from deskbench.agent.base import Ending
from deskbench.agent.runs.ledger import Ledger
from deskbench.agent.runs.record import (
    EpisodeRecord,
    FinalRecord,
    ScoreRecord,
    SeenRecord,
    StepRecord,
    Totals,
    UsageRecord,
)


def picture(folder: Path, text: str) -> str:
    """A frame with `text` on it, stored under its hash."""
    image = Image.new("RGB", (640, 400), "#345")
    ImageDraw.Draw(image).text((20, 20), text, fill="white")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    name = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    (folder / "frames" / f"{name}.png").write_bytes(buffer.getvalue())
    return name


def episode(
    run: Path,
    task: str,
    score: float | None,
    *,
    ending: Ending = Ending.DONE,
    feasible: bool = True,
    attempt: int = 1,
    repeat: int = 0,
    reply: str = "I click.",
    finished: bool = True,
) -> EpisodeRecord:
    """Write one episode of two steps and a final observation; returns its record."""
    folder = run / "episodes" / task / str(attempt)
    frames = [picture(folder, f"{task} {i}") for i in range(3)]
    seen = [SeenRecord(frame=f, width=640, height=400, cursor=(5, 5), settle_ms=120.0, act_ms=3.0) for f in frames]
    click = {"type": "click", "button": "left", "count": 1, "x": 100, "y": 60}
    actions: list[list[dict[str, Any]]] = [[click], [{"type": "type", "text": "hi"}]]
    lines: list[StepRecord | FinalRecord] = [
        StepRecord(
            index=i, time=float(i), observation=seen[i], actions=actions[i], reply=reply, model_ms=500.0,
            usage=UsageRecord(input_tokens=100, output_tokens=10, cost_usd=0.001),
        )
        for i in range(2)
    ]  # fmt: skip
    lines.append(FinalRecord(time=2.0, observation=seen[2]))
    (folder / "steps.jsonl").write_text("".join(line.model_dump_json() + "\n" for line in lines))
    suite, _, name = task.partition("/")
    record = EpisodeRecord(
        task=task, task_id=name, suite=suite, instruction=f"Do {task}.", task_sha256="0",
        feasible=feasible, attempt=attempt, repeat=repeat, agent="vlm", provider="local", seed=0, width=640,
        height=400, policy="settled", started=0.0, finished=3.0, ending=ending,
        score=ScoreRecord(
            value=score, reason="because", checks=[{"metric": "exact_match", "value": score or 0.0, "result": reply}]
        ),
        totals=Totals(
            steps=2, model_ms=1000.0, act_ms=6.0, settle_ms=240.0, wall_ms=2000.0,
            usage=UsageRecord(input_tokens=200, output_tokens=20, cost_usd=0.002),
        ),
    )  # fmt: skip
    if finished:
        (folder / "episode.json").write_text(record.model_dump_json())
    return record


@contextmanager
def going(folder: Path) -> Iterator[None]:
    """A run that a process works on, until the end of the block; then it looks like one whose process was killed."""
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "state": "running"}))
    ledger = Ledger(folder / "ledger.sqlite")
    try:
        ledger.plan([])
        yield
    finally:
        ledger.close()


def run(folder: Path, planned: int, agent: str = "vlm") -> Path:
    """Write the manifest of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "agent": agent, "provider": "local", "policy": "settled", "planned": planned, "task_set": "ab" * 32,
        "versions": {"deskbench": "0.1.0"}, "skipped": [{"task": "s/net", "reason": "needs the network"}],
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(manifest))
    return folder
