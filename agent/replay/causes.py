"""Why a replay went another way, as far as the two recordings show it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from deskbench.agent.replay.clocks import time_boxes
from deskbench.agent.replay.comparing import RecordedScreens
from deskbench.agent.replay.replay import Replayed, acted_screens
from deskbench.agent.replay.screens import Box
from deskbench.agent.runs.record import EpisodeReader


class Cause(StrEnum):
    """Why a replay differs; the first that applies."""

    REFUSED = "refused action"
    """An action was refused or failed that had worked, before the screens differ."""
    CLOCK = "clock"
    """Every place that differs shows a time or a date."""
    NETWORK = "network"
    """The task needs the network, whose answers nobody controls."""
    RACE = "race"
    """The screen was still changing, or a later screen is as recorded again."""
    UNKNOWN = "unknown"


def cause_of(recorded: EpisodeReader, repeated: EpisodeReader, found: Replayed) -> Cause | None:
    """Why a replay differs from its recording; None if nothing differs.

    Args:
        recorded: the episode.
        repeated: the replay's episode.
        found: what `replay` found.
    """
    if found.divergence is None and found.recorded in (None, found.replayed):
        return None
    if _refused(recorded, found):
        return Cause.REFUSED
    if found.divergence is not None and _is_clock(recorded, repeated, found.divergence.step, found.divergence.boxes):
        return Cause.CLOCK
    if recorded.episode.task_json.get("requires", {}).get("network", "off") != "off":
        return Cause.NETWORK
    if found.divergence is not None and _is_race(recorded, repeated, found.divergence.step):
        return Cause.RACE
    return Cause.UNKNOWN


def _refused(recorded: EpisodeReader, found: Replayed) -> bool:
    """Whether an action failed that had not, in a step before the screens differ."""
    before = found.steps if found.divergence is None else found.divergence.step
    seen = recorded.frames()
    for failure in found.failures:
        after = seen[failure.step + 1].results if failure.step + 1 < len(seen) else []
        if failure.step < before and all(result.ok for result in after):
            return True
    return False


def _is_clock(recorded: EpisodeReader, repeated: EpisodeReader, step: int, boxes: Sequence[Box]) -> bool:
    times = []
    for reader, screens in ((recorded, recorded.frames()), (repeated, acted_screens(repeated))):
        if step < len(screens):
            times += time_boxes(reader.tree(screens[step]) or "")
    return bool(boxes) and all(any(_meet(box, time) for time in times) for box in boxes)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _is_race(recorded: EpisodeReader, repeated: EpisodeReader, step: int) -> bool:
    seen = acted_screens(repeated)
    moving = (screens[step].settled is False for screens in (recorded.frames(), seen) if step < len(screens))
    if any(moving):
        return True
    screens = RecordedScreens(recorded)
    later = range(step + 1, min(len(seen), len(recorded.frames())))
    return any(screens.difference(n, repeated.screenshot(seen[n]), repeated.tree(seen[n])) is None for n in later)
