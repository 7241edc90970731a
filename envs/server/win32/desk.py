"""The desktop of Windows, composed of the same parts as that of X."""

from __future__ import annotations

import platform

from deskbench.envs.server import comparing
from deskbench.envs.server.settle import Sample, Settling
from deskbench.envs.server.win32.accessibility import Accessibility
from deskbench.envs.server.win32.activity import Activity
from deskbench.envs.server.win32.capture import Screen
from deskbench.envs.server.win32.input import Input
from deskbench.envs.server.win32.windows import Windows
from deskbench.envs.wire import PROTOCOL, Health

MISSING = {
    "terminal": "the server cannot read the text of a console",
    "recording": "the server cannot record the screen of Windows",
    "clipboard": "the server does not read the clipboard",
}


class Desk(comparing.Desk):
    """A session of Windows."""

    windows: Windows

    def __init__(self) -> None:
        super().__init__(Screen(), MISSING)
        self.input = Input(self.screen.width, self.screen.height)
        self.windows = Windows()
        self.activity = Activity(self.windows)
        self._accessibility = Accessibility(self.windows)

    def sample(self, launched_after: Sample | None) -> Sample:
        """The session's current state. Every thread of a program that is not in `launched_after` counts."""
        return self.activity.sample(launched_after)

    def at_work(self) -> bool:
        """Whether a program that was started in this session runs or waits for a core."""
        return bool(self.sample(Sample(0.0)).running)

    def bring_up(self, settling: Settling) -> bool:
        """Raise and focus the window that a launched program has shown, and wait until the screen is quiet."""
        raising = self.begin_settling()
        return self.windows.bring_up(settling.before.windows) and self.settle(raising)

    def tree(self, timeout: float, problems: list[str]) -> tuple[str | None, bool]:
        """The accessibility tree and whether it is complete."""
        return self._accessibility.tree(timeout)

    def health(self) -> Health:
        """What works here."""
        versions = {"python": platform.python_version(), "png": self.screen.compressor, "windows": platform.version()}
        size = (self.screen.width, self.screen.height)
        return Health("deskbench", PROTOCOL, platform.system(), size, self.features(), versions)
