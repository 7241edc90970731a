"""The desktop of Linux, composed of the parts for X."""

from __future__ import annotations

import functools
import os
import platform
import time

from deskbench.envs.server import accessibility, commands, desk
from deskbench.envs.server.films import Films
from deskbench.envs.server.recording import Recorder
from deskbench.envs.server.settle import HISTORY, MAXIMUM, Settling
from deskbench.envs.server.x11 import activity
from deskbench.envs.server.x11.activity import Activity
from deskbench.envs.server.x11.capture import Screen
from deskbench.envs.server.x11.input import Input
from deskbench.envs.server.x11.sleepers import Sleepers
from deskbench.envs.server.x11.watch import XServer
from deskbench.envs.server.x11.windows import Windows
from deskbench.envs.wire import PROTOCOL, Health

POLL = 0.01
"""Seconds between two looks at the programs while settling, at least; a change on the screen is noticed at once."""
SHARE, AT_ONCE = 0.14, 0.02
"""The share of a core that goes into looking, and seconds of a core that a settling may spend on it beyond that."""
LONGEST_PAUSE = 0.05
"""Seconds between two looks at most: even where looking is dear, the answer does not come much later."""
AWAKE = 0.003
"""Seconds after which a program whose timer is due has begun to run."""


class Desk(desk.Desk):
    """The desktop of one X display. `patience` is how many times slower the machine is than one without emulation."""

    screen: Screen
    watch: XServer

    def __init__(self, display_name: str | None = None, patience: float = 1.0) -> None:
        self.patience = patience
        self.watch = XServer(display_name, patience)
        self.screen = Screen(display_name)
        self.films = Films(self.screen.damage.since)
        self.input = Input(display_name)
        self.activity = Activity(display_name)
        self.sleepers = Sleepers(os.getpid())
        self.no_rest = self.sleepers.trouble(self.watch.process)
        self.windows = Windows(display_name, patience)
        self.recorder = Recorder(self.screen.width, self.screen.height)

    def begin_settling(self, *, launching: bool = False) -> Settling:
        """Note the state before the actions; pass the result to `settle` after them."""
        now, spent = time.monotonic(), time.thread_time()
        settling = Settling(
            began=now, start=now, before=self.activity.sample(), launching=launching, patience=self.patience,
            history=self.screen.damage.since(now - HISTORY),
        )  # fmt: skip
        if not self.no_rest:
            settling.rest = functools.partial(self.sleepers.rest, self.sleepers.look())
        settling.spent = time.thread_time() - spent
        return settling

    def settle(self, settling: Settling, maximum: float | None = None) -> bool:
        """Wait until the screen has reacted and gone quiet; False if `maximum` (seconds) passed first."""
        settling.maximum = MAXIMUM * self.patience if maximum is None else maximum
        self.films.add(settling)
        before, began = settling.spent, time.thread_time()
        while True:
            sample = self.activity.sample(settling.before if settling.launching else None)
            count = self.screen.damage.count
            verdict = settling.verdict(sample, self.screen.damage.since(settling.began))
            spent = time.thread_time() - began
            if verdict is not None:
                self.screen.catch_up()
                settling.spent = before + spent
                return verdict
            if self.screen.damage.wait(count, _pause(settling, spent)):
                self.screen.damage.wait(1 << 60, POLL / 2)  # drawing comes in bursts: look at them together

    def at_work(self) -> bool:
        """Whether a program of the session, or a service that it may wait for, runs or waits for a core."""
        return activity.at_work()

    def tree(self, timeout: float, problems: list[str]) -> tuple[str | None, bool]:
        """The accessibility tree and whether it is complete; errors are added to `problems`."""
        try:
            return accessibility.tree(timeout)
        except accessibility.AccessibilityError as error:
            problems.append(f"accessibility: {error}")
            return None, False

    def terminal(self, problems: list[str]) -> str | None:
        """The text of the focused terminal; errors are added to `problems`."""
        try:
            return accessibility.terminal_text()
        except accessibility.AccessibilityError as error:
            problems.append(f"terminal: {error}")
            return None

    def health(self) -> Health:
        """What works on this desktop. Makes no request to the X server, which may hang."""
        trouble, why_not = self.watch.trouble(), accessibility.why_not() or ""
        return Health(
            server="deskbench",
            protocol=PROTOCOL,
            platform=platform.system(),
            screen=(self.screen.width, self.screen.height),
            features={
                **dict.fromkeys(("screenshot", "input", "settle"), trouble),
                **dict.fromkeys(("accessibility", "terminal"), why_not),
                "recording": "" if commands.installed("ffmpeg") else "ffmpeg is not installed",
                "clipboard": "" if commands.installed("xclip") else "xclip is not installed",
                "exec": "",
            },
            versions={
                "python": platform.python_version(),
                "png": self.screen.compressor,
                "kernel": platform.release(),
                "display": os.environ.get("DISPLAY", ""),
            },
        )


def _pause(settling: Settling, spent: float) -> float:
    """Seconds until the next look at the programs, when looking has so far taken `spent` seconds of a core."""
    now = time.monotonic()
    if settling.awaited is not None:  # nothing happens before, and it is time to look then
        pause = settling.awaited - now + AWAKE
    else:
        pause = (spent - AT_ONCE) / SHARE - (now - settling.start)
    return min(max(POLL, pause), LONGEST_PAUSE)
