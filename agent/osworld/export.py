"""Export a run in the layout of OSWorld's results, for OSWorld's tools (`show_result.py`, its monitor, uploads).

    OUT/<action space>/<observation>/<model>/args.json
    OUT/<action space>/<observation>/<model>/<domain>/<task id>/
        traj.jsonl, step_<n>_<time>.png, result.txt, runtime.log, and result.json if a task gives partial scores
        deskbench.json: what the layout has no place for (`kept`), for `import-results`

An episode without a score has no result.txt and one line {"Error": ...}, like a task that failed in OSWorld. A task's
second and later repeats become separate models, `<model>-2`, because the layout has one result per task.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deskbench.agent.config import CODE, MAX_STEPS
from deskbench.agent.exports.reading import (
    Source,
    Written,
    picture,
    safe,
    turns,
    write_file,
    write_json,
    write_lines,
)
from deskbench.agent.osworld.kept import KEPT, Kept, KeptStep
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, FinalRecord, SeenRecord, StepRecord, whole_parts
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import Unread, document
from deskbench.envs.redact import KNOWN

SUMMARY = Path("summary", "results.json")
"""The list of all results below a folder; OSWorld adds each new result at its end."""
SPECIAL = {"done": "DONE", "fail": "FAIL", "wait": "WAIT"}
"""Actions that OSWorld writes as one word, if they have no text."""


def write(source: Source, out: Path) -> Written:
    """Write a run's final attempts; the folder may hold the results of other tasks and models.

    Raises:
        UsageError: the folder already holds results of these tasks, or its list of results cannot be read.
    """
    manifest = source.manifest
    base = out / _name(manifest, "action_space", CODE) / _name(manifest, "observation", "screenshot")
    entries = _entries(out / SUMMARY)
    for reader in source.episodes:
        episode = reader.episode
        model = base / (_model(manifest) + (f"-{episode.repeat + 1}" if episode.repeat else ""))
        write_json(model / "args.json", _arguments(manifest))
        _write_episode(reader, model / safe(episode.suite) / safe(episode.task_id), frames=source.frames)
        entries.append(_entry(episode))
    write_json(out / SUMMARY, entries)
    return Written(base / _model(manifest))


def _entries(path: Path) -> list[Any]:
    """The results that earlier exports, or OSWorld, listed there."""
    try:
        found, _ = document(path.read_bytes())
    except FileNotFoundError:
        return []
    except (Unread, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: {why}: use another --out") from None
    if not isinstance(found, list):
        raise UsageError(f"{path} is not a list of results: use another --out")
    return found


def _name(manifest: Mapping[str, Any], key: str, default: str) -> str:
    return safe(str(manifest.get("config", {}).get("agent_settings", {}).get(key) or default))


def _model(manifest: Mapping[str, Any]) -> str:
    config = manifest.get("config", {})
    return safe(str(config.get("agent_settings", {}).get("model") or config.get("agent") or "agent"))


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


def _write_episode(reader: EpisodeReader, folder: Path, *, frames: bool) -> None:
    episode = reader.episode
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(f"{folder} already exists: use another --out") from None
    names = _pictures(reader, folder) if frames else {}
    lines = list(_lines(reader, names))
    if episode.score.value is None:
        why = episode.error or episode.score.reason
        lines.append({"Error": f"{episode.suite}/{episode.task_id} - {why}"})
    else:
        write_file(folder / "result.txt", f"{episode.score.value}\n".encode())
        if any(whole_parts(episode.score)):
            write_json(folder / "result.json", _partial(episode))
    write_lines(folder / "traj.jsonl", iter(lines))
    write_json(folder / KEPT, _kept(reader, names).model_dump(mode="json"))
    log = f"{episode.task}: {episode.ending.value}, score {episode.score.value}: {episode.score.reason}\n"
    write_file(folder / "runtime.log", KNOWN.text(log).encode())


def _kept(reader: EpisodeReader, names: Mapping[int, str]) -> Kept:
    """What the layout has no place for; not the files and values that getters read, nor where the task file was."""
    record = reader.episode.model_copy(update={"task_path": "", "task_json": {}, "state": {}})
    seen = [event for event in reader.events() if isinstance(event, (StepRecord, FinalRecord))]
    steps = [KeptStep.of(event, names.get(number)) for number, event in enumerate(seen)]
    return Kept(record=record, steps=tuple(steps), ended=bool(seen) and isinstance(seen[-1], FinalRecord))


def _partial(episode: EpisodeRecord) -> dict[str, Any]:
    """OSWorld-V2's result.json."""
    parts = {part.name: part.model_dump(exclude={"name"}) for part in whole_parts(episode.score)}
    return {"score": episode.score.value, "partial_scores": parts}


def _stamp(step: StepRecord) -> str:
    """The time of a step as OSWorld writes it."""
    return time.strftime("%Y%m%d@%H%M%S", time.localtime(step.time)) + f"{int(step.time % 1 * 1e6):06}"


def _pictures(reader: EpisodeReader, folder: Path) -> dict[int, str]:
    """Write the pictures; returns their names by the number of the observation, from 0.

    The picture after step n is step_<n>_<time>.png; the first picture is step_0.png.
    """
    names: dict[int, str] = {}
    before: StepRecord | None = None
    events = (event for event in reader.events() if isinstance(event, (StepRecord, FinalRecord)))
    for number, event in enumerate(events):
        name = f"step_{number}_{_stamp(before)}.png" if before is not None else "step_0.png"
        data = picture(reader, event.observation)
        if data is not None:
            write_file(folder / name, data)
            names[number] = name
        before = event if isinstance(event, StepRecord) else None
    return names


def _lines(reader: EpisodeReader, names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """One line per action, with the picture after its step."""
    for turn in turns(reader):
        step, number = turn.step, turn.number + 1
        for place, action in enumerate(step.actions, 1):
            yield {
                "step_num": number, "action_timestamp": _stamp(step), "action": _action(action),
                "response": step.reply or step.thought or "", "reward": 0,
                "done": turn.last and place == len(step.actions), "info": _outcome(turn.after, place - 1),
                "screenshot_file": names.get(number),
            }  # fmt: skip


def _action(action: dict[str, Any]) -> Any:
    """One of OSWorld's words, or the action itself if it says more than the word."""
    bare = len([value for value in action.values() if value is not None]) == 1
    return SPECIAL.get(str(action.get("type")), action) if bare else action


def _outcome(after: SeenRecord | None, place: int) -> dict[str, Any]:
    error = after.results[place].error if after is not None and place < len(after.results) else None
    return {"error": error} if error else {}


def _entry(episode: EpisodeRecord) -> dict[str, Any]:
    """A line of OSWorld's summary."""
    entry = {
        "application": episode.suite, "task_id": episode.task_id,
        "status": "error" if episode.score.value is None else "success", "score": episode.score.value or 0.0,
        "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(episode.finished)),
    }  # fmt: skip
    return entry if episode.score.value is not None else {**entry, "err_message": episode.error or episode.score.reason}
