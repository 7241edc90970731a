"""Repeats a recorded episode in a fresh desktop, and says where it went another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from deskbench.agent import screens
from deskbench.agent.agents.replay import ReplayAgent
from deskbench.agent.base import Needs
from deskbench.agent.batch import Batch, Progress, episode_folder, read_records
from deskbench.agent.build import Prepared
from deskbench.agent.clocks import time_boxes
from deskbench.agent.config import RunConfig
from deskbench.agent.record import EpisodeReader, EpisodeRecord, SeenRecord
from deskbench.agent.recorded import task_of
from deskbench.agent.stats import final_attempts
from deskbench.envs.errors import EnvError
from deskbench.envs.types import parse_actions

LONGEST_PAUSE = 2.0
"""Seconds that a replay thinks at most, however long the recorded agent did: by then programs have come to rest."""
IDLE = ("wait", "screenshot", "zoom", "cursor_position", "ask_user")
"""Actions that leave the screen alone: what changes meanwhile changes by itself."""


@dataclass(frozen=True)
class Divergence:
    """The first step whose screen differs.

    Attributes:
        step: index of the step before which it was seen; the number of steps for the end state.
        share: of all pixels, those that differ and count.
        boxes: where.
        picture: both screens side by side, a PNG file.
    """

    step: int
    share: float
    boxes: tuple[screens.Box, ...]
    picture: Path


@dataclass(frozen=True)
class Replayed:
    """What became of a replay; scores None mean not scored."""

    folder: Path
    steps: int
    recorded: float | None
    replayed: float | None
    divergence: Divergence | None

    @property
    def agrees(self) -> bool:
        """Same score and same screens."""
        return self.recorded == self.replayed and self.divergence is None


def replay(
    folder: Path,
    out: Path,
    *,
    provider: str | None = None,
    isolated: bool = True,
    on_change: Callable[[Progress], None] = lambda p: None,
) -> Replayed:
    """Repeat the actions of the episode in `folder`; `out` becomes a run folder of its own.

    Raises:
        UsageError: `folder` holds no finished episode, or its task is gone.
        EnvError: no desktop lived through it.
    """
    recorded = EpisodeReader(folder)
    prepared = _prepared(recorded, out, provider, isolated)
    batch = Batch(prepared, out, on_change)
    batch.run()
    record = final_attempts(read_records(out))[0]
    if record.error is not None and record.ending == "env_error":
        raise EnvError(f"the replay did not come to its end: {record.error}")
    repeated = EpisodeReader(episode_folder(out, record.task, record.attempt))
    return Replayed(
        folder=out,
        steps=len(recorded.steps()),
        recorded=recorded.episode.score.value,
        replayed=record.score.value,
        divergence=first_divergence(recorded, repeated, out),
    )


def _prepared(recorded: EpisodeReader, out: Path, provider: str | None, isolated: bool) -> Prepared:
    record = recorded.episode
    task = task_of(record, out / "task")
    steps = recorded.steps()
    actions = [parse_actions(step.actions) for step in steps]
    pauses = [min(step.model_ms / 1e3, LONGEST_PAUSE) for step in steps]
    needs = Needs(screenshot=True, accessibility=True)  # the tree says where times stand
    config = RunConfig(
        source=str(task.path),
        agent="replay",
        provider=provider or record.provider,
        width=record.width,
        height=record.height,
        network=task.requires.network == "full",
        isolated=isolated,
        seed=record.seed,
        policy=record.policy,
        max_steps=max(1, len(steps)),
        max_seconds=86400.0,  # a recorded episode ended; limits on time would only end it elsewhere
    )
    return Prepared(
        config, (task,), (), lambda _: ReplayAgent(actions, pauses, needs), (), {task.key: record.task_json}
    )


def first_divergence(recorded: EpisodeReader, repeated: EpisodeReader, out: Path) -> Divergence | None:
    """Compare what was seen at each step; carets, clocks and what moves by itself do not count."""
    before, after = recorded.frames(), repeated.frames()
    masks = _masks(recorded, before, after, repeated)
    for step, (one, other) in enumerate(zip(before, after, strict=False)):
        if one.frame == other.frame:
            continue
        left, right = _image(recorded, one), _image(repeated, other)
        if left is None or right is None:
            continue
        difference = screens.compare(left, right, [*masks, *_clocks(repeated, other)])
        if not difference.same:
            picture = out / f"difference-{step:03}.png"
            screens.picture(left, right, difference).save(picture)
            return Divergence(step, difference.share, difference.boxes, picture)
    return None


def _clocks(reader: EpisodeReader, seen: SeenRecord) -> list[screens.Box]:
    """Where times stand on the replay's screen; the recording need not have a tree."""
    if seen.accessibility is None:
        return []
    return time_boxes((reader.folder / "files" / Path(seen.accessibility).name).read_text(encoding="utf-8"))


def _masks(
    recorded: EpisodeReader, before: list[SeenRecord], after: list[SeenRecord], repeated: EpisodeReader
) -> list[screens.Box]:
    """What differs before the first action, and what changed in the recording while nothing was done."""

    def pairs() -> Iterator[tuple[Image.Image, Image.Image]]:
        candidates = [(before[0], recorded, after[0], repeated)] if before and after else []
        for step, one, other in zip(recorded.steps(), before, before[1:], strict=False):
            if all(action["type"] in IDLE for action in step.actions):
                candidates.append((one, recorded, other, recorded))
        for one, reader, other, other_reader in candidates:
            left, right = _image(reader, one), _image(other_reader, other)
            if one.frame != other.frame and left is not None and right is not None:
                yield left, right

    return screens.moving(pairs())


def _image(reader: EpisodeReader, seen: SeenRecord) -> Image.Image | None:
    shot = reader.screenshot(seen)
    return None if shot is None else shot.image


def describe(found: Replayed, record: EpisodeRecord) -> list[str]:
    """What happened, in lines for people."""
    lines = [f"{record.task}: {found.steps} steps repeated in {found.folder}"]
    same = "agrees" if found.recorded == found.replayed else "DIFFERS"
    lines.append(f"score {same}: {_number(found.recorded)} recorded, {_number(found.replayed)} replayed")
    if found.divergence is None:
        lines.append("screens agree at every step, carets, clocks and what moves by itself aside")
    else:
        first = found.divergence
        where = "at the end" if first.step == found.steps else f"before step {first.step}"
        lines.append(f"screens DIFFER first {where}: {first.share:.3%} of the pixels; {first.picture}")
    return lines


def _number(value: float | None) -> str:
    return "not scored" if value is None else f"{value:g}"
