"""The desktop of Windows, composed of the same parts as that of X."""

from __future__ import annotations

import platform

from deskbench.envs.server import comparing
from deskbench.envs.server.settle import Sample
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

    def __init__(self) -> None:
        super().__init__(MISSING)
        self.screen = Screen()
        self.input = Input(self.screen.width, self.screen.height)
        self.windows = Windows()
        self.activity = Activity(self.windows)
        self._accessibility = Accessibility(self.windows)

    def sample(self, launched_after: Sample | None) -> Sample:
        """The session's current state. Every thread of a program that is not in `launched_after` counts."""
        return self.activity.sample(launched_after)

    def tree(self, timeout: float, problems: list[str]) -> tuple[str | None, bool]:
        """The accessibility tree and whether it is complete."""
        return self._accessibility.tree(timeout)

    def health(self) -> Health:
        """What works here."""
        versions = {"python": platform.python_version(), "png": self.screen.compressor, "windows": platform.version()}
        size = (self.screen.width, self.screen.height)
        return Health("deskbench", PROTOCOL, platform.system(), size, self.features(), versions)
