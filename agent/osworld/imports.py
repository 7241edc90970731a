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
from typing import Any, NamedTuple

from deskbench.agent.base import Decision, Ending, ReplyError
from deskbench.agent.config import RunConfig
from deskbench.agent.osworld.kept import Kept, read_kept
from deskbench.agent.replies.computer13 import parse_computer13
from deskbench.agent.replies.pyautogui_source import parse_pyautogui
from deskbench.agent.replies.valid import valid
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result
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
MOST_REPEATS = 10_000
"""A larger number at the end of a folder's name is part of the name."""


@dataclass(frozen=True)
class Imported:
    """What was read: the run's folder, and the numbers of episodes with a score, without one, and planned."""

    folder: Path
    scored: int
    not_scored: int
    planned: int
    problems: tuple[str, ...]


def import_results(source: Path, out: Path, *, tasks: str | None = None, split: str | None = None) -> Imported:
    """Read the results of one model, with all repeats if `export` wrote them.

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
    keys = list(known) or list(dict.fromkeys((one.folder.parent.name, one.folder.name) for one in found))
    repeats = 1 + max(one.repeat for one in found)
    out.mkdir(parents=True)
    run, model = RunFolder(out), min(found, key=lambda one: one.repeat).folder.parent.parent
    ledger = Ledger(run.ledger)
    scored, problems = 0, []
    try:
        plan = [Planned(f"{suite}/{name}", repeat, repeat) for repeat in range(repeats) for suite, name in keys]
        ledger.plan(plan)
        for one in found:
            key = (one.folder.parent.name, one.folder.name)
            if key not in keys:
                problems.append(f"{key[0]}/{key[1]} is not one of the tasks: left out")
                continue
            lease = ledger.lease_of(Planned(f"{key[0]}/{key[1]}", one.repeat, one.repeat), "import", FOREVER)
            record = _Reader(one, lease.number, known.get(key), _model(model), problems).write(run)
            scored += record.score.value is not None
            ledger.accept(lease.token, Result.of(record))
    finally:
        ledger.close()
    run.write_manifest(_manifest(source, model, keys, list(known.values()), repeats))
    return Imported(out, scored, len(plan) - scored, len(plan), tuple(problems))


class _Result(NamedTuple):
    """A task's folder, and which repeat it has."""

    folder: Path
    repeat: int


def _results(source: Path) -> list[_Result]:
    files = (file for name in ("traj.jsonl", "result.txt") for file in source.resolve().rglob(name) if file.is_file())
    # The names of both folders become a path in the run: they must not be `..` or empty.
    found = sorted({file.parent for file in files if file.parent.parent.name})
    if not found:
        raise UsageError(f"{source} has no OSWorld results: no traj.jsonl and no result.txt")
    models = sorted({folder.parent.parent for folder in found})
    repeats = {model: _repeat(model) for model in models}
    if len({(model.parent, _model(model)) for model in models}) > 1 or len(set(repeats.values())) < len(models):
        raise UsageError(f"{source} has the results of {len(models)} models: choose one, such as {models[0]}")
    if len(models) == 1:
        repeats = dict.fromkeys(models, 0)  # the user chose this repeat
    return sorted((_Result(folder, repeats[folder.parent.parent]) for folder in found), key=lambda one: one[::-1])


def _arguments(model: Path) -> dict[str, Any]:
    """The arguments of a run; empty if they are missing or cannot be read."""
    try:
        found = json.loads((model / "args.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _model(model: Path) -> str:
    """The name of the model of a folder, without the number of a repeat."""
    return model.name if _repeat(model) == 0 else str(_arguments(model)["model"])


def _repeat(model: Path) -> int:
    """Which repeat `export` wrote into a model's folder, from 0."""
    name, _, number = model.name.rpartition("-")
    exported = "deskbench" in _arguments(model) and _arguments(model).get("model") == name
    return int(number) - 1 if exported and number.isdecimal() and 2 <= int(number) <= MOST_REPEATS else 0


def _manifest(
    source: Path, model: Path, keys: list[tuple[str, str]], tasks: list[Task], repeats: int
) -> dict[str, Any]:
    settings = {"model": _model(model), "observation": model.parent.name, "action_space": model.parent.parent.name}
    return {
        "version": 1, "state": "finished", "created": time.time(), "ended": time.time(), "agent": _model(model),
        "provider": IMPORTED, "policy": "fixed", "planned": len(keys) * repeats, "tasks": [f"{s}/{n}" for s, n in keys],
        "task_set": task_set_hash(tasks), "skipped": [], "imported_from": str(source), "versions": {},
        "config": RunConfig(agent_settings=settings, repeats=repeats).model_dump(mode="json"),
    }  # fmt: skip


class _Reader:
    """Reads one task's folder and writes it as an episode of a run."""

    def __init__(self, result: _Result, attempt: int, task: Task | None, model: str, problems: list[str]) -> None:
        self._folder, self._repeat, self._attempt = *result, attempt
        self._task, self._model, self._problems = task, model, problems
        self._where = f"{self._folder.parent.name}/{self._folder.name}"
        self._shots = Pictures(self._folder, self._where, problems)
        self._last: Action | None = None
        self._screen = UNKNOWN_SCREEN
        self._count = self._actions = 0

    def write(self, run: RunFolder) -> EpisodeRecord:
        """Write the episode; returns its record."""
        lines, error = _lines(self._folder, self._where, self._problems)
        kept = read_kept(self._folder, self._where, self._problems)
        target = run.episode(self._where, self._attempt).path
        writer = EpisodeWriter(target)
        steps = dict(_numbered(lines))
        if kept is not None and (not steps or max(steps) < len(kept.steps)):
            self._screen = kept.record.width, kept.record.height
            self._write_kept(writer, kept, steps)
        else:
            kept = None
            self._write_steps(writer, lines)
        writer.close()
        record = self._record(error, kept)
        EpisodeWriter(target).finish(record)
        return record

    def _read(self, step: list[dict[str, Any]]) -> tuple[Action, ...]:
        made = [
            action
            for line in step
            for action in _actions(line.get("action"), self._screen, self._where, self._problems)
        ]
        self._count, self._actions = self._count + 1, self._actions + len(made)
        self._last = made[-1] if made else self._last
        return tuple(made)

    def _write_steps(self, writer: EpisodeWriter, lines: list[dict[str, Any]]) -> None:
        seen = self._shots.first([str(line.get("screenshot_file") or "") for line in lines])
        self._screen = seen.width, seen.height
        for step in _steps(lines):
            made = self._read(step)
            writer.step(self._count - 1, seen, Decision(made, reply=_text(step[0].get("response")), model_ms=0.0))
            seen = self._shots.named(str(step[-1].get("screenshot_file") or "")) or Observation(None, *self._screen)
        writer.final(seen)

    def _write_kept(self, writer: EpisodeWriter, kept: Kept, steps: dict[int, list[dict[str, Any]]]) -> None:
        """Write the steps as they were: those without an action, too, which traj.jsonl has no line for."""
        for number, one in enumerate(kept.steps):
            seen = one.seen(self._shots.named(one.picture or "") or Observation(None, *self._screen))
            if number + 1 < len(kept.steps) or not kept.ended:
                writer.step(number, seen, one.decided(Decision(self._read(steps.get(number + 1, [])))))
            else:
                writer.final(seen)

    def _record(self, error: str | None, kept: Kept | None) -> EpisodeRecord:
        score = _score(self._folder, self._where, error, self._problems)
        task, name = self._task, self._folder.name
        last = self._last
        found = EpisodeRecord(
            task=self._where, task_id=name, suite=self._folder.parent.name,
            instruction=task.instruction if task else "", task_sha256=task.sha256 if task else "",
            feasible=task.feasible if task else True, attempt=self._attempt, repeat=self._repeat, agent=self._model,
            provider=IMPORTED, seed=self._repeat, width=self._screen[0], height=self._screen[1], policy="fixed:2",
            started=_began(self._folder), finished=_ended(self._folder), ending=ending_of(last, score, error),
            score=score, error=error, answer=last.answer if isinstance(last, Done) else None,
            totals=Totals(steps=self._count, actions=self._actions), task_path=str(task.path) if task else "",
            task_json=task.written if task else {},
        )  # fmt: skip
        return found if kept is None else _restored(found, kept.record, score)


def _restored(found: EpisodeRecord, kept: EpisodeRecord, score: ScoreRecord) -> EpisodeRecord:
    """What an export kept of a record. result.txt has the score: if it was changed, so is what explains the score."""
    same = score.value == kept.score.value
    own = {
        "task": found.task, "task_id": found.task_id, "suite": found.suite, "attempt": found.attempt,
        "repeat": found.repeat, "provider": found.provider, "task_path": found.task_path,
        "task_json": found.task_json, "state": {},
    }  # fmt: skip
    if found.task_json:
        own |= {"instruction": found.instruction, "task_sha256": found.task_sha256, "feasible": found.feasible}
    if not same:
        own |= {"score": score, "ending": found.ending, "error": found.error}
    return kept.model_copy(update=own)


def _numbered(lines: list[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    for step in _steps(lines):
        number = step[0].get("step_num")
        if isinstance(number, int):
            yield number, step


def _lines(folder: Path, where: str, problems: list[str]) -> tuple[list[dict[str, Any]], str | None]:
    """The trajectory's lines, and the error if one of them is an error."""
    lines, error = [], None
    path = folder / "traj.jsonl"
    if not path.is_file():
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


class Pictures:
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
        try:
            if not name or not path.is_file():
                return None
            data = path.read_bytes()
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
                size = picture.size
                if picture.format != "PNG":
                    made = io.BytesIO()
                    picture.convert("RGB").save(made, "PNG")
                    data = made.getvalue()
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            self._problems.append(f"{self._where}/{path.name[:80]}: not a picture: {why}")
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


def ending_of(last: Action | None, score: ScoreRecord, error: str | None) -> Ending:
    """How an episode ended, as its last action and its score tell."""
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
