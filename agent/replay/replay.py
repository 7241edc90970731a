"""Repeat a recorded episode on a fresh desktop, and report where it went differently."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deskbench.agent.agents.replay import AGAIN, LOOKS, ReplayAgent
from deskbench.agent.base import Ending
from deskbench.agent.batch import Batch, Progress
from deskbench.agent.build import Prepared
from deskbench.agent.config import make_config
from deskbench.agent.replay.comparing import RecordedScreens
from deskbench.agent.replay.screens import Box, picture
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import IMPORTED, EpisodeReader, EpisodeRecord, SeenRecord, StepRecord
from deskbench.agent.runs.recorded import task_of
from deskbench.envs.actions import ActionError
from deskbench.envs.errors import EnvError, UsageError
from deskbench.envs.types import Action, parse_actions
from deskbench.tasks.types import Limits, Task

LONGEST_PAUSE = 2.0
"""Longest pause of a replay in seconds, however long the recorded agent took: programs have settled by then."""


@dataclass(frozen=True)
class Divergence:
    """The first step whose screen differs.

    Attributes:
        step: index of the step before which the screens differ; the number of steps for the end state.
        share: share of all pixels that differ and count.
        boxes: the places that differ.
        picture: a PNG file with both screens side by side.
    """

    step: int
    share: float
    boxes: tuple[Box, ...]
    picture: Path


@dataclass(frozen=True)
class Failure:
    """An action that was refused or failed in the replay, and the reason."""

    step: int
    action: str
    error: str


@dataclass(frozen=True)
class Replayed:
    """The result of a replay; a score of None means not scored.

    `compared` is the number of screens that were compared: a recording without pictures has none.
    """

    folder: Path
    steps: int
    recorded: float | None
    replayed: float | None
    divergence: Divergence | None
    compared: int
    failures: tuple[Failure, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether score and screens are the same. What was not recorded does not count, but something must."""
        return (
            self.recorded in (None, self.replayed)
            and self.divergence is None
            and (self.recorded is not None or self.compared > 0)
        )


def replay(
    folder: Path,
    out: Path,
    *,
    provider: str | None = None,
    isolated: bool = True,
    host_files: bool = False,
    on_change: Callable[[Progress], None] = lambda p: None,
    on_batch: Callable[[Batch], None] = lambda batch: None,
) -> Replayed:
    """Repeat the actions of the episode in `folder`; `out` becomes a new run folder.

    `on_batch` gets what runs the replay before it begins, to interrupt it.

    Raises:
        UsageError: `folder` holds no finished episode, its task is gone, or its record cannot be repeated.
        EnvError: no desktop survived the replay, or it was interrupted.
    """
    recorded = EpisodeReader(folder)
    run = RunFolder(out)
    prepared = _prepared(recorded, run, provider, isolated, host_files)
    batch = Batch(prepared, out, on_change)
    on_batch(batch)
    batch.run()
    ended = run.final()
    if not ended or ended[0].episode.ending is Ending.INTERRUPTED:
        raise EnvError("the replay was interrupted")
    repeated, record = ended[0], ended[0].episode
    if record.error is not None and record.ending in (Ending.ENV_ERROR, Ending.CRASHED):
        raise EnvError(f"the replay did not finish: {record.error}")
    divergence, compared = first_divergence(recorded, repeated, run)
    return Replayed(
        folder=out,
        steps=len(recorded.steps()),
        recorded=recorded.episode.score.value,
        replayed=record.score.value,
        divergence=divergence,
        compared=compared,
        failures=tuple(_failures(repeated)),
    )


def _prepared(
    recorded: EpisodeReader, run: RunFolder, provider: str | None, isolated: bool, host_files: bool
) -> Prepared:
    record = recorded.episode
    if provider is None and record.provider == IMPORTED:
        raise UsageError("the episode was imported, so its desktop is unknown: name one with --provider or --image")
    task = task_of(record, run.task, host_files=host_files).model_copy(update={"limits": Limits()})
    steps = recorded.steps()
    settings = {
        "source": str(task.path), "agent": "replay", "provider": provider or record.provider, "width": record.width,
        "height": record.height, "network": task.requires.network != "off", "isolated": isolated, "seed": record.seed,
        "policy": record.policy, "osworld_strict": record.osworld_strict,
        "max_steps": max(1, len(steps)) * (1 + LOOKS),
        "max_seconds": 86400.0,  # the recorded episode ended; a limit could only end the replay too early
    }  # fmt: skip
    config = make_config(None, [], settings)
    actions = list(_actions(steps))

    def make_agent(_: Task) -> ReplayAgent:
        screens = RecordedScreens(recorded)
        return ReplayAgent(
            actions,
            [min(step.model_ms / 1e3, LONGEST_PAUSE) for step in steps],
            lambda step, seen: screens.difference(step, seen.screenshot, seen.accessibility) is None,
        )

    return Prepared(config, (task,), (), make_agent, {task.key: record.task_json})


def _actions(steps: Sequence[StepRecord]) -> Iterator[Sequence[Action]]:
    for step in steps:
        try:
            yield parse_actions(step.actions)
        except ActionError as error:
            raise UsageError(f"the recorded step {step.index} cannot be repeated: {error}") from None


def first_divergence(recorded: EpisodeReader, repeated: EpisodeReader, run: RunFolder) -> tuple[Divergence | None, int]:
    """Compare the screens at each step; returns the first that differs, or None, and how many were compared."""
    screens, compared = RecordedScreens(recorded), 0
    for step, seen in enumerate(acted_screens(repeated)):
        shot = repeated.screenshot(seen)
        compared += shot is not None and screens.has(step)
        difference = screens.difference(step, shot, repeated.tree(seen))
        if difference is not None and shot is not None:
            path = run.difference(step)
            picture(screens.image(step), shot.image, difference).save(path)
            return Divergence(step, difference.share, difference.boxes, path), compared
    return None, compared


def _failures(repeated: EpisodeReader) -> Iterator[Failure]:
    """Actions that were refused or failed, by the recording's steps: an observation has the previous step's results."""
    acted = [(step, after) for step, after in zip(repeated.steps(), repeated.frames()[1:], strict=False)
             if step.thought != AGAIN]  # fmt: skip
    for number, (step, after) in enumerate(acted):
        for action, result in zip(step.actions, after.results, strict=False):
            if not result.ok:
                yield Failure(number, str(action.get("type")), result.error or "no reason given")


def acted_screens(repeated: EpisodeReader) -> list[SeenRecord]:
    """The screens that the replay acted on, and its end state; not those where it only looked again."""
    acted = [step.observation for step in repeated.steps() if step.thought != AGAIN]
    return acted + repeated.frames()[-1:]


def describe(found: Replayed, record: EpisodeRecord) -> list[str]:
    """The result in lines for people."""
    lines = [f"{record.task}: {found.steps} steps repeated in {found.folder}"]
    same = "agrees" if found.recorded == found.replayed else "DIFFERS"
    same = "was not recorded" if found.recorded is None else same
    lines.append(f"score {same}: {_number(found.recorded)} recorded, {_number(found.replayed)} replayed")
    if found.failures:
        lines.append("these actions were refused or failed, so the replay differs from the recording:")
        lines += [f"  step {one.step}: {one.action}: {one.error}" for one in found.failures]
    if found.compared == 0:
        lines.append("screens were not compared: the recording or the replay has no pictures")
    elif found.divergence is None:
        lines.append("screens agree at every step (apart from carets, clocks and self-moving parts)")
    else:
        first = found.divergence
        where = "at the end" if first.step == found.steps else f"before step {first.step}"
        lines.append(f"screens DIFFER first {where}: {first.share:.3%} of the pixels; {first.picture}")
    return lines


def _number(value: float | None) -> str:
    return "not scored" if value is None else f"{value:g}"
