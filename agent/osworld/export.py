"""Export a run in the layout of OSWorld's results, for OSWorld's tools (`show_result.py`, its monitor, uploads).

    OUT/<action space>/<observation>/<model>/args.json
    OUT/<action space>/<observation>/<model>/<domain>/<task id>/
        traj.jsonl, step_<n>_<time>.png, result.txt, runtime.log, and result.json if a task gives partial scores

An episode without a score has no result.txt and one line {"Error": ...}, like a task that failed in OSWorld. A task's
second and later repeats become separate models, `<model>-2`, because the layout has one result per task.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.config import CODE, MAX_STEPS
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, FinalRecord, SeenRecord, StepRecord, write_atomic
from deskbench.envs.errors import UsageError

SPECIAL = {"done": "DONE", "fail": "FAIL", "wait": "WAIT"}
"""Actions that OSWorld writes as one word."""


@dataclass(frozen=True)
class Exported:
    """What was written: the folder of the first repeats, and the numbers of episodes with and without a score."""

    folder: Path
    scored: int
    not_scored: int


def export(run: Path, out: Path) -> Exported:
    """Write a run's final attempts.

    Raises:
        UsageError: `run` is not a run, or the folder already holds results of its tasks.
    """
    folder = RunFolder(run)
    manifest = folder.manifest()
    base = out / _name(manifest, "action_space", CODE) / _name(manifest, "observation", "screenshot")
    scored, entries = 0, []
    for reader in folder.final():
        episode = reader.episode
        model = base / (_model(manifest) + (f"-{episode.repeat + 1}" if episode.repeat else ""))
        model.mkdir(parents=True, exist_ok=True)
        write_atomic(model / "args.json", json.dumps(_arguments(manifest), indent=4).encode())
        _write_episode(reader, model / episode.suite / episode.task_id)
        scored += episode.score.value is not None
        entries.append(_entry(episode))
    (out / "summary").mkdir(parents=True, exist_ok=True)
    write_atomic(out / "summary" / "results.json", json.dumps(entries, indent=2).encode())
    return Exported(base / _model(manifest), scored, len(entries) - scored)


def _name(manifest: Mapping[str, Any], key: str, default: str) -> str:
    return _plain(str(manifest.get("config", {}).get("agent_settings", {}).get(key) or default))


def _model(manifest: Mapping[str, Any]) -> str:
    config = manifest.get("config", {})
    return _plain(str(config.get("agent_settings", {}).get("model") or config.get("agent") or "agent"))


def _plain(name: str) -> str:
    return name.replace("/", "_").strip(". ") or "_"


def _arguments(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that OSWorld's runner records, as far as a run has them, and the rest of the manifest."""
    config = manifest.get("config", {})
    return {
        "action_space": _name(manifest, "action_space", CODE),
        "observation_type": _name(manifest, "observation", "screenshot"),
        "model": _model(manifest), "num_envs": config.get("parallel"),
        "max_steps": config.get("max_steps") or MAX_STEPS,
        "screen_width": config.get("width"), "screen_height": config.get("height"),
        "provider_name": manifest.get("provider"), "deskbench": {k: v for k, v in manifest.items() if k != "config"},
    }  # fmt: skip


def _write_episode(reader: EpisodeReader, folder: Path) -> None:
    episode = reader.episode
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(f"{folder} already exists: use another --out") from None
    lines = list(_lines(reader, folder))
    if episode.score.value is None:
        why = episode.error or episode.score.reason
        lines.append({"Error": f"{episode.suite}/{episode.task_id} - {why}"})
    else:
        write_atomic(folder / "result.txt", f"{episode.score.value}\n".encode())
        if episode.score.parts:
            write_atomic(folder / "result.json", json.dumps(_partial(episode), indent=2).encode())
    write_atomic(folder / "traj.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    log = f"{episode.task}: {episode.ending.value}, score {episode.score.value}: {episode.score.reason}\n"
    write_atomic(folder / "runtime.log", log.encode())


def _partial(episode: EpisodeRecord) -> dict[str, Any]:
    """OSWorld-V2's result.json."""
    keys = ("score", "weight", "description")
    parts = {str(part["name"]): {key: part[key] for key in keys} for part in episode.score.parts}
    return {"score": episode.score.value, "partial_scores": parts}


def _lines(reader: EpisodeReader, folder: Path) -> Iterator[dict[str, Any]]:
    """One line per action, with the picture after its step; the first picture is step_0.png."""
    events = [event for event in reader.events() if isinstance(event, (StepRecord, FinalRecord))]
    if events:
        _picture(reader, events[0].observation, folder / "step_0.png")
    for number, (step, following) in enumerate(zip(events, [*events[1:], None], strict=True), 1):
        if not isinstance(step, StepRecord):
            continue
        stamp = time.strftime("%Y%m%d@%H%M%S", time.localtime(step.time))
        name = f"step_{number}_{stamp}{int(step.time % 1 * 1e6):06}.png"
        shown = following is not None and _picture(reader, following.observation, folder / name)
        for place, action in enumerate(step.actions, 1):
            last = following is None or isinstance(following, FinalRecord)
            yield {
                "step_num": number, "action_timestamp": name[len(f"step_{number}_") : -len(".png")],
                "action": SPECIAL.get(str(action.get("type")), action), "response": step.reply or step.thought or "",
                "reward": 0, "done": last and place == len(step.actions), "info": _outcome(following, place - 1),
                "screenshot_file": name if shown else None,
            }  # fmt: skip


def _outcome(following: StepRecord | FinalRecord | None, place: int) -> dict[str, Any]:
    results = following.observation.results if following else []
    error = results[place].error if place < len(results) else None
    return {"error": error} if error else {}


def _picture(reader: EpisodeReader, seen: SeenRecord, path: Path) -> bool:
    shot = reader.screenshot(seen)
    if shot is not None:
        write_atomic(path, shot.png, sync=False)
    return shot is not None


def _entry(episode: EpisodeRecord) -> dict[str, Any]:
    """A line of OSWorld's summary."""
    entry = {
        "application": episode.suite, "task_id": episode.task_id,
        "status": "error" if episode.score.value is None else "success", "score": episode.score.value or 0.0,
        "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(episode.finished)),
    }  # fmt: skip
    return entry if episode.score.value is not None else {**entry, "err_message": episode.error or episode.score.reason}
