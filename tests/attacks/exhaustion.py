"""Resource exhaustion: the controller keeps working, the neighbouring desktop stays fast, the next one is clean."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deskbench.envs.actions import Move
from deskbench.envs.clients.http import Client
from deskbench.envs.errors import DeskbenchError, EnvError
from deskbench.envs.wire import Observe
from deskbench.tasks.getters.session import vm_clipboard
from deskbench.tasks.world import World
from tests.agent.paper import task
from tests.attacks.arenas import Arena
from tests.attacks.base import (
    DESKTOPS,
    DOCKER,
    QEMU,
    ROOT,
    USER,
    WINE,
    Outcome,
    attack,
    blocked,
    not_applicable,
    not_run,
    succeeded,
)

SECONDS = 6.0
"""Time for an answer, beyond the request's own time."""
GRACE = 10.0
"""Beyond this, the controller counts as hanging."""
STEPS, MOST_STEPS = 15, 200
QUIET_MS = 5.0
"""A smaller increase of a step's time does not count as slower, whatever the ratio."""
SLOWER = 2.0
CORES = len(os.sched_getaffinity(0))
STOP_SECONDS = 20.0
ROOM = 14 * 2**30
"""Free memory in bytes that the machine needs if a desktop is going to take all it can."""
PAIRS = (ROOT, USER, DOCKER, QEMU, WINE)
"""Providers with several desktops of one controller on this machine. A remote machine is its owner's to limit."""


@dataclass
class Seen:
    """The effects of an attack.

    Attributes:
        broken: what it broke; empty for nothing.
        slow: whether the other desktop was slower than it may be.
    """

    said: str
    quiet: float = 0.0
    control: float = 0.0
    during: float = 0.0
    after: float = 0.0
    broken: list[str] = field(default_factory=list)

    @property
    def slow(self) -> bool:
        """Whether a step took more than twice the longest of: before, next to an honest load, and after."""
        return self.during > SLOWER * max(self.quiet, self.control, self.after) + QUIET_MS

    def line(self) -> str:
        """The evidence in one line."""
        times = ", ".join(f"{getattr(self, name):.0f} ms {name}" for name in ("quiet", "control", "during", "after"))
        return f"{'; '.join([*self.broken, ''])}a step beside: {times}; {self.said}"


def steps(desktop: Client, until: Callable[[], bool] = lambda: True) -> float:
    """The median duration of steps in ms: at least STEPS of them, and more until a condition holds."""
    taken: list[float] = []
    while len(taken) < STEPS or (not until() and len(taken) < MOST_STEPS):
        began = time.monotonic()
        desktop.act([Move(20 + len(taken) % 50 * 10, 300)], Observe("immediate"))
        taken.append((time.monotonic() - began) * 1e3)
    return statistics.median(taken)


def asked(desktop: Client, scale: float) -> list[str]:
    """Request everything that an episode requests; returns what went wrong."""
    desktop.answer_seconds = desktop.file_seconds = SECONDS * scale
    look = Observe("settled", accessibility=True, terminal=True, max_settle=2.0)
    asks: dict[str, tuple[float, Callable[[], object]]] = {
        "observe": (2.0, lambda: desktop.observe(look)),
        "step": (0.0, lambda: desktop.act([Move(5, 5)], Observe("immediate"))),
        "run": (5.0, lambda: desktop.run(["true"], timeout=5.0)),
        "list": (SECONDS * scale, lambda: desktop.list_directory("/tmp")),
        "read": (0.0, lambda: desktop.read_file("/etc/passwd")),
        "write": (0.0, lambda: desktop.write_file("/tmp/asked", b"x")),
        "windows": (0.0, desktop.windows),
        "health": (0.0, desktop.health),
    }
    return [said for name, (own, ask) in asks.items() if (said := _asked(name, ask, own + SECONDS * scale))]


def _asked(name: str, ask: Callable[[], object], seconds: float) -> str:
    began = time.monotonic()
    try:
        ask()
    except (DeskbenchError, FileNotFoundError):
        pass
    except Exception as error:  # noqa: BLE001  (the boundary: it would have ended the run)
        return f"{name} raised {type(error).__name__}: {error}"
    took = time.monotonic() - began
    return f"{name} took {took:.0f} s, its limit is {seconds:.0f} s" if took > seconds + GRACE else ""


def clipboard(desktop: Client) -> str:
    """Read the clipboard with OSWorld's getter."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return vm_clipboard(World(desktop, task(place), place, place))


def observed(name: str, argument: object, arena: Arena, beside: Client) -> Seen:
    """Run one attack next to another desktop, and check the next desktop after it."""
    steps(beside)  # warm up
    quiet = steps(beside)
    victim = arena.start()
    try:
        control = _under_control(arena, victim, beside)
        victim.answer_seconds = SECONDS * arena.slow
        seen = Seen(_begun(name, argument, arena, victim), quiet, control)
        with ThreadPoolExecutor(1) as asking:
            ends = asking.submit(asked, victim, arena.slow)
            seen.during = steps(beside, ends.done)
            seen.broken += ends.result()
        if name in ("clipboard", "deaf"):
            seen.broken += [said] if (said := _asked("clipboard", lambda: clipboard(victim), 10 + SECONDS)) else []
    finally:
        began = time.monotonic()
        arena.stop(victim)
        took = time.monotonic() - began
    seen.broken += [f"its end took {took:.0f} s"] if took > STOP_SECONDS * arena.slow else []
    seen.after = steps(beside)
    return seen


def _under_control(arena: Arena, victim: Client, beside: Client) -> float:
    """Time steps next to an honest load: a busy program for each core."""
    arena.program("exhaustion", "honest", CORES, on=victim)
    return steps(beside)


def _begun(name: str, argument: object, arena: Arena, victim: Client) -> str:
    """Start the program; it may kill or stop the process that should report its success."""
    try:
        return str(arena.program("exhaustion", name, argument, on=victim, timeout=50.0)["said"])
    except (EnvError, AssertionError) as error:
        return f"who started it was not heard of again ({type(error).__name__})"


def next_is_clean(arena: Arena) -> list[str]:
    """Find what is wrong with the next desktop."""
    other = arena.start()
    try:
        found = arena.program("exhaustion", "left", on=other)
        blind = other.observe(Observe("immediate")).screenshot is None
        return [f"the next desktop has {found['said']}"] * bool(found["ok"]) + ["the next one shows nothing"] * blind
    finally:
        arena.stop(other)


def _exhausts(name: str, argument: object) -> Callable[[Arena], Outcome]:
    def run(arena: Arena) -> Outcome:
        if name in HUNGRY and _free() < ROOM:
            return not_run(f"the machine has {_free() >> 30} GiB free, and others need some")
        beside = arena.start()
        try:
            seen = observed(name, argument, arena, beside)
            if seen.slow and not seen.broken:  # try again: the machine has other work, too
                seen = observed(name, argument, arena, beside)
        finally:
            arena.stop(beside)
        if "ModuleNotFoundError" in seen.said or "ValueError: Namespace" in seen.said:
            return not_applicable(f"its program is not there: {seen.said}")
        seen.broken += [f"{name} has no end: {seen.said}"] * ("no end" in seen.said) + next_is_clean(arena)
        return succeeded(seen.line()) if seen.broken or seen.slow else blocked(seen.line())

    return run


def _free() -> int:
    with Path("/proc/meminfo").open(encoding="ascii") as file:
        found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}
    return found["MemAvailable"]


HUNGRY = ("memory", "disk")
EXHAUSTING: tuple[tuple[str, object, str], ...] = (
    ("spin", 64, "64 busy processes"),
    ("fork", 0, "a fork bomb"),
    ("memory", 7168, "more memory than the desktop has, in many processes"),
    ("disk", 6144, "every disk that can be written, full"),
    ("inodes", 150_000, "files without end: 150,000, in every file system"),
    ("descriptors", 200_000, "200,000 open files"),
    ("clients", 600, "every connection that the X server has"),
    ("windows", 3000, "3,000 windows with titles of 2,000 letters"),
    ("grab", 0, "an X client that grabs the server"),
    ("flicker", 0, "a screen that never rests"),
    ("clipboard", 1024, "a clipboard of 1 GB"),
    ("deaf", 0, "a clipboard whose owner never answers"),
    ("bus", 3000, "a busy accessibility bus: 3,000 parts that change all the time"),
    ("mute", 10, "an accessible program that never answers"),
    ("stop", 0, "SIGSTOP of everything it may signal"),
    ("kill", 0, "kill -9 -1"),
)
NO_GROUPS = {
    "memory": {
        USER: "without control groups each process has a limit, but all of them together have none: they got 7 GiB"
    }
}
"""What an ordinary user cannot limit, as measured."""
for _name, _argument, _title in EXHAUSTING:
    attack(
        f"exhaust-{_name}", "exhaustion", _title, tuple(one for one in DESKTOPS if one in PAIRS),
        accepted=NO_GROUPS.get(_name), seconds=240.0,
    )(_exhausts(_name, _argument))  # fmt: skip
