"""What the pages show of an episode: a row of the list, and the document of its own page.

A row is made without reading the episode's steps, so that a list of many episodes costs little. Everything here may
come from a stranger's folder: what cannot be read is said, and the rest is shown.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from deskbench.agent.report.words import in_words
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeRecord, FinalRecord, SeenRecord, StepRecord, read_record
from deskbench.envs.actions import parse_actions
from deskbench.envs.errors import EnvError
from deskbench.envs.redact import KNOWN
from deskbench.envs.tree import elements

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""What reading a damaged or foreign file raises."""
LONGEST = 400
"""Characters of a text in the list; the episode's page has all of it."""
TAIL = 1 << 18
"""Bytes at the end of steps.jsonl in which the last observation is looked for."""
MOST_NOW = 1000
"""Bytes of now.json that are read; it has about 120."""
MOST_BOXES = 5000
"""Elements of a tree that are drawn."""
_DROPPED: Any = {"state": True, "error": True, "answer": True, "score": {"checks", "parts"}}
"""Parts of a record that no list and no statistic needs."""

Json = dict[str, Any]


def slim_json(record: EpisodeRecord) -> str:
    """The JSON of a record without the parts that only the episode's own page shows."""
    labels = {name: record.task_json[name] for name in ("related_apps", "tags") if name in record.task_json}
    return record.model_copy(update={"task_json": labels}).model_dump_json(exclude=_DROPPED)


def finished_row(record: EpisodeRecord, frame: str | None) -> Json:
    """The row of a finished episode."""
    totals, task = record.totals, record.task_json
    row = {
        "task": record.task,
        "domain": domain_of(record),
        "tags": _texts(task.get("tags")),
        "agent": record.agent,
        "attempt": record.attempt,
        "repeat": record.repeat,
        "feasible": record.feasible,
        "state": "finished",
        "score": record.score.value,
        "ending": record.ending.value,
        "reason": record.score.reason[:LONGEST],
        "instruction": record.instruction[:LONGEST],
        "step_count": totals.steps,
        "wall_ms": totals.wall_ms,
        "model_ms": totals.model_ms,
        "act_ms": totals.act_ms,
        "settle_ms": totals.settle_ms,
        "cost_usd": totals.usage.cost_usd,
        "frame": frame,
        "started": record.started,
    }
    shown: Json = KNOWN.value(row)
    return shown


RUNNING, CUT_OFF = "running", "cut off"
"""The states of an episode without a record; the other states of a row are `finished` and `unreadable`."""


def state_now(progress: Progress, *, going: bool) -> Json:
    """The part of the row of an episode without a record that says whether it is running or was cut off."""
    if going:
        return {"state": RUNNING, "ending": RUNNING, "reason": progress.doing or "has begun"}
    return {"state": CUT_OFF, "ending": CUT_OFF, "reason": "the run ended before it did"}


def unfinished_row(task: str, attempt: int, progress: Progress) -> Json:
    """The row of an episode without a record, taken to be running."""
    suite = task.rpartition("/")[0]
    return {
        "task": task, "domain": suite or task, "tags": [], "agent": "", "attempt": attempt, "repeat": 0,
        "feasible": True, "score": None, **state_now(progress, going=True), "instruction": "",
        "step_count": progress.steps, "model_ms": progress.model_ms, "act_ms": progress.act_ms,
        "settle_ms": progress.settle_ms, "wall_ms": progress.model_ms + progress.act_ms + progress.settle_ms,
        "cost_usd": progress.cost_usd, "frame": progress.frame, "started": progress.began,
    }  # fmt: skip


def unreadable_row(task: str, attempt: int, error: Exception) -> Json:
    """The row of an episode whose record is damaged or has another version."""
    bare = unfinished_row(task, attempt, Progress())
    return {**bare, "state": "unreadable", "ending": "unreadable", "reason": why(error)[:LONGEST]}


def why(error: Exception) -> str:
    """What is wrong with a record, in one line."""
    first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return f"the record cannot be read: {type(error).__name__}: {first}"


def domain_of(record: EpisodeRecord) -> str:
    """The program that a task is about, as OSWorld groups its tasks; the suite if the task names no program."""
    apps = _texts(record.task_json.get("related_apps"))
    return apps[0] if len(apps) == 1 else "several programs" if apps else record.suite


def _texts(value: object) -> list[str]:
    return [one[:LONGEST] for one in value if isinstance(one, str)][:20] if isinstance(value, list) else []


@dataclass
class Progress:
    """What steps.jsonl of an unfinished episode says so far; it is read on from where the last reading ended."""

    offset: int = 0
    steps: int = 0
    model_ms: float = 0.0
    act_ms: float = 0.0
    settle_ms: float = 0.0
    cost_usd: float | None = None
    frame: str | None = None
    doing: str = ""
    began: float = 0.0
    _rest: bytes = field(default=b"", repr=False)

    def read_on(self, episode: EpisodeFolder) -> None:
        """Read the lines that were added since."""
        with episode.steps.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        self.offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            value = _line(line)
            if value is not None and value.get("kind") in ("step", "final"):
                self._add(value)
        self._look(episode)

    def _look(self, episode: EpisodeFolder) -> None:
        """What the agent looks at now, which is not yet in the steps."""
        try:
            with episode.now.open("rb") as file:
                now = _line(file.read(MOST_NOW)) or {}
            self.frame = str(now["frame"])
            self.began = self.began or float(now["time"])
        except DAMAGE:
            return

    def _add(self, value: Json) -> None:
        try:
            self._count(value)
        except DAMAGE:
            return

    def _count(self, value: Json) -> None:
        seen = value["observation"]
        self.act_ms += float(seen["act_ms"])
        self.settle_ms += float(seen["settle_ms"])
        self.frame = str(seen["frame"]) if seen["frame"] else self.frame
        self.began = self.began or float(value["time"])
        if value["kind"] == "step":
            self.steps += 1
            self.model_ms += float(value["model_ms"])
            if value["usage"]["cost_usd"] is not None:
                self.cost_usd = (self.cost_usd or 0.0) + float(value["usage"]["cost_usd"])
            self.doing = f"step {self.steps}: {KNOWN.text(_did(value['actions']))[:LONGEST]}"


def _did(actions: list[Json]) -> str:
    """Actions in words; those of another version by their types."""
    try:
        return in_words(parse_actions(actions))
    except DAMAGE:
        return ", ".join(str(action["type"]) for action in actions)


def last_frame(episode: EpisodeFolder) -> str | None:
    """The name of the last screenshot of an episode, or None."""
    for value in _from_the_end(episode):
        seen = value.get("observation")
        if isinstance(seen, dict) and isinstance(seen.get("frame"), str):
            return str(seen["frame"])
    return None


def _from_the_end(episode: EpisodeFolder) -> Iterator[Json]:
    """The last events of an episode, the last first."""
    try:
        with episode.steps.open("rb") as file:
            file.seek(0, 2)
            start = max(0, file.tell() - TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")
    except OSError:
        return
    for line in reversed(lines[1:] if start else lines):
        value = _line(line)
        if value is not None:
            yield value


def _film(episode: EpisodeFolder) -> list[float] | None:
    """The Unix times when a film was asked for, was there and was ended: it begins between the first two."""
    for value in _from_the_end(episode) if episode.video.is_file() else ():
        if value.get("kind") == "note" and value.get("what") == "video":
            try:
                return [float(value["detail"][name]) for name in ("asked", "began", "ended")]
            except DAMAGE:
                return None
    return None


def _line(line: bytes) -> Json | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def document(episode: EpisodeFolder, row: Json) -> Json:
    """Everything that an episode's page shows: its row, its record and its steps, each with what it led to."""
    steps, final, trouble = _steps(episode)
    details: Json = {"checks": [], "parts": [], "error": None, "answer": None, "limits": [None, None]}
    try:
        if episode.finished:
            details = _details(read_record(episode))
    except DAMAGE as error:
        trouble.append(why(error))
    parts = {"steps": steps, "final": final, "trouble": trouble, "film": _film(episode)}
    shown: Json = KNOWN.value({**row, **details, **parts})
    return shown


def _details(record: EpisodeRecord) -> Json:
    return {
        "instruction": record.instruction,
        "reason": record.score.reason,
        "checks": record.score.checks,
        "parts": record.score.parts,
        "error": record.error,
        "answer": record.answer,
        "limits": [record.max_steps, record.max_seconds],
        "setup_ms": record.totals.setup_ms,
        "reset_ms": record.totals.reset_ms,
        "score_ms": record.totals.score_ms,
        "tokens": [record.totals.usage.input_tokens, record.totals.usage.output_tokens],
        "tampered": record.tampered,
        "osworld_strict": record.osworld_strict,
    }


def _steps(episode: EpisodeFolder) -> tuple[list[Json], Json | None, list[str]]:
    """The steps with the results of their actions, which are in the next observation; the end; what is damaged."""
    trouble: list[str] = []
    events = list(_events(episode, trouble))
    steps, final = [], None
    for event, following in itertools.zip_longest(events, events[1:]):
        if isinstance(event, FinalRecord):
            final = {**_seen(event.observation), "time": event.time}
        else:
            steps.append(_step(event, following.observation if following else None))
    return steps, final, trouble


def _events(episode: EpisodeFolder, trouble: list[str]) -> Iterator[StepRecord | FinalRecord]:
    kinds: dict[object, type[StepRecord] | type[FinalRecord]] = {"step": StepRecord, "final": FinalRecord}
    try:
        lines = episode.steps.read_bytes().split(b"\n")
    except OSError as error:
        trouble.append(f"the steps cannot be read: {error.strerror}")
        return
    for number, line in enumerate(lines, 1):
        value = _line(line)
        if value is None:
            if line.strip() and number < len(lines):  # the last line may be half written
                trouble.append(f"line {number} of {episode.steps.name} cannot be read")
            continue
        if value.get("kind") == "note":
            continue
        try:
            yield kinds[value.get("kind")].model_validate({**value, "exchanges": []} if "exchanges" in value else value)
        except DAMAGE as error:
            first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "an unknown kind"
            trouble.append(f"line {number} of {episode.steps.name} cannot be read: {first}")


def _seen(seen: SeenRecord) -> Json:
    return {
        "frame": seen.frame, "width": seen.width, "height": seen.height, "cursor": list(seen.cursor),
        "tree": seen.accessibility, "terminal": seen.terminal, "problems": seen.problems,
    }  # fmt: skip


def _step(step: StepRecord, after: SeenRecord | None) -> Json:
    return {
        **_seen(step.observation),
        "time": step.time,
        "actions": step.actions,
        "reply": step.reply,
        "thought": step.thought,
        "attempts": step.attempts,
        "model_ms": step.model_ms,
        "input_tokens": step.usage.input_tokens,
        "output_tokens": step.usage.output_tokens,
        "cost_usd": step.usage.cost_usd,
        "act_ms": after.act_ms if after else 0.0,
        "settle_ms": after.settle_ms if after else 0.0,
        "roundtrip_ms": after.roundtrip_ms if after else 0.0,
        "settled": after.settled if after else None,
        "settled_by": after.settled_by if after else None,
        "results": after.results if after else [],
        "answer": after.answer if after else None,
    }


def boxes(xml: str) -> list[list[object]]:
    """The elements of a tree that have a place: x, y, width, height, role and name; none if it is not a tree."""
    found: list[list[object]] = []
    try:
        for element in elements(xml):
            if element.box is not None and len(found) < MOST_BOXES:
                found.append([*element.box, element.tag[:60], (element.name or element.value).strip()[:120]])
    except EnvError:
        return []
    shown: list[list[object]] = KNOWN.value(found)
    return shown
