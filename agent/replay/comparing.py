"""Compare the screens of a replay with those of the recorded episode."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from deskbench.agent.replay import screens
from deskbench.agent.replay.clocks import time_boxes
from deskbench.agent.runs.record import EpisodeReader, SeenRecord
from deskbench.envs.errors import GuestError, UsageError
from deskbench.envs.types import Screenshot

IDLE = ("wait", "screenshot", "zoom", "cursor_position", "ask_user")
"""Actions that do not change the screen: anything that changes meanwhile changes by itself."""


class RecordedScreens:
    """The recorded screens before each step and at the end. Carets, clocks and self-moving parts do not count."""

    def __init__(self, recorded: EpisodeReader) -> None:
        self._reader = recorded
        self._frames = recorded.frames()
        self._masks = screens.moving(self._idle_pairs())

    def difference(self, step: int, shot: Screenshot | None, tree: str | None) -> screens.Difference | None:
        """How a screen differs from the recorded one before `step`; None if they agree or there is none to compare.

        Args:
            step: index of the step; the number of steps for the end state. Compare step 0 first: small differences
                before the first action are masked from then on.
            shot: the replay's screen.
            tree: the replay's accessibility tree, which shows where times are.
        """
        if shot is None or not self.has(step) or self._frames[step].frame == shot.sha256:
            return None
        before = self.image(step)
        if step == 0:
            self._masks += screens.moving([(before, shot.image)])
        found = screens.compare(before, shot.image, [*self._masks, *time_boxes(tree or "")])
        return None if found.same else found

    def has(self, step: int) -> bool:
        """Whether there is a recorded screen before `step`."""
        return step < len(self._frames) and self._frames[step].frame is not None

    def image(self, step: int) -> Image.Image:
        """The recorded screen before a step."""
        return _image(self._reader, self._frames[step])

    def _idle_pairs(self) -> Iterator[tuple[Image.Image, Image.Image]]:
        """The screens before and after each step that did nothing."""
        for step, one, other in zip(self._reader.steps(), self._frames, self._frames[1:], strict=False):
            idle = all(action["type"] in IDLE for action in step.actions)
            if idle and one.frame and other.frame and one.frame != other.frame:
                yield _image(self._reader, one), _image(self._reader, other)


def _image(reader: EpisodeReader, seen: SeenRecord) -> Image.Image:
    try:
        shot = reader.screenshot(seen)
        assert shot is not None
        return shot.image
    except (OSError, GuestError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{reader.folder.path}: the picture {str(seen.frame)[:64]} cannot be read: {why}") from None
