"""Runs to compare, each written with a line: `+` passed, `-` failed, `?` no score, ` ` not run."""

from pathlib import Path
from typing import Any

from deskbench.agent.base import Ending
from deskbench.agent.runs.record import EpisodeRecord, ScoreRecord, Totals, UsageRecord

from ..staged_runs import episode, run

SCORES = {"+": 1.0, "-": 0.0, "h": 0.5, "?": None}


def put(
    folder: Path, task: str, score: float | None, *, repeat: int = 0, reason: str = "because", **changes: Any
) -> EpisodeRecord:
    """One episode with other facts in its record."""
    ending = Ending.ENV_ERROR if score is None else Ending.DONE
    made = episode(folder, task, score, repeat=repeat, attempt=repeat + 1, ending=ending)
    told = ScoreRecord(value=score, reason=reason)
    record = made.model_copy(update={"max_steps": 15, "max_seconds": 600.0, "score": told, **changes})
    place = folder / "episodes" / task / str(repeat + 1) / "episode.json"
    place.write_text(record.model_dump_json())
    return record


def played(folder: Path, *repeats: str, agent: str = "vlm", **changes: Any) -> Path:
    """A run: each text is a repeat, each letter in it a task: s/t00, s/t01, ... in the suites s and t in turn."""
    run(folder, planned=sum(map(len, repeats)), agent=agent)
    for repeat, line in enumerate(repeats):
        for n, letter in enumerate(line):
            if letter != " ":
                put(folder, f"{'st'[n % 2]}/t{n:02}", SCORES[letter], repeat=repeat, **changes)
    return folder


def took(steps: int, seconds: float, cost: float | None) -> Totals:
    """What an episode took."""
    return Totals(steps=steps, wall_ms=seconds * 1e3, usage=UsageRecord(cost_usd=cost))
