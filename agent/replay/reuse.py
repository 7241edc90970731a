"""`run --reuse RUN`: take over the episodes of another run whose result would depend on the same things.

An episode is reused if its desktop, its agent, its task and the code of its set-up and check are the same; it is scored
again if only what judges the recorded end state differs; else it runs again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deskbench.agent import manifest
from deskbench.agent.build import Prepared
from deskbench.agent.config import MAX_SECONDS, MAX_STEPS
from deskbench.agent.replay.rescore import Asked, needs_of, score_again, state_for
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, Origin, ScoreRecord, write_record
from deskbench.agent.runs.recorded import task_of
from deskbench.envs.errors import StorageError, UsageError
from deskbench.tasks.fingerprint import UNREAD, assets_key, functions_of
from deskbench.tasks.types import Task

SETTINGS = (
    "agent", "agent_settings", "provider", "width", "height", "network", "isolated", "policy", "user_base_url",
    "user_model", "episode_budget_usd", "on_tamper",
)  # fmt: skip
"""Settings on which an episode depends, apart from its seed and its limits."""
NOT_SEEN = (*UNREAD, "evaluator", "oracle", "mutants", "neutral", "solutions")
"""Keys of a task file that neither the desktop nor an agent depends on; the oracle's agent depends on `oracle`."""


class Deed(StrEnum):
    """What to do with an episode."""

    REUSE = "reuse"
    RESCORE = "rescore"
    RERUN = "rerun"


@dataclass(frozen=True)
class Choice:
    """What to do with one episode, why, and the recorded episode (None if it runs again)."""

    task: str
    repeat: int
    deed: Deed
    why: str
    episode: Path | None = None


@dataclass(frozen=True)
class ReusePlan:
    """What to do with every episode of a run, in the order of the run."""

    run: Path
    choices: tuple[Choice, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of episodes by deed."""
        found = Counter(choice.deed for choice in self.choices)
        return {deed.value: found[deed] for deed in Deed}


def plan_reuse(prepared: Prepared, run: Path) -> ReusePlan:
    """Decide what to do with each episode of a new run.

    Args:
        prepared: the new run.
        run: the folder of the run whose episodes to take over.

    Raises:
        UsageError: `run` is not a run.
    """
    folder = RunFolder(run)
    before, now = folder.manifest(), manifest.manifest(prepared)
    differing = list(_differing(before, now))
    readers = {(reader.episode.task, reader.episode.repeat): reader for reader in folder.final()}
    choices = []
    for repeat in range(prepared.config.repeats):
        for task in prepared.tasks:
            reader = readers.get((task.key, repeat))
            if reader is None:
                choices.append(Choice(task.key, repeat, Deed.RERUN, "the run has no finished episode of it"))
            elif differing:
                choices.append(Choice(task.key, repeat, Deed.RERUN, ", ".join(differing)))
            else:
                choices.append(_choose(prepared, task, reader, before["code"]))
    return ReusePlan(run, tuple(choices))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs for all episodes."""
    if not isinstance(before.get("code"), dict):
        yield "the run did not record which code it used"
        return
    for name in SETTINGS:
        if before.get("config", {}).get(name) != now["config"].get(name):
            yield f"another {name}"
    for name, told in (("desktop", "another image"), ("protocol", "another protocol version")):
        if before.get(name) != now[name]:
            yield told
    if before["code"].get("agent") != now["code"]["agent"]:
        yield "the agent's code has changed"
    if before["code"].get("agent_files") != now["code"]["agent_files"]:
        yield "the agent's profile or another of its files has changed"


def _choose(prepared: Prepared, task: Task, reader: EpisodeReader, code: Mapping[str, Any]) -> Choice:
    record, repeat = reader.episode, reader.episode.repeat
    why = next(_to_rerun(prepared, task, record, code), None)
    if why is not None:
        return Choice(task.key, repeat, Deed.RERUN, why)
    changed = _changed(task, code, "metric ")
    if record.osworld_strict != prepared.config.osworld_strict:
        changed.append("another --osworld-strict")
    if record.rescored:
        changed.append("its score is from rescore --write")
    if record.task_json.get("evaluator") != task.written.get("evaluator"):
        changed.append("the task's evaluator has changed")
    if not changed:
        return Choice(task.key, repeat, Deed.REUSE, "nothing has changed", reader.folder.path)
    try:
        with tempfile.TemporaryDirectory(prefix="deskbench-reuse-") as scratch:
            needs = needs_of(record, Asked(task_of(record, Path(scratch)), task))
    except UsageError as error:
        needs = f"the recorded task: {error}"
    if needs:
        return Choice(task.key, repeat, Deed.RERUN, f"{', '.join(changed)}; scoring it again needs {needs}")
    return Choice(task.key, repeat, Deed.RESCORE, ", ".join(changed), reader.folder.path)


def _to_rerun(prepared: Prepared, task: Task, record: EpisodeRecord, code: Mapping[str, Any]) -> Iterator[str]:
    """Why an episode must run again, unless only its score may differ."""
    config = prepared.config
    if record.score.value is None:
        yield "it has no score"
    if record.seed != config.seed + record.repeat:
        yield "another seed"
    steps = config.max_steps or task.limits.steps or MAX_STEPS
    seconds = config.max_seconds or task.limits.seconds or MAX_SECONDS
    if (record.max_steps, record.max_seconds) != (steps, seconds):
        yield "other limits"
    if _seen(record.task_json, config.agent) != _seen(task.written, config.agent):
        yield "the task has changed"
    if code.get("assets", {}).get(task.key, "") != assets_key(task):
        yield "files beside the task have changed"
    yield from _changed(task, code, "setup ", "getter ")
    if _after(record.task_json) != _after(task.written):
        yield "the steps before the check have changed"


def _changed(task: Task, code: Mapping[str, Any], *kinds: str) -> list[str]:
    """The functions of these kinds that have changed since the run; one that is new is in the task file's changes."""
    known, now = code.get("functions", {}), functions_of(task)
    return [f"{name} has changed" for name in now if name.startswith(kinds) and known.get(name, now[name]) != now[name]]


def _seen(written: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """The part of a task file on which an episode depends before it is scored."""
    unseen = [name for name in NOT_SEEN if name != "oracle" or agent != "oracle"]
    return {name: value for name, value in written.items() if name not in unseen}


def _after(written: Mapping[str, Any]) -> Any:
    evaluator = written.get("evaluator")
    return evaluator.get("postconfig") or [] if isinstance(evaluator, dict) else []


# -- carrying it out


def take_over(plan: ReusePlan, prepared: Prepared, out: Path) -> None:
    """Begin the new run in `out` with the episodes to reuse and to score again; `Batch.run(resume=True)` does the rest.

    Raises:
        UsageError: the folder already holds a run.
        StorageError: the disk is full or cannot be written.
    """
    folder = RunFolder(out)
    if folder.exists:
        raise UsageError(f"{out} already holds a run; use another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create {out}: {error.strerror}") from error
    origin = {"run": str(plan.run), **{deed: count for deed, count in plan.counts.items() if deed != Deed.RERUN}}
    folder.write_manifest({**manifest.manifest(prepared), "reused": origin})
    ledger = Ledger(folder.ledger)
    tasks = {task.key: task for task in prepared.tasks}
    try:
        seed = prepared.config.seed
        ledger.plan([Planned(one.task, one.repeat, seed + one.repeat) for one in plan.choices])
        for one in plan.choices:
            if one.episode is not None:
                lease = ledger.lease_of(Planned(one.task, one.repeat, seed + one.repeat), "reuse", FOREVER)
                record = _take(plan, one, tasks[one.task], folder.episode(one.task, lease.number), prepared)
                ledger.accept(lease.token, Result.of(record))
    finally:
        ledger.close()


def _take(plan: ReusePlan, one: Choice, task: Task, to: EpisodeFolder, prepared: Prepared) -> EpisodeRecord:
    """Copy an episode and write where it is from; its pictures are links where the file system allows that."""
    assert one.episode is not None
    source = EpisodeReader(one.episode)
    try:
        shutil.copytree(one.episode, to.path, copy_function=_link)
    except (OSError, shutil.Error) as error:
        raise StorageError(f"cannot copy {one.episode} to {to.path}: {error}") from error
    to.record.unlink()
    attempt = int(to.path.name)
    update: dict[str, Any] = {
        "attempt": attempt,
        "origin": Origin(
            run=str(plan.run), attempt=source.episode.attempt, how="rescore" if one.deed is Deed.RESCORE else "reuse"
        ),
    }
    if one.deed is Deed.RESCORE:
        update |= _rescored(source.episode, task, to, prepared)
    record = source.episode.model_copy(update=update)
    write_record(to, record)
    return record


def _rescored(record: EpisodeRecord, task: Task, to: EpisodeFolder, prepared: Prepared) -> dict[str, Any]:
    strict = prepared.config.osworld_strict
    with tempfile.TemporaryDirectory(prefix="deskbench-reuse-") as scratch:
        asked = Asked(task_of(record, Path(scratch)), task)
        score = score_again(record, to, asked, strict)
        state = state_for(record, asked.before, task)
    return {
        "score": ScoreRecord.model_validate(score.model_dump(mode="json")), "osworld_strict": strict, "state": state,
        "task_json": dict(task.written), "task_sha256": task.sha256, "task_path": str(task.path.resolve()),
        "rescored": False,
    }  # fmt: skip


def _link(source: str, target: str) -> str:
    """Link a file that is never changed (its name is its hash), and copy the others."""
    if len(Path(source).stem) == 64:
        try:
            os.link(source, target)
        except OSError:
            pass
        else:
            return target
    return str(shutil.copy2(source, target))


def lines(plan: ReusePlan) -> Iterator[str]:
    """The plan for people: the numbers, and each episode that is not simply reused."""
    told = ", ".join(f"{deed} {count}" for deed, count in plan.counts.items())
    yield f"of {plan.run}: {told}"
    for one in plan.choices:
        if one.deed is not Deed.REUSE:
            yield f"{one.deed} {one.task} (repeat {one.repeat + 1}): {one.why}"
