"""The desktop of macOS, composed of the same parts as that of Windows."""

from __future__ import annotations

import platform
import time

from deskbench.envs.server import comparing
from deskbench.envs.server.macos.ax import Accessibility
from deskbench.envs.server.macos.capture import Screen
from deskbench.envs.server.macos.input import Input
from deskbench.envs.server.macos.windows import Windows
from deskbench.envs.server.settle import Sample
from deskbench.envs.wire import PROTOCOL, Health

MISSING = {
    "terminal": "the server cannot read the text of Terminal",
    "recording": "the server cannot record the screen of macOS",
    "clipboard": "the server does not read the clipboard",
}
MEND = (
    "install PyObjC for the server's Python: pip install pyobjc-framework-Quartz pyobjc-framework-ApplicationServices"
)


class Desk(comparing.Desk):
    """A session of macOS.

    Raises:
        ImportError: PyObjC is missing; the message says what to install.
    """

    def __init__(self) -> None:
        try:
            import AppKit
            import ApplicationServices
            import Quartz
        except ImportError as error:
            raise ImportError(f"{error}; {MEND}") from None
        self._accessibility = Accessibility(ApplicationServices, AppKit.NSWorkspace)
        super().__init__(Screen(Quartz), MISSING)
        self.input = Input(Quartz, self.screen.width, self.screen.height)
        self.windows = Windows(self._accessibility)

    def sample(self, launched_after: Sample | None) -> Sample:
        """Programs and windows. Which programs are busy is not known here."""
        programs = self._accessibility.programs()
        windows = frozenset(int(one["id"], 16) for one in self.windows.listing())
        return Sample(time.monotonic(), windows, frozenset(program.processIdentifier() for program in programs))

    def at_work(self) -> bool:
        """True: it is not known here."""
        return True

    def tree(self, timeout: float, problems: list[str]) -> tuple[str | None, bool]:
        """The accessibility tree and whether it is complete; errors are added to `problems`."""
        why = self._accessibility.why_not()
        if why:
            problems.append(f"accessibility: {why}")
            return None, False
        return self._accessibility.tree(timeout)

    def health(self) -> Health:
        """What works here. Without the accessibility permission, input does not work either."""
        why = self._accessibility.why_not()
        features = {**self.features(), "accessibility": why, "input": why}
        versions = {"python": platform.python_version(), "png": self.screen.compressor, "macos": platform.mac_ver()[0]}
        size = (self.screen.width, self.screen.height)
        return Health("deskbench", PROTOCOL, platform.system(), size, features, versions)
