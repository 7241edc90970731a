"""One self-contained HTML file about one or more runs: numbers with intervals, and every step of every episode.

The page (web/report.html) is static. It shows one JSON document (`payload`) and the screenshots, which are embedded as
WebP so that the file can be mailed. All this data comes from a desktop or a model and may be hostile: the page writes
it as text only, and its content policy forbids loading anything.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deskbench.agent.report.frames import read_frame, webp
from deskbench.agent.report.page import report_page
from deskbench.agent.runs.folder import RunFolder, final_attempts
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import (
    EpisodeRecord,
    FinalRecord,
    NoteRecord,
    SeenRecord,
    StepRecord,
    read_events,
    read_record,
    write_atomic,
)
from deskbench.agent.statistics.summary import summarize
from deskbench.agent.statistics.words import protocol_line
from deskbench.envs.errors import StorageError
from deskbench.envs.redact import KNOWN


def write_report(run_dirs: Path | Sequence[Path], out: Path) -> Path:
    """Write the report of one run folder or several side by side to the file `out`.

    Raises:
        UsageError: a folder is not a run.
        StorageError: `out` cannot be written.
    """
    folders = [run_dirs] if isinstance(run_dirs, Path) else list(run_dirs)
    data = payload(folders)
    page = report_page(data, _images(folders, data))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create {out.parent}: {error.strerror}") from error
    write_atomic(out, page.encode())
    return out


def payload(folders: Sequence[Path]) -> dict[str, Any]:
    """The page's content for these run folders, as plain JSON; works while a run is in progress."""
    shown: dict[str, Any] = KNOWN.value({"runs": [_run(folder) for folder in folders]})
    return shown


def _run(folder: Path) -> dict[str, Any]:
    run = RunFolder(folder)
    manifest = run.manifest()
    finished, others = _episodes(run)
    final = final_attempts(finished, lambda one: one[0])
    planned = manifest.get("planned")
    summary = summarize([record for record, _ in final], planned if isinstance(planned, int) else None, manifest)
    versions = manifest.get("versions")
    return {
        "name": folder.name,
        "agent": str(manifest.get("agent", "?")),
        "provider": str(manifest.get("provider", "?")),
        "policy": str(manifest.get("policy", "?")),
        "version": str(versions.get("deskbench", "?")) if isinstance(versions, dict) else "?",
        "validated": manifest.get("validated"),
        "task_set": str(manifest.get("task_set", ""))[:12],
        "skipped": manifest.get("skipped", []),
        "protocol": protocol_line(summary.protocol),
        "summary": dataclasses.asdict(summary),
        "episodes": sorted([shown for _, shown in final] + others, key=lambda e: str(e["task"])),
    }


def episode_folders(run: RunFolder) -> dict[str, EpisodeFolder]:
    """The episodes of a run that have begun, by their names in a page, which are hashes of their paths."""
    return {_id(run, episode): episode for episode in run.episodes()}


def _id(run: RunFolder, episode: EpisodeFolder) -> str:
    return hashlib.sha256(os.fsencode(episode.path.relative_to(run.path))).hexdigest()[:32]


def _episodes(run: RunFolder) -> tuple[list[tuple[EpisodeRecord, dict[str, Any]]], list[dict[str, Any]]]:
    """The finished episodes with their content for the page, and the content of running and unreadable ones."""
    finished, others = [], []
    for name, episode in episode_folders(run).items():
        try:
            if episode.finished:
                record = read_record(episode)
                finished.append((record, {"id": name, **_episode(record, *_steps(episode))}))
            elif not episode.superseded:
                others.append({"id": name, **_unfinished(run.task_of(episode), *_steps(episode))})
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # damaged, or not ours
            unreadable = {"id": name, "ending": "unreadable", "reason": _why(error), "running": False}
            others.append({**_unfinished(run.task_of(episode), [], None), **unreadable})
    return finished, others


def _why(error: Exception) -> str:
    first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return f"the record cannot be read: {type(error).__name__}: {first}"


def _steps(episode: EpisodeFolder) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Each step with the results of its actions, which are in the next observation."""
    events = [e for e in read_events(episode) if not isinstance(e, NoteRecord)]
    steps, final = [], None
    for event, following in itertools.zip_longest(events, events[1:]):
        if isinstance(event, FinalRecord):
            final = _seen(event.observation)
        else:
            steps.append(_step(event, following.observation if following else None))
    return steps, final


def _seen(seen: SeenRecord) -> dict[str, Any]:
    return {"frame": seen.frame, "width": seen.width, "height": seen.height, "cursor": list(seen.cursor)}


def _step(step: StepRecord, after: SeenRecord | None) -> dict[str, Any]:
    return {
        **_seen(step.observation),
        "actions": step.actions,
        "reply": step.reply,
        "thought": step.thought,
        "attempts": step.attempts,
        "model_ms": step.model_ms,
        "input_tokens": step.usage.input_tokens,
        "output_tokens": step.usage.output_tokens,
        "cost_usd": step.usage.cost_usd,
        "problems": step.observation.problems,
        "act_ms": after.act_ms if after else 0.0,
        "settle_ms": after.settle_ms if after else 0.0,
        "roundtrip_ms": after.roundtrip_ms if after else 0.0,
        "settled": after.settled if after else None,
        "results": after.results if after else [],
        "answer": after.answer if after else None,
    }


def _episode(record: EpisodeRecord, steps: list[dict[str, Any]], final: dict[str, Any] | None) -> dict[str, Any]:
    totals = record.totals
    return {
        "task": record.task,
        "instruction": record.instruction,
        "attempt": record.attempt,
        "limits": [record.max_steps, record.max_seconds],
        "ending": record.ending.value,
        "score": record.score.value,
        "reason": record.score.reason,
        "checks": record.score.checks,
        "parts": record.score.parts,
        "error": record.error,
        "running": False,
        "wall_ms": totals.wall_ms,
        "model_ms": totals.model_ms,
        "act_ms": totals.act_ms,
        "settle_ms": totals.settle_ms,
        "cost_usd": totals.usage.cost_usd,
        "steps": steps,
        "final": final,
    }


def _unfinished(task: str, steps: list[dict[str, Any]], final: dict[str, Any] | None) -> dict[str, Any]:
    """An episode without episode.json: it is running or was cut off."""
    times = {name: sum(s[name] for s in steps) for name in ("model_ms", "act_ms", "settle_ms")}
    return {
        "task": task,
        "instruction": "",
        "attempt": 0,
        "limits": [None, None],
        "ending": "unfinished",
        "score": None,
        "reason": "the episode has not finished",
        "checks": [],
        "parts": [],
        "error": None,
        "running": True,
        "wall_ms": sum(times.values()),
        "cost_usd": None,
        "steps": steps,
        "final": final,
        **times,
    }


def _images(folders: Sequence[Path], data: dict[str, Any]) -> dict[str, str]:
    wanted: dict[str, EpisodeFolder] = {}
    for folder, run in zip(folders, data["runs"], strict=True):
        places = episode_folders(RunFolder(folder))
        for episode in run["episodes"]:
            for seen in [*episode["steps"], episode["final"]]:
                if seen and seen["frame"]:
                    wanted[seen["frame"]] = places[episode["id"]]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(_data_url, wanted.values(), wanted)
        return {frame: url for frame, url in zip(wanted, found, strict=True) if url}


def _data_url(episode: EpisodeFolder, frame: str) -> str | None:
    data = read_frame(episode, frame)
    small = webp(data) if data else None
    return "data:image/webp;base64," + base64.b64encode(small).decode() if small else None
