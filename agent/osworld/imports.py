"""Import OSWorld's result folders as a run, to view, count, replay and, as far as possible, rescore them.

The text of each line of traj.jsonl is kept unchanged. Actions are read by the same readers as models' replies; an
action that they cannot read becomes code to run on the desktop. An episode without result.txt has no score.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from deskbench.agent.base import Decision, Ending, ReplyError
from deskbench.agent.config import RunConfig
from deskbench.agent.replies.computer13 import parse_computer13
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.agent.replies.valid import valid
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import Ledger, Planned
from deskbench.agent.runs.record import IMPORTED, EpisodeRecord, EpisodeWriter, ScoreRecord, Totals
from deskbench.envs import foreign
from deskbench.envs.actions import ActionError, parse_actions
from deskbench.envs.errors import CheckError, UsageError
from deskbench.envs.types import Action, Done, Exec, Fail, Observation, Screenshot, Wait
from deskbench.tasks.load import load, task_set_hash
from deskbench.tasks.scoring.parts import read_score
from deskbench.tasks.types import Task

WORDS: dict[str, type[Done | Fail | Wait]] = {"DONE": Done, "FAIL": Fail, "WAIT": Wait}
UNKNOWN_SCREEN = (1920, 1080)
"""OSWorld's screen size in pixels, used if no picture shows another."""


@dataclass(frozen=True)
class Imported:
    """What was read: the run's folder, and the numbers of episodes with a score, without one, and planned."""

    folder: Path
    scored: int
    not_scored: int
    planned: int
    problems: tuple[str, ...]


def import_results(source: Path, out: Path, *, tasks: str | None = None, split: str | None = None) -> Imported:
    """Read the results of one model.

    Args:
        source: a folder of OSWorld's results for one action space, observation and model.
        out: the run's folder, which must not exist yet.
        tasks: the task files, for the instructions and the plan; without them the results are the plan.
        split: a split of an OSWorld checkout.

    Raises:
        UsageError: there are no results, there are results of several models, or the run's folder already exists.
    """
    found = _results(source)
    if out.exists():
        raise UsageError(f"{out} already exists: use another --out")
    known = {(task.suite, task.id): task for task in (load(tasks, split=split) if tasks else [])}
    keys = list(known) if known else [(folder.parent.name, folder.name) for folder in found]
    out.mkdir(parents=True)
    model, run = found[0].parent.parent, RunFolder(out)
    ledger = Ledger(run.ledger)
    scored, problems = 0, []
    try:
        ledger.plan([Planned(f"{suite}/{name}", 0, 0) for suite, name in keys])
        for folder in found:
            key = (folder.parent.name, folder.name)
            if key not in keys:
                problems.append(f"{key[0]}/{key[1]} is not one of the tasks: left out")
                continue
            record = _import(folder, run, known.get(key), model.name, problems)
            scored += record.score.value is not None
            number = ledger.begin(Planned(record.task, 0, 0))
            ledger.finish(record.task, number, record.ending.value, record.score.value)
    finally:
        ledger.close()
    run.write_manifest(_manifest(source, model, keys, list(known.values())))
    return Imported(out, scored, len(keys) - scored, len(keys), tuple(problems))


def _results(source: Path) -> list[Path]:
    found = sorted({file.parent for name in ("traj.jsonl", "result.txt") for file in source.rglob(name)})
    if not found:
        raise UsageError(f"{source} has no OSWorld results: no traj.jsonl and no result.txt")
    models = sorted({folder.parent.parent for folder in found})
    if len(models) > 1:
        raise UsageError(f"{source} has the results of {len(models)} models: choose one, such as {models[0]}")
    return found


def _manifest(source: Path, model: Path, keys: list[tuple[str, str]], tasks: list[Task]) -> dict[str, Any]:
    settings = {"model": model.name, "observation": model.parent.name, "action_space": model.parent.parent.name}
    return {
        "version": 1, "state": "finished", "created": time.time(), "ended": time.time(), "agent": model.name,
        "provider": IMPORTED, "policy": "fixed", "planned": len(keys), "tasks": [f"{s}/{n}" for s, n in keys],
        "task_set": task_set_hash(tasks), "skipped": [], "imported_from": str(source), "versions": {},
        "config": RunConfig(agent_settings=settings).model_dump(mode="json"),
    }  # fmt: skip


def _import(folder: Path, run: RunFolder, task: Task | None, model: str, problems: list[str]) -> EpisodeRecord:
    suite, name = folder.parent.name, folder.name
    where = f"{suite}/{name}"
    lines, error = _lines(folder, where, problems)
    target = run.episode(where, 1).path
    writer = EpisodeWriter(target)
    shots = _Pictures(folder, where, problems)
    last: Action | None = None
    seen = shots.first([str(line.get("screenshot_file") or "") for line in lines])
    screen = (seen.width, seen.height)
    count = actions = 0
    for step in _steps(lines):
        made = [action for line in step for action in _actions(line.get("action"), screen, where, problems)]
        writer.step(count, seen, Decision(tuple(made), reply=_text(step[0].get("response")), model_ms=0.0))
        count, actions, last = count + 1, actions + len(made), made[-1] if made else last
        seen = shots.named(str(step[-1].get("screenshot_file") or "")) or Observation(None, *screen)
    writer.final(seen)
    writer.close()
    score = _score(folder, where, error, problems)
    record = EpisodeRecord(
        task=where, task_id=name, suite=suite, instruction=task.instruction if task else "",
        task_sha256=task.sha256 if task else "", feasible=task.feasible if task else True, attempt=1, agent=model,
        provider=IMPORTED, seed=0, width=screen[0], height=screen[1], policy="fixed:2",
        started=_began(folder), finished=_ended(folder), ending=_ending(last, score, error), score=score, error=error,
        answer=last.answer if isinstance(last, Done) else None, totals=Totals(steps=count, actions=actions),
        task_path=str(task.path) if task else "", task_json=task.written if task else {},
    )  # fmt: skip
    EpisodeWriter(target).finish(record)
    return record


def _lines(folder: Path, where: str, problems: list[str]) -> tuple[list[dict[str, Any]], str | None]:
    """The trajectory's lines, and the error if one of them is an error."""
    lines, error = [], None
    path = folder / "traj.jsonl"
    if not path.exists():
        problems.append(f"{where}: no traj.jsonl")
        return [], None
    for number, text in enumerate(foreign.lines(path.read_bytes()), 1):
        try:
            line = valid(json.loads(text)) if text.strip() else {}
        except (ValueError, RecursionError) as fault:
            problems.append(f"{where}/traj.jsonl:{number}: not JSON: {fault}")
            continue
        if not isinstance(line, dict):
            problems.append(f"{where}/traj.jsonl:{number}: not a JSON object")
        elif "Error" in line:
            error = str(line["Error"])
        elif line:
            lines.append(line)
    return lines, error


def _steps(lines: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Group the lines into steps: consecutive lines with the same number are one step, as is a line without one."""
    numbered = ((line.get("step_num"), index, line) for index, line in enumerate(lines))
    for _, group in groupby(numbered, key=lambda one: (one[0], one[1] if one[0] is None else 0)):
        yield [line for _, _, line in group]


def _actions(value: Any, screen: tuple[int, int], where: str, problems: list[str]) -> list[Action]:
    """Read an action as OSWorld's agents write it: a word, pyautogui source, a `computer_13` object, or our object."""
    try:
        if isinstance(value, str):
            word = WORDS.get(value.strip().upper())
            return [word()] if word else parse_pyautogui(value, screen, code_allowed=True)
        if isinstance(value, Mapping):
            if isinstance(value.get("type"), str):
                return list(parse_actions([dict(value)]))
            if isinstance(value.get("command"), str):  # some agents wrap their source
                return _actions(value["command"], screen, where, problems)
            return parse_computer13(dict(value), screen)
        if value is not None:
            problems.append(f"{where}: an action that is neither text nor an object is left out: {str(value)[:80]}")
        return []
    except (ReplyError, ActionError) as error:
        problems.append(f"{where}: an action cannot be read and is kept as code: {error}")
        return [Exec("python", value if isinstance(value, str) else json.dumps(value))]


class _Pictures:
    """An episode's pictures as observations."""

    def __init__(self, folder: Path, where: str, problems: list[str]) -> None:
        self._folder, self._where, self._problems = folder, where, problems

    def first(self, names: list[str]) -> Observation:
        """The first observation: the start screen, which some agents kept, or else only the screen's size."""
        for path in sorted(self._folder.glob("step_0*.png")):
            found = self.named(path.name)
            if found is not None:
                return found
        later = next((shot for name in names if (shot := self.named(name)) is not None), None)
        return Observation(None, *((later.width, later.height) if later else UNKNOWN_SCREEN))

    def named(self, name: str) -> Observation | None:
        """A picture in the folder; None if the name does not exist or is not a picture."""
        from PIL import Image

        path = self._folder / Path(name).name
        if not name or not path.is_file():
            return None
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
                size = picture.size
                if picture.format != "PNG":
                    made = io.BytesIO()
                    picture.convert("RGB").save(made, "PNG")
                    data = made.getvalue()
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            self._problems.append(f"{self._where}/{path.name}: not a picture: {error}")
            return None
        return Observation(Screenshot.of(data), *size)


def _score(folder: Path, where: str, error: str | None, problems: list[str]) -> ScoreRecord:
    try:
        value = foreign.number(foreign.read_text(folder / "result.txt"))
    except FileNotFoundError:
        return ScoreRecord(value=None, reason=error or "there is no result.txt")
    except (foreign.Unread, OSError) as fault:
        problems.append(f"{where}/result.txt {fault}")
        return ScoreRecord(value=None, reason=f"result.txt {fault}")
    return ScoreRecord(value=value, reason="as OSWorld scored it", parts=_parts(folder, where, problems))


def _parts(folder: Path, where: str, problems: list[str]) -> list[dict[str, Any]]:
    """The partial scores of OSWorld-V2's result.json, if it exists."""
    file = folder / "result.json"
    if not file.is_file():
        return []
    try:
        value, faults = foreign.document(file.read_bytes())
        found = read_score(value)
    except (foreign.Unread, CheckError, OSError) as error:
        problems.append(f"{where}/result.json: {error}")
        return []
    if faults:
        problems.append(f"{where}/result.json: {faults[0].where} {faults[0].message}")
        return []
    return [part.model_dump() for part in found.parts]


def _ending(last: Action | None, score: ScoreRecord, error: str | None) -> Ending:
    if error is not None or score.value is None:
        return Ending.ENV_ERROR
    return Ending.DONE if isinstance(last, Done) else Ending.FAILED if isinstance(last, Fail) else Ending.STEP_LIMIT


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _files(folder: Path) -> Iterator[float]:
    yield from (file.stat().st_mtime for file in folder.iterdir() if file.is_file())


def _began(folder: Path) -> float:
    return min(_files(folder))


def _ended(folder: Path) -> float:
    return max(_files(folder))
