"""Import a job of Harbor, or another tree of trials with ATIF trajectories, as a run.

A trial is a folder with `result.json` (the reward) and a `trajectory.json` in it or in its folder `agent`, as Harbor
and cua-bench write them. It is imported if `tools` can read each of its tool calls; a trial of a terminal is named and
left out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deskbench.agent.base import Decision, Ending, ReplyError, Usage
from deskbench.agent.config import RunConfig
from deskbench.agent.exports.reading import safe
from deskbench.agent.exports.tools import FOREIGN, Tools
from deskbench.agent.osworld.imports import Imported, Pictures, ending_of
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result
from deskbench.agent.runs.record import (
    IMPORTED,
    EpisodeRecord,
    EpisodeWriter,
    ScoreRecord,
    Totals,
    UsageRecord,
    whole_parts,
)
from deskbench.envs import foreign
from deskbench.envs.actions import ActionError
from deskbench.envs.errors import UsageError
from deskbench.envs.types import Action, ActionResult, Done, Observation

TRAJECTORY, RESULT = "trajectory.json", "result.json"
LARGEST = 256 << 20
"""Bytes of a file that is read."""
LONGEST = 255
"""Bytes of a file's name on the usual file systems."""

_Number = Annotated[int, Field(ge=0, lt=1 << 63)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Open(BaseModel):
    """What other programs write has more than is read here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Media(_Open):
    path: str = ""


class _Part(_Open):
    type: str
    text: str | None = None
    source: _Media | None = None


class _Call(_Open):
    tool_call_id: str = ""
    function_name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class _Result(_Open):
    source_call_id: str | None = None
    content: str | list[_Part] | None = None
    extra: dict[str, Any] | None = None


class _Observation(_Open):
    results: list[_Result] = Field(default_factory=list)


class _Metrics(_Open):
    prompt_tokens: _Number | None = None
    completion_tokens: _Number | None = None
    cost_usd: _Amount | None = None


class _Step(_Open):
    source: Literal["system", "user", "agent"]
    message: str | list[_Part] = ""
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None
    observation: _Observation | None = None
    metrics: _Metrics | None = None
    llm_call_count: int | None = None
    extra: dict[str, Any] | None = None


class _Agent(_Open):
    name: str
    model_name: str | None = None


class _Trajectory(_Open):
    schema_version: str
    agent: _Agent
    steps: list[_Step]
    extra: dict[str, Any] | None = None


class _Verified(_Open):
    rewards: dict[str, float | None] | None = None


class _Failed(_Open):
    exception_type: str = ""
    exception_message: str = ""


class _Trial(_Open):
    task_name: str
    variant: _Number | None = None  # of cua-bench's tasks
    attempt: _Number | None = None
    source: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    verifier_result: _Verified | None = None
    exception_info: _Failed | None = None


class _Own(_Open):
    """What `export` writes into a trajectory's `extra`."""

    task: str = ""
    repeat: _Number = 0
    seed: Annotated[int, Field(ge=-1 << 63, lt=1 << 63)] = 0
    width: _Number = 1920
    height: _Number = 1080
    policy: str = "fixed"
    max_steps: _Number | None = None
    max_seconds: _Amount | None = None
    feasible: bool = True
    ending: Ending | None = None
    error: str | None = None
    score: ScoreRecord | None = None


class _Unfit(ValueError):
    """A trial that cannot be imported; the message says why."""


@dataclass(frozen=True)
class _Found:
    """A trial that can be imported."""

    folder: Path
    path: Path
    trial: _Trial
    trajectory: _Trajectory
    own: _Own
    actions: Sequence[Sequence[Action]]
    suite: str
    task: str
    times: tuple[float, float]


def trials_in(source: Path) -> list[Path]:
    """The trajectories below a folder."""
    return sorted(source.rglob(TRAJECTORY))


def import_trials(source: Path, out: Path, *, told: Path | None = None) -> Imported:
    """Read the trials of a job.

    Args:
        source: the job's folder.
        out: the run's folder, which must not exist yet.
        told: what the manifest names as the source, if it is not the folder.

    Raises:
        UsageError: no trial can be imported, or the run's folder already exists.
    """
    if out.exists():
        raise UsageError(f"{out} already exists: use another --out")
    problems: list[str] = []
    found = list(_read_all(trials_in(source), problems))
    if not found:
        raise UsageError(f"{source} has no trial that can be imported: {'; '.join(problems[:3])}")
    episodes = list(_planned(found))
    plan = [planned for planned, _ in episodes]
    out.mkdir(parents=True)
    run, scored = RunFolder(out), 0
    ledger = Ledger(run.ledger)
    try:
        ledger.plan(plan)
        for planned, one in episodes:
            lease = ledger.lease_of(planned, "import", FOREVER)
            record = _write(one, planned, run, lease.number, problems)
            scored += record.score.value is not None
            ledger.accept(lease.token, Result.of(record))
    finally:
        ledger.close()
    run.write_manifest(_manifest(told or source, found[0], plan))
    return Imported(out, scored, len(plan) - scored, len(plan), tuple(problems))


def _read_all(paths: Sequence[Path], problems: list[str]) -> Iterator[_Found]:
    for path in paths:
        folder = path.parent.parent if path.parent.name == "agent" else path.parent
        try:
            yield _read(path, folder)
        except (_Unfit, OSError, ValueError, OverflowError) as error:
            told = foreign.first_fault(error, ()) if isinstance(error, ValidationError) else str(error)
            problems.append(f"{folder.name}: left out: {told}")


def _read(path: Path, folder: Path) -> _Found:
    trial = _Trial.model_validate_json(_bytes(folder / RESULT))
    found = _Trajectory.model_validate_json(_bytes(path))
    if not found.schema_version.startswith("ATIF-v1."):
        raise _Unfit(f"{found.schema_version[:40]} is not a version of ATIF that deskbench knows")
    own = _Own.model_validate((found.extra or {}).get("deskbench") or {})
    if trial.attempt is not None and "repeat" not in own.model_fields_set:
        own = own.model_copy(update={"repeat": trial.attempt})
    own, actions = _acted(path, folder, found, own, free=trial.exception_info is None)
    suite, task = _key(trial, own)
    times = _time(trial.started_at), _time(trial.finished_at)
    return _Found(folder, path, trial, found, own, actions, suite, task, times)


def _key(trial: _Trial, own: _Own) -> tuple[str, str]:
    """Suite and task, which become folders of the run."""
    name = trial.task_name if trial.variant is None else f"{trial.task_name}_v{trial.variant}"
    suite, _, task = (own.task or f"{trial.source or 'harbor'}/{name}").rpartition("/")
    for name in (suite, task):
        if len(name.encode()) > LONGEST:
            raise _Unfit(f"the name {name[:40]!r}... is longer than {LONGEST} bytes")
    return safe(suite), safe(task)


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise _Unfit(f"there is no {path.name}")
    if path.stat().st_size > LARGEST:
        raise _Unfit(f"{path.name} is larger than {LARGEST >> 20} MiB")
    return path.read_bytes()


def _acted(
    path: Path, folder: Path, found: _Trajectory, own: _Own, *, free: bool
) -> tuple[_Own, Sequence[Sequence[Action]]]:
    """The size of the screen, if a picture tells it, and the actions of each step of the agent.

    Args:
        free: no error ended the trial, so a last step without a call is the agent's own end.
    """
    steps = [step for step in found.steps if step.source == "agent"]
    others = any(call.function_name in FOREIGN for step in steps for call in step.tool_calls or ())
    if others and not own.model_fields_set & {"width", "height"}:
        seen = _first_picture(path, folder, found.steps)
        own = own.model_copy(update={"width": seen.width, "height": seen.height})
    tools = Tools((own.width, own.height))
    actions = [_actions(step, tools) for step in steps]
    if others and free and not steps[-1].tool_calls and own.ending is None:
        actions[-1] = [Done(_text(steps[-1].message) or None)]
    return own, actions


def _first_picture(path: Path, folder: Path, steps: Sequence[_Step]) -> Observation:
    for step in steps:
        results = step.observation.results if step.observation is not None else []
        for content in (step.message, *(one.content for one in results)):
            seen = _picture(path, folder, content if isinstance(content, list) else [], [])
            if seen is not None:
                return seen
    raise _Unfit("it has no pictures, so the size of the screen is unknown")


def _actions(step: _Step, tools: Tools) -> list[Action]:
    try:
        return [one for call in step.tool_calls or () for one in tools.actions(call.function_name, call.arguments)]
    except LookupError as error:
        raise _Unfit(str(error)) from None
    except (ActionError, ReplyError) as error:
        raise _Unfit(f"a tool call cannot be read: {error}") from None


def _planned(found: Sequence[_Found]) -> Iterator[tuple[Planned, _Found]]:
    """Each trial as an episode; two trials of a task are two repeats."""
    seen: Counter[str] = Counter()
    for one in sorted(found, key=lambda one: (one.own.repeat, one.folder.name)):
        key = f"{one.suite}/{one.task}"
        yield Planned(key, seen[key], one.own.seed), one
        seen[key] += 1


def _manifest(source: Path, one: _Found, plan: Sequence[Planned]) -> dict[str, Any]:
    model = one.trajectory.agent.model_name
    config = RunConfig(agent_settings={"model": model} if model else {}, repeats=1 + max(p.repeat for p in plan))
    return {
        "version": 1, "state": "finished", "created": time.time(), "ended": time.time(),
        "agent": one.trajectory.agent.name, "provider": IMPORTED, "policy": one.own.policy, "planned": len(plan),
        "tasks": list(dict.fromkeys(p.task for p in plan)), "task_set": "", "skipped": [],
        "imported_from": str(source), "versions": {}, "config": config.model_dump(mode="json"),
    }  # fmt: skip


def _write(one: _Found, planned: Planned, run: RunFolder, attempt: int, problems: list[str]) -> EpisodeRecord:
    target = run.episode(planned.task, attempt).path
    writer = EpisodeWriter(target)
    seen = _Seen(one, problems)
    asked = next((step for step in one.trajectory.steps if step.source == "user"), None)
    before, last = seen.first(asked), None
    steps = [step for step in one.trajectory.steps if step.source == "agent"]
    for number, (step, actions) in enumerate(zip(steps, one.actions, strict=True)):
        writer.step(number, before, _decision(step, actions))
        before, last = seen.after(step), actions[-1] if actions else last
    writer.final(before)
    writer.close()
    own, trial, score = one.own, one.trial, _score(one, problems)
    error = own.error or (_error(trial.exception_info) if trial.exception_info is not None else None)
    record = EpisodeRecord(
        task=planned.task, task_id=one.task, suite=one.suite, instruction=_text(asked.message) if asked else "",
        task_sha256="", feasible=own.feasible, attempt=attempt, repeat=planned.repeat,
        agent=one.trajectory.agent.name, provider=IMPORTED, seed=own.seed, width=own.width, height=own.height,
        policy=own.policy, max_steps=own.max_steps, max_seconds=own.max_seconds,
        started=one.times[0], finished=one.times[1],
        ending=own.ending or ending_of(last, score, error), score=score, error=error,
        answer=last.answer if isinstance(last, Done) else None, totals=_totals(steps, one.actions),
    )  # fmt: skip
    EpisodeWriter(target).finish(record)
    return record


def _decision(step: _Step, actions: Sequence[Action]) -> Decision:
    extra, metrics = step.extra or {}, step.metrics or _Metrics()
    thought = extra.get("thought")
    return Decision(
        tuple(actions), reply=_text(step.message) or None,
        thought=step.reasoning_content or (thought if isinstance(thought, str) else None),
        usage=Usage(metrics.prompt_tokens or 0, metrics.completion_tokens or 0, metrics.cost_usd),
        attempts=max(1, step.llm_call_count or 1),
    )  # fmt: skip


def _totals(steps: Sequence[_Step], actions: Sequence[Sequence[Action]]) -> Totals:
    usage = sum((_decision(step, ()).usage for step in steps), Usage())
    told = UsageRecord(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cost_usd=usage.cost_usd)
    return Totals(steps=len(steps), actions=sum(map(len, actions)), usage=told)


def _text(message: str | list[_Part]) -> str:
    return message if isinstance(message, str) else "\n".join(part.text for part in message if part.text)


def _time(when: datetime | None) -> float:
    seconds = when.timestamp() if when is not None else 0.0
    if seconds < 0:
        raise _Unfit(f"{when} is before 1970")
    return seconds


def _error(failed: _Failed) -> str:
    return f"{failed.exception_type}: {failed.exception_message}"


def _score(one: _Found, problems: list[str]) -> ScoreRecord:
    """The reward, with our own reason if `export` wrote the trial and nobody changed the reward."""
    verified = one.trial.verifier_result
    rewards = (verified.rewards if verified is not None else None) or {}
    value = rewards.get("reward", next(iter(rewards.values()), None) if len(rewards) == 1 else None)
    why = "none of its rewards is called reward" if len(rewards) > 1 else "there is no reward"
    if value is not None:
        try:
            value = foreign.number(str(value))
        except foreign.Unread as error:
            why, value = f"the reward {error}", None
            problems.append(f"{one.folder.name}/{RESULT}: {why}")
    own = one.own.score
    if own is not None and own.value == value:
        return _with_whole_parts(own, f"{one.folder.name}/{TRAJECTORY}", problems)
    failed = one.trial.exception_info
    reason = "as its verifier scored it" if value is not None else _error(failed) if failed else why
    return ScoreRecord(value=value, reason=reason)


def _with_whole_parts(score: ScoreRecord, where: str, problems: list[str]) -> ScoreRecord:
    parts = [part.model_dump() for part in whole_parts(score)]
    if len(parts) < len(score.parts):
        problems.append(f"{where}: {len(score.parts) - len(parts)} of {len(score.parts)} parts of the score left out")
    return score.model_copy(update={"parts": parts})


class _Seen:
    """A trial's observations."""

    def __init__(self, one: _Found, problems: list[str]) -> None:
        self._one, self._problems = one, problems
        self._blank = Observation(None, one.own.width, one.own.height)

    def first(self, asked: _Step | None) -> Observation:
        """What the first step was decided on."""
        parts = asked.message if asked is not None and isinstance(asked.message, list) else []
        return self._picture(parts) or self._blank

    def after(self, step: _Step) -> Observation:
        """What followed a step: the last picture, the results of its actions, and the user's answer."""
        results = step.observation.results if step.observation is not None else []
        parts = [part for one in results if isinstance(one.content, list) for part in one.content]
        seen = self._picture(parts) or self._blank
        done = [_outcome(one) for one in results if one.source_call_id is not None]
        said = [one for one in results if (one.extra or {}).get("from") == "user" and isinstance(one.content, str)]
        answer = str(said[-1].content) if said else None
        return Observation(seen.screenshot, seen.width, seen.height, results=tuple(done), answer=answer)

    def _picture(self, parts: Sequence[_Part]) -> Observation | None:
        return _picture(self._one.path, self._one.folder, parts, self._problems)


def _picture(path: Path, folder: Path, parts: Sequence[_Part], problems: list[str]) -> Observation | None:
    """The last picture that stands in the trial's folder."""
    for part in reversed(parts):
        named = path.parent / (part.source.path if part.source is not None else "")
        if part.type == "image" and "\0" not in str(named):
            inside = named.resolve().is_relative_to(folder.resolve())
            return Pictures(named.parent, folder.name, problems).named(named.name) if inside else None
    return None


def _outcome(result: _Result) -> ActionResult:
    text = result.content if isinstance(result.content, str) and result.content else None
    ok = (result.extra or {}).get("ok") is not False
    return ActionResult(ok, None if ok else text, text if ok else None)
