"""The main screen: Quartz captures it for comparing, and `screencapture`, which includes the pointer, for showing.

A picture has the screen's size in points, so its pixels are the coordinates of events. A Retina screen has twice as
many pixels each way; its pictures are scaled down.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from deskbench.envs.server import comparing

SECONDS = 10.0


class CaptureError(OSError):
    """There is no picture, most likely because the screen recording permission is missing."""


class Screen(comparing.Screen):
    """The main screen. `quartz` is PyObjC's module of that name."""

    def __init__(self, quartz: Any) -> None:
        super().__init__()
        self._quartz = quartz
        size = quartz.CGDisplayBounds(quartz.CGMainDisplayID()).size
        self.width, self.height = int(size.width), int(size.height)

    def cursor(self) -> tuple[int, int]:
        """The pointer's position in points."""
        place = self._quartz.CGEventGetLocation(self._quartz.CGEventCreate(None))
        return round(place.x), round(place.y)

    def _grab(self, *, cursor: bool) -> bytes:
        return self._with_cursor() if cursor else self._without_cursor()

    def _with_cursor(self) -> bytes:
        from PIL import Image

        with tempfile.TemporaryDirectory(prefix="screen-") as folder:
            file = Path(folder, "screen.png")
            done = subprocess.run(
                ["/usr/sbin/screencapture", "-x", "-C", "-m", "-t", "png", str(file)],
                capture_output=True, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
            if not file.exists():
                raise CaptureError(f"screencapture made no picture: {done.stderr.strip() or done.returncode}")
            with Image.open(file) as picture:
                return self._sized(picture.convert("RGB"))

    def _without_cursor(self) -> bytes:
        from PIL import Image

        quartz = self._quartz
        image = quartz.CGDisplayCreateImage(quartz.CGMainDisplayID())
        if image is None:
            raise CaptureError("macOS refuses a screenshot: allow screen recording (see docker/macos)")
        data = bytes(quartz.CGDataProviderCopyData(quartz.CGImageGetDataProvider(image)))
        size = (quartz.CGImageGetWidth(image), quartz.CGImageGetHeight(image))
        row = quartz.CGImageGetBytesPerRow(image)  # rows may be padded
        return self._sized(Image.frombuffer("RGB", size, data, "raw", "BGRX", row, 1))

    def _sized(self, picture: Any) -> bytes:
        from PIL import Image

        if picture.size != (self.width, self.height):
            picture = picture.resize((self.width, self.height), Image.Resampling.BOX)
        made: bytes = picture.tobytes("raw", "BGRX")
        return made
